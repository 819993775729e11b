package logsink_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/event"
	"github.com/tekton-sentry/sentry/pkg/event/logsink"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/plan/naming"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

// A run of many refs is one line in which each key is there once: readers of JSON keep the last of two.
func TestCreatedOfManyRefs(t *testing.T) {
	run := plan.Run{Name: "shop-0123456789", Unit: naming.Unit{Label: "shop"}, Trigger: plan.Trigger{Refs: []plan.Change{
		{Ref: repo.Ref{Repository: "api", Branch: "main"}, New: repo.SHA(strings.Repeat("1", 40))},
		{Ref: repo.Ref{Repository: "web", Branch: "dev"}, New: repo.SHA(strings.Repeat("2", 40))},
	}}}
	var out bytes.Buffer
	logsink.Write(slog.New(slog.NewJSONHandler(&out, nil)), event.RunCreated{Run: run})
	if n := strings.Count(out.String(), "\n"); n != 1 {
		t.Fatalf("%d lines, want one:\n%s", n, &out)
	}
	for _, key := range []string{"time", "level", "msg", "unit", "run", "changes"} {
		if n := strings.Count(out.String(), `"`+key+`":`); n != 1 {
			t.Errorf("the key %s is there %d times, want once:\n%s", key, n, &out)
		}
	}
	var line struct {
		Changes []struct{ Repo, Branch, SHA string }
	}
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatal(err)
	}
	if len(line.Changes) != 2 || line.Changes[1].Repo != "web" || line.Changes[1].Branch != "dev" || line.Changes[1].SHA != "2222222" {
		t.Errorf("changes %+v, want both refs with their commits", line.Changes)
	}
	out.Reset()
	logsink.Write(slog.New(slog.NewTextHandler(&out, nil)), event.RunCreated{Run: run})
	if want := `changes="api@main=1111111 web@dev=2222222"`; !strings.Contains(out.String(), want) {
		t.Errorf("the text lacks %s:\n%s", want, &out)
	}
}

// The end of a run tells a deployment that failed from those that never began for it.
func TestEnded(t *testing.T) {
	outcome := engine.Outcome{Name: "shop-0123456789", Done: true, Reason: "Failed", Tasks: []engine.Task{
		{Name: "api", Result: engine.Succeeded}, {Name: "web", Result: engine.Failed, Message: "exited with code 3"},
		{Name: "docs", Result: engine.Skipped, Message: "Parent Tasks were skipped"}, {Name: "mail", Result: engine.Skipped},
	}}
	for want, e := range map[string]event.RunEnded{
		`level=ERROR msg="the run did not succeed" unit=shop run=shop-0123456789 reason=Failed failed=web skipped="docs, mail" why="web: exited with code 3"`: {Unit: "shop", Outcome: outcome},
		`level=INFO msg="the run succeeded" unit=shop run=shop-1`: {Unit: "shop", Outcome: engine.Outcome{Name: "shop-1", Succeeded: true}},
	} {
		var out bytes.Buffer
		logsink.Write(slog.New(slog.NewTextHandler(&out, nil)), e)
		if !strings.HasSuffix(out.String(), want+"\n") {
			t.Errorf("got  %swant %s", &out, want)
		}
	}
}
