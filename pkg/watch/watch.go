// Package watch is the loop: read heads, plan, create, remember. It declares the small interfaces
// that it needs and knows neither Git hosts nor what engines make of a run.
package watch

import (
	"cmp"
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/event"
	"github.com/tekton-sentry/sentry/pkg/filter"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/plan/deployed"
	"github.com/tekton-sentry/sentry/pkg/plan/naming"
	"github.com/tekton-sentry/sentry/pkg/plan/places"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/result"
	"github.com/tekton-sentry/sentry/pkg/state"
	"github.com/tekton-sentry/sentry/pkg/watch/asked"
	"github.com/tekton-sentry/sentry/pkg/watch/ended"
)

// Heads reads the heads of many repositories at once.
type Heads interface {
	// Each calls answered once for every server, as soon as it answered or failed, with the observations of
	// its repositories by their index in want. The calls come one at a time; together they cover want.
	Each(ctx context.Context, want []config.Monitor, answered func(map[int]repo.Observation))
}

// Forgetter is what Heads are beside where they remember heads from one call to the next.
type Forgetter interface {
	// Forget drops what is remembered of repositories, so that the next call reads them afresh.
	Forget(repositories []config.Monitor)
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
	// that people made; no units mean all. Units and runs are named as naming.At has it. An engine.Unlisted beside the
	// runs says of which clusters there are none.
	Runs(ctx context.Context, units []string) ([]engine.Run, error)
	// Cancel ends a run and lets its finally tasks run. superseded is the name of the run of a newer change that replaces it,
	// and "" where a person wants it. A run that is gone or finished is no error.
	Cancel(ctx context.Context, name, superseded string) error
	// Prune deletes a unit's finished runs, or those of all units where unit is "", beyond the newest keep of each naming.Share, but
	// never its newest failed one.
	// What was deleted is returned also beside an error.
	Prune(ctx context.Context, unit string, keep int) (deleted []plan.Existing, err error)
}

// Filter tells which heads that moved run nothing.
type Filter interface {
	// Each calls answered for each of the questions once, for some at a time. The calls come one at a time.
	Each(ctx context.Context, questions []filter.Question, answered func([]filter.Answer))
}

// Watcher is what the loop needs. All fields but Before, Behind, Every, Filter, Key, Past, Result and Share must be set.
type Watcher struct {
	Config *config.Config // at the start; Apply replaces it
	Before func(bool)     // is called before each cycle of Run, with true, and every ten seconds between them; it may call Apply
	Behind func(int64)    // is called where the state goes by a newer list of what was found than Config, with its number; must not wait
	Every  time.Duration  // between the looks at everything, instead of the configuration's polling_interval; 0 = as it says
	Heads  Heads
	Filter Filter // nil = whatever moved runs
	Store  Store
	Engine Engine
	Key    func(context.Context) (naming.Key, error)      // behind the names of runs, asked for in each cycle; nil is the zero Key
	Past   func(context.Context) ([]result.Result, error) // how runs ended, as far as that is kept; nil where it is not
	// Result reads how a run ended from the run itself; nil where Ended tells of each.
	Result func(context.Context, engine.Run) (result.Result, error)
	Tell   func(event.Event) // is told of everything that happens; must not wait
	Now    func() time.Time
	Word   func() string // a random word of at least eight hexadecimal digits
	// Share returns what this replica looks at by itself, asked for in each cycle; nil is everything. It returns nil while that is
	// not known. What a request names is looked at all the same. Members of one group must be in the same share.
	Share func() func(config.Repository) bool

	requests asked.Requests
	endings  ended.Endings
	applied  atomic.Pointer[config.Config] // what Apply was given, until a cycle begins
	refused  atomic.Pointer[string]        // what Refuse was given; nil before that, and once the state has that nothing is refused
	noted    bool                          // the state has that Config can be used
	refusals []string                      // the last reasons that this Sentry had for not using another one

	cycles   int       // looks at everything since the start
	looked   time.Time // when the runs of all units were looked at
	ledger   deployed.Ledger
	unsaved  []result.Result // of the runs that ended, those of which the state may not hold what they deployed
	pastRead time.Time       // when Past was read
	pastTold bool            // that it cannot be read
	recall   atomic.Bool     // that Past is to be read in the next cycle
	heard    ended.Heard
	known    state.Snapshot // what the store held when it was last read or written here

	unsure   map[string]bool           // units that may have a run which the state does not know, as naming.At has them
	unlisted engine.Unlisted           // clusters in which any unit may have one, since they did not answer
	owing    map[string]bool           // the runs of which it was told that they are due
	waiting  map[string]bool           // the runs of which it was told that they wait
	turns    map[string]map[string]int // by repository, where not all of its runs are made in one cycle: when a unit, by label, had its last turn
	places   places.Queue              // the units that wait for one of global.max_runs
	index    *naming.Index             // of indexed
	indexed  *config.Config            // the Config of the last cycle
	damaged  map[string]bool           // the repositories of which it was told that their state cannot be read
}

