package transport

import (
	"context"
	"maps"
	"net/http"
	"time"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/breaker"
)

type resourceKey struct{}

// WithResource returns a context that marks the requests made with it as those of a resource that the server
// counts apart from its others: "core" and "graphql" are GitHub's names, as they stand in X-RateLimit-Resource. When
// it is used up, requests of other resources go on. A request without a mark is of all that the server has.
func WithResource(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, resourceKey{}, name)
}

func resourceOf(ctx context.Context) string {
	name, _ := ctx.Value(resourceKey{}).(string)
	return name
}

// usedUp returns the resource of which an answer's headers say that nothing is left, "" when they name none, or
// another one than was asked for: a server could invent as many as it likes.
func usedUp(resp *http.Response) string {
	if resp.Request == nil || resp.Header.Get("X-RateLimit-Remaining") != "0" {
		return ""
	}
	if name := resourceOf(resp.Request.Context()); name == resp.Header.Get("X-RateLimit-Resource") {
		return name
	}
	return ""
}

// limit keeps requests back until a time.
type limit struct {
	breaker.Backoff
	err *githost.Error // the last that told of it
}

// limits are those of an endpoint, by resource; "" is all.
type limits map[string]limit

// of returns the limit that keeps the requests of a resource back the longest.
func (l limits) of(resource string) limit {
	all, own := l[""], l[resource]
	if own.Until.After(all.Until) {
		return own
	}
	return all
}

// learn keeps a limit that err tells of. began is when the round did.
func (l limits) learn(err *githost.Error, began time.Time) {
	known := l[err.Resource]
	switch {
	case err.Until.After(known.Until):
		known.Until = err.Until
	case err.Until.IsZero() && !known.Holds(time.Now()):
		known.Fail(began)
	default:
		return
	}
	known.err = err
	l[err.Resource] = known
}

// LimitUntil keeps what err limits from being asked for before the time that it names. Where it names none, that
// doubles from time to time; so it does where that time is over, such as by a clock that is ahead.
func (g *Gate) LimitUntil(err *githost.Error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !err.Until.After(time.Now()) {
		unnamed := *err
		unnamed.Until = time.Time{}
		err = &unnamed
	}
	g.limitLocked(err)
}

func (g *Gate) limitLocked(err *githost.Error) {
	if g.limits == nil {
		g.limits = make(limits)
	}
	g.limits.learn(err, g.began)
	g.wake()
}

// Unlimited ends limits that are over, after a round in which the host told of none.
func (g *Gate) Unlimited() {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	maps.DeleteFunc(g.limits, func(_ string, l limit) bool { return !l.Holds(now) })
}
