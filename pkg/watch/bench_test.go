package watch

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/event"
	"github.com/tekton-sentry/sentry/pkg/githost/hosts"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

const (
	benchUnits  = 1000
	benchRounds = 10 // runs of each unit in the history
)

// fleet is 1,000 units on one server that answers at once, and an engine that keeps 10,000 finished runs. It is no
// enginetest.Fake, whose lists read each PipelineRun anew: what is measured is the loop, so it lists what it has ready.
type fleet struct {
	pushes [benchUnits]int
	runs   map[string][]engine.Run // by unit
	all    []engine.Run
	record bool // whether runs that are created enter the history
}

// Each implements Heads.
func (f *fleet) Each(_ context.Context, want []config.Monitor, answered func(map[int]repo.Observation)) {
	answers := make(map[int]repo.Observation, len(want))
	for i, m := range want {
		pushes := 0 // to the QA repository
		if len(want) == benchUnits {
			pushes = f.pushes[i]
		}
		sha := repo.SHA(fmt.Sprintf("%040x", pushes+1))
		answers[i] = repo.Observation{Heads: map[string]repo.SHA{m.Branches[0].String(): sha}}
	}
	answered(answers)
}

// Create implements Engine.
func (f *fleet) Create(_ context.Context, cfg *config.Config, run plan.Run) (engine.Made, error) {
	_, part, err := pipelinerun.Fit(cfg, run, pipelinerun.MaxMembers)
	if err != nil {
		return engine.Made{}, err
	}
	if f.record {
		unit := run.Unit.Label
		f.runs[unit] = append(f.runs[unit], engine.Run{Existing: plan.Existing{Name: run.Name, Unit: unit, Trigger: part.Trigger}})
		f.all = append(f.all, f.runs[unit][len(f.runs[unit])-1])
	}
	return engine.Made{Run: part}, nil
}

// Check implements Engine.
func (f *fleet) Check(*config.Config, plan.Run) error { return nil }

// Runs implements Engine.
func (f *fleet) Runs(_ context.Context, units []string) ([]engine.Run, error) {
	if len(units) == 0 {
		return f.all, nil
	}
	var runs []engine.Run
	for _, unit := range units {
		runs = append(runs, f.runs[unit]...)
	}
	return runs, nil
}

// Cancel implements Engine.
func (f *fleet) Cancel(context.Context, string, string) error { return nil }

// Prune implements Engine.
func (f *fleet) Prune(context.Context, string, int) ([]plan.Existing, error) { return nil, nil }

func (f *fleet) push(every int) {
	for i := 0; i < benchUnits; i += every {
		f.pushes[i]++
	}
}

// BenchmarkCycle is what a cycle costs beside the hosts and the cluster, with 1,000 units and 10,000 runs of
// history: reading the state, planning, generating and writing it.
func BenchmarkCycle(b *testing.B) {
	var yaml strings.Builder
	yaml.WriteString("polling_interval: 60\nrepositories:\n")
	for i := range benchUnits {
		fmt.Fprintf(&yaml, "- name: app-%04d\n  monitor: {repo_url: https://git.example/team/app-%04d, branches: [main], repo_type: git}\n"+
			"  deploy: {qa_repo_url: https://git.example/qa, repo_type: git, commands: [\"true\"]}\n", i, i)
	}
	cfg, err := config.Parse([]byte(yaml.String()), hosts.Options(nil))
	if err != nil {
		b.Fatal(err)
	}
	f := &fleet{runs: make(map[string][]engine.Run), record: true}
	w := &Watcher{Config: cfg, Heads: f, Store: &memory{}, Engine: f, Tell: func(event.Event) {},
		Now: time.Now, Word: func() string { return "0123abcd" }}
	cycle := func(want int) {
		report, err := w.RunOnce(b.Context(), Request{})
		if err != nil || len(report.Created) != want || report.Failing+report.Problems+report.Waiting > 0 {
			b.Fatalf("RunOnce = %d runs, %+v, %v, want %d runs", len(report.Created), report, err, want)
		}
	}
	cycle(0)
	for range benchRounds {
		f.push(1)
		cycle(benchUnits)
	}
	f.record = false
	if len(f.all) != benchRounds*benchUnits {
		b.Fatalf("%d runs of history, want %d", len(f.all), benchRounds*benchUnits)
	}
	b.Run("idle", func(b *testing.B) {
		for b.Loop() {
			cycle(0)
		}
	})
	b.Run("first after a start", func(b *testing.B) {
		for b.Loop() {
			w.looked = time.Time{} // so that all runs are looked at
			cycle(0)
		}
	})
	b.Run("one percent changed", func(b *testing.B) {
		for b.Loop() {
			f.push(100)
			cycle(benchUnits / 100)
		}
	})
}
