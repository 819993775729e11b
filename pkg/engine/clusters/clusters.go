// Package clusters makes one engine of those of several clusters: of the one that Sentry runs in, and of others. One that does not answer
// costs its own units alone, and little time.
package clusters

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/plan/naming"
)

const (
	// answerWithin bounds a call for some units' runs, or for one run. Each request of it has a bound of its own.
	answerWithin = 15 * time.Second
	// countWithin bounds a count of the runs that are active.
	countWithin = 10 * time.Second
	// recount is how long the runs of a cluster are not counted that did not make it within countWithin.
	recount = 10 * time.Minute
	// pruneWithin bounds a look for what is too old in a whole cluster.
	pruneWithin = 30 * time.Second
	// allWithin bounds a list of all runs of a cluster, and besideWithin one for which nobody waits.
	allWithin    = time.Minute
	besideWithin = 10 * time.Minute
	// A cluster that does not answer is tried again after tryEvery, and then after twice as long each time, up to tryAtMost. One that answered
	// for forgiven begins anew.
	tryEvery  = 10 * time.Second
	tryAtMost = 2 * time.Minute
	forgiven  = 10 * time.Minute
)

// Member is the engine of one cluster. Its runs say in which they are.
type Member interface {
	Create(ctx context.Context, cfg *config.Config, run plan.Run) (engine.Made, error)
	Check(cfg *config.Config, run plan.Run) error
	Runs(ctx context.Context, units []string) ([]engine.Run, error)
	Active(ctx context.Context, want func(plan.Existing) bool) (int, error)
	Cancel(ctx context.Context, name, superseded string) error
	Prune(ctx context.Context, unit string, keep int) (deleted []plan.Existing, err error)
}

// Engine is that of all of them. It is told of units and runs as naming.At has it. Any goroutine may use it.
type Engine[M Member] struct {
	// Changed is told when a cluster does not answer any more, why, and when it answers again, with nil; nil = nobody is.
	Changed func(cluster string, err error)
	// Try has a cluster tried again, beside whatever goes on; nil = a goroutine of its own does.
	Try func(func())
	Now func() time.Time
	// Patience is how long Runs waits for all runs of another cluster. What takes longer goes on beside, and a later Runs has it; 0 = it waits
	// as long as a list may take.
	Patience time.Duration

	home M
	mu   sync.Mutex
	of   map[string]*other[M]
}

// other is a cluster beside the one that Sentry runs in.
type other[M Member] struct {
	engine    M
	down      error     // why it is not asked; nil = it is
	again     read[M]   // what it did not answer, by which it is tried
	tried     time.Time // when it was asked last while down
	trying    bool
	pause     time.Duration // until it is tried again
	back      time.Time     // when it answered again last
	uncounted time.Time     // until when its runs are not counted
	all       *listing      // that nobody has taken yet; nil where there is none
}

// New returns the engine of the cluster that Sentry runs in. Set adds others.
func New[M Member](home M) *Engine[M] {
	return &Engine[M]{home: home, of: map[string]*other[M]{}, Now: time.Now}
}

// Set has the others be these. One that is the same as before stays as it is known; why says what is wrong with those that have no
// engine.
func (e *Engine[M]) Set(engines map[string]M, why map[string]error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := map[string]*other[M]{}
	for name, m := range engines {
		if was := e.of[name]; was != nil && any(was.engine) == any(m) {
			now[name] = was
		} else {
			now[name] = &other[M]{engine: m}
		}
	}
	for name, err := range why {
		now[name] = &other[M]{down: &engine.DownError{Cluster: name, Err: err}, tried: never}
	}
	e.of = now
}

// Names returns the names of the others, sorted.
func (e *Engine[M]) Names() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Sorted(maps.Keys(e.of))
}

// Home returns the engine of the cluster that Sentry runs in.
func (e *Engine[M]) Home() M { return e.home }

