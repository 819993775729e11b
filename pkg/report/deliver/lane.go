package deliver

import (
	"container/heap"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/tekton-sentry/sentry/pkg/report"
)

const (
	// minPause and maxPause bound what comes between two tries, which doubles.
	minPause = time.Second
	maxPause = 10 * time.Minute
	// maxUntil bounds how long a sink may ask to be left alone.
	maxUntil = time.Hour
	// maxUnsure is how often a chat is sent a message of which it is not known whether it came: it would show each. unsurePause is
	// what comes between two of them at least.
	maxUnsure   = 3
	unsurePause = time.Minute
	// refusedPause is what comes before the second try of what was refused, which is the last: a proxy or a permission may have been
	// wrong for a moment, and a commit whose last word is lost is pending for ever.
	refusedPause = 30 * time.Second
	// tryFor is how long something is tried: a day later nobody waits for it.
	tryFor = 24 * time.Hour
)

// markLane is the lane of what is noted on runs.
const markLane = "mark"

// item is one delivery on its way, or the mark on a run.
type item struct {
	delivery          report.Delivery // none for a mark
	run               *run
	key, lane, target string
	since             time.Time
	tries             int
	unsure            int // of the tries: that it may have come
	refused           bool
	notBefore         time.Time

	number, at int // of all items, and in its queue
}

// repository returns what the delivery shares its fate with, beside its lane; "" for nothing.
func (it *item) repository() string { return it.delivery.Source.URL }

// receiver is who refuses what it refuses.
func (it *item) receiver() string { return it.lane + " " + it.delivery.Repository }

// current reports whether nothing has taken its place.
func (it *item) current() bool { return it.run.left[it.key] == it }

// settle makes it done.
func (it *item) settle() {
	delete(it.run.left, it.key)
	it.run.done[it.key] = true
}

// queue is a heap of what waits for one sink: what is due first comes first, and of that what was tried least. What is new is due when it
// comes, and what failed after its pause: neither keeps the other waiting for ever.
type queue []*item

func (q queue) Len() int { return len(q) }

func (q queue) Less(i, j int) bool {
	a, b := q[i], q[j]
	switch {
	case !a.notBefore.Equal(b.notBefore):
		return a.notBefore.Before(b.notBefore)
	case a.tries != b.tries:
		return a.tries < b.tries
	}
	return a.number < b.number
}

func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].at, q[j].at = i, j
}

// Push implements heap.Interface.
func (q *queue) Push(x any) {
	it := x.(*item)
	it.at = len(*q)
	*q = append(*q, it)
}

// Pop implements heap.Interface.
func (q *queue) Pop() any {
	last := len(*q) - 1
	it := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	return it
}

// lane is what waits for one sink. All but wake is of who holds Deliverer.mu.
type lane struct {
	name         string
	items        queue
	trouble      trouble             // of the whole sink
	repositories map[string]*trouble // that have any, by URL
	told         bool                // that it fails
	wake         chan struct{}
}

func newLane(name string) *lane {
	return &lane{name: name, repositories: map[string]*trouble{}, wake: make(chan struct{}, 1)}
}

func (l *lane) rouse() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// failed learns that an item did, and reports whether all that waits for the sink waits longer now.
func (l *lane) failed(it *item, now time.Time) bool {
	who := it.target
	if of := it.repository(); of != "" {
		who = of
		t := l.repositories[of]
		if t == nil {
			t = &trouble{}
			l.repositories[of] = t
		}
		t.failed(it.target, now)
	}
	return l.trouble.failed(who, now)
}

// went learns that an item was taken.
func (l *lane) went(it *item) {
	delete(l.repositories, it.repository())
	l.trouble, l.told = trouble{}, false
}

// drive delivers what is in the lane, one by one, until nothing is.
func (d *Deliverer) drive(l *lane) {
	for {
		it, wait, more := d.next(l)
		switch {
		case !more:
			return
		case it != nil:
			d.settled(l, it, d.deliver(it))
		default:
			timer := time.NewTimer(wait)
			select {
			case <-timer.C:
			case <-l.wake:
			case <-d.ctx.Done():
			}
			timer.Stop()
		}
	}
}

