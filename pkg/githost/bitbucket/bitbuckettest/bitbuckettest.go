// Package bitbuckettest is a Bitbucket Cloud in memory, for tests.
package bitbuckettest

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
	"github.com/tekton-sentry/sentry/pkg/githost/gitproto/gitprototest"
)

// API is a Bitbucket Cloud.
type API struct {
	*githosttest.API
	updated map[*githosttest.Repository]*change
	lag     time.Duration // after which the list shows a change
	closed  int           // status of the API alone; 0 = it answers
}

// New returns a Bitbucket Cloud without repositories. Its API is at /2.0 of the same server.
func New() *API {
	b := &API{updated: make(map[*githosttest.Repository]*change)}
	b.API = githosttest.NewAPI(githosttest.Dialect{
		Answer: b.answer, Refuse: refuse,
		Limited: func(a *githosttest.Asked) githosttest.Reply { return refuse(a, http.StatusTooManyRequests) },
		Header:  header,
		Changed: b.change,
	})
	return b
}

// change is the last change of a repository, and the one before it, which the list shows until a time by the real clock.
type change struct{ at, before, until time.Time }

func (b *API) change(r *githosttest.Repository, now time.Time) {
	now = now.UTC().Truncate(time.Microsecond)
	before := now
	if c := b.updated[r]; c != nil {
		before = c.shown()
	}
	b.updated[r] = &change{now, before, time.Now().Add(b.lag)}
}

func (c *change) shown() time.Time {
	if time.Now().Before(c.until) {
		return c.before
	}
	return c.at
}

// SetLag is how long after a change the list shows it, from now on.
func (b *API) SetLag(d time.Duration) { b.Set(func() { b.lag = d }) }

// Close has the API answer with a status, and Git go on; 0 opens it again.
func (b *API) Close(status int) { b.Set(func() { b.closed = status }) }

func (b *API) answer(a *githosttest.Asked) githosttest.Reply {
	switch {
	case a.Parts[0] != "2.0":
		return gitprototest.Answer(a, refuse)
	case b.closed != 0:
		return refuse(a, b.closed)
	case len(a.Parts) == 3 && a.Parts[1] == "repositories" && a.Method == http.MethodGet:
		return b.list(a, githosttest.Unescape(a.Parts[2]))
	}
	return refuse(a, http.StatusNotFound)
}

type listing struct {
	UUID     string    `json:"uuid"`
	FullName string    `json:"full_name"`
	Updated  time.Time `json:"updated_on"`
}

type page struct {
	Next   string    `json:"next,omitempty"`
	Values []listing `json:"values"`
}

// list answers with a page of a workspace's repositories that changed since q says, what changed the longest ago first, and with the
// fields that are asked for alone.
func (b *API) list(a *githosttest.Asked, workspace string) githosttest.Reply {
	values := a.URL.Query()
	var since time.Time
	if q, ok := strings.CutPrefix(values.Get("q"), "updated_on>="); ok {
		var err error
		if since, err = time.Parse(time.RFC3339, q); err != nil {
			return refuse(a, http.StatusBadRequest)
		}
	}
	if values.Get("sort") != "updated_on" || values.Get("fields") != "next,values.uuid,values.full_name,values.updated_on" {
		return refuse(a, http.StatusBadRequest)
	}
	answer := page{Values: []listing{}}
	for _, r := range a.Repos {
		updated := b.updated[r].shown()
		if owner, _, _ := strings.Cut(r.Path, "/"); owner == workspace && a.Sees(r) && !r.Denied() && !updated.Before(since) {
			answer.Values = append(answer.Values, listing{fmt.Sprintf("{00000000-0000-4000-8000-%012d}", r.ID), r.Path, updated})
		}
	}
	slices.SortFunc(answer.Values, func(x, y listing) int {
		return cmp.Or(x.Updated.Compare(y.Updated), strings.Compare(x.UUID, y.UUID))
	})
	length, _ := strconv.Atoi(values.Get("pagelen"))
	number, _ := strconv.Atoi(cmp.Or(values.Get("page"), "1"))
	length = min(cmp.Or(length, 10), 100)
	answer.Values = answer.Values[min(len(answer.Values), (number-1)*length):]
	if len(answer.Values) > length {
		answer.Values = answer.Values[:length]
		values.Set("page", strconv.Itoa(number+1))
		answer.Next = a.Here() + a.URL.Path + "?" + values.Encode()
	}
	return githosttest.NewReply(http.StatusOK, asJSON(), answer)
}

func asJSON() map[string]string { return map[string]string{"Content-Type": "application/json"} }

// header is what the API says of its limits to an access token.
func header(a *githosttest.Asked) map[string]string {
	if a.Parts[0] != "2.0" || !a.HasToken() {
		return nil
	}
	return map[string]string{"X-RateLimit-Limit": "1000", "X-RateLimit-Resource": "api", "X-RateLimit-NearLimit": "false"}
}

// refuse refuses: the API in JSON, and the Git protocol in plain words.
func refuse(a *githosttest.Asked, status int) githosttest.Reply {
	if a.Parts[0] != "2.0" && status != http.StatusTooManyRequests {
		return gitprototest.Refuse(a, status)
	}
	said := map[int]string{http.StatusTooManyRequests: "Rate limit for this resource has been exceeded", http.StatusForbidden: "Access token does not have the required scope",
		http.StatusUnauthorized: "Token is invalid, expired, or not supported for this endpoint.", http.StatusNotFound: "No workspace with identifier"}[status]
	header := asJSON()
	if status == http.StatusTooManyRequests {
		header["Retry-After"] = "60"
	}
	return githosttest.NewReply(status, header, map[string]any{"type": "error", "error": map[string]any{"message": said}})
}
