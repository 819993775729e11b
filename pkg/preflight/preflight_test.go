package preflight

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost/hosts"
	"github.com/tekton-sentry/sentry/pkg/kube/kubetest"
)

const settings = `
groups: {shop: {continue_on_error: true}}
repositories:
  - name: web
    group: shop
    monitor: {repo_url: https://github.com/a/web, branches: [main]}
    deploy: {qa_repo_url: https://github.com/a/qa, commands: [a], auth: {username: "${QA_USER}", token: "${QA_TOKEN}"}}
  - name: lib
    monitor: {repo_url: https://github.com/a/lib, branches: [main], auth: {token: "${APP_TOKEN}"}}
    deploy:
      qa_repo_url: https://github.com/a/qa
      commands: [a]
      checkout: true
      service_account: other
      secrets: [{name: chat, keys: [TOKEN, URL]}, {name: none, optional: true}]
      config_maps: [settings]
  - name: own
    monitor: {repo_url: https://github.com/a/own, branches: [main]}
    deploy: {task: {name: deploy-own}}
  - name: docs
    monitor: {repo_url: https://github.com/a/docs, branches: [main]}
    deploy: {pipeline: {name: publish}, qa_repo_url: https://github.com/a/qa, auth: {token: "${NOT_CLONED}"}}
  - name: far
    monitor: {repo_url: https://github.com/a/far, branches: [main]}
    deploy: {pipeline: {resolver: hub, resolver_params: {name: publish}}}
global: {run_namespace: test-runs, proxy: {https_proxy: "${PROXY}"}}
`

// ready is what a cluster has that is ready, in YAML by path.
var ready = map[string]string{
	"/version":                     "{gitVersion: v1.34.1}",
	"/apis/tekton.dev/v1":          "{resources: [{name: pipelineruns}]}",
	"/api/v1/namespaces/test":      "{metadata: {labels: {pod-security.kubernetes.io/enforce: restricted}}}",
	"/api/v1/namespaces/test-runs": "{metadata: {labels: {pod-security.kubernetes.io/enforce: restricted}}}",
	"/api/v1/namespaces/tekton-pipelines/configmaps/pipelines-info": "{data: {version: v1.14.0}}",
	"/api/v1/namespaces/tekton-pipelines/configmaps/feature-flags":  `{data: {set-security-context: "true", enable-api-fields: beta, disable-inline-spec: ""}}`,
	"/api/v1/namespaces/test/serviceaccounts/sentry":                "{}",
	"/api/v1/namespaces/test-runs/serviceaccounts/sentry-deployer":  "{}",
	"/api/v1/namespaces/test-runs/serviceaccounts/other":            "{}",
	"/api/v1/namespaces/test/secrets/sentry-key":                    "{}",
	"/api/v1/namespaces/test-runs/secrets/sentry-credentials":       "{data: {QA_USER: aHVzaA==, QA_TOKEN: aHVzaA==, PROXY: aHVzaA==, APP_TOKEN: aHVzaA==, MORE: aHVzaA==}}",
	"/api/v1/namespaces/test-runs/secrets/chat":                     "{data: {TOKEN: aHVzaA==, URL: aHVzaA==}}",
	"/api/v1/namespaces/test-runs/configmaps/settings":              "{}",
	"/apis/tekton.dev/v1/namespaces/test-runs/tasks/deploy-own":     "{}",
	"/apis/tekton.dev/v1/namespaces/test-runs/pipelines/publish":    "{}",
}

// cluster returns a check of a cluster that is ready, whose server a test then changes.
func cluster(t *testing.T) (*kubetest.Server, *Check) {
	t.Helper()
	server, c := kubetest.New(t)
	for path, text := range ready {
		put(t, server, path, text)
	}
	server.User = "admin"
	server.May = func(user string, what authorizationv1.ResourceAttributes) bool {
		return user == "system:serviceaccount:test:sentry" || what.Namespace == "test-runs"
	}
	cfg, err := config.Parse([]byte(settings), config.Options{Hosts: hosts.All.Config(), AllowUnsetAuth: true})
	if err != nil {
		t.Fatal(err)
	}
	run := &v1.PipelineRun{ObjectMeta: metav1.ObjectMeta{Name: "web-1"}}
	return server, &Check{Cluster: c, Config: cfg, Account: "sentry", Tekton: "tekton-pipelines", Runs: []*v1.PipelineRun{run}}
}

