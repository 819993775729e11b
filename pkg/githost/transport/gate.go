package transport

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/breaker"
)

const (
	// MaxProbes is how many requests may fail, one after the other, before a host that was well is given up
	// for a round. One or two may be the fault of a single repository.
	MaxProbes = 3
	// maxStreak is how many failures in a row end a round in which the host had answered.
	maxStreak = 10
	// maxRefusals is how many 401 in a row condemn a credential. Hosts that see more take it for an attack.
	maxRefusals = 3
)

// Gate is the budget of an endpoint: every request to it passes here. A round is what one call of the Reader
// asks. In a round the first request goes alone, and the others once it was answered; failures end it. From
// round to round a gate remembers when the host may be asked again.
type Gate struct {
	next       http.RoundTripper
	name       string // host[:port]
	credential bool   // a 401 is about the credential, and not only about a repository
	patience   time.Duration

	mu   sync.Mutex
	news chan struct{} // closed when those who wait shall look again; nil when nobody waits

	began    time.Time
	probes   int            // how many requests of this round may fail before one is answered
	proven   bool           // a good answer came in this round
	answered int            // requests of this round that got any answer of a host that works
	failed   int            // requests of this round that did not
	streak   int            // of them since the last answer
	flying   int            // requests under way
	launched time.Time      // the last of them
	over     *githost.Error // why nothing more is sent in this round
	pace     pace

	failure  *githost.Error // the last one
	down     breaker.Backoff
	limits   limits
	refusals int // 401 in a row
	revoked  *githost.Error

	requests, failures int // since the start
}

// NewGate returns the budget of an endpoint, with its name host[:port]. credential says that requests carry one, and
// patience is how long the first request of a round may keep the others waiting before one more goes.
func NewGate(base http.RoundTripper, name string, credential bool, patience time.Duration) *Gate {
	g := &Gate{name: name, credential: credential, patience: patience}
	g.next = &quota{base, g}
	return g
}

// Standing returns why the endpoint is not to be asked now, or nil.
func (g *Gate) Standing(now time.Time) *githost.Error {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.revoked != nil:
		return g.revoked
	case g.limits[""].Holds(now):
		return g.limits[""].err
	case g.down.Holds(now):
		return g.failure
	}
	return nil
}

// Ailing reports whether the host failed as a whole when it was asked last.
func (g *Gate) Ailing() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.down.Failures > 0
}

// Begin begins a round that is over once so many requests failed and none was answered. A host that failed
// as a whole before gets one.
func (g *Gate) Begin(now time.Time, probes int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.down.Failures > 0 {
		probes = 1
	}
	g.began, g.probes = now, probes
	g.proven, g.answered, g.failed, g.streak, g.over = false, 0, 0, 0, nil
	g.pace.spreadOver(0)
}

// End ends a round and reports whether the host failed as a whole in it.
func (g *Gate) End() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.answered > 0 || g.failed == 0 {
		return false
	}
	g.down.Fail(g.began)
	return true
}

// RoundTrip implements http.RoundTripper.
func (g *Gate) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := g.enter(req.Context()); err != nil {
		if req.Body != nil {
			_ = req.Body.Close()
		}
		return nil, err
	}
	resp, err := g.next.RoundTrip(req)
	g.leave(resp, err, isForMany(req.Context()))
	return resp, err
}

// CloseIdleConnections lets http.Client.CloseIdleConnections reach the connections.
func (g *Gate) CloseIdleConnections() { closeIdle(g.next) }

