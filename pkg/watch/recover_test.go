package watch

import (
	"context"
	"errors"
	"testing"
	"time"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"

	"github.com/tekton-sentry/sentry/pkg/engine"
)

// blind is an engine whose list does not show what was created a moment ago.
type blind struct{ *cluster }

func (blind) Runs(context.Context, []string) ([]engine.Run, error) { return nil, nil }

func TestRunThatExistsIsRemembered(t *testing.T) {
	yaml := "repositories:" + entry("a", "")
	w := newWorld(t, yaml)
	w.set("a", "main", "1")
	w.cycle()
	w.set("a", "main", "2")
	w.cycleThatIsNotSaved()
	w.start(yaml)
	w.watcher.Engine = blind{w.engine}
	if report := w.cycle(); report.Problems != 0 || len(report.Created) != 0 {
		t.Errorf("found its own run: report %+v, want no problem and nothing created", report)
	}
	w.check("found its own run", "a@main=2")
	if s, _ := w.store.Load(t.Context()); s.Repositories["a"].Branches["main"].N != 1 {
		t.Errorf("the run was not remembered: %+v", s)
	}
}

// The cluster deploys commit 2, which the state does not know: commit 1 has to be deployed again.
func TestResetAfterARunThatWasNotRemembered(t *testing.T) {
	yaml := "repositories:" + entry("a", "")
	for what, restart := range map[string]func(w *world){
		"the same Sentry": func(*world) {},
		"one that starts": func(w *world) { w.start(yaml) },
		"an hour later": func(w *world) {
			// Another Sentry made the run, so this one has no doubts.
			clear(w.watcher.unsure)
			later := w.watcher.Now().Add(lookEvery)
			w.watcher.Now = func() time.Time { return later }
		},
	} {
		w := newWorld(t, yaml)
		w.set("a", "main", "1")
		w.cycle()
		w.set("a", "main", "2")
		w.store.fails = 1
		if _, err := w.watcher.RunOnce(t.Context(), Request{}); err == nil {
			t.Fatal("a state that cannot be written is no error")
		}
		w.finish()
		w.set("a", "main", "1")
		restart(w)
		w.cycle()
		w.check(what, "a@main=1 a@main=2")
	}
}

func TestAnotherSentryTookTheNumber(t *testing.T) {
	w := newWorld(t, "repositories:"+entry("a", ""))
	w.set("a", "main", "1")
	w.cycle()
	w.set("a", "main", "2")
	other := w.another()
	w.engine.fail = func(*v1.PipelineRun) error {
		// The other one sees a newer head and is faster; its run is active.
		w.engine.fail = nil
		w.set("a", "main", "3")
		if _, err := other.RunOnce(t.Context(), Request{}); err != nil {
			t.Error(err)
		}
		return nil
	}
	if report := w.cycle(); len(report.Created)+report.Problems > 0 {
		t.Errorf("report %+v, want nothing done and no problem", report)
	}
	w.check("the slower one saw an older head", "a@main=3")
	w.finish()
	w.cycle()
	w.check("the cycle after", "a@main=3")
}

func TestResetAfterALostAnswer(t *testing.T) {
	w := newWorld(t, "repositories:"+entry("a", ""))
	w.set("a", "main", "1")
	w.cycle()
	w.set("a", "main", "2")
	w.engine.fail = func(pr *v1.PipelineRun) error {
		w.engine.fail, w.engine.runs[pr.Name] = nil, pr
		return errors.New("the answer was lost")
	}
	w.cycle()
	w.set("a", "main", "1")
	w.cycle()
	w.check("commit 2 was deployed, nobody knows", "a@main=1 a@main=2")
}
