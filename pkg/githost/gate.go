package githost

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"
)

const (
	// maxProbes is how many requests may fail, one after the other, before a host that was well is given up
	// for a round. One or two may be the fault of a single repository.
	maxProbes = 3
	// maxStreak is how many failures in a row end a round in which the host had answered.
	maxStreak = 10
	// maxRefusals is how many 401 in a row condemn a credential. Hosts that see more take it for an attack.
	maxRefusals = 3
)

// errNotAsked marks an error that stands for a request that was not sent.
var errNotAsked = errors.New("not asked")

// gate is the budget of an endpoint: every request to it passes here. A round is what one call of the Reader
// asks. In a round the first request goes alone, and the others once it was answered; failures end it. From
// round to round a gate remembers when the host may be asked again.
type gate struct {
	next       http.RoundTripper
	name       string // host[:port]
	credential bool   // a 401 is about the credential, and not only about a repository
	// patience is how long the first request of a round may keep the others waiting before one more goes.
	patience time.Duration

	mu   sync.Mutex
	news chan struct{} // closed when those who wait shall look again; nil when nobody waits

	began    time.Time
	probes   int       // how many requests of this round may fail before one is answered
	proven   bool      // a good answer came in this round
	answered int       // requests of this round that got any answer of a host that works
	failed   int       // requests of this round that did not
	streak   int       // of them since the last answer
	flying   int       // requests under way
	launched time.Time // the last of them
	over     *Error    // why nothing more is sent in this round
	pace     pace

	failure  *Error // the last one
	down     backoff
	limits   limits
	refusals int // 401 in a row
	revoked  *Error

	requests, failures int // since the start
}

// standing returns why the endpoint is not to be asked now, or nil.
func (g *gate) standing(now time.Time) *Error {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.revoked != nil:
		return g.revoked
	case g.limits[""].holds(now):
		return g.limits[""].err
	case g.down.holds(now):
		return g.failure
	}
	return nil
}

// ailing reports whether the host failed as a whole when it was asked last.
func (g *gate) ailing() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.down.failures > 0
}

// begin begins a round that is over once so many requests failed and none was answered. A host that failed
// as a whole before gets one.
func (g *gate) begin(now time.Time, probes int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.down.failures > 0 {
		probes = 1
	}
	g.began, g.probes = now, probes
	g.proven, g.answered, g.failed, g.streak, g.over = false, 0, 0, 0, nil
	g.pace.spreadOver(0)
}

// end ends a round and reports whether the host failed as a whole in it.
func (g *gate) end() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.answered > 0 || g.failed == 0 {
		return false
	}
	g.down.fail(g.began)
	return true
}

// RoundTrip implements http.RoundTripper.
func (g *gate) RoundTrip(req *http.Request) (*http.Response, error) {
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
func (g *gate) CloseIdleConnections() { closeIdle(g.next) }

// enter returns when a request may go out, or why it may not.
func (g *gate) enter(ctx context.Context) error {
	var turn time.Time
	for {
		wait, news, err := g.admit(ctx, &turn)
		if err != nil {
			return notAsked(err)
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
func (g *gate) admit(ctx context.Context, turn *time.Time) (time.Duration, <-chan struct{}, *Error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	limit := g.limits.of(resourceOf(ctx))
	if wait := limit.until.Sub(now); wait > 0 && wait <= maxWait && fits(ctx, wait) {
		return wait, g.awaited(), nil
	}
	switch {
	case ctx.Err() != nil:
		return 0, nil, WrapError(g.name, context.Cause(ctx))
	case g.revoked != nil:
		return 0, nil, g.revoked
	case limit.holds(now):
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
func (g *gate) awaited() <-chan struct{} {
	if g.news == nil {
		g.news = make(chan struct{})
	}
	return g.news
}

// wake lets all who wait look again. Who merely waits for its turn is not to be woken for each answer of
// another: with a few waiters, that is most of what a request costs.
func (g *gate) wake() {
	if g.news != nil {
		close(g.news)
		g.news = nil
	}
}

// leave learns from what became of a request. many says that it was for many repositories.
func (g *gate) leave(resp *http.Response, err error, many bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.flying--
	if !g.proven {
		defer g.wake()
	}
	if errors.Is(err, context.Canceled) {
		return // by us
	}
	var said *Error
	if err != nil {
		said = WrapError(g.name, err)
	} else if resp.StatusCode >= http.StatusBadRequest {
		said = StatusError(g.name, resp, nil)
	}
	switch {
	case said != nil && (err != nil || said.Kind == Temporary || said.Status == http.StatusProxyAuthRequired):
		g.fails(said)
		// Once the host is proven, one repository that is to wait is no maintenance; failures in a row are.
		if !said.Until.IsZero() && (!g.proven || many || g.over != nil) {
			g.limitLocked(said)
		}
		return
	case said != nil && said.Kind == RateLimited:
		g.limitLocked(said)
	case said != nil && said.Status == http.StatusUnauthorized && g.credential:
		g.refused()
	default:
		g.proven, g.refusals = true, 0
	}
	g.answered++
	g.streak = 0
	g.down = backoff{}
}

func (g *gate) fails(err *Error) {
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
func (g *gate) refused() {
	g.failures++
	g.refusals++
	if g.refusals >= maxRefusals && !g.proven {
		g.revoked = NewError(Denied, g.name, "HTTP 401: the credential was refused %d times in a row and is not sent again: "+
			"put a valid one into auth or the Secret that it comes from (without --env-dir: and restart Sentry)", maxRefusals)
		g.revoked.Status = http.StatusUnauthorized
	}
}

// notAsked returns err for a request that was not sent because of it.
func notAsked(err *Error) *Error {
	same := *err
	same.Err = &told{text: err.Err.Error(), cause: errNotAsked}
	return &same
}
