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

// pace gives each request of a round its own time to go.
type pace struct {
	spacing time.Duration // on average, from one request to the next
	slot    time.Time     // of the next request, without the burst
}

// spreadOver spreads so many requests.
func (p *pace) spreadOver(requests int) {
	p.spacing = spread / time.Duration(max(slowestRound, requests))
}

// take returns when the next request may go. That may be before now.
func (p *pace) take(now time.Time) time.Time {
	if p.slot.Before(now) {
		p.slot = now
	}
	tick := max(burst*p.spacing, shortest)
	at := p.slot.Add(-tick)
	p.slot = p.slot.Add(p.spacing/2 + rand.N(p.spacing))
	if !at.After(now) {
		return at
	}
	return at.Truncate(tick).Add(tick)
}

// SpreadOver spreads the rest of the round for so many repositories.
func (g *Gate) SpreadOver(repositories int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pace.spreadOver(repositories)
}
