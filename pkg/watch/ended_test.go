package watch

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tekton-sentry/sentry/pkg/pipelinerun"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/result"
	"github.com/tekton-sentry/sentry/pkg/state"
)

// endOf is how the run of a commit of repository a ended, made that many minutes after the first one.
func endOf(v result.Verdict, digit string, minute int) result.Result {
	ref := result.Ref{Ref: repo.Ref{Repository: "a", Branch: "main"}, SHA: repo.SHA(strings.Repeat(digit, 40))}
	created := time.Date(2026, 3, 1, 12, minute, 0, 0, time.UTC)
	return result.Result{Name: "a-" + digit, Created: created, Members: []result.Member{{Ref: ref, Verdict: v}}}
}

// remembered returns the first digits of what is acted upon and of what succeeded.
func (w *world) remembered() string {
	w.t.Helper()
	s, err := state.Decode(w.store.text)
	if err != nil {
		w.t.Fatal(err)
	}
	b := s.Repositories["a"].Branches.Get("main")
	return fmt.Sprintf("%.1s %.1s", b.SHA, b.Succeeded)
}

// told returns what the commands of the newest run are told of the commit before, and of the last one that succeeded.
func (w *world) told() string {
	w.t.Helper()
	prs := w.engine.PipelineRuns
	if len(prs) == 0 {
		w.t.Fatalf("there is no run\n%s", &w.log)
	}
	text, err := pipelinerun.Marshal(prs[len(prs)-1])
	if err != nil {
		w.t.Fatal(err)
	}
	var said []string
	for _, name := range []string{"PREVIOUS", "SUCCEEDED"} {
		_, after, _ := strings.Cut(string(text), "SENTRY_"+name+"_SHA='")
		said = append(said, after[:1])
	}
	return strings.Join(said, " ")
}

// A script that looks back to the previous commit misses what a failed run held. The last one that succeeded is told
// too, in the one write of a cycle, and an idle cycle writes nothing.
func TestWhatSucceededIsRemembered(t *testing.T) {
	w := newWorld(t, "repositories:"+entry("a", ""))
	w.set("a", "main", "7")
	w.cycle()
	for i, step := range []struct {
		digit      string
		verdict    result.Verdict
		told, then string
	}{
		{"1", result.Succeeded, "7 '", "1 1"},
		{"2", result.Failed, "1 1", "2 1"},
		{"3", result.Failed, "2 1", "3 1"},
		{"4", result.Succeeded, "3 1", "4 4"},
	} {
		w.set("a", "main", step.digit)
		w.cycle()
		if got := w.told(); got != step.told {
			t.Errorf("the commands of %s are told %q of before, want %q", step.digit, got, step.told)
		}
		w.finish()
		w.watcher.Ended(endOf(step.verdict, step.digit, i))
		before := w.store.writes
		w.cycle()
		if got := w.remembered(); got != step.then {
			t.Errorf("after the end of %s: %q is remembered, want %q", step.digit, got, step.then)
		}
		wrote := w.store.writes - before
		w.cycle()
		if more := w.store.writes - before - wrote; wrote > 1 || more > 0 {
			t.Errorf("after the end of %s: %d writes, and %d in the idle cycle after it", step.digit, wrote, more)
		}
	}
}

// What a Sentry was told and did not remember before it was killed is in the history, and so is what ended while none ran.
// A history that cannot be read holds up nothing, is told of once, and is read as soon as it can be.
func TestWhatSucceededIsLearnedFromTheHistory(t *testing.T) {
	config := "repositories:" + entry("a", "")
	w := newWorld(t, config)
	w.set("a", "main", "7")
	w.cycle()
	w.set("a", "main", "1")
	w.cycle()
	w.finish()
	w.watcher.Ended(endOf(result.Succeeded, "1", 1))
	w.start(config)
	fails := true
	w.watcher.Past = func(context.Context) ([]result.Result, error) {
		if fails {
			return nil, errors.New("no history today")
		}
		return []result.Result{endOf(result.Failed, "9", 2), endOf(result.Succeeded, "1", 1), endOf(result.Succeeded, "8", 0)}, nil
	}
	w.cycle()
	w.cycle()
	if said := strings.Count(w.log.String(), "no history today"); said != 1 || w.remembered() != "1 " {
		t.Errorf("without a history: told %d times, remembered %q\n%s", said, w.remembered(), &w.log)
	}
	fails = false
	w.cycle()
	if got := w.remembered(); got != "1 1" {
		t.Errorf("with the history %q is remembered, want the newest success", got)
	}
}

// What could not be saved is not lost: the next cycle saves it.
func TestWhatSucceededSurvivesAWriteThatFails(t *testing.T) {
	w := newWorld(t, "repositories:"+entry("a", ""))
	w.set("a", "main", "1")
	w.cycle()
	w.watcher.Ended(endOf(result.Succeeded, "1", 1))
	w.store.fails = 100
	if _, err := w.watcher.RunOnce(t.Context(), Request{}); err == nil {
		t.Fatal("the write did not fail")
	}
	w.store.fails = 0
	w.cycle()
	if got := w.remembered(); got != "1 1" {
		t.Errorf("%q is remembered", got)
	}
}

// While the state cannot be saved the history is read again now and then, and each run of it is kept once.
func TestWhatCannotBeSavedIsKeptOnce(t *testing.T) {
	w := newWorld(t, "repositories:"+entry("a", ""))
	w.set("a", "main", "1")
	w.cycle()
	w.watcher.Past = func(context.Context) ([]result.Result, error) {
		return []result.Result{endOf(result.Succeeded, "1", 1), endOf(result.Failed, "2", 2)}, nil
	}
	w.watcher.Ended(endOf(result.Failed, "2", 2))
	w.store.fails = 100
	clock, later := w.watcher.Now, time.Duration(0)
	w.watcher.Now = func() time.Time { return clock().Add(later) }
	for range 5 {
		_, _ = w.watcher.RunOnce(t.Context(), Request{})
		later += lookEvery
	}
	if n := len(w.watcher.unsaved); n != 2 {
		t.Errorf("%d ends are kept, want the two that there were", n)
	}
}
