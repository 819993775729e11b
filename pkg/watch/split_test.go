package watch

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tekton-sentry/sentry/pkg/pipelinerun"
)

// deployed returns how often each ref was deployed, and the largest run.
func (w *world) deployed() (refs map[string]int, largest *v1.PipelineRun) {
	refs = map[string]int{}
	for _, pr := range w.engine.PipelineRuns {
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

// asMade returns the PipelineRun without what the engine has added since.
func asMade(pr *v1.PipelineRun) *v1.PipelineRun {
	made := pr.DeepCopy()
	made.Status, made.CreationTimestamp = v1.PipelineRunStatus{}, metav1.Time{}
	return made
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
			if err := pipelinerun.CheckSize(asMade(first)); err != nil {
				t.Error(err)
			}
			if said := fmt.Sprintf("run=%s made=%d waiting=%d", report.Created[0], len(refs), many+1-len(refs)); !strings.Contains(w.log.String(), said) {
				t.Errorf("the log does not say %q:\n%.2000s", said, &w.log)
			}
			// What waits is not newer than the part that runs.
			report = w.cycle()
			if parallel := strings.Contains(options, "parallel"); len(w.called("cancel")) > 0 || (len(report.Created) > 0) != parallel {
				t.Errorf("while the first part is active, %d runs are created and %v cancelled", len(report.Created), w.called("cancel"))
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
			if err := pipelinerun.CheckSize(asMade(largest)); err != nil {
				t.Error(err)
			}
			if twice := slices.Max(slices.Collect(maps.Values(refs))); len(refs) != many+1 || twice != 1 {
				t.Errorf("%d changes are deployed in %d runs, one of them %d times, want %d once", len(refs), len(w.engine.PipelineRuns), twice, many+1)
			}
			writes := w.store.writes
			if report := w.cycle(); len(report.Created)+report.Waiting+report.Problems > 0 || w.store.writes != writes {
				t.Errorf("an idle cycle does something: %+v", report)
			}
		})
	}
}
