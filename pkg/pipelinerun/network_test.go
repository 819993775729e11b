package pipelinerun

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"github.com/tektoncd/pipeline/pkg/substitution"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/secret"
	"github.com/tekton-sentry/sentry/pkg/strategy"
)

// privateQA is a QA repository in a network with an authority of its own and a proxy that asks for a password.
func privateQA(t *testing.T, commands ...string) (*githosttest.PrivateNetwork, *config.Config, plan.Member) {
	t.Helper()
	root := t.TempDir()
	dir := filepath.Join(root, "qa", "pipelines")
	git(t, root, "init", "-q", "-b", "main", dir)
	m := testMember("rag")
	m.QASHA = commit(t, dir, "private")
	m.Repository.Deploy.Commands = commands
	m.Repository.Deploy.URL = "https://git.example/qa/pipelines"
	m.Repository.Deploy.Auth = config.Auth{Username: secret.New("bob", "bob"), Token: secret.New("${T}", "t0ken")}
	there := githosttest.NewPrivateNetwork(t, githosttest.BasicAuth("bob", "t0ken", githosttest.GitHandler(root)), "ada", "s3cret@:/pw")
	cfg := testConfig()
	cfg.Global.CA = there.CA
	cfg.Global.Proxy = config.Proxy{HTTPS: secret.New("${PROXY}", there.Authorized), HTTP: secret.New("http://proxy.example:3128", "http://proxy.example:3128")}
	return there, cfg, m
}

// inPod returns the steps of the only task with the variables that a pod would have, where values are of the Secret's
// keys. It makes of parameters what Tekton and the kubelet make of them.
func inPod(t *testing.T, cfg *config.Config, m plan.Member, values map[string]string) (steps []v1.Step, env [][]string) {
	t.Helper()
	pr, err := Generate(cfg, testRun(config.Alone(), m))
	if err != nil {
		t.Fatal(err)
	}
	if err := Validate(t.Context(), pr); err != nil {
		t.Fatal(err)
	}
	spec := pr.Spec.PipelineSpec
	pipeline, task := map[string]string{}, map[string]string{}
	for _, p := range spec.Params {
		pipeline["params."+p.Name] = p.Default.StringVal
	}
	for _, p := range spec.Tasks[0].Params {
		task["params."+p.Name] = substitution.ApplyReplacements(p.Value.StringVal, pipeline)
	}
	for _, step := range spec.Tasks[0].TaskSpec.Steps {
		var vars []string
		for _, e := range slices.Concat(spec.Tasks[0].TaskSpec.StepTemplate.Env, step.Env) {
			value := substitution.ApplyReplacements(e.Value, task)
			if strings.Contains(value, "$(") || strings.Contains(value, "$$") {
				t.Errorf("the kubelet would expand the variable %s: %q", e.Name, value)
			}
			if e.ValueFrom != nil {
				value = values[e.ValueFrom.SecretKeyRef.Key]
			}
			if e.Name != "SENTRY_DIR" && e.Name != "HOME" { // process has those of this machine
				vars = append(vars, e.Name+"="+value)
			}
		}
		steps, env = append(steps, step), append(env, vars)
	}
	return steps, env
}

