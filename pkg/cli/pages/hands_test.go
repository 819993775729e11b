package pages_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tekton-sentry/sentry/pkg/audit"
	"github.com/tekton-sentry/sentry/pkg/cli/deeds"
	"github.com/tekton-sentry/sentry/pkg/cli/pages"
	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/engine/tekton"
	"github.com/tekton-sentry/sentry/pkg/instance"
	"github.com/tekton-sentry/sentry/pkg/kube/kubetest"
	"github.com/tekton-sentry/sentry/pkg/plan/naming"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/result"
	"github.com/tekton-sentry/sentry/pkg/serve/page/act"
	"github.com/tekton-sentry/sentry/pkg/serve/page/facts"
	"github.com/tekton-sentry/sentry/pkg/serve/page/pagetest"
	"github.com/tekton-sentry/sentry/pkg/state"
	"github.com/tekton-sentry/sentry/pkg/state/configmap"
)

const (
	runsPath  = "/apis/tekton.dev/v1/namespaces/test/pipelineruns"
	statePath = "/api/v1/namespaces/test/configmaps/sentry-state"
)

// cluster is an API server that knows ada's token, and takes nothing without one; and her hands there.
type cluster struct {
	*kubetest.Server
	hands *pages.Hands
	facts *facts.Facts
	log   *bytes.Buffer
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	server, sentrys := kubetest.New(t)
	theirs, err := sentrys.As("token-of-ada")
	if err != nil {
		t.Fatal(err)
	}
	k := pagetest.Small(t, time.Now())
	shop := k.Config.Groups["shop"]
	shop.OnBusy = config.Queue
	k.Config.Groups["shop"] = shop
	for i := range k.Config.Repositories {
		k.Config.Repositories[i].Deploy.Source = config.Source{URL: "https://github.com/a/qa", Type: config.GitHub}
	}
	k.Past[1].Members = append(k.Past[1].Members, result.Member{Task: "api", Ref: pagetest.At("api", "main", "a"), Verdict: result.Succeeded})
	for i := range k.Past {
		for j := range k.Past[i].Members {
			k.Past[i].Members[j].QA = pagetest.SHA("f")
		}
	}
	if err := configmap.New(sentrys, instance.Instance{}).Save(t.Context(), k.Snapshot); err != nil {
		t.Fatal(err)
	}
	server.User = "ada"
	server.May = func(string, authorizationv1.ResourceAttributes) bool { return true }
	server.Fault = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Authorization") == "Bearer token-of-ada" {
			return false
		}
		kubetest.Refuse(w, http.StatusUnauthorized, metav1.StatusReasonUnauthorized, "Unauthorized: token-of-eve")
		return true
	}
	log := &bytes.Buffer{}
	c := &cluster{Server: server, facts: facts.Of(*k), log: log, hands: &pages.Hands{
		Config: func() (*config.Config, error) { return k.Config, nil }, Logger: slog.New(slog.NewTextHandler(log, nil)), Token: "token-of-ada",
		By: func(ctx context.Context, command string) audit.By {
			return audit.By{Cause: command, Who: theirs.WhoAmI(ctx)}
		},
	}}
	c.hands.On(theirs, tekton.New(theirs, "", instance.Instance{}), instance.Instance{})
	return c
}

