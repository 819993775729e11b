package watch

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

func TestChangeBecomesOneRun(t *testing.T) {
	w := newWorld(t, "repositories:"+entry("a", ""))
	w.set("a", "main", "1")
	w.cycle()
	w.check("first sight", "")
	writes, calls := w.store.writes, w.engine.calls
	w.cycle()
	if w.store.writes != writes || w.engine.calls != calls {
		t.Errorf("an idle cycle: %d writes and %d calls to the engine, want none", w.store.writes-writes, w.engine.calls-calls)
	}
	w.set("a", "main", "2")
	w.set("a", "dev-x", "3")
	w.cycle()
	w.check("a push and a new branch", "a@dev-x=3 a@main=2")
	if n := w.store.writes - writes; n != 1 {
		t.Errorf("%d writes of the state for two changes, want 1", n)
	}
	if got := slices.Sorted(slices.Values(w.created)); !slices.Equal(got, slices.Sorted(maps.Keys(w.engine.runs))) {
		t.Errorf("told of %v, created %v", got, w.engine.runs)
	}
	w.cycle()
	w.check("the cycle after", "a@dev-x=3 a@main=2")
}

func TestCrashBetweenCreateAndRemember(t *testing.T) {
	yaml := "repositories:" + entry("a", "")
	w := newWorld(t, yaml)
	w.set("a", "main", "1")
	w.cycle()
	w.set("a", "main", "2")
	w.store.fails = 1
	if _, err := w.watcher.RunOnce(t.Context(), Request{}); err == nil {
		t.Fatal("RunOnce: no error although the state could not be written")
	}
	w.check("before the restart", "a@main=2")
	// The run is active, and the configuration is edited: the same name is planned all the same.
	w.start("repositories:" + entry("a", "webhook_url: https://hook.example"))
	w.cycle()
	w.check("after the restart", "a@main=2")
	w.finish()
	w.set("a", "main", "1")
	w.cycle()
	w.check("back to the first commit", "a@main=1 a@main=2")
}

func TestFailuresStayApart(t *testing.T) {
	w := newWorld(t, "repositories:"+entry("a", "")+entry("b", "")+entry("c", ""))
	for _, host := range []string{"a", "b", "c"} {
		w.set(host, "main", "1")
	}
	w.cycle()
	for _, host := range []string{"a", "b"} {
		w.set(host, "main", "2")
	}
	delete(w.heads, "https://c.example/x")
	w.engine.fail = func(pr *v1.PipelineRun) error {
		if strings.HasPrefix(pr.Name, "a-") {
			return errors.New("denied the request: no tokens here")
		}
		return nil
	}
	report := w.cycle()
	w.check("a cannot be created, c is down", "b@main=2")
	if report.Problems != 1 || report.Failing != 1 {
		t.Errorf("report %+v, want one problem and one failing repository", report)
	}
	s, _ := w.store.Load(t.Context())
	if got := s.Problems()["a.main"].Message; !strings.Contains(got, "denied the request") {
		t.Errorf("remembered problem of a.main: %q", got)
	}
	writes := w.store.writes
	w.cycle()
	if w.store.writes != writes {
		t.Errorf("a failure that lasts was written again")
	}
	w.engine.fail = nil
	w.cycle()
	w.check("a can be created", "a@main=2 b@main=2")
	if s, _ := w.store.Load(t.Context()); len(s.Problems()) != 0 {
		t.Errorf("problems that are over: %v", s.Problems())
	}
}

func TestNameOfSomethingElse(t *testing.T) {
	w := newWorld(t, "repositories:"+entry("a", ""))
	w.set("a", "main", "1")
	w.cycle()
	w.set("a", "main", "2")
	var first string
	w.engine.fail = func(pr *v1.PipelineRun) error {
		first, w.engine.fail = pr.Name, nil
		return engine.ErrNameTaken
	}
	w.cycle()
	w.check("the name was taken", "a@main=2")
	if _, ok := w.engine.runs[first]; ok || first == "" {
		t.Errorf("the taken name %q was used", first)
	}
	w.cycle()
	w.check("the cycle after", "a@main=2")
}

func TestSlowHostDelaysOnlyItsOwn(t *testing.T) {
	for _, slow := range []string{"b", "qa2"} {
		t.Run(slow, func(t *testing.T) {
			second := strings.ReplaceAll(entry("b", ""), "qa.example", "qa2.example")
			w := newWorld(t, "repositories:"+entry("a", "")+second)
			w.set("qa2", "main", "f")
			w.set("a", "main", "1")
			w.set("b", "main", "1")
			w.cycle()
			w.set("a", "main", "2")
			w.set("b", "main", "2")
			answer := make(chan struct{})
			w.hold["https://"+slow+".example/x"] = answer
			w.engine.fail = func(pr *v1.PipelineRun) error {
				// The slow host answers only when the other's run is created: it hangs here unless that happens.
				if strings.HasPrefix(pr.Name, "a-") {
					close(answer)
				}
				return nil
			}
			w.cycle()
			w.check("both", "a@main=2 b@main=2")
		})
	}
}