// put stores what is at a path; "" is nothing.
func put(t *testing.T, server *kubetest.Server, path, text string) {
	t.Helper()
	var o kubetest.Object
	if err := yaml.Unmarshal([]byte(text), &o); err != nil {
		t.Fatal(err)
	}
	server.Put(path, o)
}

const forbidden = "forbidden"

func TestRun(t *testing.T) {
	const tokens = "/api/v1/namespaces/test-runs/secrets/sentry-credentials"
	for name, tt := range map[string]struct {
		path, object string // in place of what is there; forbidden refuses the request
		want         string // beside what is ok, the findings: level, check, and a part of the detail
	}{
		"all is well":               {"", "", ""},
		"no API server":             {"/version", forbidden, "fail|API server|cannot"},
		"no Tekton":                 {"/apis/tekton.dev/v1", "", "fail|Tekton Pipelines|install Tekton Pipelines"},
		"old Tekton":                {"/api/v1/namespaces/tekton-pipelines/configmaps/pipelines-info", "{data: {version: v0.50.0}}", "warn|Tekton Pipelines|v0.50.0; Sentry is tried with 1.14"},
		"Tekton elsewhere":          {"/api/v1/namespaces/tekton-pipelines/configmaps/pipelines-info", "", "warn|Tekton Pipelines|give --tekton-namespace"},
		"flags that are secret":     {"/api/v1/namespaces/tekton-pipelines/configmaps/feature-flags", forbidden, "warn|Tekton's flags|cannot be read"},
		"no security context":       {"/api/v1/namespaces/tekton-pipelines/configmaps/feature-flags", "{data: {}}", "fail|Tekton's flags|set-security-context is not true"},
		"no inline specs":           {"/api/v1/namespaces/tekton-pipelines/configmaps/feature-flags", `{data: {set-security-context: "true", disable-inline-spec: "taskrun, pipelinerun"}}`, "fail|Tekton's flags|disable-inline-spec has pipelinerun"},
		"stable fields":             {"/api/v1/namespaces/tekton-pipelines/configmaps/feature-flags", `{data: {set-security-context: "true", enable-api-fields: stable}}`, "fail|Tekton's flags|continue_on_error needs beta"},
		"no namespace":              {"/api/v1/namespaces/test-runs", "", "fail|namespace test-runs|is not there"},
		"no Pod Security":           {"/api/v1/namespaces/test-runs", "{metadata: {}}", ""},
		"another standard":          {"/api/v1/namespaces/test-runs", "{metadata: {labels: {pod-security.kubernetes.io/enforce: mine}}}", "warn|namespace test-runs|no Pod Security Standard"},
		"no account of Sentry":      {"/api/v1/namespaces/test/serviceaccounts/sentry", "", "fail|ServiceAccount test/sentry|is not there"},
		"no account of the runs":    {"/api/v1/namespaces/test-runs/serviceaccounts/sentry-deployer", "", "fail|ServiceAccount test-runs/sentry-deployer|is not there"},
		"nor one of a repository":   {"/api/v1/namespaces/test-runs/serviceaccounts/other", "", "fail|ServiceAccount test-runs/other|is not there"},
		"no key":                    {"/api/v1/namespaces/test/secrets/sentry-key", "", "fail|Secret test/sentry-key|create secret generic sentry-key"},
		"a key that is not shown":   {"/api/v1/namespaces/test/secrets/sentry-key", forbidden, "warn|Secret test/sentry-key|cannot be read by you"},
		"no tokens":                 {tokens, "", "fail|Secret test-runs/sentry-credentials|takes APP_TOKEN, PROXY, QA_TOKEN, QA_USER from it"},
		"tokens that are not shown": {tokens, forbidden, "warn|Secret test-runs/sentry-credentials|cannot be read by you"},
		"one token":                 {tokens, "{data: {QA_USER: aHVzaA==, PROXY: aHVzaA==, APP_TOKEN: aHVzaA==}}", "fail|Secret test-runs/sentry-credentials|lacks QA_TOKEN:"},
		"an empty one":              {tokens, `{data: {QA_USER: aHVzaA==, PROXY: aHVzaA==, APP_TOKEN: aHVzaA==, QA_TOKEN: ""}}`, "fail|Secret test-runs/sentry-credentials|QA_TOKEN is empty or has a line break"},
		"one of echo":               {tokens, "{data: {QA_USER: aHVzaA==, PROXY: aHVzaA==, APP_TOKEN: aHVzaA==, QA_TOKEN: aHVzaAo=}}", "fail|Secret test-runs/sentry-credentials|QA_TOKEN is empty or has a line break"},
		"no password of the proxy":  {tokens, "{data: {QA_USER: aHVzaA==, QA_TOKEN: aHVzaA==, APP_TOKEN: aHVzaA==}}", "fail|Secret test-runs/sentry-credentials|lacks PROXY:"},
		"none of the application":   {tokens, "{data: {QA_USER: aHVzaA==, QA_TOKEN: aHVzaA==, PROXY: aHVzaA==}}", "fail|Secret test-runs/sentry-credentials|lacks APP_TOKEN:"},
		"no Secret of commands":     {"/api/v1/namespaces/test-runs/secrets/chat", "", "fail|Secret test-runs/chat|is not there"},
		"no key of commands":        {"/api/v1/namespaces/test-runs/secrets/chat", "{data: {URL: aHVzaA==}}", "fail|Secret test-runs/chat|lacks TOKEN, which commands need"},
		"no ConfigMap of commands":  {"/api/v1/namespaces/test-runs/configmaps/settings", "", "fail|ConfigMap test-runs/settings|is not there"},
		"a hidden Secret":           {"/api/v1/namespaces/test-runs/secrets/chat", forbidden, "warn|Secret test-runs/chat|cannot be read by you"},
		"no Task":                   {"/apis/tekton.dev/v1/namespaces/test-runs/tasks/deploy-own", "", "fail|Task test-runs/deploy-own|is not there"},
		"no Pipeline":               {"/apis/tekton.dev/v1/namespaces/test-runs/pipelines/publish", "", "fail|Pipeline test-runs/publish|is not there"},
		"a Task that is not shown":  {"/apis/tekton.dev/v1/namespaces/test-runs/tasks/deploy-own", forbidden, "warn|Task test-runs/deploy-own|cannot be read"},
		"a run that is refused":     {"/apis/tekton.dev/v1/namespaces/test-runs/pipelineruns", "refused", "fail|PipelineRun web-1|admission webhook says no"},
		"a run that one may not":    {"/apis/tekton.dev/v1/namespaces/test-runs/pipelineruns", forbidden, "warn|PipelineRuns|cannot be tried by you"},
	} {
		t.Run(name, func(t *testing.T) {
			server, check := cluster(t)
			switch tt.object {
			case forbidden, "refused":
				server.Fault = func(w http.ResponseWriter, r *http.Request) bool {
					if r.URL.Path != tt.path {
						return false
					}
					if tt.object == forbidden {
						kubetest.Refuse(w, http.StatusForbidden, metav1.StatusReasonForbidden, `x is forbidden: User "u" cannot do it`)
					} else {
						kubetest.Refuse(w, http.StatusBadRequest, metav1.StatusReasonBadRequest, "admission webhook says no")
					}
					return true
				}
			default:
				put(t, server, tt.path, tt.object)
			}
			expect(t, check.Run(t.Context()), tt.want)
			if writes := server.Writes(); len(writes) > 0 {
				t.Errorf("something was changed: %v", writes)
			}
		})
	}
}