// What is confirmed twice is made once, by the person's token alone, with their name on it and in the log.
func TestARunIsMadeOnce(t *testing.T) {
	c := newCluster(t)
	for _, ask := range []act.Ask{{Verb: act.Rerun, Run: "shop-2"}, {Verb: act.Failed, Run: "shop-2"}, {Verb: act.Rollback, Unit: "shop"}} {
		p, err := c.hands.Plan(t.Context(), c.facts, ask)
		if err != nil {
			t.Fatal(err)
		}
		if len(c.Names(runsPath)) > 0 {
			t.Fatalf("%s: a plan made %v", ask.Verb, c.Names(runsPath))
		}
		if p.Unit != "shop" || len(p.Commits) != len(p.Members) || len(p.Tasks) < len(p.Members) || !strings.Contains(p.Text, "kind: PipelineRun") {
			t.Errorf("%s: the plan is %+v", ask.Verb, p)
		}
		order := act.Order{Ask: ask, Unit: p.Unit, Members: p.Members, Digest: p.Digest, Word: "0123abcd"}
		first, err := c.hands.Do(t.Context(), c.facts, order)
		if err != nil {
			t.Fatal(err)
		}
		second, err := c.hands.Do(t.Context(), c.facts, order)
		if err != nil || first != second || len(c.Names(runsPath)) != 1 {
			t.Errorf("%s: made %q and then %q, %v: there are %v", ask.Verb, first, second, err, c.Names(runsPath))
		}
		text, _ := json.Marshal(c.Get(runsPath + "/" + first))
		if command := strings.TrimSuffix(string(ask.Verb), "-failed"); !strings.Contains(string(text), `\"who\":\"ada\"`) ||
			!strings.Contains(c.log.String(), fmt.Sprintf("audit=created by=%s who=ada", command)) {
			t.Errorf("%s: the person is not named: %s\n%s", ask.Verb, text, c.log)
		}
		for _, m := range p.Members {
			if !strings.Contains(string(text), string(m.SHA)) {
				t.Errorf("%s: %s is not deployed at %s", ask.Verb, m.Repository, m.SHA)
			}
		}
		c.Put(runsPath+"/"+first, nil)
		c.log.Reset()
	}
}

// Of a rerun of what failed only that runs.
func TestWhatFailed(t *testing.T) {
	c := newCluster(t)
	p, err := c.hands.Plan(t.Context(), c.facts, act.Ask{Verb: act.Failed, Run: "shop-2"})
	if err != nil || len(p.Members) != 1 || p.Members[0].Repository != "api" {
		t.Errorf("it deploys %+v, %v", p.Members, err)
	}
}

// A unit is paused and resumed in the state that Sentry reads, in the name of the person.
func TestPause(t *testing.T) {
	c := newCluster(t)
	var told state.Snapshot
	c.hands.Saved = func(s state.Snapshot) { told = s }
	if _, err := c.hands.Do(t.Context(), c.facts, act.Order{Ask: act.Ask{Verb: act.Pause, Unit: "shop"}, Unit: "shop", Reason: "the database moves"}); err != nil {
		t.Fatal(err)
	}
	store, _ := c.hands.Store()
	s, err := store.Load(t.Context())
	if p := s.Units["shop"].Paused; err != nil || p == nil || p.By != "ada" || p.Reason != "the database moves" {
		t.Fatalf("the pause is %+v, %v", p, err)
	}
	// A running Sentry reads it with its next cycle, and the page knows it at once.
	c.facts.Snapshot = told
	f := facts.Of(c.facts.Known)
	plan, err := c.hands.Plan(t.Context(), f, act.Ask{Verb: act.Resume, Unit: "shop"})
	if err != nil || !strings.Contains(strings.Join(plan.Notes, " "), "by ada: the database moves") {
		t.Errorf("resuming says %q, %v", plan.Notes, err)
	}
	if _, err := c.hands.Do(t.Context(), f, act.Order{Ask: act.Ask{Verb: act.Resume, Unit: "shop"}, Unit: plan.Unit, Digest: plan.Digest}); err != nil {
		t.Fatal(err)
	}
	if s, err = store.Load(t.Context()); err != nil || s.Units["shop"].Paused != nil {
		t.Errorf("it is paused still, %v", err)
	}
	for _, want := range []string{"audit=paused by=pause who=ada", "audit=resumed by=resume who=ada"} {
		if !strings.Contains(c.log.String(), want) {
			t.Errorf("the log has no %q:\n%s", want, c.log)
		}
	}
}

// A branch whose repository is paused as a whole is resumed with all of it, and that is said before.
func TestResumeOfARepository(t *testing.T) {
	c := newCluster(t)
	if _, err := c.hands.Do(t.Context(), c.facts, act.Order{Ask: act.Ask{Verb: act.Pause}, Unit: "lib.*"}); err != nil {
		t.Fatal(err)
	}
	store, _ := c.hands.Store()
	s, _ := store.Load(t.Context())
	c.facts.Snapshot = s
	f := facts.Of(c.facts.Known)
	plan, err := c.hands.Plan(t.Context(), f, act.Ask{Verb: act.Resume, Unit: "lib.main"})
	if err != nil || plan.Unit != "lib.*" || !strings.Contains(strings.Join(plan.Notes, " "), "All of lib is paused") {
		t.Fatalf("the plan is %+v, %v", plan, err)
	}
	if _, err := c.hands.Do(t.Context(), f, act.Order{Ask: act.Ask{Verb: act.Resume, Unit: "lib.main"}, Unit: plan.Unit, Digest: plan.Digest}); err != nil {
		t.Fatal(err)
	}
	if s, _ = store.Load(t.Context()); s.PausedAt("lib.main", "lib") != nil {
		t.Error("it is paused still")
	}
}

