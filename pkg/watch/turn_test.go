package watch

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/plan/places"
)

// Somebody pushes hundreds of branches of a repository without a group, some of which the cluster refuses. A change of
// another repository is deployed in the same cycle, and within some cycles all of what can be is, once.
func TestHundredsOfBranches(t *testing.T) {
	w := newWorld(t, "repositories:"+entry("a", "")+entry("b", ""))
	w.set("a", "main", "1")
	w.set("b", "main", "1")
	w.cycle()
	const many, refused = 300, 45
	for i := range many {
		w.set("a", fmt.Sprintf("dev-%03d", i), "2")
	}
	w.set("a", "main", "2")
	w.set("b", "main", "2")
	w.onCreate(func(run string) error {
		if i := 0; strings.HasPrefix(run, "a-dev-0") {
			if _, err := fmt.Sscanf(run, "a-dev-%d", &i); err == nil && i < refused {
				return errors.New("the cluster refuses it")
			}
		}
		return nil
	})
	report := w.cycle()
	if got := w.triggers(); !strings.Contains(got, "a@main=2") || !strings.Contains(got, "b@main=2") {
		t.Errorf("the first cycle deploys %q, want also what moved", got)
	}
	if got := len(report.Created) + report.Problems; got != places.MaxNewRuns+1 || report.Waiting != many+1-places.MaxNewRuns {
		t.Errorf("%d runs are made or refused and %d wait, want %d and %d", got, report.Waiting, places.MaxNewRuns+1, many+1-places.MaxNewRuns)
	}
	if want := fmt.Sprintf("repo=a made=%d waiting=%d", places.MaxNewRuns, many+1-places.MaxNewRuns); !strings.Contains(w.log.String(), want) {
		t.Errorf("the log does not say %q:\n%.2000s", want, &w.log)
	}
	for range 2 * many / places.MaxNewRuns {
		w.finish()
		w.cycle()
	}
	refs, _ := w.deployed()
	if twice := slices.Max(slices.Collect(maps.Values(refs))); len(refs) != many+2-refused || twice != 1 {
		t.Errorf("%d changes are deployed, one of them %d times, want %d once", len(refs), twice, many+2-refused)
	}
	w.engine.Around = nil
	for range 2 {
		w.cycle()
	}
	if refs, _ := w.deployed(); len(refs) != many+2 {
		t.Errorf("%d changes are deployed once nothing is refused, want %d", len(refs), many+2)
	}
	if report := w.cycle(); report.Waiting > 0 || len(w.watcher.turns) > 0 {
		t.Errorf("%d runs wait, and turns are kept of %d repositories, want none", report.Waiting, len(w.watcher.turns))
	}
}
