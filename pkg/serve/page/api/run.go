package api

import (
	"net/http"
	"strings"
	"time"

	"github.com/tekton-sentry/sentry/pkg/cli/overview"
	"github.com/tekton-sentry/sentry/pkg/result"
	"github.com/tekton-sentry/sentry/pkg/serve/page/facts"
)

// RunAnswer is a run with all that is known of it.
type RunAnswer struct {
	Run    *overview.Run  `json:"run,omitempty"`    // as the status has it; absent where the history alone has the run
	Result *result.Result `json:"result,omitempty"` // as the history has it; absent until it has ended
	Tasks  []Task         `json:"tasks,omitempty"`  // of a run that has not ended
	Unread string         `json:"unread,omitempty"` // why it is not known how the tasks go
}

// Task is how a task goes of a run that has not ended.
type Task struct {
	Task     string    `json:"task"`
	Verdict  string    `json:"verdict,omitempty"` // running, or one of those of deployments; absent before it begins
	Began    time.Time `json:"began,omitzero"`
	Ended    time.Time `json:"ended,omitzero"`
	After    []string  `json:"after,omitempty"`    // tasks for whose end it waits
	Rollback string    `json:"rollback,omitempty"` // the task whose deployment it rolls back
	Why      string    `json:"why,omitempty"`      // it ended so, or what keeps it from starting
	Command  string    `json:"command,omitempty"`  // that failed
	Exit     int       `json:"exit,omitempty"`     // its exit code
	Output   []string  `json:"output,omitempty"`   // the last lines of what it printed that failed
}

func (a *asked) run() (any, error) {
	ended, run := a.Run(a.name)
	if ended == nil && run == nil {
		return nil, refusal(http.StatusNotFound, "Nothing is known of such a run. The history keeps the newest ones.")
	}
	v := RunAnswer{Run: a.Listed(a.name), Result: ended}
	if ended != nil {
		return v, nil
	}
	a.live = true
	out, err := a.options.Outcome(a.ctx, a.name)
	if err != nil {
		v.Unread = a.options.Hide(err.Error())
	}
	for _, t := range out.Tasks {
		if t.Idle() {
			continue
		}
		v.Tasks = append(v.Tasks, Task{
			Task: t.Name, Verdict: strings.ToLower(facts.TaskVerdicts[t.Result]), Began: t.Start, Ended: t.End, After: t.After, Rollback: t.RollbackOf,
			Why: t.Message, Command: t.Command, Exit: t.Exit, Output: t.Output,
		})
	}
	return v, nil
}
