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
	// listWithin bounds a list of another cluster's runs in all. One request has a bound of its own.
	listWithin = 30 * time.Second
	// tryEvery is how often a cluster that does not answer is tried again at most.
	tryEvery = 10 * time.Second
	// nothing is a label of which there is no unit.
	nothing = "sentry..none"
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

	home M
	mu   sync.Mutex
	of   map[string]*other[M]
}

// other is a cluster beside the one that Sentry runs in.
type other[M Member] struct {
	engine M
	down   error     // why it is not asked; nil = it is
	tried  time.Time // when it was asked last while down
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

// never is when one is tried that has no engine.
var never = time.Unix(1<<40, 0)

// Names returns the names of the others, sorted.
func (e *Engine[M]) Names() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Sorted(maps.Keys(e.of))
}

// Home returns the engine of the cluster that Sentry runs in.
func (e *Engine[M]) Home() M { return e.home }

// Down returns why a cluster is not asked now; nil where it is.
func (e *Engine[M]) Down(cluster string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if o := e.of[cluster]; o != nil {
		return o.down
	}
	return nil
}

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

// ask has f ask a cluster, unless it does not answer. It notes whether it did.
func (e *Engine[M]) ask(ctx context.Context, cluster string, f func(M) error) error {
	if cluster == "" {
		return f(e.home)
	}
	m, _, err := e.Of(naming.At(cluster, ""))
	if err != nil {
		return err
	}
	if down := e.refusal(ctx, cluster); down != nil {
		return down
	}
	if err = f(m); err == nil || errors.Is(ctx.Err(), context.Canceled) || !unanswered(err) {
		return err
	}
	err = &engine.DownError{Cluster: cluster, Err: err}
	e.note(cluster, m, err)
	return err
}

// unanswered reports whether an error says more of the cluster than of what was asked.
func unanswered(err error) bool {
	if errors.Is(err, engine.ErrNameTaken) {
		return false
	}
	k, ok := errors.AsType[interface {
		error
		ProblemKind() string
	}](err)
	return !ok || k.ProblemKind() == "temporary"
}

// refusal returns why a cluster is not asked. Now and then it has it tried, beside.
func (e *Engine[M]) refusal(ctx context.Context, cluster string) error {
	e.mu.Lock()
	o := e.of[cluster]
	if o == nil || o.down == nil {
		e.mu.Unlock()
		return nil
	}
	down, again := o.down, e.Now().Sub(o.tried) >= tryEvery
	if again {
		o.tried = e.Now()
	}
	e.mu.Unlock()
	if again {
		e.try(func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), listWithin)
			defer cancel()
			if _, err := o.engine.Runs(ctx, []string{nothing}); err == nil {
				e.note(cluster, o.engine, nil)
			}
		})
	}
	return down
}

func (e *Engine[M]) try(f func()) {
	if e.Try != nil {
		e.Try(f)
		return
	}
	go f()
}

// note keeps whether a cluster answers.
func (e *Engine[M]) note(cluster string, of M, err error) {
	e.mu.Lock()
	o := e.of[cluster]
	if o == nil || any(o.engine) != any(of) || (o.down == nil) == (err == nil) { // another kubeconfig, or known
		e.mu.Unlock()
		return
	}
	o.down, o.tried = err, e.Now()
	e.mu.Unlock()
	if e.Changed != nil {
		e.Changed(cluster, err)
	}
}

// Create makes the run exist, in the cluster of its group.
func (e *Engine[M]) Create(ctx context.Context, cfg *config.Config, run plan.Run) (made engine.Made, err error) {
	err = e.ask(ctx, run.Group.Cluster, func(m M) (err error) {
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

// list returns the runs of units of another cluster.
func (e *Engine[M]) list(ctx context.Context, cluster string, labels []string) (runs []engine.Run, err error) {
	if slices.Contains(labels, "") {
		labels = nil
	}
	if !slices.Contains(e.Names(), cluster) {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, listWithin)
	defer cancel()
	err = e.ask(ctx, cluster, func(m M) (err error) {
		runs, err = m.Runs(ctx, labels)
		return err
	})
	if err != nil && unlike(err) { // a right that is missing, say: what there is is not known either
		err = &engine.DownError{Cluster: cluster, Err: err}
	}
	return runs, err
}

func unlike(err error) bool {
	_, down := errors.AsType[*engine.DownError](err)
	return !down
}

// Active returns how many runs have not finished, of those that are wanted, in the clusters that answer.
func (e *Engine[M]) Active(ctx context.Context, want func(plan.Existing) bool) (int, error) {
	n, err := e.home.Active(ctx, want)
	if err != nil {
		return 0, err
	}
	for _, cluster := range e.Names() {
		_ = e.ask(ctx, cluster, func(m M) error { // whose runs cannot be counted
			more, err := m.Active(ctx, want)
			n += more
			return err
		})
	}
	return n, nil
}

// Cancel ends a run.
func (e *Engine[M]) Cancel(ctx context.Context, at, superseded string) error {
	cluster, name := naming.Place(at)
	return e.ask(ctx, cluster, func(m M) error { return m.Cancel(ctx, name, superseded) })
}

// Prune deletes what is too old of a unit, or in all clusters that answer where unit is "".
func (e *Engine[M]) Prune(ctx context.Context, unit string, keep int) (deleted []plan.Existing, err error) {
	places := []string{unit}
	if unit == "" {
		for _, cluster := range e.Names() {
			places = append(places, naming.At(cluster, ""))
		}
	}
	var errs []error
	for _, at := range places {
		cluster, label := naming.Place(at)
		if e.Down(cluster) != nil {
			continue // which is told elsewhere
		}
		errs = append(errs, e.ask(ctx, cluster, func(m M) error {
			some, err := m.Prune(ctx, label, keep)
			deleted = append(deleted, some...)
			return err
		}))
	}
	return deleted, errors.Join(errs...)
}
