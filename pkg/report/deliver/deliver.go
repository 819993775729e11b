// Package deliver takes what is owed about runs to the hosts and receivers that it is owed to. Each has a lane of its own, so that
// one that hangs holds up no other. Nothing is remembered but on the runs: whoever hands the same run in again, after a restart,
// has what is left of it delivered.
package deliver

import (
	"container/heap"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/notify"
	"github.com/tekton-sentry/sentry/pkg/plan/naming"
	"github.com/tekton-sentry/sentry/pkg/report"
	"github.com/tekton-sentry/sentry/pkg/report/mark"
)

const (
	// maxSize bounds what waits to be delivered, in runs, their deployments and what is owed about them, all together: some 20 MB.
	maxSize = 25_000
)

// ErrFull says that so much waits that no more is taken.
var ErrFull = errors.New("too many runs wait to be reported")

// Options are what a Deliverer needs. All must be set.
type Options struct {
	Log *slog.Logger
	// Statuses returns what writes the statuses of a repository's commits.
	Statuses  func(config.Source) (githost.Statuses, error)
	Transport http.RoundTripper // to receivers; the context alone bounds how long it waits for an answer
	Version   string            // of Sentry
	// Mark notes on a run what was reported of it; at is as naming.At has it. An error that is Lasting is not tried again.
	Mark    func(ctx context.Context, at string, p mark.Phase) error
	Lasting func(error) bool
}

// Deliverer delivers. Any goroutine may use it.
type Deliverer struct {
	Options
	client *http.Client
	end    context.CancelFunc
	ctx    context.Context // of what is on its way
	work   sync.WaitGroup  // a goroutine for each lane that has something to do

	mu     sync.Mutex
	find   func(name string) *config.Repository
	runs   map[string]*run
	size   int // of the runs
	lanes  map[string]*lane
	queued map[string]*item // by target
	flying map[string]*item // by target
	number int              // of items so far
	told   map[string]bool  // what the log was told once
	closed bool
}

// run is one of which something is owed.
type run struct {
	facts *report.Facts
	size  int              // as of maxSize
	left  map[string]*item // by key
	done  map[string]bool  // by key: delivered, or useless
}

// phase returns what is reported of the run once nothing is left.
func (r *run) phase() mark.Phase {
	if r.facts.Result != nil {
		return mark.Ended
	}
	return mark.Pending
}

// New returns a Deliverer that follows the configuration. Close ends it.
func New(cfg *config.Config, o Options) *Deliverer {
	d := &Deliverer{
		Options: o, client: notify.NewClient(o.Transport, timeout), find: finder(cfg), runs: map[string]*run{}, lanes: map[string]*lane{},
		queued: map[string]*item{}, flying: map[string]*item{}, told: map[string]bool{},
	}
	d.ctx, d.end = context.WithCancel(context.Background())
	return d
}

func finder(cfg *config.Config) func(name string) *config.Repository {
	byName := make(map[string]*config.Repository, len(cfg.Repositories))
	for i := range cfg.Repositories {
		byName[cfg.Repositories[i].Name] = &cfg.Repositories[i]
	}
	return func(name string) *config.Repository { return byName[name] }
}

// Apply makes it follow another configuration, also in what waits. What is on its way goes on; where something else is owed now, that
// follows it.
func (d *Deliverer) Apply(cfg *config.Config) {
	find := finder(cfg)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.find = find
	if d.closed { // what is on its way is the last
		return
	}
	clear(d.told) // another credential may fail otherwise
	clear(d.queued)
	for _, l := range d.lanes {
		l.items = nil
		l.rouse() // as it may be at its end
	}
	for _, r := range d.runs {
		d.plan(r, report.Owed(d.find, r.facts))
	}
}

// AsksPast reports whether it matters how the run of the unit before this one ended.
func (d *Deliverer) AsksPast(f *report.Facts) bool {
	d.mu.Lock()
	find := d.find
	d.mu.Unlock()
	return report.AsksPast(find, f)
}