func TestPrivateNetwork(t *testing.T) {
	there, cfg, m := privateQA(t,
		`git -c credential.helper='!f() { test "$1" != get || printf "username=bob\npassword=t0ken\n"; }; f' ls-remote -q https://git.example/qa/pipelines`,
		`env | sed -n 's/[A-Za-z0-9]*@.*@/***@/; /_[pP][rR][oO][xX][yY]=/p' | sort`,
		`echo "${SENTRY_NETWORK-unset}"`,
		`for v in "$SSL_CERT_FILE" "$GIT_SSL_CAINFO" "$CURL_CA_BUNDLE" "$REQUESTS_CA_BUNDLE" "$NODE_EXTRA_CA_CERTS"; do grep -c BEGIN "$v"; done`)
	cfg.Global.Proxy.None = "registry.example, 10.0.0.0/8"
	// The authorities of the image.
	system := filepath.Join(t.TempDir(), "system.pem")
	if err := os.WriteFile(system, []byte(strings.TrimSpace(strings.Repeat(there.CA, 2))), 0o600); err != nil {
		t.Fatal(err)
	}
	password := strings.TrimSuffix(strings.TrimPrefix(there.Authorized, "http://ada:"), "@"+strings.TrimPrefix(there.Proxy, "http://"))
	steps, env := inPod(t, cfg, m, map[string]string{"PROXY": there.Authorized, "T": "t0ken"})
	direct := "registry.example,10.0.0.0/8,localhost,127.0.0.1,::1,.svc,.cluster.local,10.96.0.1"
	proxy := strings.Replace(there.Authorized, "ada:"+password, "***", 1)
	want := strings.Join([]string{
		"HTTPS_PROXY=" + proxy, "HTTP_PROXY=http://proxy.example:3128", "NO_PROXY=" + direct,
		"http_proxy=http://proxy.example:3128", "https_proxy=" + proxy, "no_proxy=" + direct,
	}, "\n")
	for _, sh := range shells(t) {
		dir := t.TempDir()
		in := []string{"SSL_CERT_FILE=" + system, "KUBERNETES_SERVICE_HOST=10.96.0.1", "NO_PROXY=of.the.image"}
		if got := run(t, process(t, sh, steps[0], dir, append(in, env[0]...)...)); got.code != 0 || strings.Contains(got.stdout+got.stderr, password) {
			t.Fatalf("%v: clone: %+v, want success without the password", sh, got)
		}
		got := run(t, process(t, sh, steps[1], dir, append(in, env[1]...)...))
		if got.code != 0 || !strings.Contains(got.stdout, string(m.QASHA)+"\trefs/heads/main\n") || !strings.Contains(got.stdout, "\nunset\n") ||
			!strings.HasSuffix(got.stdout, strings.Repeat("\n3", 5)+"\n") {
			t.Errorf("%v: commands: %+v, want the head, no SENTRY_NETWORK, and files of 3 certificates", sh, got)
		}
		if text := strings.ReplaceAll(got.stdout, "ada:"+password, "***"); !strings.Contains(text, want) {
			t.Errorf("%v: commands see\n%s, want\n%s", sh, text, want)
		}
	}
	if asked := there.Asked(); !slices.Contains(asked, "CONNECT git.example:443") {
		t.Errorf("the proxy was asked %q", asked)
	}
}

// What does not fit fails at once, with words that hold no password.
func TestPrivateNetworkThatIsRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*config.Global)
		proxy  string
		want   string
	}{
		"no CA":          {func(g *config.Global) { g.CA = "" }, "", "certificate"},
		"wrong password": {func(*config.Global) {}, "http://ada:wr0ng@", "407"},
	} {
		t.Run(name, func(t *testing.T) {
			there, cfg, m := privateQA(t, "true")
			tt.change(&cfg.Global)
			proxy := there.Authorized
			if tt.proxy != "" {
				proxy = tt.proxy + strings.TrimPrefix(there.Proxy, "http://")
			}
			steps, env := inPod(t, cfg, m, map[string]string{"PROXY": proxy, "T": "t0ken"})
			got := run(t, process(t, []string{"sh"}, steps[0], t.TempDir(), env[0]...))
			if got.code == 0 || !strings.Contains(got.stderr, tt.want) || strings.Contains(got.stdout, "trying again") {
				t.Errorf("%+v, want a failure at once that says %q", got, tt.want)
			}
			if out := got.stdout + got.stderr; strings.Contains(out, "wr0ng") || strings.Contains(out, "s3cret") {
				t.Errorf("the password is in %q", out)
			}
		})
	}
}

// A run of a hundred deployments has the certificates once.
func TestCertificatesAreInARunOnce(t *testing.T) {
	_, cfg, m := privateQA(t, "true")
	second := testMember("web")
	group := config.Group{Name: "g", Strategy: strategy.Parallel}
	pr, err := Generate(cfg, testRun(group, m, second))
	if err != nil {
		t.Fatal(err)
	}
	text, err := Marshal(pr)
	if err != nil {
		t.Fatal(err)
	}
	line := strings.Split(cfg.Global.CA, "\n")[1]
	if n := strings.Count(string(text), line); n != 1 {
		t.Errorf("the certificate is %d times in\n%s", n, text)
	}
	if strings.Contains(string(text), "s3cret") {
		t.Errorf("the proxy's password is in\n%s", text)
	}
	if err := Validate(t.Context(), pr); err != nil {
		t.Error(err)
	}
}