func TestGroupWaitsForAllItsHosts(t *testing.T) {
	w := newWorld(t, "groups: {g: {}}\nrepositories:"+entry("a", "group: g")+entry("b", "group: g"))
	w.set("a", "main", "1")
	w.set("b", "main", "1")
	w.cycle()
	w.set("a", "main", "2")
	w.set("b", "main", "2")
	w.cycle()
	w.check("both changed", "a@main=2 b@main=2")
	if len(w.engine.runs) != 1 {
		t.Errorf("%d runs, want one of the group", len(w.engine.runs))
	}
}

func TestUnreadableQAMakesNoRun(t *testing.T) {
	w := newWorld(t, "repositories:"+entry("a", ""))
	w.set("a", "main", "1")
	w.cycle()
	w.set("a", "main", "2")
	qa := w.heads["https://qa.example/x"]
	delete(w.heads, "https://qa.example/x")
	w.cycle()
	w.check("no QA repository", "")
	w.heads["https://qa.example/x"] = qa
	w.cycle()
	w.check("QA repository is back", "a@main=2")
}

func TestAnotherSentry(t *testing.T) {
	w := newWorld(t, "repositories:"+entry("a", "")+entry("b", ""))
	w.set("a", "main", "1")
	w.set("b", "main", "1")
	w.cycle()
	w.set("a", "main", "2")
	other := w.another()
	w.store.before = func() {
		// The other one has done the same and remembered it before this one can.
		if _, err := other.RunOnce(t.Context(), Request{}); err != nil {
			t.Error(err)
		}
		w.set("b", "main", "2")
		w.store.loaded = "what was there before"
	}
	w.cycle()
	w.check("two Sentrys", "a@main=2")
	w.cycle()
	w.check("the cycle after", "a@main=2 b@main=2")
}

func TestCachedAnswersDeleteNothing(t *testing.T) {
	w := newWorld(t, "repositories:"+entry("a", ""))
	w.set("a", "main", "1")
	w.set("a", "dev-x", "1")
	w.cycle()
	remembered := func() bool {
		s, _ := w.store.Load(t.Context())
		_, ok := s.Repositories["a"].Branch("dev-x")
		return ok
	}
	delete(w.heads["https://a.example/x"], "dev-x")
	w.cycle()
	w.cached = true
	for range 3 {
		w.cycle()
	}
	if !remembered() {
		t.Error("one good answer without the branch, told four times, made it forgotten")
	}
	w.cached = false
	w.cycle()
	if remembered() {
		t.Error("two good answers without the branch did not make it forgotten")
	}
}

func TestOnBusy(t *testing.T) {
	for onBusy, want := range map[string]struct{ busy, after, cancelled string }{
		"queue":    {"a@main=2", "a@main=2 a@main=4", ""},
		"cancel":   {"a@main=2", "a@main=2 a@main=4", "yes"},
		"parallel": {"a@main=2 a@main=4", "a@main=2 a@main=4", ""},
	} {
		t.Run(onBusy, func(t *testing.T) {
			w := newWorld(t, "groups: {g: {on_busy: "+onBusy+"}}\nrepositories:"+entry("a", "group: g"))
			w.set("a", "main", "1")
			w.cycle()
			w.set("a", "main", "2")
			first := w.cycle().Created[0]
			if onBusy != "parallel" {
				w.set("a", "main", "3")
				w.cycle()
			}
			w.set("a", "main", "4")
			w.cycle()
			w.check("while the first is active", want.busy)
			if (len(w.engine.cancelled) > 0) != (want.cancelled != "") {
				t.Errorf("cancelled %v", w.engine.cancelled)
			}
			w.finish()
			w.cycle()
			w.check("after it", want.after)
			if n := strings.Count(w.log.String(), "a change waits"); onBusy != "parallel" && n != 1 {
				t.Errorf("the log tells %d times that the unit's next run waits, want once:\n%s", n, &w.log)
			}
			if said := fmt.Sprintf("active=%s since=2026-01-01T03:04:05.000Z", first); onBusy != "parallel" && !strings.Contains(w.log.String(), said) {
				t.Errorf("the log does not say %q of what the change waits for:\n%s", said, &w.log)
			}
		})
	}
}

func TestPruneAfterCreate(t *testing.T) {
	for _, cleanup := range []bool{true, false} {
		w := newWorld(t, fmt.Sprintf("global: {cleanup: %t, keep_runs: 7}\nrepositories:%s", cleanup, entry("a", "")))
		w.set("a", "main", "1")
		w.cycle()
		w.set("a", "main", "2")
		w.cycle()
		want := []string{" keep 7", "a.main keep 7"} // the first cycle prunes all units
		if !cleanup {
			want = nil
		}
		if !slices.Equal(w.engine.pruned, want) {
			t.Errorf("cleanup %t: pruned %v, want %v", cleanup, w.engine.pruned, want)
		}
	}
}