// enter returns when a request may go out, or why it may not.
func (g *Gate) enter(ctx context.Context) error {
	var turn time.Time
	for {
		wait, news, err := g.admit(ctx, &turn)
		if err != nil {
			return githost.NotAsked(err)
		}
		if wait <= 0 {
			return nil
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-news:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// admit lets a request out, or returns how long it has to wait at most, and for what news, until it asks
// again. turn is when its own time has come; zero until it is given one.
func (g *Gate) admit(ctx context.Context, turn *time.Time) (time.Duration, <-chan struct{}, *githost.Error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	limit := g.limits.of(resourceOf(ctx))
	if wait := limit.Until.Sub(now); wait > 0 && wait <= maxWait && fits(ctx, wait) {
		return wait, g.awaited(), nil
	}
	switch {
	case ctx.Err() != nil:
		return 0, nil, githost.WrapError(g.name, context.Cause(ctx))
	case g.revoked != nil:
		return 0, nil, g.revoked
	case limit.Holds(now):
		return 0, nil, limit.err
	case g.over != nil:
		return 0, nil, g.over
	}
	if !g.proven && g.flying > 0 {
		wait := g.patience - now.Sub(g.launched)
		if g.flying >= g.probes-g.failed {
			wait = max(wait, g.patience) // for an answer
		}
		if wait > 0 {
			return wait, g.awaited(), nil
		}
	}
	if turn.IsZero() {
		*turn = g.pace.take(now)
	}
	if wait := turn.Sub(now); wait > 0 {
		return wait, g.awaited(), nil
	}
	g.flying++
	g.launched = now
	g.requests++
	return 0, nil, nil
}

// awaited returns what is closed when there is news.
func (g *Gate) awaited() <-chan struct{} {
	if g.news == nil {
		g.news = make(chan struct{})
	}
	return g.news
}

// wake lets all who wait look again. Who merely waits for its turn is not to be woken for each answer of
// another: with a few waiters, that is most of what a request costs.
func (g *Gate) wake() {
	if g.news != nil {
		close(g.news)
		g.news = nil
	}
}

// leave learns from what became of a request. many says that it was for many repositories.
func (g *Gate) leave(resp *http.Response, err error, many bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.flying--
	if !g.proven {
		defer g.wake()
	}
	if errors.Is(err, context.Canceled) {
		return // by us
	}
	var said *githost.Error
	if err != nil {
		said = githost.WrapError(g.name, err)
	} else if resp.StatusCode >= http.StatusBadRequest {
		said = StatusError(g.name, resp, nil)
	}
	switch {
	case said != nil && (err != nil || said.Kind == githost.Temporary || said.Status == http.StatusProxyAuthRequired):
		g.fails(said)
		// Once the host is proven, one repository that is to wait is no maintenance; failures in a row are.
		if !said.Until.IsZero() && (!g.proven || many || g.over != nil) {
			g.limitLocked(said)
		}
		return
	case said != nil && said.Kind == githost.RateLimited:
		g.limitLocked(said)
	case said != nil && said.Status == http.StatusUnauthorized && g.credential:
		g.refused()
	default:
		g.proven, g.refusals = true, 0
	}
	g.answered++
	g.streak = 0
	g.down = breaker.Backoff{}
}

func (g *Gate) fails(err *githost.Error) {
	g.failure = err
	g.failed++
	g.failures++
	g.streak++
	if !g.proven && g.failed >= g.probes || g.streak >= maxStreak {
		g.over = err
		g.wake()
	}
}

// refused counts a 401. Beside good answers it is about a repository.
func (g *Gate) refused() {
	g.failures++
	g.refusals++
	if g.refusals >= maxRefusals && !g.proven {
		g.revoked = githost.NewError(githost.Denied, g.name, "HTTP 401: the credential was refused %d times in a row and is not sent again: "+
			"put a valid one into auth or the Secret that it comes from (without --env-dir: and restart Sentry)", maxRefusals)
		g.revoked.Status = http.StatusUnauthorized
	}
}

// Status is what a Gate counted since it was made, and whether the endpoint is asked now.
type Status struct {
	Requests int            // sent, with what was sent again
	Failures int            // of them: no answer, a 5xx, or a credential refused
	Until    time.Time      // the endpoint is not asked before; zero when it is
	Resource string         // what of it is not asked for before Until, as WithResource names it; "" = all
	Revoked  bool           // the credential was refused, and is not sent again
	Why      *githost.Error // the endpoint is not asked; nil when it is
}

// Status returns the counts, and why the endpoint is not asked now.
func (g *Gate) Status() Status {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := Status{Requests: g.requests, Failures: g.failures, Revoked: g.revoked != nil}
	switch now := time.Now(); {
	case s.Revoked:
		s.Why = g.revoked
	case g.limits[""].Holds(now):
		s.Until, s.Why = g.limits[""].Until, g.limits[""].err
	case g.down.Holds(now):
		s.Until, s.Why = g.down.Until, g.failure
	default:
		for _, resource := range slices.Sorted(maps.Keys(g.limits)) {
			if l := g.limits[resource]; l.Holds(now) && l.Until.After(s.Until) {
				s.Until, s.Why, s.Resource = l.Until, l.err, resource
			}
		}
	}
	return s
}
