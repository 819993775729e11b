package watch

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"

	"github.com/tekton-sentry/sentry/pkg/pipelinerun"
)

// deployed returns how often each ref was deployed, and the largest run.
func (w *world) deployed() (refs map[string]int, largest *v1.PipelineRun) {
	refs = map[string]int{}
	for _, pr := range w.engine.runs {
		trigger, err := pipelinerun.TriggerOf(pr)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, c := range trigger.Refs {
			refs[c.Ref.String()+" "+string(c.New[:1])]++
		}
		if largest == nil || len(pr.Spec.PipelineSpec.Tasks) > len(largest.Spec.PipelineSpec.Tasks) {
			largest = pr
		}
	}
	return refs, largest
}

// Somebody pushes 1,500 branches of one member: they are deployed in several runs, one after the
// other, and the change of another member is in the first of them.
func TestThousandBranchesOfOneMember(t *testing.T) {
	const many = 1500
	for _, options := range []string{"execution_strategy: sequential", "on_busy: cancel", "on_busy: parallel, deploy: changed"} {
		t.Run(options, func(t *testing.T) {
			yaml := "groups: {g: {" + options + "}}\nrepositories:" + entry("a", "group: g") + entry("b", "group: g") + entry("c", "group: g")
			w := newWorld(t, yaml)
			for _, host := range []string{"a", "b", "c"} {
				w.set(host, "main", "1")
			}
			w.cycle()
			for i := range many {
				w.set("a", fmt.Sprintf("dev-%04d", i), "2")
			}
			w.set("b", "main", "2")
			report := w.cycle()
			refs, first := w.deployed()
			if len(report.Created) != 1 || report.Problems > 0 || refs["b@main 2"] != 1 {
				t.Fatalf("the first run deploys %d changes, b's %d times: %+v", len(refs), refs["b@main 2"], report)
			}
			if err := pipelinerun.CheckSize(first); err != nil {
				t.Error(err)
			}
			if said := fmt.Sprintf("run=%s changes=%d waiting=%d", report.Created[0], len(refs), many+1-len(refs)); !strings.Contains(w.log.String(), said) {
				t.Errorf("the log does not say %q:\n%.2000s", said, &w.log)
			}
			// What waits is not newer than the part that runs.
			report = w.cycle()
			if parallel := strings.Contains(options, "parallel"); len(w.engine.cancelled) > 0 || (len(report.Created) > 0) != parallel {
				t.Errorf("while the first part is active, %d runs are created and %v cancelled", len(report.Created), w.engine.cancelled)
			}
			for range 20 {
				w.finish()
				if report = w.cycle(); len(report.Created) == 0 {
					break
				}
				if report.Problems > 0 {
					t.Fatalf("report %+v\n%s", report, &w.log)
				}
			}
			refs, largest := w.deployed()
			if err := pipelinerun.CheckSize(largest); err != nil {
				t.Error(err)
			}
			if twice := slices.Max(slices.Collect(maps.Values(refs))); len(refs) != many+1 || twice != 1 {
				t.Errorf("%d changes are deployed in %d runs, one of them %d times, want %d once", len(refs), len(w.engine.runs), twice, many+1)
			}
			writes := w.store.writes
			if report := w.cycle(); len(report.Created)+report.Waiting+report.Problems > 0 || w.store.writes != writes {
				t.Errorf("an idle cycle does something: %+v", report)
			}
		})
	}
}

