// Package reading reads what the page shows from where it is kept, no more than what can have changed: a person's own page asks the
// cluster, and that of a running Sentry has the loop's state by reference, so that the loop does nothing for it.
package reading

import (
	"context"
	"errors"
	"maps"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/plan/naming"
	"github.com/tekton-sentry/sentry/pkg/result"
	"github.com/tekton-sentry/sentry/pkg/serve/internal/store"
	"github.com/tekton-sentry/sentry/pkg/serve/page/facts"
	"github.com/tekton-sentry/sentry/pkg/state"
)

// Sources are where a Reading reads. Those without a word are needed.
type Sources struct {
	Config func() *config.Config
	// State returns what is remembered; see Latest for a running Sentry.
	State func(context.Context) (state.Snapshot, error)
	// Runs returns the runs that there are, oldest first, and those of this machine that have not ended.
	Runs func(context.Context) ([]engine.Run, []plan.Existing, error)
	// History returns how runs ended, newest first.
	History func(context.Context) ([]result.Result, error)
	// Follow follows a run, as engines do; nil where none can be followed.
	Follow func(ctx context.Context, name string, progress func(engine.Outcome)) (engine.Outcome, error)
	// Hosts returns how the hosts stand that this process asks; nil where it asks none.
	Hosts func() []facts.Host
	// Peers returns the replicas, as facts.Known has them; nil where one process does all of it.
	Peers func() []facts.Replica
	// Text returns the text of the configuration, the same Listings again as long as they are the same; nil where none is read. It is
	// asked after Config.
	Text func() facts.Text
	Key  *naming.Key // as in explain.Input
	Now  func() time.Time
}

const (
	// settling is how long the history is read each time after the runs changed: it is told of an end after the list of runs.
	settling = time.Minute
	// old is when everything is read again, and worked out: windows of time and statistics go by the time of day.
	old = 10 * time.Minute
	// rarely is how many times as long as a list of runs took it is good for at least: it is long where there are many runs.
	rarely = 10
	// live is how long it is told of a run how it goes before it is asked anew, for however many it is.
	live = 5 * time.Second
	// maxAsking is how many runs are asked about at once.
	maxAsking = 4
	// oldConfig is when the configuration is read again.
	oldConfig = time.Minute
)

// Reading is a page.Source. One goroutine at a time calls Known.
type Reading struct {
	Sources
	last    *facts.Known
	runs    []engine.Run
	begun   []plan.Existing
	listed  time.Time     // the runs were
	took    time.Duration // the list of them
	changed time.Time     // when the runs were found to be others
	config  *config.Config
	readAt  time.Time // the configuration was

	turns    chan struct{} // those that are asked about
	mu       sync.Mutex
	outcomes map[string]outcome
}

// outcome is how a run went when it was asked for.
type outcome struct {
	engine.Outcome
	err error
	at  time.Time
}

// New returns what reads there.
func New(s Sources) *Reading {
	return &Reading{Sources: s, turns: make(chan struct{}, maxAsking), outcomes: map[string]outcome{}}
}

// RunsOf returns the Runs of an engine that knows all of its runs. Those of a cluster that does not answer are missing: its units say so.
func RunsOf(e engine.Lister) func(context.Context) ([]engine.Run, []plan.Existing, error) {
	return func(ctx context.Context) ([]engine.Run, []plan.Existing, error) {
		runs, err := e.Runs(ctx, nil)
		if _, partly := errors.AsType[engine.Unlisted](err); partly {
			err = nil
		}
		return runs, nil, err
	}
}

// Known returns what there is, the same pointer again where nothing of it has changed.
func (r *Reading) Known(ctx context.Context) (*facts.Known, error) {
	now := r.Now()
	if r.config == nil || now.Sub(r.readAt) >= oldConfig {
		if cfg := r.Config(); r.config == nil || cfg.Hash == "" || cfg.Hash != r.config.Hash {
			r.config = cfg
		}
		r.readAt = now
	}
	snapshot, err := r.State(ctx)
	if err != nil {
		return nil, err
	}
	if r.listed.IsZero() || now.Sub(r.listed) >= rarely*r.took {
		runs, begun, err := r.Runs(ctx)
		if err != nil {
			return nil, err
		}
		r.runs, r.begun, r.listed, r.took = runs, begun, now, r.Now().Sub(now)
	}
	runs, begun := r.runs, r.begun
	k := &facts.Known{Config: r.config, Snapshot: snapshot, Runs: runs, Begun: begun, Key: r.Key, Hosts: r.Hosts, Peers: r.Peers, At: now}
	if r.Text != nil {
		k.Text = r.Text()
	}
	last := r.last
	if last != nil && same(last.Runs, runs) && now.Sub(r.changed) > settling && now.Sub(last.At) < old {
		k.Past, k.Gap, k.Runs = last.Past, last.Gap, last.Runs
	} else {
		if last == nil || !same(last.Runs, runs) {
			r.changed = now
		}
		past, err := r.History(ctx)
		if k.Past = past; err != nil {
			k.Gap = err.Error()
		}
	}
	if last != nil && now.Sub(last.At) < old && last.Config == k.Config && last.Text == k.Text && isSame(last.Snapshot, snapshot) && same(last.Runs, runs) &&
		reflect.DeepEqual(last.Begun, begun) && last.Gap == k.Gap && isSamePast(last.Past, k.Past) {
		return last, nil
	}
	r.last = k
	return k, nil
}

