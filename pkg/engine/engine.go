// Package engine holds what the engines have in common: how a run ended. The engines are in
// engine/tekton, which creates PipelineRuns on a cluster, and engine/local, which runs the same
// objects' steps as processes on this machine.
package engine

import "time"

// Outcome is how a run ended, told the same way by every engine.
type Outcome struct {
	Name      string
	Succeeded bool   // the condition Succeeded is True
	Done      bool   // it will not change any more
	Reason    string // Tekton's reason: Succeeded, Completed, Failed, Cancelled, PipelineRunTimeout, …
	Message   string
	Tasks     []Task // in the order of the PipelineRun's tasks, then finally
}

// Task is how one task of a run ended.
type Task struct {
	Name    string
	Result  Result
	Start   time.Time // zero when it never started
	End     time.Time
	Message string
}

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

// Run is one of Sentry's runs as a listing shows it; its Outcome has no Tasks.
type Run struct {
	Outcome
	Unit    string // the unit's label
	Created time.Time
	Ended   time.Time // zero while it is active
}
