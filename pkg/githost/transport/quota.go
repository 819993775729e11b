package transport

import (
	"context"
	"net/http"
	"time"

	"github.com/tekton-sentry/sentry/pkg/githost"
)

// quota learns from answers that a limit is used up, before the first request is turned away for it. It is below
// the gate, which lets others pass once it has an answer.
type quota struct {
	next http.RoundTripper
	gate *Gate
}

// RoundTrip implements http.RoundTripper.
func (q *quota) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := q.next.RoundTrip(req)
	if err == nil {
		if until, spent := spentUntil(resp.Header, time.Now()); spent {
			q.gate.LimitUntil(spentError(q.gate.name, usedUp(resp), until))
		}
	}
	return resp, err
}

// CloseIdleConnections lets http.Client.CloseIdleConnections reach the connections.
func (q *quota) CloseIdleConnections() { closeIdle(q.next) }

type gateKey struct{}

// WithGate makes Spent reach a gate.
func WithGate(ctx context.Context, g *Gate) context.Context {
	return context.WithValue(ctx, gateKey{}, g)
}

// Spent tells the Reader that called a Host with this context that what the server grants this credential is used
// up until then: it is not asked before, for an hour at most, and what is left of the cycle is late. With a
// context of WithResource that is so for the requests of this resource alone.
// A time that is over says nothing. Headers that say so need no call: the Reader reads them itself.
func Spent(ctx context.Context, until time.Time) {
	g, ok := ctx.Value(gateKey{}).(*Gate)
	if until, spent := soon(until, time.Now()); ok && spent {
		g.LimitUntil(spentError(g.name, resourceOf(ctx), until))
	}
}

func spentError(host, resource string, until time.Time) *githost.Error {
	of := ""
	if resource != "" {
		of = " of " + resource
	}
	e := githost.NewError(githost.RateLimited, host, "what it grants this credential%s is used up until %s", of, until.UTC().Format(time.RFC3339))
	e.Until, e.Resource = until, resource
	return e
}

// spentUntil returns until when the headers of an answer say that nothing is left: X-RateLimit-* of GitHub
// and RateLimit-* of GitLab, which come with good answers, too.
func spentUntil(h http.Header, now time.Time) (time.Time, bool) {
	for _, prefix := range []string{"X-RateLimit-", "RateLimit-"} {
		if h.Get(prefix+"Remaining") != "0" {
			continue
		}
		if until, ok := parseWait(h.Get(prefix+"Reset"), now); ok {
			return soon(until, now)
		}
	}
	return time.Time{}, false
}

// soon bounds a time that a server names to maxUntil from now, and reports whether it is still to come.
func soon(until, now time.Time) (time.Time, bool) {
	if latest := now.Add(maxUntil); until.After(latest) {
		until = latest
	}
	return until, until.After(now)
}
