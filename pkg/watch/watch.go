// Package watch is the loop: read heads, plan, generate, create, remember. It declares the small
// interfaces that it needs and knows neither Git hosts nor engines.
package watch

import (
	"context"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/state"
)

// Heads reads the heads of many repositories at once: one observation each, in their order.
type Heads interface {
	Heads(ctx context.Context, want []config.Monitor) []repo.Observation
}

// Store keeps the snapshot.
type Store interface {
	// Load returns the snapshot, or an empty one where there is none yet.
	Load(ctx context.Context) (state.Snapshot, error)
	// Save replaces what the last Load returned; state.ErrConflict when somebody else did in between.
	Save(ctx context.Context, s state.Snapshot) error
}

// Engine runs PipelineRuns.
type Engine interface {
	// Create makes the run exist. created is false when a run of this name and trigger existed;
	// pipelinerun.ErrNameTaken when the name belongs to something else.
	Create(ctx context.Context, pr *v1.PipelineRun) (created bool, err error)
	// Active returns the names of the runs that have not finished, by their unit's label.
	Active(ctx context.Context) (map[string][]string, error)
	// Cancel ends a run and lets its finally tasks run. A run that is gone or finished is no error.
	Cancel(ctx context.Context, name string) error
	// Prune deletes a unit's finished runs beyond the newest keep, but never its newest failed one.
	Prune(ctx context.Context, unit string, keep int) error
}