// Whose token is not known is nobody; whom the cluster refuses something is told that in words, without the token.
func TestRights(t *testing.T) {
	c := newCluster(t)
	name, may, err := c.hands.Who(t.Context())
	if err != nil || name != "ada" || may != pagetest.All {
		t.Errorf("she is %q and may %+v, %v", name, may, err)
	}
	var asked []string
	c.May = func(user string, a authorizationv1.ResourceAttributes) bool {
		asked = append(asked, strings.Join([]string{user, a.Verb, a.Group, a.Resource, a.Subresource, a.Namespace, a.Name}, " "))
		return a.Verb == "patch"
	}
	if _, may, err = c.hands.Who(t.Context()); err != nil || may != (act.Rights{Cancel: true}) {
		t.Errorf("she may %+v, %v", may, err)
	}
	want := "ada create tekton.dev pipelineruns  test |ada patch tekton.dev pipelineruns  test |ada update  configmaps  test sentry-state|ada get  pods log test "
	if got := strings.Join(asked, "|"); got != want {
		t.Errorf("asked\n%s, want\n%s", got, want)
	}
	c.Fault = func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/selfsubjectreviews") {
			return false
		}
		kubetest.Refuse(w, http.StatusForbidden, metav1.StatusReasonForbidden, `User "ada" cannot do it with token-of-ada`)
		return true
	}
	_, err = c.hands.Do(t.Context(), c.facts, act.Order{Ask: act.Ask{Verb: act.Pause, Unit: "shop"}, Unit: "shop"})
	if err == nil || !strings.Contains(err.Error(), "the cluster does not let you do that") || strings.Contains(err.Error(), "token-of-ada") {
		t.Errorf("refused, she is told %v", err)
	}
	if _, _, err := c.hands.Who(t.Context()); !errors.Is(err, act.ErrNobody) {
		t.Errorf("who is refused everything is somebody: %v", err)
	}
	c.Fault = func(w http.ResponseWriter, _ *http.Request) bool {
		kubetest.Refuse(w, http.StatusInternalServerError, metav1.StatusReasonInternalError, "etcdserver: leader changed")
		return true
	}
	if _, _, err := c.hands.Who(t.Context()); err == nil || errors.Is(err, act.ErrNobody) {
		t.Errorf("of trouble it says %v", err)
	}
}

// While another run is active the page says what stands in the way, and nothing is made.
func TestBusy(t *testing.T) {
	c := newCluster(t)
	ask := act.Ask{Verb: act.Rerun, Run: "shop-2"}
	p, err := c.hands.Plan(t.Context(), c.facts, ask)
	if err != nil {
		t.Fatal(err)
	}
	order := act.Order{Ask: ask, Unit: p.Unit, Members: p.Members, Digest: p.Digest, Word: "0123abcd"}
	first, err := c.hands.Do(t.Context(), c.facts, order)
	if err != nil {
		t.Fatal(err)
	}
	order.Word = "deadbeef"
	if _, err = c.hands.Do(t.Context(), c.facts, order); err == nil || !strings.Contains(err.Error(), first+" is still active") || len(c.Names(runsPath)) != 1 {
		t.Errorf("beside an active run: %v, there are %v", err, c.Names(runsPath))
	}
}