// next takes what is due out of the lane, or returns how long nothing is. The lane ends when there is no more.
func (d *Deliverer) next(l *lane) (it *item, wait time.Duration, more bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed || d.ctx.Err() != nil || len(l.items) == 0 {
		if d.lanes[l.name] == l {
			delete(d.lanes, l.name)
		}
		return nil, 0, false
	}
	now := time.Now()
	if wait = l.trouble.notBefore.Sub(now); wait > 0 {
		return nil, wait, true
	}
	for {
		first := l.items[0]
		if wait = first.notBefore.Sub(now); wait > 0 {
			return nil, wait, true
		}
		until := now
		if t := l.repositories[first.repository()]; t != nil {
			until = t.notBefore
		}
		if d.flying[first.target] != nil && !until.After(now) { // by another credential, or as it was before
			until = now.Add(minPause)
		}
		if !until.After(now) {
			d.unqueue(first)
			d.flying[first.target] = first
			return first, 0, true
		}
		first.notBefore = until
		heap.Fix(&l.items, 0)
	}
}

// settled takes in what became of an item.
func (d *Deliverer) settled(l *lane, it *item, o outcome) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.flying, it.target)
	now := time.Now()
	it.tries++
	wait := pause(it.tries)
	if o.unsure && it.delivery.Kind == report.Slack {
		it.unsure++
		wait = max(wait, unsurePause)
	}
	if now.Sub(it.since) > tryFor || it.unsure >= maxUnsure {
		o.again = false
	}
	if o.refused && !it.refused && !d.told[it.receiver()] {
		it.refused, o.again, wait = true, true, max(wait, refusedPause)
	}
	switch {
	case o.again && !o.refused:
		d.failed(l, it, o, now)
	case o.again: // it alone
	case o.err == nil:
		l.went(it)
		delete(d.told, it.receiver())
		if o.told {
			d.record(it)
		}
	case it.current():
		d.say(it, o.err)
	}
	switch {
	case !it.current():
		d.outlived(it, o)
	case o.again && d.runs[it.run.facts.Run] == it.run:
		it.notBefore = now.Add(wait)
		d.put(it)
	default:
		it.settle()
	}
	d.finish(it.run, true)
}

// outlived has what took the place of an item while that was on its way know what became of it. A status is read back anyway. It is
// called with d.mu held.
func (d *Deliverer) outlived(it *item, o outcome) {
	next := it.run.left[it.key]
	if next == nil || it.delivery.Kind == report.CommitStatus {
		return
	}
	next.unsure = max(next.unsure, it.unsure)
	if o.err == nil || next.unsure >= maxUnsure {
		if d.queued[next.target] == next {
			d.unqueue(next)
		}
		next.settle()
	}
}

// failed has what waits for the sink wait after a failure that may go away.
func (d *Deliverer) failed(l *lane, it *item, o outcome, now time.Time) {
	if all := l.failed(it, now); (all || it.tries == patience) && !l.told {
		l.told = true
		d.Log.Warn("reports wait for their receiver, and are tried again", append(it.names(), "err", o.err)...)
	}
	l.trouble.until(o.until, now)
}

// patience is how many may fail, one after the other, until it is the fault of what they have in common: three statuses are the
// repository's, and statuses of three repositories the host's.
const patience = 3

// trouble is who failed since something went well.
type trouble struct {
	who       []string // at most patience
	waits     int      // since they are so many
	notBefore time.Time
}

// failed learns who did, and reports whether all wait now.
func (t *trouble) failed(who string, now time.Time) bool {
	if len(t.who) < patience && !slices.Contains(t.who, who) {
		t.who = append(t.who, who)
	}
	if len(t.who) < patience {
		return false
	}
	t.waits++
	t.notBefore = now.Add(pause(t.waits))
	return true
}

// until has all wait for as long as somebody asks for.
func (t *trouble) until(until, now time.Time) {
	if latest := now.Add(maxUntil); until.After(latest) {
		until = latest
	}
	if until.After(t.notBefore) {
		t.notBefore = until
	}
}

// pause returns what comes before the next try, after so many.
func pause(tries int) time.Duration {
	d := maxPause
	if tries < 16 {
		d = min(d, minPause<<(tries-1))
	}
	return d - rand.N(d/5)
}

// maxTold bounds what is remembered of what the log was told.
const maxTold = 1000

// say tells the log, once a receiver and repository, that something is given up.
func (d *Deliverer) say(it *item, err error) {
	if d.told[it.receiver()] {
		return
	}
	if len(d.told) < maxTold {
		d.told[it.receiver()] = true
	}
	d.Log.Warn("a report is given up, and others of its kind go untold", append(it.names(), "err", err)...)
}