// expect holds the findings that are not ok to those that are wanted, "" for none, and all of them to telling no secret.
func expect(t *testing.T, found []Finding, want string) {
	t.Helper()
	var bad []string
	for _, f := range found {
		if f.Level != OK {
			bad = append(bad, fmt.Sprintf("%s|%s|%s", f.Level, f.Check, f.Detail))
		}
		if strings.Contains(f.Detail, "hush") || strings.Contains(f.Detail, "aHVza") {
			t.Errorf("a secret is in %q", f)
		}
	}
	if want == "" {
		if len(bad) > 0 || len(found) < 9 {
			t.Errorf("%d findings, and not ok are\n%s\nwant all ok", len(found), strings.Join(bad, "\n"))
		}
		return
	}
	start, part := want[:strings.LastIndex(want, "|")+1], want[strings.LastIndex(want, "|")+1:]
	if len(bad) != 1 || !strings.HasPrefix(bad[0], start) || !strings.Contains(bad[0], part) {
		t.Errorf("not ok are\n%s\nwant only %s…%s", strings.Join(bad, "\n"), start, part)
	}
}

func TestRights(t *testing.T) {
	own := func(user string) bool { return user == "system:serviceaccount:test:sentry" }
	for name, tt := range map[string]struct {
		me   string
		may  func(user string, what authorizationv1.ResourceAttributes) bool
		deny bool // questions about others are forbidden
		want string
	}{
		"one that is missing": {"admin", func(user string, what authorizationv1.ResourceAttributes) bool {
			return own(user) && what.Verb != "patch" || what.Namespace == "test-runs" && !own(user)
		}, false, "fail|ServiceAccount test/sentry|may not patch pipelineruns.tekton.dev in test-runs: apply"},
		"of the state": {"admin", func(user string, what authorizationv1.ResourceAttributes) bool {
			return own(user) && what.Name != "sentry-state-15" || what.Namespace == "test-runs" && !own(user)
		}, false, "fail|ServiceAccount test/sentry|may not get configmaps/sentry-state-15 in test, update configmaps/sentry-state-15 in test: apply"},
		"commands that reach Sentry": {"admin", func(user string, what authorizationv1.ResourceAttributes) bool {
			return own(user) || what.Namespace == "test-runs" || user == "system:serviceaccount:test-runs:other" && what.Resource == "secrets"
		}, false, "warn|ServiceAccount test-runs/other|can read Sentry's credentials"},
		"commands without rights": {"admin", func(user string, _ authorizationv1.ResourceAttributes) bool { return own(user) }, false, ""},
		"who may not ask": {"somebody", func(string, authorizationv1.ResourceAttributes) bool { return true }, true,
			"warn|ServiceAccount test/sentry|kubectl -n test exec deployment/sentry"},
		"in the pod": {"system:serviceaccount:test:sentry", func(user string, _ authorizationv1.ResourceAttributes) bool { return own(user) }, true, "no"},
	} {
		t.Run(name, func(t *testing.T) {
			server, check := cluster(t)
			server.User, server.May = tt.me, tt.may
			server.Fault = func(w http.ResponseWriter, r *http.Request) bool {
				if !tt.deny || !strings.HasSuffix(r.URL.Path, "/subjectaccessreviews") {
					return false
				}
				kubetest.Refuse(w, http.StatusForbidden, metav1.StatusReasonForbidden, `forbidden: User "u" cannot create`)
				return true
			}
			found := check.Run(t.Context())
			if tt.deny { // then nothing is known of the others either
				found = slices.DeleteFunc(found, func(f Finding) bool {
					return strings.HasPrefix(f.Check, "ServiceAccount test-runs/") && f.Level == Warn
				})
				for _, f := range found {
					if f.Check == "ServiceAccount test/sentry" && tt.want == "no" && f.Level != OK {
						t.Errorf("got %+v, want ok, as one's own rights everybody may ask for", f)
					}
				}
			}
			if tt.want != "no" {
				expect(t, found, tt.want)
			}
		})
	}
}