// A run is cancelled, with who did it on it, by what it is patched with.
func TestCancel(t *testing.T) {
	c := newCluster(t)
	c.Put(runsPath+"/lib-main-7", kubetest.Object{"metadata": kubetest.Object{"name": "lib-main-7"}, "spec": kubetest.Object{"pipelineSpec": kubetest.Object{}}})
	ask := act.Ask{Verb: act.Cancel, Run: "lib-main-7"}
	if _, err := c.hands.Plan(t.Context(), c.facts, ask); err != nil {
		t.Fatal(err)
	}
	if run, err := c.hands.Do(t.Context(), c.facts, act.Order{Ask: ask}); err != nil || run != "lib-main-7" {
		t.Fatalf("%q, %v", run, err)
	}
	text, _ := json.Marshal(c.Get(runsPath + "/lib-main-7"))
	if !strings.Contains(string(text), `"status":"CancelledRunFinally"`) || !strings.Contains(string(text), `\"who\":\"ada\"`) {
		t.Errorf("the run is %s", text)
	}
	if _, err := c.hands.Plan(t.Context(), c.facts, act.Ask{Verb: act.Cancel, Run: "shop-2"}); err == nil {
		t.Error("what has ended can be cancelled")
	}
}

// Of a configuration that changed since somebody was asked nothing is made: they were shown something else.
func TestTheConfigurationChanged(t *testing.T) {
	for name, change := range map[string]func(*config.Config){
		"the commands": func(cfg *config.Config) {
			for i := range cfg.Repositories {
				cfg.Repositories[i].Deploy.Commands = []string{"make destroy"}
			}
		},
		"on_busy": func(cfg *config.Config) {
			shop := cfg.Groups["shop"]
			shop.OnBusy = config.CancelOld
			cfg.Groups["shop"] = shop
		},
	} {
		c := newCluster(t)
		ask := act.Ask{Verb: act.Rerun, Run: "shop-2"}
		p, err := c.hands.Plan(t.Context(), c.facts, ask)
		if err != nil {
			t.Fatal(err)
		}
		// What Sentry did meanwhile is no change of what was shown.
		web := c.facts.Snapshot.Repositories["web"]
		web.Branches = state.NewBranches(map[string]state.Branch{"main": {SHA: pagetest.SHA("e")}})
		c.facts.Snapshot.Repositories["web"] = web
		order := act.Order{Ask: ask, Unit: p.Unit, Members: p.Members, Digest: p.Digest, Word: "0123abcd"}
		run, err := c.hands.Do(t.Context(), c.facts, order)
		if err != nil {
			t.Fatal(err)
		}
		cfg, _ := c.hands.Config()
		change(cfg)
		if again, err := c.hands.Do(t.Context(), c.facts, order); err != nil || again != run {
			t.Errorf("%s: what was made already is %q, %v", name, again, err)
		}
		c.Put(runsPath+"/"+run, nil)
		if _, err := c.hands.Do(t.Context(), c.facts, order); err == nil || !strings.Contains(err.Error(), "the configuration changed") || len(c.Names(runsPath)) > 0 {
			t.Errorf("%s changed: %v, there are %v", name, err, c.Names(runsPath))
		}
	}
}

// What nobody would be named for is not done.
func TestNobodysName(t *testing.T) {
	c := newCluster(t)
	c.Fault = func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "/selfsubjectreviews") {
			return false
		}
		kubetest.Refuse(w, http.StatusInternalServerError, metav1.StatusReasonInternalError, "etcdserver: leader changed")
		return true
	}
	store, _ := c.hands.Store()
	_, err := c.hands.Do(t.Context(), c.facts, act.Order{Ask: act.Ask{Verb: act.Pause, Unit: "shop"}, Unit: "shop"})
	s, loading := store.Load(t.Context())
	if err == nil || !strings.Contains(err.Error(), "who you are") || loading != nil || s.Units["shop"].Paused != nil {
		t.Errorf("it says %v, and the unit is %+v, %v", err, s.Units["shop"], loading)
	}
	if _, _, err := c.hands.Who(t.Context()); err == nil || errors.Is(err, act.ErrNobody) {
		t.Errorf("who acts is %v", err)
	}
}

