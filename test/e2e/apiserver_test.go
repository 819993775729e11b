package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"knative.dev/pkg/apis"
	"sigs.k8s.io/yaml"

	"github.com/tekton-sentry/sentry/pkg/instance"
	"github.com/tekton-sentry/sentry/pkg/kube"
)

// troubled is a Sentry whose API server can be in trouble, with two units that deploy one repository each.
// Their runs may overlap, so that no test waits for pods.
type troubled struct {
	t        *testing.T
	ns, file string
	poller   *pollerAccount
	proxy    *apiProxy
	repos    map[string]*gitRepo // by unit: one, two
}

func newTroubled(t *testing.T, ns string) *troubled {
	t.Helper()
	namespace(t, ns)
	giteaCredentials(t)
	s := &troubled{
		t: t, ns: ns, file: filepath.Join(t.TempDir(), "sentry.yaml"), proxy: newAPIProxy(t, 1, time.Millisecond),
		poller: &pollerAccount{t: t, ns: ns, role: pollerRole(t)}, repos: map[string]*gitRepo{},
	}
	config := "groups: {one: {execution_strategy: parallel, on_busy: parallel}, two: {execution_strategy: parallel, on_busy: parallel}}\nrepositories:\n"
	for _, unit := range []string{"one", "two"} {
		r := newRepo(t, ns+"-"+unit, map[string]string{"README": unit})
		s.repos[unit] = r
		config += soakRepository("app-"+unit, unit, "gitea", r.url, r.url, "true")
	}
	write(t, s.file, config+soakGlobal())
	return s
}

// account returns a kubeconfig through the proxy for an account with the Role less one right.
func (s *troubled) account(name, less string) string {
	s.t.Helper()
	s.poller.account(name, less)
	return s.proxy.kubeconfig(strings.TrimSpace(kubectl(s.t, "-n", s.ns, "create", "token", name)), s.ns)
}

// sentry runs a command line and returns whether it succeeded, and its stderr.
func (s *troubled) sentry(kubeconfig string, args ...string) (ok bool, log string) {
	s.t.Helper()
	cmd := exec.CommandContext(s.t.Context(), env.sentry, append(args, "-c", s.file, "-n", s.ns, "--kubeconfig", kubeconfig)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	return cmd.Run() == nil, stderr.String()
}

// goodCycle has Sentry do a cycle without trouble, which must be a good one.
func (s *troubled) goodCycle(kubeconfig string) {
	s.t.Helper()
	if ok, log := s.sentry(kubeconfig, "watch", "--once"); !ok {
		s.t.Fatalf("a cycle without trouble failed:\n%s", log)
	}
}

func (s *troubled) push(unit string) (sha string) {
	s.t.Helper()
	return s.repos[unit].push("main", map[string]string{"pushed": time.Now().String()})
}

// runsOf returns how many runs there are for the commit.
func (s *troubled) runsOf(sha string) int {
	s.t.Helper()
	n := 0
	for _, pr := range get[v1.PipelineRunList](s.t, "-n", s.ns, "pipelineruns").Items {
		for _, c := range newRan(s.t, &pr).trigger.Refs {
			if string(c.New) == sha {
				n++
			}
		}
	}
	return n
}

func creates(r *http.Request) bool {
	return r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/pipelineruns")
}

func remembers(r *http.Request) bool {
	return r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/"+instance.Instance{}.State())
}

// answering answers the requests that are meant with an error.
func answering(code int, retryAfter string, meant func(*http.Request) bool) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if !meant(r) {
			return false
		}
		if retryAfter != "" {
			w.Header().Set("Retry-After", retryAfter)
		}
		http.Error(w, "in trouble", code)
		return true
	}
}

// once has f answer one request, the first of those that it would answer.
func once(f func(http.ResponseWriter, *http.Request) bool) func(http.ResponseWriter, *http.Request) bool {
	var done bool
	var mu sync.Mutex
	return func(w http.ResponseWriter, r *http.Request) bool {
		mu.Lock()
		defer mu.Unlock()
		if !done {
			done = f(w, r)
			return done
		}
		return false
	}
}

