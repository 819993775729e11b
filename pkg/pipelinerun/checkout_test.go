package pipelinerun

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/secret"
)

// privateServers serves a QA repository and an application, each with a password of its own, which the keys of a Secret hold.
type privateServers struct {
	qaURL, appURL string
	qa, app       string // work trees
	secrets       map[string]string
}

// newPrivateServers returns both on servers of their own, or on one.
func newPrivateServers(t *testing.T, one bool) privateServers {
	t.Helper()
	p := privateServers{secrets: map[string]string{"QA_USER": "bob", "QA_TOKEN": "s3cret-of-qa", "APP_USER": "ada", "APP_TOKEN": "s3cret-of-app"}}
	root := t.TempDir()
	p.qa, p.app = filepath.Join(root, "qa/pipelines.git"), filepath.Join(root, "company/rag")
	backend := gitBackend(t, root)
	mux := http.NewServeMux()
	mux.Handle("/qa/", guarded("bob:s3cret-of-qa", backend))
	mux.Handle("/company/", guarded("ada:s3cret-of-app", backend))
	var urls [2]string
	for i, dir := range []string{p.qa, p.app} {
		git(t, root, "init", "-q", "-b", "main", dir)
		git(t, dir, "config", "http.receivepack", "true")
		if i == 0 || !one {
			server := httptest.NewServer(mux)
			t.Cleanup(server.Close)
			urls[i] = server.URL
		} else {
			urls[i] = urls[0]
		}
	}
	p.qaURL, p.appURL = urls[0]+"/qa/pipelines.git", urls[1]+"/company/rag"
	return p
}

// member deploys both, with their credentials.
func (p privateServers) member(qa, app repo.SHA, commands ...string) plan.Member {
	m := testMember("rag")
	m.Branch, m.SHA, m.QASHA = "main", app, qa
	m.Repository.Monitor.URL, m.Repository.Deploy.URL = p.appURL, p.qaURL
	m.Repository.Monitor.Auth = config.Auth{Username: secret.New("${APP_USER}", "ada"), Token: secret.New("${APP_TOKEN}", "s3cret-of-app")}
	m.Repository.Deploy.Auth = config.Auth{Username: secret.New("bob", "bob"), Token: secret.New("${QA_TOKEN}", "s3cret-of-qa")}
	m.Repository.Deploy.Commands, m.Repository.Deploy.Checkout = commands, true
	return m
}

// allSteps runs the steps of a member one after the other, each with the variables that its pod would have, until one fails.
func (p privateServers) allSteps(t *testing.T, sh []string, m plan.Member, dir string) (results map[string]result) {
	t.Helper()
	return p.stepsOf(t, sh, p.generate(t, m).Tasks[0], dir)
}

func (p privateServers) generate(t *testing.T, m plan.Member) *v1.PipelineSpec {
	t.Helper()
	pr, err := Generate(testConfig(), testRun(config.Alone(), m))
	if err != nil {
		t.Fatal(err)
	}
	if err := Validate(t.Context(), pr); err != nil {
		t.Fatal(err)
	}
	return pr.Spec.PipelineSpec
}

// stepsOf does the same with those of a task.
func (p privateServers) stepsOf(t *testing.T, sh []string, task v1.PipelineTask, dir string) (results map[string]result) {
	t.Helper()
	results = map[string]result{}
	for _, step := range task.TaskSpec.Steps {
		got := run(t, process(t, sh, step, dir, append(p.env(step, dir), "GIT_CONFIG_NOSYSTEM=1")...))
		results[step.Name] = got
		if strings.Contains(got.stdout+got.stderr, "s3cret") {
			t.Errorf("%v: step %s prints a token: %+v", sh, step.Name, got)
		}
		if got.code != 0 {
			break
		}
	}
	if out, err := exec.Command("grep", "-rl", "s3cret", dir).CombinedOutput(); err == nil {
		t.Errorf("%v: a token is in %s", sh, out)
	}
	return results
}

