package byhand

import (
	"bytes"
	"context"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/cli/setup"
	"github.com/tekton-sentry/sentry/pkg/engine"
)

// told is an engine that tells how a run goes.
type told struct {
	Engine
	tasks []engine.Task
}

func (e told) Follow(_ context.Context, _ string, progress func(engine.Outcome)) (engine.Outcome, error) {
	for _, t := range e.tasks {
		progress(engine.Outcome{Tasks: []engine.Task{t}})
	}
	return engine.Outcome{Succeeded: true}, nil
}

// Who follows a run reads what keeps it from going on, once, and why a task did not end well.
func TestFollowTellsWhy(t *testing.T) {
	const quota = "ExceededResourceQuota: TaskRun Pod exceeded available resources"
	task := func(result engine.Result, message string) engine.Task {
		return engine.Task{Name: "web", Result: result, Message: message}
	}
	eng := told{tasks: []engine.Task{
		task(engine.Running, quota),
		task(engine.Running, quota),
		task(engine.Running, ""),
		task(engine.Failed, "\x1b[2Jthe image x could not be pulled\n[web] Succeeded"),
		task(engine.Skipped, "Parent Tasks were skipped"),
		task(engine.Succeeded, "All Steps have completed executing"),
	}}
	var out, log bytes.Buffer
	o := &setup.Options{Streams: setup.Streams{Out: &out, Err: &log}}
	if err := follow(t.Context(), o, eng, "web-1", "", false, false, func(engine.Outcome) {}); err != nil {
		t.Fatal(err)
	}
	want := "[web] waits: " + quota + "\n" +
		"[web] Running\n" +
		"[web] Failed: [2Jthe image x could not be pulled [web] Succeeded\n" +
		"[web] Skipped: Parent Tasks were skipped\n" +
		"[web] Succeeded\n"
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", &out, want)
	}
}
