package githost

import (
	"math/rand/v2"
	"time"
)

const (
	firstRetry = time.Minute
	lastRetry  = 10 * time.Minute
)

// backoff says when to try again what failed several times in a row: after 1, 2, 4, 8 and then every 10
// minutes, each shortened by up to a tenth at random, so that what failed together is not tried together.
type backoff struct {
	failures int
	until    time.Time
}

// fail counts a failure of what began at that time.
func (b *backoff) fail(began time.Time) {
	wait := lastRetry
	if b.failures < 4 {
		wait = firstRetry << b.failures
	}
	b.failures++
	b.until = began.Add(wait - rand.N(wait/10))
}

func (b backoff) holds(now time.Time) bool { return now.Before(b.until) }