// Of returns the engine that has what is meant, and what it is called there.
func (e *Engine[M]) Of(at string) (m M, name string, err error) {
	cluster, name := naming.Place(at)
	if cluster == "" {
		return e.home, name, nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	o := e.of[cluster]
	if o == nil {
		return m, name, fmt.Errorf("the configuration has no cluster %.80q", cluster)
	}
	if any(o.engine) == any(*new(M)) {
		return m, name, o.down
	}
	return o.engine, name, nil
}

// ask has f ask a cluster for so long at most, unless it does not answer. The cluster that Sentry runs in has no bound here.
func (e *Engine[M]) ask(ctx context.Context, cluster string, within time.Duration, f func(context.Context, M) error) error {
	if cluster == "" {
		return f(ctx, e.home)
	}
	m, _, err := e.Of(naming.At(cluster, ""))
	if err != nil {
		return err
	}
	if down := e.refusal(ctx, cluster); down != nil {
		return down
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	return f(ctx, m)
}

// Create makes the run exist, in the cluster of its group.
func (e *Engine[M]) Create(ctx context.Context, cfg *config.Config, run plan.Run) (made engine.Made, err error) {
	err = e.ask(ctx, run.Group.Cluster, answerWithin, func(ctx context.Context, m M) (err error) {
		made, err = m.Create(ctx, cfg, run)
		return err
	})
	return made, err
}

// Check says why Create would make nothing of the run, whatever the cluster says.
func (e *Engine[M]) Check(cfg *config.Config, run plan.Run) error { return e.home.Check(cfg, run) }

// Runs returns the units' runs, oldest first in each cluster; no units mean all, and a unit without a label all of its cluster. Where other
// clusters do not answer, the error is an engine.Unlisted, beside the runs of the rest. A cluster that is none has none.
func (e *Engine[M]) Runs(ctx context.Context, units []string) ([]engine.Run, error) {
	wanted := map[string][]string{}
	for _, at := range units {
		cluster, label := naming.Place(at)
		wanted[cluster] = append(wanted[cluster], label)
	}
	if len(units) == 0 {
		for _, cluster := range append(e.Names(), "") {
			wanted[cluster] = nil
		}
	}
	var runs []engine.Run
	if labels, ok := wanted[""]; ok {
		var err error
		if runs, err = e.home.Runs(ctx, labels); err != nil {
			return nil, err
		}
		delete(wanted, "")
	}
	names := slices.Sorted(maps.Keys(wanted))
	lists, errs := make([][]engine.Run, len(names)), make([]error, len(names))
	var asking sync.WaitGroup
	for i, cluster := range names {
		asking.Go(func() { lists[i], errs[i] = e.list(ctx, cluster, wanted[cluster]) })
	}
	asking.Wait()
	unlisted := engine.Unlisted{}
	for i, cluster := range names {
		if runs = append(runs, lists[i]...); errs[i] != nil {
			unlisted[cluster] = errs[i]
		}
	}
	if len(unlisted) > 0 {
		return runs, unlisted
	}
	return runs, nil
}

// Active returns how many runs have not finished, of those that are wanted, in the clusters that answer in time.
func (e *Engine[M]) Active(ctx context.Context, want func(plan.Existing) bool) (int, error) {
	n, err := e.home.Active(ctx, want)
	if err != nil {
		return 0, err
	}
	names := e.Names()
	counts := make([]int, len(names))
	var asking sync.WaitGroup
	for i, cluster := range names {
		if e.counts(cluster) {
			asking.Go(func() { counts[i] = e.active(ctx, cluster, want) })
		}
	}
	asking.Wait()
	for _, more := range counts {
		n += more
	}
	return n, nil
}

// active returns how many runs of another cluster are active; 0 where that cannot be known.
func (e *Engine[M]) active(ctx context.Context, cluster string, want func(plan.Existing) bool) (n int) {
	late := false
	ask := func(ctx context.Context, m M) error {
		some, err := m.Active(ctx, want)
		if err == nil {
			n = some
		}
		late = errors.Is(ctx.Err(), context.DeadlineExceeded)
		return err
	}
	trial := func(ctx context.Context, m M) error {
		_, err := m.Active(ctx, func(plan.Existing) bool { return false })
		return err
	}
	_ = e.read(ctx, cluster, read[M]{countWithin, trial}, func(error) bool { return !late }, ask)
	if late { // it may have many
		e.mu.Lock()
		defer e.mu.Unlock()
		if o := e.of[cluster]; o != nil {
			o.uncounted = e.Now().Add(recount)
		}
	}
	return n
}

// counts reports whether the runs of another cluster are to be counted.
func (e *Engine[M]) counts(cluster string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	o := e.of[cluster]
	return o != nil && !e.Now().Before(o.uncounted)
}

// Cancel ends a run.
func (e *Engine[M]) Cancel(ctx context.Context, at, superseded string) error {
	cluster, name := naming.Place(at)
	return e.ask(ctx, cluster, answerWithin, func(ctx context.Context, m M) error { return m.Cancel(ctx, name, superseded) })
}

// Prune deletes what is too old of a unit, or in all clusters that answer where unit is "".
func (e *Engine[M]) Prune(ctx context.Context, unit string, keep int) (deleted []plan.Existing, err error) {
	places := []string{unit}
	if unit == "" {
		for _, cluster := range e.Names() {
			if !e.listing(cluster) { // which takes long
				places = append(places, naming.At(cluster, ""))
			}
		}
	}
	some, errs := make([][]plan.Existing, len(places)), make([]error, len(places))
	var asking sync.WaitGroup
	for i, at := range places {
		if cluster, label := naming.Place(at); e.Down(cluster) == nil { // which is told elsewhere
			asking.Go(func() { some[i], errs[i] = e.prune(ctx, cluster, label, keep) })
		}
	}
	asking.Wait()
	return slices.Concat(some...), errors.Join(errs...)
}

// prune deletes what is too old in one cluster. One that cannot say in time what a single unit has is not asked any more.
func (e *Engine[M]) prune(ctx context.Context, cluster, label string, keep int) (deleted []plan.Existing, err error) {
	within, late := answerWithin, false
	if label == "" {
		within = pruneWithin
	}
	ask := func(ctx context.Context, m M) error {
		deleted, err = m.Prune(ctx, label, keep)
		late = label != "" && errors.Is(ctx.Err(), context.DeadlineExceeded)
		return err
	}
	trial := func(ctx context.Context, m M) error {
		_, err := m.Runs(ctx, []string{label})
		return err
	}
	err = e.read(ctx, cluster, read[M]{within, trial}, func(error) bool { return late }, ask)
	return deleted, err
}