// A pause that somebody else made or ended meanwhile is not touched: it is another one than was shown.
func TestOtherPauses(t *testing.T) {
	c := newCluster(t)
	store, _ := c.hands.Store()
	plan := func(verb act.Verb) act.Order {
		t.Helper()
		s, err := store.Load(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		c.facts.Snapshot = s
		p, err := c.hands.Plan(t.Context(), facts.Of(c.facts.Known), act.Ask{Verb: verb, Unit: "shop"})
		if err != nil {
			t.Fatal(err)
		}
		return act.Order{Ask: act.Ask{Verb: verb, Unit: "shop"}, Unit: p.Unit, Digest: p.Digest}
	}
	do := func(o act.Order, reason string) error {
		o.Reason = reason
		_, err := c.hands.Do(t.Context(), c.facts, o)
		return err
	}
	early := plan(act.Pause)
	if err := do(early, "lunch"); err != nil {
		t.Fatal(err)
	}
	if err := do(early, "nothing"); err == nil {
		t.Error("a pause that was not shown is replaced")
	}
	resume := plan(act.Resume)
	for _, err := range []error{do(resume, ""), do(plan(act.Pause), "the database is lost")} {
		if err != nil {
			t.Fatal(err)
		}
	}
	err := do(resume, "")
	s, _ := store.Load(t.Context())
	if p := s.Units["shop"].Paused; p == nil || p.Reason != "the database is lost" || err == nil || !strings.Contains(err.Error(), "Look again") {
		t.Errorf("the pause is %+v, %v", p, err)
	}
	if err := do(plan(act.Pause), "it is lost indeed"); err != nil { // shown, it may be replaced
		t.Error(err)
	}
}

// Who would cancel a run that has ended meanwhile is not noted on it, nor in the log.
func TestCancelWhatHasEnded(t *testing.T) {
	c := newCluster(t)
	c.Put(runsPath+"/lib-main-7", kubetest.Object{
		"metadata": kubetest.Object{"name": "lib-main-7"}, "spec": kubetest.Object{"pipelineSpec": kubetest.Object{}},
		"status": kubetest.Object{"completionTime": "2026-11-27T12:00:00Z", "conditions": []kubetest.Object{{"type": "Succeeded", "status": "True"}}},
	})
	_, err := c.hands.Do(t.Context(), c.facts, act.Order{Ask: act.Ask{Verb: act.Cancel, Run: "lib-main-7"}})
	text, _ := json.Marshal(c.Get(runsPath + "/lib-main-7"))
	if !errors.Is(err, deeds.ErrEnded) || strings.Contains(string(text), "annotations") || strings.Contains(c.log.String(), "audit=cancelled") {
		t.Errorf("it says %v, and the run is %s\n%s", err, text, c.log)
	}
}

// A rerun keeps what the host said of a request: whose it is decides whether it gets secrets.
func TestRerunOfARequest(t *testing.T) {
	for _, request := range []repo.Request{{}, {Target: "main"}, {Target: "main", Own: true}} {
		c := newCluster(t)
		past := &c.facts.Past[0]
		past.Members = past.Members[:1]
		past.Members[0].Branch, past.Members[0].Request = "refs/pull/7/head", request
		cfg, _ := c.hands.Config()
		for i := range cfg.Repositories {
			cfg.Repositories[i].Group = ""
		}
		of, _ := cfg.Lookup(past.Members[0].Repository)
		past.Unit = naming.UnitOf(of, "refs/pull/7/head").Label
		ask := act.Ask{Verb: act.Rerun, Run: "shop-2"}
		p, err := c.hands.Plan(t.Context(), c.facts, ask)
		if err != nil {
			t.Fatal(err)
		}
		run, err := c.hands.Do(t.Context(), c.facts, act.Order{Ask: ask, Unit: p.Unit, Members: p.Members, Digest: p.Digest, Word: "0123abcd"})
		if err != nil {
			t.Fatal(err)
		}
		text, _ := json.Marshal(c.Get(runsPath + "/" + run))
		if own := strings.Contains(string(text), `\"own\":true`); own != request.Own || strings.Contains(p.Text, `"own":true`) != own {
			t.Errorf("of %+v the run is %s", request, text)
		}
	}
}

// In another cluster nothing is read either: the person's rights are of this one.
func TestLogElsewhere(t *testing.T) {
	c := newCluster(t)
	for i := range c.facts.Runs {
		c.facts.Runs[i].Cluster = "edge"
	}
	var out bytes.Buffer
	if err := c.hands.Log(t.Context(), c.facts, "lib-main-7", false, &out); err == nil || !strings.Contains(err.Error(), "in the cluster edge") {
		t.Errorf("it says %v", err)
	}
}
