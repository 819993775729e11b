package byhand

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/cli/setup"
	"github.com/tekton-sentry/sentry/pkg/engine"
)

// told is an engine that tells how a run goes.
type told struct {
	Engine
	tasks []engine.Task
	end   engine.Outcome
}

func (e told) Follow(_ context.Context, _ string, progress func(engine.Outcome)) (engine.Outcome, error) {
	for _, t := range e.tasks {
		progress(engine.Outcome{Tasks: []engine.Task{t}})
	}
	return e.end, nil
}

// Who follows a run reads what keeps it from going on, once, and why a task did not end well.
func TestFollowTellsWhy(t *testing.T) {
	const quota = "ExceededResourceQuota: TaskRun Pod exceeded available resources"
	task := func(result engine.Result, message string) engine.Task {
		return engine.Task{Name: "web", Result: result, Message: message}
	}
	eng := told{end: engine.Outcome{Succeeded: true}, tasks: []engine.Task{
		task(engine.Running, quota),
		task(engine.Running, quota),
		task(engine.Running, ""),
		task(engine.Failed, "\x1b[2Jthe image x could not be pulled\n[web] Succeeded"),
		task(engine.Skipped, "Parent Tasks were skipped"),
		task(engine.Succeeded, "All Steps have completed executing"),
		{Name: "sentry-rollback-web", RollbackOf: "web", Result: engine.Skipped, Message: "When Expressions evaluated to false"},
		{Name: "sentry-rollback-api", RollbackOf: "api", Result: engine.Running},
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
		"[web] Succeeded\n" +
		"[sentry-rollback-api] Running\n"
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", &out, want)
	}
}

// What a cluster says of the end reaches no terminal raw, however the run ended.
func TestFollowTellsTheEndOnOneLine(t *testing.T) {
	for _, succeeded := range []bool{true, false} {
		var out, log bytes.Buffer
		o := &setup.Options{Streams: setup.Streams{Out: &out, Err: &log}}
		eng := told{end: engine.Outcome{Succeeded: succeeded, Reason: "Bad\x1b[2J", Message: "\x1b]0;title\x07Tasks\nCompleted"}}
		err := follow(t.Context(), o, eng, "web-1", "", false, false, func(engine.Outcome) {})
		if (err == nil) != succeeded {
			t.Fatalf("succeeded is %v: %v", succeeded, err)
		}
		said := strings.TrimSuffix(log.String(), "\n")
		if err != nil {
			said = err.Error()
		}
		if want := "web-1: Bad [2J: ]0;title Tasks Completed"; said != want {
			t.Errorf("succeeded is %v: it says %q, want %q", succeeded, said, want)
		}
	}
}
