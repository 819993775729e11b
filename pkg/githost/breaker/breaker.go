// Package breaker is the circuit breaker of everything that is not asked for a while: an endpoint, its credential, one of
// its quotas, a capability such as hints or GraphQL, a repository.
package breaker

import (
	"math/rand/v2"
	"time"

	"github.com/tekton-sentry/sentry/pkg/githost"
)

const (
	firstBackoff = time.Minute
	lastBackoff  = 10 * time.Minute
)

// forever is until when a breaker is open that a restart alone closes.
var forever = time.Unix(1<<40, 0)

// State is what a Breaker lets through.
type State int

// The states of a Breaker.
const (
	Closed   State = iota // all
	Open                  // nothing
	HalfOpen              // a first request, which decides
)

// Breaker is closed at first. A failure opens it for a time; then it is half-open, until something closes it or a failure
// opens it again, for longer. Its caller serves one goroutine at a time.
type Breaker struct {
	failures int // since it was closed
	until    time.Time
	err      *githost.Error // the last failure
}

// State returns the state at a time.
func (b *Breaker) State(now time.Time) State {
	switch {
	case now.Before(b.until):
		return Open
	case b.err != nil:
		return HalfOpen
	}
	return Closed
}

// Why returns the failure that keeps a breaker open at a time, nil when it is not open.
func (b *Breaker) Why(now time.Time) *githost.Error {
	if b.State(now) != Open {
		return nil
	}
	return b.err
}

// Until returns when an open breaker gets half-open, zero when it never does.
func (b *Breaker) Until() time.Time {
	if b.until.Equal(forever) {
		return time.Time{}
	}
	return b.until
}

// Fail opens a breaker with exponential backoff from when the attempt began: for 1, 2, 4, 8 and then always 10 minutes,
// each shortened by up to a tenth at random, so that what failed together is not tried together. It is longer where the
// error names a later time.
func (b *Breaker) Fail(began time.Time, err *githost.Error) {
	wait := lastBackoff
	if b.failures < 4 {
		wait = firstBackoff << b.failures
	}
	b.failures++
	b.err, b.until = err, began.Add(wait-rand.N(wait/10))
	b.OpenUntil(err.Until, err)
}

// OpenUntil keeps a breaker open until a time, if it is not open for longer.
func (b *Breaker) OpenUntil(until time.Time, err *githost.Error) {
	if until.After(b.until) {
		b.err, b.until = err, until
	}
}

// Trip opens a breaker for good.
func (b *Breaker) Trip(err *githost.Error) { b.err, b.until = err, forever }

// Close closes a breaker.
func (b *Breaker) Close() { *b = Breaker{} }
