// Package engine holds what the engines have in common: what they made of a planned run, and how a
// run ended. The engines are in engine/tekton, which creates PipelineRuns on a cluster, and
// engine/local, which runs the same objects' steps as processes on this machine.
package engine

import (
	"context"
	"errors"
	"time"

	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/plan/naming"
)

// ErrNameTaken says that a run's name belongs to something that another trigger made. Tekton adopts
// TaskRuns by name, so the name must not be used again: plan with the next N.
var ErrNameTaken = errors.New("the name belongs to a PipelineRun with another trigger")

// Made is what an engine made of a planned run.
type Made struct {
	Run     plan.Run // as much of it as one run holds
	Existed bool     // an earlier attempt had made it
	NoRoom  error    // why Run.NoRoom is left out; nil where nothing is
}

// Outcome is how a run ended, told the same way by every engine.
type Outcome struct {
	Name      string
	Succeeded bool   // the condition Succeeded is True
	Done      bool   // it will not change any more
	Reason    string // Tekton's reason: Succeeded, Completed, Failed, Cancelled, PipelineRunTimeout, …
	Message   string
	Ended     time.Time // zero before it has, or where the engine does not tell
	// Superseded is the name of the run of a newer change for which it was cancelled; "" where a person cancelled it.
	Superseded string
	Tasks      []Task // in the order of the PipelineRun's tasks, then finally
}

// Task is how one task of a run ended.
type Task struct {
	Name    string
	Result  Result
	Start   time.Time // zero when it never started
	End     time.Time
	Message string   // why it ended so; while it is Running, what keeps its pod from starting, "" when nothing does
	After   []string // tasks for whose end it waits
	// RollbackOf is the task whose deployment it rolls back; "" for a task that is no rollback.
	RollbackOf string
	Command    string   // that failed, where one did: its number, and its text
	Exit       int      // its exit code
	Output     []string // the last lines of what the step printed that failed
}

// Idle reports whether the task is a rollback that nothing calls for, or not yet.
func (t Task) Idle() bool { return t.RollbackOf != "" && (t.Result == "" || t.Result == Skipped) }

// Result is a task's end.
type Result string

// The results. Ignored is a failure that the run was told to go on after.
const (
	Running   Result = "Running"
	Succeeded Result = "Succeeded"
	Failed    Result = "Failed"
	Ignored   Result = "FailureIgnored"
	TimedOut  Result = "TimedOut"
	Cancelled Result = "Cancelled"
	Skipped   Result = "Skipped"
)

// Run is one of an engine's runs, as a list has it.
type Run struct {
	plan.Existing
	Succeeded bool
	Reason    string // as in Outcome; "" before the engine has looked at the run
}

// Failed reports whether the run has ended, and not well.
func (r Run) Failed() bool { return !r.Active && !r.Succeeded }

// Lister has runs; no units mean all.
type Lister interface {
	Runs(ctx context.Context, units []string) ([]Run, error)
}

// counter is a Lister that counts without a list of all.
type counter interface {
	Active(ctx context.Context, want func(plan.Existing) bool) (int, error)
}

// Active returns how many runs have not finished, of those that are wanted. An engine whose runs may be many holds few of them at once.
func Active(ctx context.Context, of Lister, want func(plan.Existing) bool) (n int, err error) {
	if c, ok := of.(counter); ok {
		return c.Active(ctx, want)
	}
	runs, err := of.Runs(ctx, nil)
	for _, r := range runs {
		if r.Active && want(r.Existing) {
			n++
		}
	}
	return n, err
}

// Existing returns the runs as package plan knows them.
func Existing(runs []Run) []plan.Existing {
	existing := make([]plan.Existing, len(runs))
	for i, r := range runs {
		existing[i] = r.Existing
	}
	return existing
}

// Share returns what shares the room that is for the runs of one unit with a run, by its unit's label and its trigger; see naming.Share.
func Share(unit string, t plan.Trigger) string {
	if len(t.Refs) == 0 {
		return unit
	}
	return naming.Share(unit, t.Refs[0].Ref)
}
