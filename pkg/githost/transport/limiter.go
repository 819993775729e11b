package transport

import (
	"math/rand/v2"
	"time"
)

const (
	// spread is over how much time the requests of a round go out: a third of the shortest interval. Below
	// 1,000 requests it is less, for they go out at 50 a second at least.
	spread       = 20 * time.Second
	slowestRound = 1000
	// burst is how many requests may go out at once, at first and from then on, and shortest how much time there is at
	// least from one burst to the next: with more requests than that, the bursts are larger. A burst is as many as a
	// Host has under way at a time, or some times that: waking up for each request alone, or for a few of them a
	// hundred times a second, costs more processor time than sending them.
	burst    = 8
	shortest = 128 * time.Millisecond
)

// limiter is a rate limiter: it gives each request of a round its own time to go.
type limiter struct {
	spacing time.Duration // on average, from one request to the next
	slot    time.Time     // of the next request, without the burst
}

// spacing returns the time between two of so many requests.
func spacing(requests int) time.Duration { return spread / time.Duration(max(slowestRound, requests)) }

// take returns when the next request may go. That may be before now.
func (l *limiter) take(now time.Time) time.Time {
	if l.slot.Before(now) {
		l.slot = now
	}
	tick := max(burst*l.spacing, shortest)
	at := l.slot.Add(-tick)
	l.slot = l.slot.Add(l.spacing/2 + rand.N(l.spacing))
	if !at.After(now) {
		return at
	}
	return at.Truncate(tick).Add(tick)
}

// SpreadOver spreads the rest of the round for so many repositories, where each of so many replicas asks for as many: together they
// ask no faster than one.
func (g *Gate) SpreadOver(repositories, replicas int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	replicas = max(1, replicas)
	g.limiter.spacing = spacing(repositories*replicas) * time.Duration(replicas)
}