func (p privateServers) env(step v1.Step, dir string) (env []string) {
	for _, e := range step.Env[2:] { // behind SENTRY_DIR and HOME
		if e.ValueFrom != nil {
			e.Value = p.secrets[e.ValueFrom.SecretKeyRef.Key]
		}
		env = append(env, e.Name+"="+strings.Replace(e.Value, testConfig().Global.TmpDir, dir, 1))
	}
	return env
}

func TestCheckout(t *testing.T) {
	p := newPrivateServers(t, false)
	qa := commit(t, p.qa, "qa")
	app := commit(t, p.app, "app")
	submodule(t, p.app, "lib", "https://example.com/lib", qa)
	newer := commit(t, p.app, "newer")
	for _, sh := range shells(t) {
		commands := []string{`test "$PWD" = "$SENTRY_DIR/repo"`, `cat file "$SENTRY_APP_DIR/file"`, `git -C "$SENTRY_APP_DIR" log --format=%H`}
		dir := t.TempDir()
		got := p.allSteps(t, sh, p.member(qa, app, commands...), dir)
		if said := got["deploy"].stdout; got["deploy"].code != 0 || !strings.Contains(said, "\nqaapp$ ") || !strings.HasSuffix(said, "\n"+string(app)+"\n") {
			t.Errorf("%v: %+v, want both, and the commit %s of the application alone", sh, got, app)
		}
		// Another user's git, as a step may be.
		for _, clone := range []string{"/repo", "/app"} {
			cmd := exec.Command("git", "log")
			cmd.Dir = dir + clone
			cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir + "/home", "GIT_TEST_ASSUME_DIFFERENT_OWNER=1"}
			if got := run(t, cmd); got.code != 0 {
				t.Errorf("%v: git log in %s: %+v", sh, clone, got)
			}
		}
		m := p.member(qa, newer, "true")
		m.Repository.Deploy.Submodules = true
		const warning = "WARNING: submodules are not fetched (deploy.submodules is for the QA repository alone)\n"
		if got = p.allSteps(t, sh, m, t.TempDir()); got["checkout"] != (result{"Cloning " + p.appURL + " at " + string(newer[:7]) + " (main)\n", warning, 0}) {
			t.Errorf("%v: %+v, want a warning of the application's submodules", sh, got)
		}
		gone := repo.SHA(strings.Repeat("ab", 20))
		got = p.allSteps(t, sh, p.member(qa, gone, "true"), t.TempDir())
		if step := got["checkout"]; step.code != 1 || !strings.Contains(step.stderr, "commit "+string(gone)+" is not on branch main of "+p.appURL+" any more") {
			t.Errorf("%v: %+v, want that the commit is gone", sh, got)
		}
	}
}

