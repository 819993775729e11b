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

// read asks a cluster for something, and changes nothing there.
type read[M Member] struct {
	within time.Duration
	ask    func(context.Context, M) error
}

// listing is a list of all runs of a cluster, which is read beside the loop.
type listing struct {
	began time.Time
	done  chan struct{} // closed when the rest is there
	runs  []engine.Run
	err   error
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

// read is ask of what begins by a read, such as the one by which it is tried again. A cluster that fails, in a way that tells of more than of what was asked, is not asked any more. What
// cannot be created says nothing of a cluster: that is a unit's own trouble, as in the one that Sentry runs in.
func (e *Engine[M]) read(ctx context.Context, cluster string, again read[M], tells func(error) bool, f func(context.Context, M) error) error {
	var of M
	err := e.ask(ctx, cluster, again.within, func(ctx context.Context, m M) error {
		of = m
		return f(ctx, m)
	})
	_, known := errors.AsType[*engine.DownError](err)
	_, busy := errors.AsType[interface { // Sentry itself leaves it alone for a moment, perhaps since a webhook hangs
		error
		NotSent()
	}](err)
	if err == nil || cluster == "" || known || busy || errors.Is(ctx.Err(), context.Canceled) || any(of) == any(*new(M)) || !tells(err) {
		return err
	}
	err = &engine.DownError{Cluster: cluster, Err: err}
	e.note(cluster, of, again, err)
	return err
}

// Read has f read something of a run in a cluster, unless that does not answer.
func (e *Engine[M]) Read(ctx context.Context, cluster string, f func(context.Context, M) error) error {
	return e.read(ctx, cluster, read[M]{answerWithin, f}, unanswered, f)
}

// unanswered reports whether an error says more of the cluster than of what was asked.
func unanswered(err error) bool {
	k, ok := errors.AsType[interface {
		error
		ProblemKind() string
	}](err)
	return !ok || k.ProblemKind() == "temporary"
}

// always is of reads that any cluster has to answer: one that refuses them, such as for a token that has expired, is as good as away.
func always(error) bool { return true }

// refusal returns why a cluster is not asked. Now and then it has it tried, beside, by what it did not answer.
func (e *Engine[M]) refusal(ctx context.Context, cluster string) error {
	e.mu.Lock()
	o := e.of[cluster]
	if o == nil || o.down == nil {
		e.mu.Unlock()
		return nil
	}
	down, again := o.down, o.again
	try := !o.trying && e.Now().Sub(o.tried) >= o.pause
	if try {
		o.tried, o.trying = e.Now(), true
	}
	e.mu.Unlock()
	if try {
		e.try(func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), again.within)
			defer cancel()
			e.noteTrial(cluster, o, again.ask(ctx, o.engine))
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

// note keeps that a cluster does not answer.
func (e *Engine[M]) note(cluster string, of M, r read[M], err error) {
	e.mu.Lock()
	o := e.of[cluster]
	if o == nil || any(o.engine) != any(of) || o.down != nil { // another kubeconfig, or known
		e.mu.Unlock()
		return
	}
	if o.pause == 0 || e.Now().Sub(o.back) >= forgiven {
		o.pause = tryEvery
	} else {
		o.pause = min(2*o.pause, tryAtMost)
	}
	o.down, o.again, o.tried = err, r, e.Now()
	e.mu.Unlock()
	if e.Changed != nil {
		e.Changed(cluster, err)
	}
}

// noteTrial keeps what became of a trial.
func (e *Engine[M]) noteTrial(cluster string, o *other[M], err error) {
	e.mu.Lock()
	o.trying = false
	if err != nil {
		o.pause = min(2*o.pause, tryAtMost)
	} else {
		o.down, o.back = nil, e.Now()
	}
	current := e.of[cluster] == o
	e.mu.Unlock()
	if err == nil && current && e.Changed != nil {
		e.Changed(cluster, nil)
	}
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

// list returns the runs of units of another cluster.
func (e *Engine[M]) list(ctx context.Context, cluster string, labels []string) (runs []engine.Run, err error) {
	if !slices.Contains(e.Names(), cluster) {
		return nil, nil
	}
	switch all := len(labels) == 0 || slices.Contains(labels, ""); {
	case all && e.Patience > 0:
		runs, err = e.beside(ctx, cluster)
	case all:
		runs, err = e.listed(ctx, cluster, nil, allWithin)
	default:
		runs, err = e.listed(ctx, cluster, labels, answerWithin)
	}
	if err == nil {
		return runs, nil
	}
	if _, down := errors.AsType[*engine.DownError](err); !down {
		err = &engine.DownError{Cluster: cluster, Err: err}
	}
	return nil, err
}

func (e *Engine[M]) listed(ctx context.Context, cluster string, labels []string, within time.Duration) (runs []engine.Run, err error) {
	ask := func(ctx context.Context, m M) error {
		_, err := m.Runs(ctx, labels)
		return err
	}
	err = e.read(ctx, cluster, read[M]{within, ask}, always, func(ctx context.Context, m M) (err error) {
		runs, err = m.Runs(ctx, labels)
		return err
	})
	return runs, err
}

// errListing says that a list takes longer than the loop waits.
var errListing = errors.New("its runs are still being listed, and nothing begins there before they are known")

// beside returns all runs of a cluster: those of a list that went on beside, or of one that begins now and is there in time.
func (e *Engine[M]) beside(ctx context.Context, cluster string) ([]engine.Run, error) {
	e.mu.Lock()
	o := e.of[cluster]
	if o == nil {
		e.mu.Unlock()
		return nil, nil
	}
	if o.all == nil || o.all.over() && o.all.err != nil {
		l := &listing{began: e.Now(), done: make(chan struct{})}
		o.all = l
		go func() {
			defer close(l.done)
			l.runs, l.err = e.listed(context.WithoutCancel(ctx), cluster, nil, besideWithin)
		}()
	}
	l := o.all
	e.mu.Unlock()
	patience := time.NewTimer(e.Patience - e.Now().Sub(l.began)) // a later look does not wait again
	defer patience.Stop()
	select {
	case <-l.done:
	case <-patience.C:
		if !l.over() {
			return nil, errListing
		}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if o.all == l {
		o.all = nil
	}
	return l.runs, l.err
}

// over reports whether it goes on no more.
func (l *listing) over() bool {
	select {
	case <-l.done:
		return true
	default:
		return false
	}
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

// listing reports whether all runs of another cluster are being listed.
func (e *Engine[M]) listing(cluster string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	o := e.of[cluster]
	return o != nil && o.all != nil && !o.all.over()
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
