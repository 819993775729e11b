package local

import (
	"fmt"
	"slices"
	"time"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"

	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun"
)

// schedule is the state of a run's tasks, with Tekton's rules over it: what starts, what is skipped and
// how the run reads in the end. It does no I/O and reads no clock; the run's loop tells it what happened.
// The rules are those of Tekton Pipelines 1.14, pkg/reconciler/pipelinerun/resources.
type schedule struct {
	run             string
	tasks           []*task // the pipeline's, then finally
	tasksTimeout    time.Duration
	pipelineTimeout time.Duration

	cancelled     bool   // by Cancel: the tasks stop, finally runs
	noFinally     bool   // by Cancel: finally does not run
	superseded    string // name of the run for which it was cancelled
	tasksTimedOut bool   // spec.timeouts.tasks has passed, be it while finally runs
	timedOut      bool   // spec.timeouts.pipeline has passed
	closed        bool   // by Close: nothing runs any more
}

// task is one task of a schedule. Its Result is empty while it waits.
type task struct {
	engine.Task
	spec    v1.PipelineTask
	final   bool
	after   []*task
	skipped v1.SkippingReason
}

func newSchedule(run string, spec *v1.PipelineSpec) *schedule {
	s := &schedule{run: run}
	byName, waits := map[string]*task{}, pipelinerun.WaitsFor(spec)
	for _, pt := range spec.Tasks {
		t := &task{Task: engine.Task{Name: pt.Name, After: waits[pt.Name]}, spec: pt}
		byName[pt.Name] = t
		s.tasks = append(s.tasks, t)
	}
	for _, t := range s.tasks {
		for _, name := range t.spec.RunAfter {
			t.after = append(t.after, byName[name])
		}
	}
	for _, pt := range spec.Finally {
		s.tasks = append(s.tasks, &task{Task: engine.Task{Name: pt.Name, RollbackOf: pipelinerun.RollbackOf(pt.Name)}, spec: pt, final: true})
	}
	return s
}

func (t *task) waiting() bool { return t.Result == "" }
func (t *task) done() bool    { return t.Result != "" && t.Result != engine.Running }

// failed reports an end other than success, be it one that the run goes on after.
func (t *task) failed() bool {
	return t.done() && t.Result != engine.Succeeded && t.Result != engine.Skipped
}

func (t *task) ignored() bool { return t.failed() && t.spec.OnError == v1.PipelineTaskContinue }

func (t *task) skip(why v1.SkippingReason) {
	t.Result, t.skipped, t.Message = engine.Skipped, why, string(why)
}

// next marks what is skipped now, and returns what starts now.
func (s *schedule) next() []*task {
	for s.skipSome() {
	}
	var start []*task
	for _, t := range s.tasks {
		if t.waiting() && s.ready(t) {
			start = append(start, t)
		}
	}
	return start
}

// skipSome marks tasks as skipped and reports whether it found any: one that is skipped lets others be.
func (s *schedule) skipSome() bool {
	found := false
	for _, t := range s.tasks {
		if !t.waiting() {
			continue
		}
		if why := s.skips(t); why != v1.None {
			t.skip(why)
			found = true
		}
	}
	return found
}

// ready reports whether all that t waits for is done.
func (s *schedule) ready(t *task) bool {
	if t.final {
		return s.tasksDone()
	}
	return !slices.ContainsFunc(t.after, func(p *task) bool { return !p.done() })
}

// skips returns why t will not run, v1.None while nothing speaks against it.
func (s *schedule) skips(t *task) v1.SkippingReason {
	parentSkipped := func(p *task) bool { return p.Result == engine.Skipped && p.skipped != v1.WhenExpressionsSkip }
	switch {
	case s.closed, s.noFinally:
		return v1.GracefullyCancelledSkip
	case !t.final && s.stopping():
		return v1.StoppingSkip
	case !t.final && s.cancelled:
		return v1.GracefullyCancelledSkip
	case s.ready(t) && !t.when(s.statuses()).AllowsExecution(nil):
		return v1.WhenExpressionsSkip
	case slices.ContainsFunc(t.after, parentSkipped):
		return v1.ParentTasksSkip
	case s.ready(t) && s.timedOut:
		return v1.PipelineTimedOutSkip
	case !t.final && s.ready(t) && s.tasksTimedOut:
		return v1.TasksTimedOutSkip
	}
	return v1.None
}

// when returns the task's conditions with the variables of a finally task filled in.
func (t *task) when(statuses map[string]string) v1.WhenExpressions {
	if !t.final {
		return t.spec.When
	}
	return t.spec.DeepCopy().When.ReplaceVariables(statuses, nil)
}

// stopping reports whether a task failed without onError: continue, so that nothing new starts.
func (s *schedule) stopping() bool {
	return slices.ContainsFunc(s.tasks, func(t *task) bool { return !t.final && t.failed() && !t.ignored() })
}

// tasksDone reports whether all but the finally tasks are done.
func (s *schedule) tasksDone() bool {
	return !slices.ContainsFunc(s.tasks, func(t *task) bool { return !t.final && !t.done() })
}