// What a run has no room for stays due also when the process dies, and a newer change cancels the
// last part only.
func TestPartsOutliveTheProcess(t *testing.T) {
	yaml := "groups: {g: {on_busy: cancel, deploy: changed}}\nrepositories:" + entry("a", "group: g") + entry("b", "group: g")
	w := newWorld(t, yaml)
	w.engine.most = 2
	w.set("a", "main", "1")
	w.set("b", "main", "1")
	w.cycle()
	for i := range 3 {
		w.set("a", fmt.Sprintf("dev-%d", i), "2")
	}
	w.set("b", "main", "2")
	w.cycleThatIsNotSaved()
	w.check("the first part", "a@dev-0=2 b@main=2")
	w.start(yaml)
	w.engine.most = 2
	w.set("b", "main", "3")
	w.cycle()
	w.check("while it is active, and a member changes again", "a@dev-0=2 b@main=2")
	if len(w.engine.cancelled) > 0 {
		t.Errorf("cancelled %v, whose changes nobody would deploy", w.engine.cancelled)
	}
	w.finish()
	w.cycle()
	w.check("the second part", "a@dev-0=2 a@dev-1=2 b@main=2 b@main=3")
	w.finish()
	w.cycle()
	w.check("the last part", "a@dev-0=2 a@dev-1=2 a@dev-2=2 b@main=2 b@main=3")
	w.set("b", "main", "4")
	w.cycle()
	if len(w.engine.cancelled) != 1 {
		t.Errorf("cancelled %v, want the last part, which a newer change replaces", w.engine.cancelled)
	}
}

// A change that no run holds replaces no run that is there.
func TestWhatCannotBeMadeCancelsNothing(t *testing.T) {
	huge := strings.Replace(entry("a", "group: g"), `["true"]`, "["+strings.TrimSuffix(strings.Repeat(`"x",`, 20_000), ",")+"]", 1)
	w := newWorld(t, "groups: {g: {on_busy: cancel}}\nrepositories:"+huge+entry("b", "group: g"))
	for _, digit := range []string{"1", "2"} {
		w.set("a", "main", digit)
		w.set("b", "main", digit)
		w.cycle()
	}
	w.check("beside a member that is too large", "b@main=2")
	for range 2 {
		if report := w.cycle(); len(w.engine.cancelled) > 0 || report.Problems != 1 {
			t.Fatalf("report %+v, cancelled %v, want a problem and no run cancelled for what cannot be made", report, w.engine.cancelled)
		}
	}
	w.set("b", "main", "3")
	if w.cycle(); len(w.engine.cancelled) != 1 {
		t.Errorf("cancelled %v, want the run that a newer change of b replaces", w.engine.cancelled)
	}
}

// A member that no run holds is a problem that is told, and the others go on.
func TestMemberThatIsTooLarge(t *testing.T) {
	huge := strings.Replace(entry("a", "group: g"), `["true"]`, "["+strings.TrimSuffix(strings.Repeat(`"x",`, 20_000), ",")+"]", 1)
	w := newWorld(t, "groups: {g: {}}\nrepositories:"+huge+entry("b", "group: g"))
	w.set("a", "main", "1")
	w.set("b", "main", "1")
	w.cycle()
	w.set("a", "main", "2")
	w.set("b", "main", "2")
	problem := func() string {
		s, _ := w.store.Load(t.Context())
		return s.Problems()["g"].Message
	}
	if report := w.cycle(); len(report.Created) != 1 || report.Problems != 1 || !strings.Contains(problem(), "no room for a@main") {
		t.Errorf("with another's change: report %+v, problem %q, want a run and a problem that names a@main", report, problem())
	}
	w.check("beside a member that is too large", "b@main=2")
	w.finish()
	w.cycle()
	writes := w.store.writes
	if report := w.cycle(); len(report.Created) != 0 || report.Problems != 1 || !strings.Contains(problem(), "no room for a@main") || w.store.writes != writes {
		t.Errorf("with nothing else: report %+v, problem %q, %d writes, want the problem, which was written before", report, problem(), w.store.writes-writes)
	}
	w.set("b", "main", "3")
	w.cycle()
	w.check("and it stays so", "b@main=2 b@main=3")
	w.set("a", "main", "1")
	w.finish()
	w.cycle()
	if got := problem(); got != "" {
		t.Errorf("the problem is still %q though nothing is due", got)
	}
}