// same reports whether two lists of runs tell the same: what triggered a run and when it was made never changes.
func same(a, b []engine.Run) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		x, y := &a[i], &b[i]
		if x.Name != y.Name || x.Active != y.Active || x.Pending != y.Pending || x.Succeeded != y.Succeeded || x.Reason != y.Reason {
			return false
		}
	}
	return true
}

// isSame compares snapshots: a store that found nothing changed returns the same maps again.
func isSame(a, b state.Snapshot) bool {
	at := func(m any) uintptr { return reflect.ValueOf(m).Pointer() }
	return at(a.Repositories) == at(b.Repositories) && at(a.Units) == at(b.Units) && a.Epoch == b.Epoch || a.Equal(b)
}

// isSamePast compares histories, newest first. A result is written once, but for what a later reading of its run adds.
func isSamePast(a, b []result.Result) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if x, y := &a[i], &b[i]; x.Name != y.Name || x.Verdict != y.Verdict || x.Seconds != y.Seconds || x.Why != y.Why || len(x.Members) != len(y.Members) {
			return false
		}
	}
	return true
}

// Outcome returns how a run goes, or went a few seconds ago: whoever looks at it makes no request of his own.
func (r *Reading) Outcome(ctx context.Context, name string) (engine.Outcome, error) {
	if r.Follow == nil {
		return engine.Outcome{}, errors.New("another process has it, and no way leads there")
	}
	if o, ok := r.outcome(name); ok {
		return o.Outcome, o.err
	}
	select {
	case r.turns <- struct{}{}:
		defer func() { <-r.turns }()
	case <-ctx.Done():
		return engine.Outcome{}, errors.New("many runs are being asked about; it is their turn first")
	}
	if o, ok := r.outcome(name); ok { // somebody else has asked meanwhile
		return o.Outcome, o.err
	}
	out, err := r.ask(ctx, name)
	if ctx.Err() != nil {
		return out, err // who asked has left, which says nothing of the run
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.Now()
	maps.DeleteFunc(r.outcomes, func(_ string, o outcome) bool { return now.Sub(o.at) >= live })
	r.outcomes[name] = outcome{out, err, now}
	return out, err
}

// outcome returns how a run went lately, if it was asked for.
func (r *Reading) outcome(name string) (o outcome, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	o, ok = r.outcomes[name]
	return o, ok && r.Now().Sub(o.at) < live
}

// ask asks how a run goes now.
func (r *Reading) ask(ctx context.Context, name string) (engine.Outcome, error) {
	ctx, enough := context.WithTimeout(ctx, 10*time.Second)
	defer enough()
	var first *engine.Outcome
	out, err := r.Follow(ctx, name, func(out engine.Outcome) {
		if first == nil {
			first = &out
			enough()
		}
	})
	if first != nil {
		return *first, nil
	}
	return out, err
}

// Latest is what a running Sentry remembers, by reference: the loop replaces snapshots, and changes none. The zero value knows
// nothing yet.
type Latest struct {
	snapshot atomic.Pointer[state.Snapshot]
}

// ErrNotYet says that the loop has not read its state yet.
var ErrNotYet = errors.New("the state was not read yet, as Sentry has begun a moment ago")

// Store has a store tell of what is loaded from it and saved.
func (l *Latest) Store(s store.Store) store.Store {
	return store.Watched(s, func(_ context.Context, s state.Snapshot, err error) {
		if err == nil {
			l.snapshot.Store(&s)
		}
	})
}

// Put tells of a snapshot that somebody else has saved: the loop reads it with its next cycle.
func (l *Latest) Put(s state.Snapshot) { l.snapshot.Store(&s) }

// State returns the snapshot. It asks nobody.
func (l *Latest) State(context.Context) (state.Snapshot, error) {
	s := l.snapshot.Load()
	if s == nil {
		return state.Snapshot{}, ErrNotYet
	}
	return *s, nil
}