// meeting is a kind of trouble that one cycle meets.
type meeting struct {
	name    string
	trouble trouble
	first   func(http.ResponseWriter, *http.Request) bool
	log     string // of a cycle that fails; "": it succeeds
	runs    int    // of the commit after it
}

// meet has one cycle meet the trouble with a commit to deploy, and two cycles none.
func (m meeting) meet(t *testing.T, s *troubled, account string) {
	sha := s.push("one")
	s.proxy.intercept(m.first)
	if m.trouble != "" {
		s.proxy.begin(m.trouble)
	}
	ok, log := s.sentry(account, "watch", "--once")
	s.proxy.intercept(nil)
	s.proxy.recover()
	if ok != (m.log == "") || !strings.Contains(log, m.log) {
		t.Errorf("the cycle in trouble: success %v, want %v, and a log with %q:\n%s", ok, m.log == "", m.log, log)
	}
	if n := s.runsOf(sha); n != m.runs {
		t.Errorf("%d runs after the cycle in trouble, want %d", n, m.runs)
	}
	s.goodCycle(account)
	s.goodCycle(account)
	if n := s.runsOf(sha); n != 1 {
		t.Errorf("%d runs after the trouble, want one", n)
	}
}

// TestAPIServerInTrouble has one cycle meet each kind of trouble with a commit to deploy, and the next one none:
// then the commit has one run. What may pass in a moment is sat out within the cycle.
func TestAPIServerInTrouble(t *testing.T) {
	t.Parallel()
	s := newTroubled(t, "sentry-api-trouble")
	account := s.account("all", "")
	s.goodCycle(account)
	everything := func(*http.Request) bool { return true }
	for _, m := range []meeting{
		{name: "refused", trouble: refused, log: "connection refused"},
		{name: "slow", first: func(http.ResponseWriter, *http.Request) bool { time.Sleep(time.Second); return false }, runs: 1},
		{name: "503", trouble: failing, log: "load the state"},
		{name: "500 to a create", first: answering(500, "", creates), log: "no pipeline run was made; it is tried again"},
		{name: "429 for a moment", first: once(answering(429, "1", everything)), runs: 1},
		{name: "429 for a minute", first: answering(429, "60", creates), log: "no pipeline run was made; it is tried again"},
		{name: "create is done and said to have failed", first: func(w http.ResponseWriter, r *http.Request) bool {
			if creates(r) {
				s.proxy.perform(r)
				http.Error(w, "etcdserver: request timed out", http.StatusInternalServerError)
			}
			return creates(r)
		}, log: "no pipeline run was made; it is tried again", runs: 1},
		{name: "somebody else writes the state before", first: once(func(w http.ResponseWriter, r *http.Request) bool {
			if remembers(r) {
				_, err := command(s.t.Context(), "", "kubectl", "-n", s.ns, "annotate", "configmap", instance.Instance{}.State(), "who=somebody-else")
				if err != nil {
					s.t.Error(err)
				}
				s.proxy.forward.ServeHTTP(w, r)
			}
			return remembers(r)
		}), runs: 1},
		{name: "state is not written", first: answering(500, "", remembers), log: "remember what was done", runs: 1},
	} {
		t.Run(m.name, func(t *testing.T) { m.meet(t, s, account) })
	}
}

// denyOne is an admission policy of this cluster that takes no run of the unit one.
const denyOne = `
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: %[1]s}
spec:
  matchConstraints: {resourceRules: [{apiGroups: [tekton.dev], apiVersions: [v1], operations: [CREATE], resources: [pipelineruns]}]}
  validations: [{expression: "object.metadata.labels['tekton-sentry.dev/unit'] != 'one'", message: "no deployments of one on a Friday"}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: %[1]s}
spec:
  policyName: %[1]s
  validationActions: [Deny]
  matchResources: {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: %[1]s}}}
`

// refusal is a reason for which the cluster takes no run of the unit one.
type refusal struct {
	name, kind, log string
	account         string // a kubeconfig
	two             int    // runs of the other unit
	forbid, allow   func()
}

