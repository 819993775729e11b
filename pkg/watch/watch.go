// Package watch is the loop: read heads, plan, create, remember. It declares the small interfaces
// that it needs and knows neither Git hosts nor what engines make of a run.
package watch

import (
	"context"
	"log/slog"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/state"
)

// Heads reads the heads of many repositories at once.
type Heads interface {
	// Each calls answered once for every server, as soon as it answered or failed, with the observations of
	// its repositories by their index in want. The calls come one at a time; together they cover want.
	Each(ctx context.Context, want []config.Monitor, answered func(map[int]repo.Observation))
}

// Store keeps the snapshot.
type Store interface {
	// Load returns the snapshot, or an empty one where there is none yet. It may be the same one as the last time,
	// or what was saved: whoever changes it forks it.
	Load(ctx context.Context) (state.Snapshot, error)
	// Save replaces what the last Load returned; state.ErrConflict when somebody else did in between.
	Save(ctx context.Context, s state.Snapshot) error
}

// Engine runs what was planned. enginetest.Test is its contract.
type Engine interface {
	// Create makes the pinned run exist, or as much of it as one run holds. engine.ErrNameTaken
	// says that its name belongs to something else. An error whose ProblemKind is
	// plan.CannotGenerate says that nothing was tried; any other leaves open whether it exists.
	Create(ctx context.Context, cfg *config.Config, run plan.Run) (engine.Made, error)
	// Check says why Create would make nothing of the run, whatever the cluster says.
	Check(cfg *config.Config, run plan.Run) error
	// Runs returns the units' runs that there are, oldest first, also those that have finished or
	// that people made, by unit label; no units mean all.
	Runs(ctx context.Context, units []string) ([]engine.Run, error)
	// Cancel ends a run and lets its finally tasks run. A run that is gone or finished is no error.
	Cancel(ctx context.Context, name string) error
	// Prune deletes a unit's finished runs beyond the newest keep, but never its newest failed one; the
	// runs of all units where unit is "".
	Prune(ctx context.Context, unit string, keep int) error
}

// Watcher is what the loop needs. All fields but Renew and Key must be set.
type Watcher struct {
	Config  *config.Config
	Renew   func(*config.Config) *config.Config // returns what Config is to be in the cycle that begins
	Heads   Heads
	Store   Store
	Engine  Engine
	Key     func(context.Context) (plan.Key, error)    // behind the names of runs, asked for in each cycle; nil is the zero Key
	Created func(ctx context.Context, runs []plan.Run) // is told of the runs that a cycle created, at its end
	Log     *slog.Logger
	Now     func() time.Time
	Word    func() string // a random word of at least eight hexadecimal digits

	cycles  int             // since the start
	looked  time.Time       // when the runs of all units were looked at
	unsure  map[string]bool // labels of units that may have a run which the state does not know
	waiting map[string]bool // the runs that the log already said are waiting
	damaged map[string]bool // the repositories whose state the log already said cannot be read
}

// Report says what a cycle did.
type Report struct {
	Repositories int      // read or tried
	Failing      int      // of them could not be read
	Created      []string // names of the runs that were created
	Waiting      int      // runs that are due while their unit is busy
	Problems     int      // units whose run could not be made
	Wrote        int      // writes of the state
	Stopped      bool     // the context ended before all was looked at and made
}

// Run runs a cycle at once and then one every interval, until ctx ends and with it the cycle in hand. A cycle
// that fails is logged, and tried again at its next turn.
func (w *Watcher) Run(ctx context.Context, interval time.Duration) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for ctx.Err() == nil {
		if w.Renew != nil {
			w.Config = w.Renew(w.Config)
		}
		if _, err := w.RunOnce(ctx); err != nil {
			w.Log.Error("the cycle failed; it is tried again at the next interval", "err", err)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
}
