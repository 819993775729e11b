package watch

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/event"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

// backlog is repositories that have all changed, on 20 servers that answer one after the other, and an engine in which ten runs of
// another Sentry are active.
type backlog struct {
	fleet
	digit string
}

// Each implements Heads.
func (f *backlog) Each(_ context.Context, want []config.Monitor, answered func(map[int]repo.Observation)) {
	for server := range 20 {
		answers := map[int]repo.Observation{}
		for i := server; i < len(want); i += 20 {
			answers[i] = repo.Observation{Heads: map[string]repo.SHA{"main": repo.SHA(strings.Repeat(f.digit, 40))}}
		}
		answered(answers)
	}
}

// Active counts, as engine.Active has it.
func (f *backlog) Active(context.Context, func(plan.Existing) bool) (int, error) { return 10, nil }

// BenchmarkWaiting is a cycle in which everything waits for one of ten places, all of which are taken.
func BenchmarkWaiting(b *testing.B) {
	for _, n := range []int{1000, 2000, 4000, 8000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			cfg := &config.Config{Groups: map[string]config.Group{}}
			cfg.Global.MaxRuns, cfg.Global.OnFirstSeen = 10, config.Record
			for i := range n {
				r := config.Repository{Name: fmt.Sprintf("app-%05d", i), Deploy: &config.Deploy{}}
				r.Monitor.Branches = repo.Patterns{repo.ExactPattern("main")}
				cfg.Repositories = append(cfg.Repositories, r)
			}
			f := &backlog{digit: "a"}
			w := &Watcher{Config: cfg, Heads: f, Store: &memory{}, Engine: f, Tell: func(event.Event) {}, Now: time.Now, Word: func() string { return "0123abcd" }}
			cycle := func(want int) {
				if report, err := w.RunOnce(b.Context(), Request{}); err != nil || report.Waiting != want || len(report.Created) > 0 {
					b.Fatalf("RunOnce = %+v, %v, want %d that wait", report, err, want)
				}
			}
			cycle(0)
			f.digit = "b"
			cycle(n)
			for b.Loop() {
				cycle(n)
			}
		})
	}
}