// Apply makes cfg what the next cycle follows, and all after it. It may be called at any time.
func (w *Watcher) Apply(cfg *config.Config) { w.applied.Store(cfg) }

// Refuse says why the configuration that there is cannot be used; "" once it can. The state has it after the next cycle, which
// it asks for and which looks at no repository. It may be called at any time.
func (w *Watcher) Refuse(why string) {
	if was := w.refused.Swap(&why); was != nil && *was == why {
		return
	}
	w.Ask(Request{Repositories: []string{""}, Reason: "the configuration"})
}

// follow takes up what Apply was given.
func (w *Watcher) follow() {
	cfg := w.applied.Swap(nil)
	if cfg == nil {
		return
	}
	if regrouped(w.Config, cfg) {
		w.looked = time.Time{} // as after a start: another Sentry may have died that made a run of what now is in another unit
	}
	w.Config, w.noted = cfg, false
	clear(w.turns) // of repositories that are gone, too
}

// regrouped reports whether a repository is in another group or cluster than before, or new.
func regrouped(before, after *config.Config) bool {
	in := func(cfg *config.Config, r *config.Repository) [2]string {
		return [2]string{r.Group, cfg.GroupOf(r).Cluster}
	}
	groups := make(map[string][2]string, len(before.Repositories))
	for i := range before.Repositories {
		groups[before.Repositories[i].Name] = in(before, &before.Repositories[i])
	}
	return slices.ContainsFunc(after.Repositories, func(r config.Repository) bool {
		group, known := groups[r.Name]
		return !known || group != in(after, &r)
	})
}

// beforeEvery is how often Before is called while no cycle is due: it is how soon a changed file is noticed.
const beforeEvery = 10 * time.Second

// Run runs a cycle at once, one every interval, and one whenever Ask wants it, until ctx ends and
// with it the cycle in hand. A cycle that fails is told of, and tried again at its next turn.
func (w *Watcher) Run(ctx context.Context) {
	everything := func(due time.Time) { w.Ask(Request{Reason: "polling_interval", Due: due}) }
	everything(w.Now())
	ticker, before := time.NewTicker(w.interval()), time.NewTicker(beforeEvery)
	defer ticker.Stop()
	defer before.Stop()
	for interval := w.interval(); ; {
		wanted := false
		select {
		case <-ctx.Done():
			return
		case due := <-ticker.C: // the first that passed, where a cycle took longer than the interval
			everything(due)
			continue
		case <-before.C:
		case <-w.requests.Wake():
			wanted = true
		}
		if w.Before != nil {
			w.Before(wanted)
		}
		w.follow()
		if now := w.interval(); now != interval {
			interval = now
			ticker.Reset(interval)
		}
		if !wanted {
			continue
		}
		if _, err := w.RunOnce(ctx, w.requests.Take()); err != nil {
			w.Tell(event.CycleFailed{Err: err})
		}
	}
}

func (w *Watcher) interval() time.Duration { return cmp.Or(w.Every, w.Config.PollingInterval) }
