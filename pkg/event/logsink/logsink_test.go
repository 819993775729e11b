package logsink_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/tekton-sentry/sentry/pkg/event"
	"github.com/tekton-sentry/sentry/pkg/event/logsink"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/plan/naming"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/result"
	"github.com/tekton-sentry/sentry/pkg/state"
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
	for _, key := range []string{"time", "level", "msg", "unit", "run", "changes", "audit", "by"} {
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

// Who paused a unit and why is told where it is known.
func TestPaused(t *testing.T) {
	since := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for want, p := range map[string]state.Pause{
		`unit=shop run=shop-1 since=2026-03-01T12:00:00.000Z`:                            state.NewPause("", "", since),
		`unit=shop run=shop-1 since=2026-03-01T12:00:00.000Z who=ada why="it is Friday"`: state.NewPause("ada", "it is Friday", since),
	} {
		var out bytes.Buffer
		run := plan.Run{Name: "shop-1", Unit: naming.Unit{Label: "shop"}, Pause: &p}
		logsink.Write(slog.New(slog.NewTextHandler(&out, nil)), event.RunWaiting{Run: run})
		if !strings.HasSuffix(out.String(), want+"\n") {
			t.Errorf("got  %swant %s", &out, want)
		}
	}
}

// The end of a run tells a deployment that failed from those that never began for it, and nothing of what it printed.
func TestEnded(t *testing.T) {
	members := func(verdicts ...result.Verdict) (members []result.Member) {
		for i, v := range verdicts {
			members = append(members, result.Member{Task: string(rune('a' + i)), Verdict: v, Output: []string{"hunter2"}})
		}
		return members
	}
	for want, r := range map[string]result.Result{
		`level=ERROR msg="the run did not succeed" unit=shop run=shop-1 verdict=failed failed=b timed_out=e skipped="c, d" why="b: exited with code 3"`: {
			Verdict: result.Failed, Why: "b: exited with code 3",
			Members: members(result.Succeeded, result.Failed, result.Skipped, result.Skipped, result.TimedOut),
		},
		`level=ERROR msg="the run did not succeed" unit=shop run=shop-1 verdict=failed failed=b rolled_back=a why="b: exited with code 3; rolled back: a,b"`: {
			Verdict: result.Failed, Why: "b: exited with code 3; rolled back: a,b", Members: members(result.RolledBack, result.Failed),
		},
		`level=INFO msg="the run succeeded" unit=shop run=shop-1`: {Verdict: result.Succeeded, Members: members(result.Succeeded)},
		`level=INFO msg="the run was cancelled for a newer change" unit=shop run=shop-1 verdict=superseded superseded=a why="a newer change replaces it"`: {
			Verdict: result.Superseded, Why: "a newer change replaces it", Members: members(result.Superseded),
		},
		`level=WARN msg="the run was cancelled" unit=shop run=shop-1 verdict=cancelled cancelled=a`: {
			Verdict: result.Cancelled, Members: members(result.Cancelled),
		},
	} {
		r.Unit, r.Name = "shop", "shop-1"
		var out bytes.Buffer
		logsink.Write(slog.New(slog.NewTextHandler(&out, nil)), event.RunEnded{Result: r})
		if !strings.HasSuffix(out.String(), want+"\n") {
			t.Errorf("got  %swant %s", &out, want)
		}
	}
}
