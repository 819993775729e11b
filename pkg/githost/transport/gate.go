package transport

import (
	"cmp"
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

// Gate is the budget of an endpoint: every request to it passes here. What it does not let through is told by breakers,
// which last: of the whole endpoint, of its credential, and one for each quota that the server counts. A rate limiter
// spreads the requests of a round, which is what one call of a Reader asks. In a round the first request goes alone, and
// the others once it was answered; failures end it. Requests beside the rounds are counted and wait as well, but tell a round
// nothing.
type Gate struct {
	githost.Redactor // with any Secrets, a 401 is about the credential, and not only about a repository
	// Observe is told of each request that was sent: the status of the answer, 0 for none, and how long its head took to come.
	// It must not wait. nil = nobody is. It is set before the first request.
	Observe  func(status int, took time.Duration)
	next     http.RoundTripper
	patience time.Duration

	mu   sync.Mutex
	news chan struct{} // closed when those who wait shall look again; nil when nobody waits
	round
	limiter limiter

	refused   breaker.Breaker // the credential
	down      breaker.Breaker
	unhealthy breaker.Breaker // it answers, and not as such a host does: with a login page, or one of a maintenance
	aside     breaker.Breaker // requests beside the rounds
	quotas    quotas
	grants    map[string]Grants // by resource
	refusals  int               // 401 in a row
	failure   *githost.Error    // the last one

	requests, failures int // since the start
}

// round is what a Gate knows of the round.
type round struct {
	began    time.Time
	probes   int            // how many requests may fail before one is answered
	proven   bool           // a good answer came
	answered int            // requests that got any answer of a host that works
	failed   int            // requests that did not
	streak   int            // of them since the last answer
	flying   int            // requests under way
	launched time.Time      // the last of them
	over     *githost.Error // why nothing more is sent
}

// NewGate returns the budget of an endpoint. patience is how long the first request of a round may keep the others waiting
// before one more goes.
func NewGate(base http.RoundTripper, e githost.Endpoint, patience time.Duration) *Gate {
	return &Gate{next: base, Redactor: githost.Redactor{Host: e.Host(), Secrets: e.Secrets()}, patience: patience, quotas: make(quotas),
		limiter: limiter{spacing: spacing(0)}}
}

// Begin begins a round, and reports whether the host was down when it was asked last, or unhealthy. The round is over once
// so many requests failed and none was answered, or one of a host that was down.
func (g *Gate) Begin(now time.Time, probes int) (down, unhealthy bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if down = g.down.State(now) != breaker.Closed; down {
		probes = 1
	}
	g.round = round{began: now, probes: probes, flying: g.flying, launched: g.launched}
	g.limiter.spacing = spacing(0)
	return down, g.unhealthy.State(now) != breaker.Closed
}

// End ends a round and reports whether the host works. It is down when nothing answered. It is unhealthy when an answer
// speaks against its health, of which err is the last, none was healthy, and all that were asked say so or it was so before.
func (g *Gate) End(healthy, all bool, err *githost.Error) (works bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.answered == 0 && g.failed > 0:
		g.down.Fail(g.began, g.failure)
		return false
	case healthy:
		g.unhealthy.Close()
	case err != nil && (all || g.unhealthy.State(g.began) != breaker.Closed):
		g.unhealthy.Fail(g.began, err)
	}
	return g.unhealthy.State(g.began) == breaker.Closed
}

// RoundTrip implements http.RoundTripper.
func (g *Gate) RoundTrip(req *http.Request) (*http.Response, error) {
	marks := marksOf(req)
	if err := g.enter(req.Context(), marks); err != nil {
		if req.Body != nil {
			_ = req.Body.Close()
		}
		return nil, err
	}
	sent := time.Now()
	resp, err := g.next.RoundTrip(req)
	if g.Observe != nil {
		status := 0
		if err == nil {
			status = resp.StatusCode
		}
		g.Observe(status, time.Since(sent))
	}
	if err == nil {
		g.granted(resp, marks.Resource)
		// A quota is known to be used up before the first request is turned away for it, and before others go.
		g.learnSpent(resp, marks)
	}
	if marks.Aside {
		g.leaveAside(resp, err)
	} else {
		g.leave(resp, err, marks.ForMany)
	}
	return resp, err
}

// enter returns when a request may go out, or why it may not.
func (g *Gate) enter(ctx context.Context, marks Marks) error {
	var turn time.Time
	for {
		wait, news, err := g.admit(ctx, marks, &turn)
		if err != nil {
			return githost.NotAsked(err)
		}
		if wait <= 0 {
			return nil
		}
		_ = sleep(ctx, wait, news) // what became of the context is for admit to see
	}
}