// A run that is deleted before it is remembered would be made again.
func TestNothingIsPrunedThatIsNotRemembered(t *testing.T) {
	w := newWorld(t, "repositories:"+entry("a", ""))
	w.set("a", "main", "1")
	w.cycle()
	w.set("a", "main", "2")
	w.engine.pruned, w.store.fails = nil, 1
	if _, err := w.watcher.RunOnce(t.Context(), Request{}); err == nil {
		t.Error("a state that cannot be written is no error")
	}
	if len(w.engine.runs) != 1 || w.engine.pruned != nil {
		t.Errorf("%d runs, pruned %q, want one run and nothing pruned", len(w.engine.runs), w.engine.pruned)
	}
}

// A damaged entry is told once, counts as failing, is kept, and nothing runs for its repository.
func TestDamagedEntryOfTheState(t *testing.T) {
	w := newWorld(t, "repositories:"+entry("a", "")+entry("b", ""))
	w.set("a", "main", "1")
	w.set("b", "main", "1")
	w.cycle()
	const damage = `"a":{"branches":{"main":{"sha":"cut sho`
	text := string(w.store.text)
	from, to := strings.Index(text, `"a":{`), strings.Index(text, `,"b":{`)
	w.store.text = []byte(text[:from] + damage + `rt"}}}` + text[to:])
	w.set("a", "main", "2")
	w.set("b", "main", "2")
	for range 2 {
		if report := w.cycle(); report.Failing != 1 {
			t.Errorf("%d repositories failing, want 1", report.Failing)
		}
	}
	w.check("beside a damaged entry", "b@main=2")
	if !strings.Contains(string(w.store.text), damage) {
		t.Errorf("the entry was not kept: %s", w.store.text)
	}
	if n := strings.Count(w.log.String(), "the state of the repository cannot be read"); n != 1 {
		t.Errorf("the log tells it %d times, want once:\n%s", n, &w.log)
	}
	// Deleting the entry makes the repository one that was never seen; mending it would do as well.
	text = string(w.store.text)
	from, to = strings.Index(text, `"a":{`), strings.Index(text, `"b":{`)
	w.store.text = []byte(text[:from] + text[to:])
	w.cycle()
	w.set("a", "main", "3")
	w.cycle()
	w.check("after the entry was deleted", "a@main=3 b@main=2")
}

type refusal struct{ error }

func (refusal) ProblemKind() string { return "refused" }

// What a person has to mend is shown also when the API server was only down before.
func TestProblemOfARefusedRun(t *testing.T) {
	w := newWorld(t, "repositories:"+entry("a", ""))
	w.set("a", "main", "1")
	w.cycle()
	w.set("a", "main", "2")
	for _, err := range []error{errors.New("down"), fmt.Errorf("create: %w", refusal{errors.New("denied the request")})} {
		w.engine.fail = func(*v1.PipelineRun) error { return err }
		w.cycle()
	}
	s, _ := w.store.Load(t.Context())
	if p := s.Problems()["a.main"]; p.Kind != "create-refused" || !strings.Contains(p.Message, "denied the request") {
		t.Errorf("problem %+v, want the refusal", p)
	}
}

type noBranch struct{ error }

func (noBranch) ProblemKind() string { return "no branch" }

// empty is a host whose repositories have no branch that is asked for.
type empty struct{}

func (empty) Each(_ context.Context, want []config.Monitor, answered func(map[int]repo.Observation)) {
	for i := range want {
		answered(map[int]repo.Observation{i: {Err: noBranch{errors.New("no branch matches")}}})
	}
}

// The reader knows only that no branch matches, and not which key of the file says so.
func TestNoBranchNamesTheKey(t *testing.T) {
	w := newWorld(t, "repositories:"+entry("a", ""))
	heads := w.watcher.Heads
	w.watcher.Heads = empty{}
	w.cycle()
	s, _ := w.store.Load(t.Context())
	if got := s.Repositories["a"].Problem; got == nil || !strings.HasSuffix(got.Message, ": check monitor.branches") {
		t.Errorf("problem of a watched repository: %+v, want one that names monitor.branches", got)
	}
	w.set("a", "main", "1")
	w.watcher.Heads = heads
	w.cycle()
	w.set("a", "main", "2")
	w.watcher.Heads = oneHost{w, "https://qa.example/x", empty{}}
	w.cycle()
	s, _ = w.store.Load(t.Context())
	if got := s.Problems()["a.main"].Message; !strings.Contains(got, "https://qa.example/x") || !strings.Contains(got, "deploy.qa_repo_branch of a") || strings.Contains(got, "monitor") {
		t.Errorf("problem of a QA branch that is not there: %q, want one that names the QA repository and deploy.qa_repo_branch", got)
	}
}

// oneHost answers as host does for one URL.
type oneHost struct {
	Heads
	url  string
	host Heads
}

func (h oneHost) Each(ctx context.Context, want []config.Monitor, answered func(map[int]repo.Observation)) {
	if len(want) == 1 && want[0].URL == h.url {
		h.host.Each(ctx, want, answered)
		return
	}
	h.Heads.Each(ctx, want, answered)
}
