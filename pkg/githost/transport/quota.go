package transport

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/breaker"
)

// Spent tells that what the server grants of a resource is used up until then: it is not asked for before, for an hour at
// most, and what is left of the cycle is late. A time that is over says nothing. Headers that say so need no call.
func (g *Gate) Spent(resource string, until time.Time) {
	if e := g.spent(resource, until); e != nil {
		g.Exhaust(e)
	}
}

// spent is what Spent tells, nil for nothing.
func (g *Gate) spent(resource string, until time.Time) *githost.Error {
	if until = soon(until, time.Now()); until.IsZero() {
		return nil
	}
	of := ""
	if resource != "" {
		of = " of " + resource
	}
	e := githost.NewError(githost.RateLimited, g.Host, "what it grants this credential%s is used up until %s", of, until.UTC().Format(time.RFC3339))
	e.Until, e.Resource = until, resource
	return e
}

// learnSpent learns from the headers of an answer that something is used up. Of a request beside the rounds for which the server names
// another resource than was asked for, as one for writing, that says nothing to those who read.
func (g *Gate) learnSpent(resp *http.Response, marks Marks) {
	until := spentUntil(resp.Header, time.Now())
	if named := resp.Header.Get("X-RateLimit-Resource"); !marks.Aside || named == "" || named == marks.Resource {
		g.Spent(usedUp(resp), until)
	} else if e := g.spent("", until); e != nil {
		g.ExhaustAside(e)
	}
}

// spentUntil returns until when the headers of an answer say that nothing is left, zero when they do not: X-RateLimit-* of
// GitHub and RateLimit-* of GitLab, which come with good answers, too.
func spentUntil(h http.Header, now time.Time) time.Time {
	for _, prefix := range []string{"X-RateLimit-", "RateLimit-"} {
		if h.Get(prefix+"Remaining") == "0" {
			if until := namedUntil(h, now, prefix+"Reset"); !until.IsZero() {
				return until
			}
		}
	}
	return time.Time{}
}

// Grants are what a server said last of what it grants a credential.
type Grants struct {
	Resource         string // that it counts apart from others, as in Marks; "" = all that there is
	Limit, Remaining int
	Reset            time.Time // when it is Limit again; zero when that is not told
}

// limits are the prefixes of headers that tell of Grants, as package http writes them: those of GitHub and of GitLab.
var limits = []string{"X-Ratelimit-", "Ratelimit-"}

// granted notes what an answer says of what is left. A resource that was not asked for counts as none told of: a server
// could invent as many as it likes.
func (g *Gate) granted(resp *http.Response, resource string) {
	for _, prefix := range limits {
		remaining, err := strconv.Atoi(resp.Header.Get(prefix + "Remaining"))
		if err != nil || remaining < 0 {
			continue
		}
		if named := resp.Header.Get(prefix + "Resource"); named != "" && named != resource {
			continue
		}
		limit, _ := strconv.Atoi(resp.Header.Get(prefix + "Limit"))
		grants := Grants{Resource: resource, Limit: max(limit, remaining), Remaining: remaining, Reset: namedUntil(resp.Header, time.Now(), prefix+"Reset")}
		g.mu.Lock()
		if g.grants == nil {
			g.grants = make(map[string]Grants)
		}
		g.grants[resource] = grants
		g.mu.Unlock()
		return
	}
}

// Grants returns what the server said last of each resource, by name. It does not for a resource that nothing was asked of
// since it was to be granted again.
func (g *Gate) Grants() []Grants {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	maps.DeleteFunc(g.grants, func(_ string, told Grants) bool { return !told.Reset.IsZero() && told.Reset.Before(now) })
	return slices.SortedFunc(maps.Values(g.grants), func(a, b Grants) int { return cmp.Compare(a.Resource, b.Resource) })
}

// soon bounds a time that a server names to maxUntil from now; zero when it is over.
func soon(until, now time.Time) time.Time {
	if !until.After(now) {
		return time.Time{}
	}
	if latest := now.Add(maxUntil); until.After(latest) {
		return latest
	}
	return until
}

// usedUp returns the resource of which an answer's headers say that nothing is left, "" when they name none, or
// another one than was asked for: a server could invent as many as it likes.
func usedUp(resp *http.Response) string {
	if resp.Request == nil || resp.Header.Get("X-RateLimit-Remaining") != "0" {
		return ""
	}
	if name := marksOf(resp.Request).Resource; name == resp.Header.Get("X-RateLimit-Resource") {
		return name
	}
	return ""
}

// quotas are those of an endpoint, by resource; "" is all.
type quotas map[string]*breaker.Breaker

// noQuota is never used up.
var noQuota breaker.Breaker

// longest returns which of these resources is used up the longest.
func (q quotas) longest(of ...string) (resource string, longest *breaker.Breaker) {
	longest = &noQuota
	for _, name := range of {
		if b := q[name]; b != nil && b.Until().After(longest.Until()) {
			resource, longest = name, b
		}
	}
	return resource, longest
}

// Exhaust keeps what err limits from being asked for before the time that it names. Where it names none, that
// doubles from time to time; so it does where that time is over, such as by a clock that is ahead.
func (g *Gate) Exhaust(err *githost.Error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.exhaust(err)
}

func (g *Gate) exhaust(err *githost.Error) {
	defer g.wake()
	b := g.quotas[err.Resource]
	if b == nil {
		b = &breaker.Breaker{}
		g.quotas[err.Resource] = b
	}
	if now := time.Now(); err.Until.After(now) {
		b.OpenUntil(err.Until, err)
	} else if b.State(now) != breaker.Open {
		b.Fail(g.began, err)
	}
}

// Grant closes the quotas that are half-open, after a round in which the host told of none.
func (g *Gate) Grant() {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	maps.DeleteFunc(g.quotas, func(_ string, b *breaker.Breaker) bool { return b.State(now) != breaker.Open })
}
