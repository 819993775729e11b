package transport

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/breaker"
)

// leaveAside learns from what became of a request beside the rounds.
func (g *Gate) leaveAside(resp *http.Response, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if errors.Is(err, context.Canceled) {
		return // by us
	}
	switch said := g.said(resp, err); {
	case said == nil:
		if g.aside.State(time.Now()) != breaker.Open { // told by another request meanwhile
			g.aside.Close()
		}
	case said.Kind == githost.RateLimited:
		g.exhaustAside(said)
	case said.Kind == githost.Temporary || said.Status == http.StatusUnauthorized:
		g.failures++
		g.aside.OpenUntil(said.Until, said)
	}
}

// ExhaustAside keeps requests beside the rounds from being sent before the time that err names, as Exhaust does for all.
func (g *Gate) ExhaustAside(err *githost.Error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.exhaustAside(err)
}

func (g *Gate) exhaustAside(err *githost.Error) {
	if now := time.Now(); err.Until.After(now) {
		g.aside.OpenUntil(err.Until, err)
	} else if g.aside.State(now) != breaker.Open {
		g.aside.Fail(now, err)
	}
}
