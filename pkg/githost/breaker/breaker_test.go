package breaker

import (
	"testing"
	"time"

	"github.com/tekton-sentry/sentry/pkg/githost"
)

// Each row is what happens to a breaker, and for how long it is open then, at least and at most.
func TestBreaker(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	down := githost.NewError(githost.Temporary, "h", "down")
	until := func(d time.Duration) *githost.Error {
		e := *githost.NewError(githost.RateLimited, "h", "limited")
		e.Until = start.Add(d)
		return &e
	}
	fail := func(err *githost.Error) func(*Breaker) { return func(b *Breaker) { b.Fail(start, err) } }
	keep := func(d time.Duration) func(*Breaker) {
		return func(b *Breaker) { b.OpenUntil(start.Add(d), until(d)) }
	}
	shut := (*Breaker).Close
	for name, test := range map[string]struct {
		events      []func(*Breaker)
		least, most time.Duration
		after       State
	}{
		"new":                       {nil, 0, 0, Closed},
		"one failure":               {[]func(*Breaker){fail(down)}, 54 * time.Second, time.Minute, HalfOpen},
		"two":                       {[]func(*Breaker){fail(down), fail(down)}, 108 * time.Second, 2 * time.Minute, HalfOpen},
		"four":                      {[]func(*Breaker){fail(down), fail(down), fail(down), fail(down)}, 432 * time.Second, 8 * time.Minute, HalfOpen},
		"five":                      {[]func(*Breaker){fail(down), fail(down), fail(down), fail(down), fail(down)}, 9 * time.Minute, 10 * time.Minute, HalfOpen},
		"closed again":              {[]func(*Breaker){fail(down), fail(down), shut}, 0, 0, Closed},
		"a failure after that":      {[]func(*Breaker){fail(down), fail(down), shut, fail(down)}, 54 * time.Second, time.Minute, HalfOpen},
		"a time that is named":      {[]func(*Breaker){keep(5 * time.Second)}, 5 * time.Second, 5 * time.Second, HalfOpen},
		"an earlier one":            {[]func(*Breaker){keep(9 * time.Second), keep(5 * time.Second)}, 9 * time.Second, 9 * time.Second, HalfOpen},
		"a time that is over":       {[]func(*Breaker){keep(-time.Second)}, 0, 0, HalfOpen},
		"a failure that names one":  {[]func(*Breaker){fail(until(time.Hour))}, time.Hour, time.Hour, HalfOpen},
		"one that names an earlier": {[]func(*Breaker){fail(until(time.Second))}, 54 * time.Second, time.Minute, HalfOpen},
		"for good":                  {[]func(*Breaker){func(b *Breaker) { b.Trip(down) }}, 1000 * time.Hour, 0, Open},
		"for good, and a failure":   {[]func(*Breaker){func(b *Breaker) { b.Trip(down) }, keep(time.Second)}, 1000 * time.Hour, 0, Open},
	} {
		var b Breaker
		for _, event := range test.events {
			event(&b)
		}
		for at, want := range map[time.Duration]State{0: Open, test.least - 1: Open, test.most: test.after, 2000 * time.Hour: test.after} {
			if at < 0 || test.least == 0 && want == Open {
				continue
			}
			now := start.Add(at)
			if got := b.State(now); got != want {
				t.Errorf("%s: after %s it is in state %d, want %d", name, at, got, want)
			}
			if why := b.Why(now); (why != nil) != (want == Open) {
				t.Errorf("%s: after %s it is open for %v", name, at, why)
			}
		}
		if got := b.Until(); test.after == Open != got.IsZero() && test.least > 0 {
			t.Errorf("%s: it is open until %v", name, got)
		}
	}
}

// What failed together is not tried together.
func TestJitter(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	times := make(map[time.Time]bool)
	for range 100 {
		var b Breaker
		b.Fail(start, githost.NewError(githost.Temporary, "h", "down"))
		times[b.Until()] = true
	}
	if len(times) < 50 {
		t.Errorf("a hundred breakers that opened together are half-open at %d times", len(times))
	}
}