func (s *schedule) done() bool {
	return !slices.ContainsFunc(s.tasks, func(t *task) bool { return !t.done() })
}

// cutOff reports whether Close ended the run, and not it itself.
func (s *schedule) cutOff() bool {
	return s.closed && slices.ContainsFunc(s.tasks, func(t *task) bool {
		return t.Result == engine.Cancelled || t.skipped == v1.GracefullyCancelledSkip
	})
}

// statuses returns the values of $(tasks.NAME.status) and $(tasks.status), without the $( and ).
func (s *schedule) statuses() map[string]string {
	statuses := map[string]string{}
	anyFailed, anySkipped := false, false
	for _, t := range s.tasks {
		if t.final {
			continue
		}
		anyFailed = anyFailed || t.failed()
		anySkipped = anySkipped || t.Result == engine.Skipped
		status := "None"
		switch {
		case t.Result == engine.Succeeded:
			status = "Succeeded"
		case t.failed():
			status = "Failed"
		}
		statuses["tasks."+t.Name+".status"] = status
	}
	switch {
	case !s.tasksDone():
		statuses["tasks.status"] = "None"
	case anyFailed:
		statuses["tasks.status"] = "Failed"
	case anySkipped:
		statuses["tasks.status"] = "Completed"
	default:
		statuses["tasks.status"] = "Succeeded"
	}
	return statuses
}

// counts are how many tasks ended how.
type counts struct{ completed, failed, ignored, cancelled, skipped, skippedByTimeout, incomplete int }

func (s *schedule) counts() counts {
	var c counts
	for _, t := range s.tasks {
		switch {
		case t.Result == engine.Succeeded:
			c.completed++
		case t.Result == engine.Cancelled:
			c.completed++
			c.cancelled++
		case t.failed():
			c.completed++
			c.failed++
			if t.ignored() {
				c.ignored++
			}
		case t.Result == engine.Skipped:
			c.skipped++
			if t.skipped == v1.PipelineTimedOutSkip || t.skipped == v1.TasksTimedOutSkip {
				c.skippedByTimeout++
			}
		default:
			c.incomplete++
		}
	}
	return c
}

// outcome returns how the run reads now: the condition that Tekton would set.
func (s *schedule) outcome() engine.Outcome {
	out := engine.Outcome{Name: s.run, Done: s.done(), Superseded: s.superseded}
	for _, t := range s.tasks {
		if !pipelinerun.NeverRuns(t.Name) {
			out.Tasks = append(out.Tasks, t.Task)
		}
	}
	c := s.counts()
	failures := fmt.Sprint(c.failed)
	if c.ignored > 0 && out.Done {
		failures = fmt.Sprintf("%d (Ignored: %d)", c.failed, c.ignored)
	}
	out.Message = fmt.Sprintf("Tasks Completed: %d (Failed: %s, Cancelled %d), Skipped: %d", c.completed, failures, c.cancelled, c.skipped)
	if !out.Done {
		out.Reason = s.interim().String()
		out.Message = fmt.Sprintf("Tasks Completed: %d (Failed: %d, Cancelled %d), Incomplete: %d, Skipped: %d",
			c.completed, c.failed-c.ignored, c.cancelled, c.incomplete, c.skipped)
		return out
	}
	reason := v1.PipelineRunReasonSuccessful
	switch {
	case s.cutOff(), s.noFinally:
		reason = v1.PipelineRunReasonCancelled
		out.Message = fmt.Sprintf("PipelineRun %q was cancelled", s.run)
	case s.timedOut:
		reason = v1.PipelineRunReasonTimedOut
		out.Message = fmt.Sprintf("PipelineRun %q failed to finish within %q", s.run, s.pipelineTimeout)
	case s.tasksTimedOut && !slices.ContainsFunc(s.tasks, func(t *task) bool { return t.final && t.Result == engine.Skipped }):
		// To Tekton, a finally task that is skipped is not done: what remains is the failure of what took too long.
		reason = v1.PipelineRunReasonTimedOut
		out.Message = fmt.Sprintf("PipelineRun %q failed due to tasks failed to finish within %q", s.run, s.tasksTimeout)
	case c.failed > c.ignored || c.skippedByTimeout > 0:
		reason = v1.PipelineRunReasonFailed
	case s.cancelled:
		reason = v1.PipelineRunReasonCancelled
		out.Message = fmt.Sprintf("PipelineRun %q was cancelled", s.run)
	case c.skipped > 0:
		reason, out.Succeeded = v1.PipelineRunReasonCompleted, true
	default:
		out.Succeeded = true
	}
	out.Reason = reason.String()
	return out
}

// interim returns the reason of a run that is on its way.
func (s *schedule) interim() v1.PipelineRunReason {
	final := slices.ContainsFunc(s.tasks, func(t *task) bool { return t.final })
	switch {
	case s.tasksTimedOut && final:
		return v1.PipelineRunReasonTimedOutRunningFinally
	case s.cancelled:
		return v1.PipelineRunReasonCancelledRunningFinally
	case s.stopping() && !final:
		return v1.PipelineRunReasonStopping
	}
	return v1.PipelineRunReasonRunning
}