// meet has a cycle be refused, and then none.
func (r refusal) meet(t *testing.T, s *troubled, usual string) {
	one, two := s.push("one"), s.push("two")
	r.forbid()
	ok, log := s.sentry(r.account, "watch", "--once")
	if ok || !strings.Contains(log, r.log) {
		t.Errorf("success %v, want a failure and a log with %q:\n%s", ok, r.log, log)
	}
	if n := s.runsOf(one); n != 0 {
		t.Errorf("%d runs of the unit that is refused", n)
	}
	if n := s.runsOf(two); n != r.two {
		t.Errorf("%d runs of the other unit, want %d", n, r.two)
	}
	out := run(t, "", env.sentry, "status", "-c", s.file, "-n", s.ns)
	if !strings.Contains(out, r.kind) || !strings.Contains(out, r.log) {
		t.Errorf("sentry status tells no problem of kind %s with %q:\n%s", r.kind, r.log, out)
	}
	r.allow()
	await(t, time.Minute, "a run of each unit, once it may be", func() (bool, string) {
		_, log := s.sentry(usual, "watch", "--once")
		return s.runsOf(one) == 1 && s.runsOf(two) == 1, log
	})
}

// awaitRefusal returns when the cluster refuses a run of the unit one with these words.
func (s *troubled) awaitRefusal(words string) {
	s.t.Helper()
	url := s.repos["one"].url
	pr := render(s.t, s.ns, "groups: {one: {execution_strategy: parallel}}\nrepositories:\n"+soakRepository("app-one", "one", "gitea", url, url, "true"))
	text, err := yaml.Marshal(pr)
	if err != nil {
		s.t.Fatal(err)
	}
	await(s.t, time.Minute, "the refusal", func() (bool, string) {
		_, err := command(s.t.Context(), string(text), "kubectl", "-n", s.ns, "create", "--dry-run=server", "-f", "-")
		return strings.Contains(fmt.Sprint(err), words), fmt.Sprint(err)
	})
}

// TestRunThatIsNotAllowed shows that a unit whose run is refused by the cluster does not hold up the other one,
// that people are told why, and that the run is made as soon as it may be.
func TestRunThatIsNotAllowed(t *testing.T) {
	t.Parallel()
	const ns, quota, friday = "sentry-api-denied", "exceeded quota", "no deployments of one on a Friday"
	s := newTroubled(t, ns)
	account := s.account("all", "")
	s.goodCycle(account)
	nothing := func() {}
	for _, r := range []refusal{
		{
			"by the Role", "create-" + kube.Denied, "manifests/rbac-sentry.yaml", s.account("uncreating", "pipelineruns create"), 0, nothing, nothing,
		},
		{
			"by a quota", "create-" + kube.Denied, quota, account, 0,
			func() {
				kubectl(t, "-n", ns, "create", "quota", "none", "--hard=count/pipelineruns.tekton.dev=0")
				s.awaitRefusal(quota)
			},
			func() { kubectl(t, "-n", ns, "delete", "quota", "none") },
		},
		{
			"by an admission policy", "create-" + kube.Refused, friday, account, 1,
			func() {
				apply(t, fmt.Sprintf(denyOne, ns))
				t.Cleanup(func() {
					_, _ = command(context.Background(), "", "kubectl", "delete", "validatingadmissionpolicy,validatingadmissionpolicybinding", ns, "--ignore-not-found")
				})
				s.awaitRefusal(friday)
			},
			func() { kubectl(t, "delete", "validatingadmissionpolicy,validatingadmissionpolicybinding", ns) },
		},
	} {
		t.Run(r.name, func(t *testing.T) { r.meet(t, s, account) })
	}
	if out := run(t, "", env.sentry, "status", "-c", s.file, "-n", ns); strings.Contains(out, "PROBLEM") {
		t.Errorf("sentry status tells of problems that are over:\n%s", out)
	}
}

