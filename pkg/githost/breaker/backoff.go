// Package breaker holds what tells when to ask again what failed.
package breaker

import (
	"math/rand/v2"
	"time"
)

const (
	firstRetry = time.Minute
	lastRetry  = 10 * time.Minute
)

// Backoff says when to try again what failed several times in a row: after 1, 2, 4, 8 and then every 10
// minutes, each shortened by up to a tenth at random, so that what failed together is not tried together.
type Backoff struct {
	Failures int
	Until    time.Time
}

// Fail counts a failure of what began at that time.
func (b *Backoff) Fail(began time.Time) {
	wait := lastRetry
	if b.Failures < 4 {
		wait = firstRetry << b.Failures
	}
	b.Failures++
	b.Until = began.Add(wait - rand.N(wait/10))
}

// Holds reports whether it is too early to try again.
func (b Backoff) Holds(now time.Time) bool { return now.Before(b.Until) }
