package enginetest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/pkg/apis"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/engine/generated"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun"
	"github.com/tekton-sentry/sentry/pkg/plan"
)

// Fake is an engine in memory, for tests of what works with engines. It keeps PipelineRuns as a cluster does and runs
// none of them: each is active until End. It lists and prunes what has Sentry's labels. The zero Fake is ready. One
// goroutine at a time may use it.
type Fake struct {
	Most int              // deployments in one run; 0 = pipelinerun.MaxMembers
	Now  func() time.Time // when runs are created; nil = on 1 January 2026, all at once
	// Around, where it is set, stands between the caller and all that goes into Calls. do does what the call asks for.
	// So a call may fail, hang, be done and have no answer, or come after something else.
	Around func(ctx context.Context, call string, do func() error) error

	PipelineRuns []*v1.PipelineRun // in the order of their creation
	// Calls are the calls of the methods below, but for Check and those whose context had ended: "create NAME",
	// "runs", "runs UNIT UNIT", "cancel NAME", "prune UNIT 20" or "prune all 20".
	Calls []string
}

func (f *Fake) call(ctx context.Context, what string, do func() error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	f.Calls = append(f.Calls, what)
	if f.Around != nil {
		return f.Around(ctx, what, do)
	}
	return do()
}

// Find returns the PipelineRun of that name; nil where there is none.
func (f *Fake) Find(name string) *v1.PipelineRun {
	if i := slices.IndexFunc(f.PipelineRuns, func(pr *v1.PipelineRun) bool { return pr.Name == name }); i >= 0 {
		return f.PipelineRuns[i]
	}
	return nil
}

// Names returns the names of the PipelineRuns, in the order of their creation.
func (f *Fake) Names() []string {
	names := make([]string, len(f.PipelineRuns))
	for i, pr := range f.PipelineRuns {
		names[i] = pr.Name
	}
	return names
}

// Add makes a PipelineRun exist, as somebody can who may create them.
func (f *Fake) Add(pr *v1.PipelineRun) { f.PipelineRuns = append(f.PipelineRuns, pr) }

// Delete deletes the PipelineRuns that drop selects.
func (f *Fake) Delete(drop func(*v1.PipelineRun) bool) {
	f.PipelineRuns = slices.DeleteFunc(f.PipelineRuns, drop)
}

// End ends the runs of these names that are active, or all of them. One that was cancelled does not end well.
func (f *Fake) End(well bool, names ...string) {
	for _, pr := range f.PipelineRuns {
		if pr.IsDone() || len(names) > 0 && !slices.Contains(names, pr.Name) {
			continue
		}
		end := apis.Condition{Type: apis.ConditionSucceeded, Status: corev1.ConditionFalse, Reason: v1.PipelineRunReasonFailed.String()}
		switch {
		case pr.IsGracefullyCancelled():
			end.Reason = v1.PipelineRunReasonCancelled.String()
		case well:
			end.Status, end.Reason = corev1.ConditionTrue, v1.PipelineRunReasonSuccessful.String()
		}
		pr.Status.SetCondition(&end)
	}
}

func (f *Fake) most() int {
	if f.Most > 0 {
		return f.Most
	}
	return pipelinerun.MaxMembers
}

func (f *Fake) now() time.Time {
	if f.Now != nil {
		return f.Now()
	}
	return time.Date(2026, 1, 1, 3, 4, 5, 0, time.UTC)
}

// Create implements Engine.
func (f *Fake) Create(ctx context.Context, cfg *config.Config, run plan.Run) (engine.Made, error) {
	return generated.Create(cfg, run, f.most(), func(pr *v1.PipelineRun) (created bool, err error) {
		err = f.call(ctx, "create "+pr.Name, func() error {
			if old := f.Find(pr.Name); old != nil {
				if !generated.Same(pr, old) {
					return fmt.Errorf("create PipelineRun %s: %w", pr.Name, engine.ErrNameTaken)
				}
				return nil
			}
			created = true
			pr.CreationTimestamp = metav1.NewTime(f.now())
			f.Add(pr)
			return nil
		})
		return created, err
	})
}

// Check implements Engine.
func (f *Fake) Check(cfg *config.Config, run plan.Run) error {
	return generated.Check(cfg, run, f.most())
}

// Runs implements Engine.
func (f *Fake) Runs(ctx context.Context, units []string) (runs []engine.Run, err error) {
	err = f.call(ctx, strings.Join(append([]string{"runs"}, units...), " "), func() error {
		for _, pr := range f.PipelineRuns {
			ours := pr.Labels[pipelinerun.LabelManagedBy] == pipelinerun.ManagedBy
			if ours && (len(units) == 0 || slices.Contains(units, unit(pr))) {
				runs = append(runs, run(pr))
			}
		}
		return nil
	})
	return runs, err
}

// Active counts, as engine.Active has it.
func (f *Fake) Active(ctx context.Context, want func(plan.Existing) bool) (n int, err error) {
	err = f.call(ctx, "active", func() error {
		for _, pr := range f.PipelineRuns {
			ours := pr.Labels[pipelinerun.LabelManagedBy] == pipelinerun.ManagedBy
			if r := run(pr); ours && r.Active && want(r.Existing) {
				n++
			}
		}
		return nil
	})
	return n, err
}

func unit(pr *v1.PipelineRun) string { return pr.Labels[pipelinerun.LabelUnit] }

// run returns the PipelineRun as a list has it.
func run(pr *v1.PipelineRun) engine.Run {
	trigger, _ := pipelinerun.TriggerOf(pr) // of a run that people made it says nothing
	end := pr.Status.GetCondition(apis.ConditionSucceeded)
	return engine.Run{
		Existing: plan.Existing{
			Name: pr.Name, Unit: unit(pr), Trigger: trigger, Signature: pr.Annotations[pipelinerun.AnnotationSignature],
			Created: pr.CreationTimestamp.Time, Active: !pr.IsDone(), Pending: pr.IsPending(),
		},
		Succeeded: end.IsTrue(), Reason: end.GetReason(),
	}
}

// Cancel implements Engine. The run ends by End.
func (f *Fake) Cancel(ctx context.Context, name, superseded string) error {
	return f.call(ctx, "cancel "+name, func() error {
		if pr := f.Find(name); pr != nil && !pr.IsDone() {
			pr.Spec.Status = v1.PipelineRunSpecStatusCancelledRunFinally
			if superseded != "" {
				metav1.SetMetaDataAnnotation(&pr.ObjectMeta, pipelinerun.AnnotationSuperseded, superseded)
			}
		}
		return nil
	})
}

// Prune implements Engine.
func (f *Fake) Prune(ctx context.Context, of string, keep int) (deleted []plan.Existing, err error) {
	what := of
	if of == "" {
		what = "all"
	}
	err = f.call(ctx, fmt.Sprintf("prune %s %d", what, keep), func() error {
		kept, failed, surplus := map[string]int{}, map[string]bool{}, map[string]bool{}
		for _, pr := range slices.Backward(f.PipelineRuns) {
			u, r := unit(pr), run(pr)
			if u == "" || r.Active || of != "" && u != of {
				continue
			}
			u = engine.Share(u, r.Trigger)
			newestFailed := r.Failed() && !failed[u]
			failed[u] = failed[u] || newestFailed
			if kept[u]++; kept[u] > keep && !newestFailed {
				surplus[pr.Name] = true
				deleted = append(deleted, r.Existing)
			}
		}
		f.Delete(func(pr *v1.PipelineRun) bool { return surplus[pr.Name] })
		return nil
	})
	return deleted, err
}