// One namespace works, and is told of.
func TestOneNamespace(t *testing.T) {
	server, check := cluster(t)
	check.Config.Global.RunNamespace = ""
	for path, text := range ready {
		put(t, server, strings.Replace(path, "/test-runs", "/test", 1), text)
	}
	server.May = func(string, authorizationv1.ResourceAttributes) bool { return true }
	expect(t, check.Run(t.Context()), "warn|two namespaces|share test")
}

// The rights that are checked are those that the manifests give, no fewer and no others.
func TestNeedsAreTheManifests(t *testing.T) {
	text, err := os.ReadFile("../../manifests/rbac-sentry.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, check := cluster(t)
	check.Cluster.Namespace, check.Config.Global.RunNamespace = "sentry", "sentry-runs"
	needs := check.needs()
	used := map[string]bool{}
	for doc := range strings.SplitSeq(string(text), "\n---\n") {
		var role rbacv1.Role
		if err := yaml.Unmarshal([]byte(doc), &role); err != nil {
			t.Fatal(err)
		}
		for _, rule := range role.Rules {
			for _, verb := range rule.Verbs {
				for _, resource := range rule.Resources {
					id := fmt.Sprint(role.Namespace, rule.APIGroups, resource, verb)
					used[id] = used[id] || slices.ContainsFunc(needs, func(r right) bool { return grants(role.Namespace, rule, r) && r.verb == verb && r.resource == resource })
				}
			}
		}
		needs = slices.DeleteFunc(needs, func(r right) bool {
			return slices.ContainsFunc(role.Rules, func(rule rbacv1.PolicyRule) bool { return grants(role.Namespace, rule, r) })
		})
	}
	for _, r := range needs {
		t.Errorf("%s is checked, and the manifests do not give it", r)
	}
	if len(used) < 10 {
		t.Errorf("the manifests have %d rights, want at least 10", len(used))
	}
	for id, ok := range used {
		if !ok {
			t.Errorf("the manifests give %s, and nothing checks it", id)
		}
	}
}

func grants(namespace string, rule rbacv1.PolicyRule, r right) bool {
	return namespace == r.namespace && slices.Contains(rule.APIGroups, r.group) && slices.Contains(rule.Resources, r.resource) && slices.Contains(rule.Verbs, r.verb) &&
		(len(rule.ResourceNames) == 0 || slices.Contains(rule.ResourceNames, r.name))
}

// What a configuration does not need of Tekton is no finding.
func TestFlagsThatAreNeeded(t *testing.T) {
	const (
		pipelines = "{pipeline: {name: publish}}"
		resolver  = "{pipeline: {resolver: hub, resolver_params: {name: publish}}}"
		commands  = "{qa_repo_url: https://github.com/a/qa, commands: [a]}"
	)
	for _, tt := range []struct{ deploy, flag, value, want string }{
		{pipelines, "disable-inline-spec", "pipelinerun,pipeline", ""},
		{commands, "disable-inline-spec", "pipelinerun", "disable-inline-spec has pipelinerun"},
		{commands, "enable-api-fields", "stable", ""},
		{pipelines, "enable-api-fields", "stable", ""},
		{resolver, "enable-api-fields", "stable", "enable-api-fields is stable, and a resolver, as web has one, needs beta"},
	} {
		cfg, err := config.Parse([]byte("repositories: [{name: web, monitor: {repo_url: https://github.com/a/web, branches: [main]}, deploy: "+tt.deploy+"}]"), hosts.Options(nil))
		if err != nil {
			t.Fatal(err)
		}
		found := tektonFlags(map[string]string{"set-security-context": "true", tt.flag: tt.value}, "tekton-pipelines", restricted, true, cfg)
		if ok := found[0].Level == OK; ok != (tt.want == "") || !strings.Contains(found[0].Detail, tt.want) {
			t.Errorf("%s with %s %s: %+v, want %q", tt.deploy, tt.flag, tt.value, found, tt.want)
		}
	}
}