// Each credential is on the step that needs it alone, until the commands are given both.
func TestCredentialsOfSteps(t *testing.T) {
	p := newPrivateServers(t, false)
	for name, tt := range map[string]struct {
		set  func(*config.Deploy)
		want string // the steps and the keys of Secrets that they have
	}{
		"none of it":  {func(d *config.Deploy) { d.Checkout = false }, "clone QA_TOKEN|deploy"},
		"checkout":    {func(*config.Deploy) {}, "clone QA_TOKEN|checkout APP_USER APP_TOKEN|deploy"},
		"credentials": {func(d *config.Deploy) { d.GitCredential = true }, "clone QA_TOKEN|checkout APP_USER APP_TOKEN|deploy QA_TOKEN APP_USER APP_TOKEN"},
		"one of them": {func(d *config.Deploy) { d.Checkout, d.GitCredential = false, true }, "clone QA_TOKEN|deploy QA_TOKEN"},
		"no credential": {func(d *config.Deploy) { d.Checkout, d.GitCredential, d.Auth = false, true, config.Auth{} },
			"clone|deploy"},
	} {
		m := p.member(qaSHA, sha1, "true")
		tt.set(m.Repository.Deploy)
		pr, err := Generate(testConfig(), testRun(config.Alone(), m))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, step := range pr.Spec.PipelineSpec.Tasks[0].TaskSpec.Steps {
			has := step.Name
			for _, e := range step.Env {
				if e.ValueFrom != nil {
					has += " " + e.ValueFrom.SecretKeyRef.Key
				}
			}
			got = append(got, has)
		}
		if got := strings.Join(got, "|"); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
	m := p.member(qaSHA, sha1, "true")
	m.Repository.Monitor.Auth.Token = secret.New("glpat-123", "glpat-123")
	if _, err := Generate(testConfig(), testRun(config.Alone(), m)); err == nil || !strings.Contains(err.Error(), "monitor.auth.token is written out") || strings.Contains(err.Error(), "glpat") {
		t.Errorf("a token that is written out: %v, want a refusal", err)
	}
}

func TestGitCredential(t *testing.T) {
	elsewhere, other := qaServer(t, "bob:s3cret-of-qa") // which would take the token
	commit(t, other, "other")
	push := func(as string) []string {
		return []string{
			"GIT_TRACE=1 git push -q origin HEAD:refs/heads/" + as,
			`cd "$SENTRY_APP_DIR"`, "git fetch -q --unshallow origin main", "git log --format=%s FETCH_HEAD | tail -n 1",
			"git push -q origin HEAD:refs/heads/" + as,
		}
	}
	for _, one := range []bool{false, true} {
		p := newPrivateServers(t, one)
		commit(t, p.app, "first of app")
		qa, app := commit(t, p.qa, "qa"), commit(t, p.app, "app")
		for _, sh := range shells(t) {
			m := p.member(qa, app, push("new"+sh[0])...)
			m.Repository.Deploy.GitCredential = true
			dir := t.TempDir()
			if err := os.Mkdir(dir+"/home", 0o755); err != nil {
				t.Fatal(err)
			}
			// As Tekton leaves it for a Git Secret of the ServiceAccount.
			if err := os.WriteFile(dir+"/home/.gitconfig", []byte("[credential]\nhelper = \"!echo username=eve; echo password=wrong;:\"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			got := p.allSteps(t, sh, m, dir)["deploy"]
			if got.code != 0 || !strings.Contains(got.stdout, "\nfirst of app\n") || !strings.Contains(got.stderr, "f get") {
				t.Errorf("%v, one server %v: %+v, want two pushes, and a fetch of all", sh, one, got)
			}
			if at := git(t, p.qa, "rev-parse", "new"+sh[0]); at != string(qa) {
				t.Errorf("%v, one server %v: what was pushed is at %s, want %s", sh, one, at, qa)
			}
			m.Repository.Deploy.Commands = []string{"GIT_TERMINAL_PROMPT=0 git -c credential.helper= ls-remote " + elsewhere}
			if got := p.allSteps(t, sh, m, t.TempDir())["deploy"]; got.code == 0 || !strings.Contains(got.stderr, "terminal prompts disabled") {
				t.Errorf("%v: another server: %+v, want that it has no credential", sh, got)
			}
			// What the configuration tells git in the same way stays.
			m.Repository.Deploy.Env = config.Env{"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "user.name", "GIT_CONFIG_VALUE_0": "Ada"}
			m.Repository.Deploy.Commands = []string{"git config user.name", "git ls-remote -q origin main"}
			if got := p.allSteps(t, sh, m, t.TempDir())["deploy"]; got.code != 0 || !strings.Contains(got.stdout, "\nAda\n") {
				t.Errorf("%v: beside other settings: %+v", sh, got)
			}
			m = p.member(qa, app, "test -z \"`env | grep s3[c]ret`\"", "GIT_TERMINAL_PROMPT=0 git push -q origin HEAD:refs/heads/never")
			if got := p.allSteps(t, sh, m, t.TempDir())["deploy"]; got.code == 0 || !strings.Contains(got.stderr, "command 2 of 2 failed") {
				t.Errorf("%v: without the key: %+v, want no credential", sh, got)
			}
		}
	}
}
