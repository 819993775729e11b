package deliver

import (
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
	// tryFor is how long something is tried: a day later nobody waits for it.
	tryFor = 24 * time.Hour
	// patience is how many failures in a row a sink may have before all that waits for it waits longer. One or two may be the
	// fault of a single repository.
	patience = 3
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
	notBefore         time.Time
}

// settle makes it done.
func (it *item) settle() {
	delete(it.run.left, it.key)
	it.run.done[it.key] = true
}

// lane is what waits for one sink. All but wake is of who holds Deliverer.mu.
type lane struct {
	name      string
	items     []*item
	streak    int // failures in a row
	notBefore time.Time
	told      bool // that it fails
	wake      chan struct{}
}

func (l *lane) rouse() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (l *lane) remove(it *item) {
	l.items = slices.DeleteFunc(l.items, func(other *item) bool { return other == it })
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
	if wait = l.notBefore.Sub(now); wait > 0 {
		return nil, wait, true
	}
	wait = maxPause
	for _, candidate := range l.items {
		pause := candidate.notBefore.Sub(now)
		if d.flying[candidate.target] != nil { // in another lane, as with the credential of before
			pause = max(pause, minPause)
		}
		if pause <= 0 {
			d.unqueue(candidate)
			d.flying[candidate.target] = candidate
			return candidate, 0, true
		}
		wait = min(wait, pause)
	}
	return nil, wait, true
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
	if o.again {
		d.failed(l, it, o, now)
		if d.runs[it.run.facts.Run] == it.run && it.run.left[it.key] == it {
			it.notBefore = now.Add(wait)
			d.put(it)
			d.finish(it.run, true)
		}
		return
	}
	if o.err == nil {
		l.streak, l.notBefore, l.told = 0, time.Time{}, false
		if o.told {
			d.record(it)
		}
	} else {
		d.say(it, o.err)
	}
	it.settle()
	d.finish(it.run, true)
}

// failed has the lane wait after a failure that may go away.
func (d *Deliverer) failed(l *lane, it *item, o outcome, now time.Time) {
	l.streak++
	if l.streak >= patience {
		l.notBefore = now.Add(pause(l.streak - patience + 1))
		if !l.told {
			l.told = true
			d.Log.Warn("reports wait for their receiver, and are tried again", append(it.names(), "err", o.err)...)
		}
	}
	if until := o.until; until.After(l.notBefore) {
		if latest := now.Add(maxUntil); until.After(latest) {
			until = latest
		}
		l.notBefore = until
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
	key := it.lane + " " + it.delivery.Repository
	if d.told[key] {
		return
	}
	if len(d.told) < maxTold {
		d.told[key] = true
	}
	d.Log.Warn("a report is given up, and others of its kind go untold", append(it.names(), "err", err)...)
}