// TestTokenThatExpires has a Sentry run on while its token ends and another one takes its place on disk, as the
// kubelet does it. The token ends with the Secret that it is bound to.
func TestTokenThatExpires(t *testing.T) {
	t.Parallel()
	s := newTroubled(t, "sentry-api-token")
	s.goodCycle(s.account("all", ""))
	kubectl(t, "-n", s.ns, "create", "secret", "generic", "bound")
	token := func(args ...string) string {
		return strings.TrimSpace(kubectl(t, append([]string{"-n", s.ns, "create", "token", "all"}, args...)...))
	}
	file := filepath.Join(t.TempDir(), "token")
	write(t, file, token("--bound-object-kind=Secret", "--bound-object-name=bound"))
	kubeconfig := s.proxy.kubeconfig("", s.ns)
	run(t, "", "kubectl", "--kubeconfig", kubeconfig, "config", "unset", "users.u.token")
	run(t, "", "kubectl", "--kubeconfig", kubeconfig, "config", "set", "users.u.tokenFile", file)
	k := &keeper{t: t, args: []string{"-v", "-c", s.file, "-n", s.ns, "--kubeconfig", kubeconfig}}
	watch, exited := k.start()
	defer func() { _ = watch.Process.Kill(); <-exited }()
	made := func(sha string) {
		t.Helper()
		await(t, time.Minute, "the run of the commit", func() (bool, string) { return s.runsOf(sha) == 1, "" })
	}
	made(s.push("one"))
	kubectl(t, "-n", s.ns, "delete", "secret", "bound")
	await(t, time.Minute, "the end of the token", func() (bool, string) {
		_, err := command(t.Context(), "", "kubectl", "--kubeconfig", kubeconfig, "-n", s.ns, "get", "configmap", instance.Instance{}.State())
		return strings.Contains(fmt.Sprint(err), "logged in"), fmt.Sprint(err)
	})
	sha := s.push("one")
	await(t, time.Minute, "a cycle that fails by that", func() (bool, string) {
		ok, log := s.sentry(kubeconfig, "watch", "--once")
		return !ok && strings.Contains(log, "has expired"), log
	})
	if n := s.runsOf(sha); n != 0 {
		t.Fatalf("%d runs while the token was no good", n)
	}
	write(t, file, token())
	made(sha)
}

// TestFollowThroughTrouble follows a run while its watch dies and the API server is away.
func TestFollowThroughTrouble(t *testing.T) {
	t.Parallel()
	s := newTroubled(t, "sentry-api-follow")
	account := s.account("all", "")
	kubectl(t, "-n", s.ns, "create", "role", "watch", "--verb=watch", "--resource=pipelineruns.tekton.dev")
	kubectl(t, "-n", s.ns, "create", "rolebinding", "watch", "--role=watch", "--serviceaccount="+s.ns+":all")
	await(t, time.Minute, "the right to watch", func() (bool, string) {
		out, err := command(t.Context(), "", "kubectl", "auth", "can-i", "watch", "pipelineruns.tekton.dev", "-n", s.ns, "--as", "system:serviceaccount:"+s.ns+":all")
		return err == nil, out
	})
	watching := make(chan struct{})
	begun := sync.OnceFunc(func() { close(watching) })
	s.proxy.intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.URL.Query().Get("watch") != "" {
			begun()
		}
		return false
	})
	type result struct {
		ok  bool
		log string
	}
	ended := make(chan result, 1)
	go func() {
		ok, log := s.sentry(account, "trigger", "one", "--follow")
		ended <- result{ok, log}
	}()
	select {
	case <-watching:
	case r := <-ended:
		t.Fatalf("it ended before it watched:\n%s", r.log)
	}
	s.proxy.begin(refused) // which cuts the watch
	s.proxy.recover()
	r := <-ended
	pr := get[v1.PipelineRunList](t, "-n", s.ns, "pipelineruns").Items[0]
	if reason := pr.Status.GetCondition(apis.ConditionSucceeded).Reason; !r.ok || !strings.Contains(r.log, reason) {
		t.Errorf("it ended with success %v, want that the run ended as %s:\n%s", r.ok, reason, r.log)
	}
}