// admit lets a request out, or returns how long it has to wait at most, and for what news, until it asks
// again. turn is when its own time has come; zero until it is given one.
func (g *Gate) admit(ctx context.Context, marks Marks, turn *time.Time) (time.Duration, <-chan struct{}, *githost.Error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	_, quota := g.quotas.longest("", marks.Resource)
	if marks.Aside && g.aside.Until().After(quota.Until()) {
		quota = &g.aside
	}
	if wait := quota.Until().Sub(now); wait > 0 && wait <= maxWait && fits(ctx, wait) {
		return wait, g.awaited(), nil
	}
	if ctx.Err() != nil {
		return 0, nil, githost.WrapError(g.Host, context.Cause(ctx))
	}
	if err := cmp.Or(g.refused.Why(now), quota.Why(now), g.silence(now, marks.Aside)); err != nil {
		return 0, nil, err
	}
	if !marks.Aside && !g.proven && g.flying > 0 {
		wait := g.patience - now.Sub(g.launched)
		if g.flying >= g.probes-g.failed {
			wait = max(wait, g.patience) // for an answer
		}
		if wait > 0 {
			return wait, g.awaited(), nil
		}
	}
	if turn.IsZero() {
		*turn = g.limiter.take(now)
	}
	if wait := turn.Sub(now); wait > 0 {
		return wait, g.awaited(), nil
	}
	if !marks.Aside {
		g.flying++
		g.launched = now
	}
	g.requests++
	return 0, nil, nil
}

// silence returns why nothing more is sent in the round, or beside the rounds.
func (g *Gate) silence(now time.Time, aside bool) *githost.Error {
	if aside {
		return cmp.Or(g.down.Why(now), g.unhealthy.Why(now))
	}
	return g.over
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
	said := g.said(resp, err)
	// Over SSH, a key that is refused is an error: nobody is let in who could be answered.
	denied := err != nil && said.Kind == githost.Denied && said.Status == http.StatusUnauthorized
	switch {
	case said != nil && !denied && (err != nil || said.Kind == githost.Temporary || said.Status == http.StatusProxyAuthRequired):
		g.fails(said)
		// Once the host is proven, one repository that is to wait is no maintenance; failures in a row are.
		if !said.Until.IsZero() && (!g.proven || many || g.over != nil) {
			g.exhaust(said)
		}
		return
	case said != nil && said.Kind == githost.RateLimited:
		g.exhaust(said)
	case said != nil && said.Status == http.StatusUnauthorized && len(g.Secrets) > 0:
		g.refuse(said, denied)
	default:
		g.proven, g.refusals = true, 0
		if !g.refused.Until().IsZero() {
			g.refused.Close() // of what was not refused for good
		}
	}
	g.answered++
	g.streak = 0
	g.down.Close()
}

// said returns what is wrong with an answer, or why there is none; nil when all is well.
func (g *Gate) said(resp *http.Response, err error) *githost.Error {
	switch {
	case err != nil:
		return g.Redact(err)
	case resp.StatusCode >= http.StatusBadRequest, signIn(resp):
		return StatusError(g.Host, resp, nil)
	}
	return nil
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

// refuse counts a 401. Beside good answers it is about a repository; a key without which nobody is let in is about all.
func (g *Gate) refuse(said *githost.Error, key bool) {
	g.failures++
	g.refusals++
	if g.refusals < maxRefusals || g.proven && !key {
		return
	}
	if key { // a server that cannot look keys up for a moment refuses them as well
		err := githost.NewError(githost.Denied, g.Host, "%w (%d times in a row: it is tried again after some minutes)", said.Err, g.refusals)
		err.Status = http.StatusUnauthorized
		g.refused.Fail(time.Now(), err)
		return
	}
	err := githost.NewError(githost.Denied, g.Host, "HTTP 401: the credential was refused %d times in a row and is not sent again: "+
		"put a valid one into auth or the Secret that it comes from (without --env-dir: and restart Sentry)", maxRefusals)
	err.Status = http.StatusUnauthorized
	g.refused.Trip(err)
}

// Status is what a Gate counted since it was made, and whether the endpoint is asked now.
type Status struct {
	Requests int            // sent, with what was sent again
	Failures int            // of them: no answer, a 5xx, or a credential refused
	Until    time.Time      // the endpoint is not asked before; zero when it is
	Resource string         // what of it is not asked for before Until, as in Marks; "" = all
	Revoked  bool           // the credential was refused, and is not sent again
	Why      *githost.Error // the endpoint is not asked; nil when it is
}

// Status returns the counts, and why the endpoint is not asked now.
func (g *Gate) Status() Status {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	s := Status{Requests: g.requests, Failures: g.failures, Revoked: g.refused.State(now) == breaker.Open}
	_, all := g.quotas.longest("")
	resource, one := g.quotas.longest(slices.Sorted(maps.Keys(g.quotas))...)
	for _, b := range []*breaker.Breaker{&g.refused, all, &g.down, &g.unhealthy, one} {
		if s.Why = b.Why(now); s.Why != nil {
			if s.Until = b.Until(); b == one {
				s.Resource = resource
			}
			break
		}
	}
	return s
}
