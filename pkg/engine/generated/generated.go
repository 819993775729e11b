// Package generated has what the engines share that make a PipelineRun of each planned run.
package generated

import (
	"cmp"
	"slices"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"

	"github.com/tekton-sentry/sentry/pkg/audit"
	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/result"
)

// Create has create make the PipelineRun of the run, or of as much of it as one PipelineRun holds: most deployments,
// and pipelinerun.MaxSize. create reports false when an earlier attempt made it.
func Create(cfg *config.Config, run plan.Run, most int, create func(*v1.PipelineRun) (created bool, err error)) (engine.Made, error) {
	pr, part, err := pipelinerun.Fit(cfg, run, most)
	if err != nil {
		return engine.Made{}, err
	}
	created, err := create(pr)
	if err != nil {
		return engine.Made{}, err
	}
	return engine.Made{Run: part, Existed: !created, NoRoom: pipelinerun.NotTaken(part)}, nil
}

// Check says why Create would make nothing of the run.
func Check(cfg *config.Config, run plan.Run, most int) error {
	_, _, err := pipelinerun.Fit(cfg, run, most)
	return err
}

// Same reports whether one Sentry made both PipelineRuns, which have one name, for the same change: it compares their
// triggers and signatures.
func Same(mine, theirs *v1.PipelineRun) bool {
	a, errMine := pipelinerun.TriggerOf(mine)
	b, errTheirs := pipelinerun.TriggerOf(theirs)
	const signature = pipelinerun.AnnotationSignature
	return errMine == nil && errTheirs == nil && a.Equal(b) && mine.Annotations[signature] == theirs.Annotations[signature]
}

// CutsOff reports whether to cancel a PipelineRun would have what is stopped rolled back, unless its finally tasks are left out: it
// has rollbacks, and no finally task has begun.
func CutsOff(pr *v1.PipelineRun) bool {
	return pipelinerun.RollsBack(pr) && !slices.ContainsFunc(pr.Status.ChildReferences, func(c v1.ChildStatusReference) bool {
		return slices.ContainsFunc(pr.Spec.PipelineSpec.Finally, func(t v1.PipelineTask) bool { return t.Name == c.PipelineTaskName })
	})
}

// Result returns how a PipelineRun with the annotations ended, without the tasks that are no deployments. Members that cannot be read are left out:
// people can edit annotations.
func Result(out engine.Outcome, run plan.Existing, annotations map[string]string) result.Result {
	out.Superseded = cmp.Or(out.Superseded, annotations[pipelinerun.AnnotationSuperseded])
	out.Tasks = checked(out.Reason, slices.DeleteFunc(slices.Clone(out.Tasks), func(t engine.Task) bool { return t.Name == pipelinerun.VerdictTask }))
	members, _ := pipelinerun.MembersOf(annotations)
	r := result.Of(out, run, members.List)
	r.By, _ = audit.Noted(annotations[audit.AnnotationBy], run.Name)
	by, _ := audit.Noted(annotations[audit.AnnotationCancelled], run.Name)
	if person := by.Person(); person != "" && r.Verdict == result.Cancelled {
		r.Why = "cancelled by " + person
	}
	return r
}

// checked returns the tasks of a run that ended for the reason, with the end of a check, where there is one, as that of the deployment
// that it checks: a commit that fails it, or is not checked, is not good. tasks is changed.
func checked(reason string, tasks []engine.Task) []engine.Task {
	at := slices.IndexFunc(tasks, func(t engine.Task) bool { return t.Name == pipelinerun.CheckTask && len(t.After) == 1 })
	if at < 0 {
		return tasks
	}
	check := tasks[at]
	tasks = slices.Delete(tasks, at, at+1)
	for i := range tasks {
		t := &tasks[i]
		t.After = slices.Clone(t.After)
		if waits := slices.Index(t.After, check.Name); waits >= 0 {
			t.After[waits] = check.After[0]
		}
		switch {
		case t.Name != check.After[0] || t.Result != engine.Succeeded:
		case check.Result == engine.Skipped:
			t.Result, t.Message = cmp.Or(unchecked[reason], engine.Failed), "the run ended before its check"
		default:
			t.Result, t.End, t.Command, t.Exit, t.Output = check.Result, check.End, check.Command, check.Exit, check.Output
			if t.Message = check.Message; check.Result != engine.Succeeded {
				t.Message = "its check: " + check.Message
			}
		}
	}
	return tasks
}

// unchecked is how a deployment ended whose check did not begin, by the reason for which the run ended; else it failed.
var unchecked = map[string]engine.Result{"Cancelled": engine.Cancelled, "PipelineRunTimeout": engine.TimedOut}