// Take has delivered what is owed about the run, in place of what was owed about it before. It never waits. Whoever hands in what
// was delivered has receivers told again.
func (d *Deliverer) Take(f *report.Facts) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	owed := report.Owed(d.find, f)
	r := &run{facts: f, size: 1 + len(f.Members) + len(owed), done: map[string]bool{}}
	before := d.runs[f.Run]
	switch {
	case d.closed:
		return nil
	case before == nil && d.size+r.size > maxSize:
		return ErrFull
	case before != nil:
		for _, it := range before.left {
			if d.queued[it.target] == it {
				d.unqueue(it)
			}
		}
		d.drop(before)
	}
	d.runs[f.Run] = r
	d.size += r.size
	d.plan(r, owed)
	return nil
}

// Crowded reports whether more than half of the room is taken.
func (d *Deliverer) Crowded() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.size > maxSize/2
}

// Close begins nothing more, and waits for what is on its way, but not beyond the end of ctx.
func (d *Deliverer) Close(ctx context.Context) {
	d.mu.Lock()
	d.closed = true
	for _, l := range d.lanes {
		l.rouse()
	}
	d.mu.Unlock()
	defer d.end()
	defer context.AfterFunc(ctx, d.end)()
	d.work.Wait()
}

// plan puts what is owed about a run, and is neither done nor on its way just so, into its lanes. Nothing about it is in one. It is
// called with d.mu held.
func (d *Deliverer) plan(r *run, owed []report.Delivery) {
	before := r.left
	r.left = map[string]*item{}
	for _, delivery := range owed {
		it := &item{delivery: delivery, run: r, key: delivery.Key(), lane: delivery.Lane(), target: delivery.Target(), since: time.Now()}
		if r.done[it.key] {
			continue
		}
		if old := before[it.key]; old != nil {
			if d.flying[old.target] == old && same(old.delivery, delivery) {
				r.left[it.key] = old
				continue
			}
			it.since, it.unsure = old.since, old.unsure
		}
		r.left[it.key] = it
		d.put(it)
	}
	d.finish(r, len(owed) > 0)
}

// same reports whether two deliveries about the same say the same, with the same credential.
func same(a, b report.Delivery) bool {
	return a.Source == b.Source && a.Status == b.Status && a.Leads == b.Leads
}

// put queues an item, unless a newer run has something to say about the same. It is called with d.mu held.
func (d *Deliverer) put(it *item) {
	for _, other := range []*item{d.queued[it.target], d.flying[it.target]} {
		if other != nil && other.run.facts.Created.After(it.run.facts.Created) {
			it.settle()
			return
		}
	}
	if other := d.queued[it.target]; other != nil {
		d.unqueue(other)
		other.settle()
		defer d.finish(other.run, true)
	}
	if d.closed {
		return
	}
	l := d.lanes[it.lane]
	if l == nil {
		l = newLane(it.lane)
		d.lanes[it.lane] = l
		d.work.Go(func() { d.drive(l) })
	}
	if it.notBefore.IsZero() { // those that come later do not go before what is tried again by then
		it.notBefore = time.Now()
	}
	d.number++
	it.number = d.number
	d.queued[it.target] = it
	heap.Push(&l.items, it)
	l.rouse()
}

// unqueue takes an item that is queued out of its lane, which is gone where nothing is begun any more. It is called with d.mu held.
func (d *Deliverer) unqueue(it *item) {
	delete(d.queued, it.target)
	if l := d.lanes[it.lane]; l != nil {
		heap.Remove(&l.items, it.at)
	}
}

// finish has it noted on the run that nothing is left, where something was. A run that has ended is marked in any case: what is
// configured later concerns later runs. It is called with d.mu held.
func (d *Deliverer) finish(r *run, owed bool) {
	switch {
	case d.runs[r.facts.Run] != r || len(r.left) > 0:
	case !owed && r.phase() == mark.Pending:
		d.drop(r)
	default:
		it := &item{run: r, key: "mark " + string(r.phase()), lane: naming.At(r.facts.Cluster, markLane), target: "mark " + r.facts.Run, since: time.Now()}
		if r.done[it.key] {
			d.drop(r)
			return
		}
		if on := d.flying[it.target]; on != nil && on.run == r {
			r.left[it.key] = on
			return
		}
		r.left[it.key] = it
		d.put(it)
	}
}

// drop forgets a run. It is called with d.mu held.
func (d *Deliverer) drop(r *run) {
	if d.runs[r.facts.Run] == r {
		delete(d.runs, r.facts.Run)
		d.size -= r.size
	}
}
