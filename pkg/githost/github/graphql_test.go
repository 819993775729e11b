package github_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/conformance/testhost"
	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
	"github.com/tekton-sentry/sentry/pkg/githost/github"
	"github.com/tekton-sentry/sentry/pkg/githost/poller"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/repo/repotest"
)

// What GitHub says in an answer whose status is a success.
func TestGraphQLAnswers(t *testing.T) {
	const good = `{"nameWithOwner":"o/r0","pushedAt":null,"h0":{"prefix":"refs/heads/","name":"main","target":{"oid":"` + testhost.SHA1 + `"}}}`
	for _, c := range []struct {
		name, body string
		want       githost.Kind // of the second repository; the first has heads unless all is set
		all        bool
		text       string
	}{
		{"not found", `{"data":{"r0":` + good + `,"r1":null},"errors":[{"type":"NOT_FOUND","path":["r1"],"message":"Could not resolve"}]}`, githost.NotFound, false, "Could not resolve"},
		{"forbidden", `{"data":{"r0":` + good + `,"r1":null},"errors":[{"type":"FORBIDDEN","path":["r1"],"message":"SAML, ` + testhost.Token + `"}]}`, githost.Denied, false, "[redacted]"},
		{"forbidden below", `{"data":{"r0":` + good + `,"r1":{"nameWithOwner":"o/r1","h0":null}},"errors":[{"type":"FORBIDDEN","path":["r1","h0"],"message":"no"}]}`, githost.Denied, false, "lacks the right"},
		{"an outage of one", `{"data":{"r0":` + good + `,"r1":{"nameWithOwner":"o/r1","h0":null}},"errors":[{"type":"SERVICE_UNAVAILABLE","path":["r1","h0"],"message":"no"}]}`, githost.Temporary, false, "the server has a problem"},
		{"half an answer", `{"data":{"r0":` + good + `}}`, githost.Temporary, false, "leaves this repository out"},
		{"null without a reason", `{"data":{"r0":` + good + `,"r1":null}}`, githost.Temporary, false, "leaves this repository out"},
		{"half a repository", `{"data":{"r0":` + good + `,"r1":{"nameWithOwner":"o/r1"}}}`, githost.Invalid, false, "leaves out branch"},
		{"another type", `{"data":{"r0":` + good + `,"r1":{"nameWithOwner":7}}}`, githost.Invalid, false, "another shape"},
		{"another type below", `{"data":{"r0":` + good + `,"r1":{"nameWithOwner":"o/r1","h0":[1]}}}`, githost.Invalid, false, "another shape"},
		{"no object name", `{"data":{"r0":` + good + `,"r1":{"h0":{"prefix":"refs/heads/","name":"main","target":{}}}}}`, githost.Invalid, false, "main"},
		{"another ref of that name", `{"data":{"r0":` + good + `,"r1":{"h0":{"prefix":"refs/tags/","name":"main","target":{"oid":"` + testhost.SHA1 + `"}}}}}`, githost.NoBranch, false, "main"},
		{"rate limited", `{"errors":[{"type":"RATE_LIMITED","message":"API rate limit exceeded"}]}`, githost.RateLimited, true, "API rate limit"},
		{"no scope", `{"errors":[{"type":"INSUFFICIENT_SCOPES","message":"Your token has not been granted"}]}`, githost.Denied, true, "Your token"},
		{"not a GitHub", `{"errors":[{"message":"Field 'rateLimit' doesn't exist on type 'Query'"}]}`, githost.Invalid, true, "does not understand"},
		{"not understood", `{"errors":[{"message":"Field 'x' doesn't exist","extensions":{"code":"undefinedField"}}]}`, githost.Invalid, true, "does not understand"},
		{"too much, even for one", `{"data":{"r0":null},"errors":[{"type":"RESOURCE_LIMITS_EXCEEDED","path":["r0","h0"],"message":"Resource limits"}]}`, githost.Temporary, true, "Resource limits"},
		{"nothing", `{}`, githost.Invalid, true, "not GraphQL"},
		{"a list", `[]`, githost.Invalid, true, "another shape"},
		{"a page", `<html>`, githost.Invalid, true, "not JSON"},
		{"cut short", `{"data":{"r0":`, githost.Temporary, true, "cut short"},
		{"no text at all", ``, githost.Temporary, true, "cut short"},
		{"nested deeply", `{"data":` + strings.Repeat("[", 20000), githost.Invalid, true, "not JSON"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			origin := testhost.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("X-RateLimit-Reset", fmt.Sprint(time.Now().Add(30*time.Minute).Unix()))
				_, _ = io.WriteString(w, c.body)
			}))
			got := testhost.Open(t, github.Open, origin, "", testhost.Token).Heads(t.Context(), []githost.Wanted{
				{URL: origin + "/o/r0", Patterns: repotest.Patterns(t, "main")}, {URL: origin + "/o/r1", Patterns: repotest.Patterns(t, "main")}})
			if !c.all && got[0].Heads["main"] != testhost.SHA1 {
				t.Errorf("the first repository: %v, want main at %s", got[0], testhost.SHA1)
			}
			for _, o := range got[map[bool]int{true: 0, false: 1}[c.all]:] {
				e := testhost.ErrorOf(t, o)
				if e.Kind != c.want || !strings.Contains(e.Error(), c.text) {
					t.Errorf("%s: %v, want kind %q and %q", c.body, e, c.want, c.text)
				}
				if wait := time.Until(e.Until); c.want == githost.RateLimited && (wait < 25*time.Minute || wait > 30*time.Minute) {
					t.Errorf("%s: ask again in %s, want half an hour", c.body, wait)
				}
			}
		})
	}
}

// An answer that leaves out what tells whether it is whole is an error, and not a repository with fewer branches.
func TestPartialAnswers(t *testing.T) {
	const ref, last = `{"prefix":"refs/heads/","name":"main","target":{"oid":"` + testhost.SHA1 + `"}}`, `"pageInfo":{"hasNextPage":false}`
	for _, c := range []struct{ name, branch, said string }{
		{"no branches", "dev.*", `"refs":{` + last + `}`},
		{"no page info", "dev.*", `"refs":{"nodes":[` + ref + `]}`},
		{"page info of null", "dev.*", `"refs":{"nodes":[` + ref + `],"pageInfo":null}`},
		{"page info without the next page", "dev.*", `"refs":{"nodes":[` + ref + `],"pageInfo":{"endCursor":"x"}}`},
		{"a branch of null", "dev.*", `"refs":{"nodes":[` + ref + `,null],` + last + `}`},
		{"a branch without a name", "dev.*", `"refs":{"nodes":[` + ref + `,{"prefix":"refs/heads/"}],` + last + `}`},
		{"a branch without a prefix", "dev.*", `"refs":{"nodes":[` + ref + `,{"name":"dev"}],` + last + `}`},
		{"an exact branch without a name", "dev", `"h0":` + ref + `,"h1":{"prefix":"refs/heads/"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			origin := testhost.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, `{"data":{"r0":{"nameWithOwner":"o/r0",`+c.said+`}}}`)
			}))
			got := testhost.Open(t, github.Open, origin, "", testhost.Token).Heads(t.Context(), []githost.Wanted{
				{URL: origin + "/o/r0", Patterns: repotest.Patterns(t, "main", c.branch)}})
			if e := testhost.ErrorOf(t, got[0]); e.Kind != githost.Invalid {
				t.Errorf("%s: %v, want kind %q", c.said, e, githost.Invalid)
			}
		})
	}
}

// A repository with many branches is read by REST from then on, and its neighbours are not.
func TestManyBranches(t *testing.T) {
	api, origin, want := newGraphQL(t, 3, "b.*", "main")
	heads := map[string]repo.SHA{"main": repo.SHA(fmt.Sprintf("%039x%d", 2, 0))}
	for i := range 1000 {
		b := fmt.Sprintf("b%04d", i)
		api.Push("o/r1", b, testhost.SHA1)
		heads[b] = testhost.SHA1
	}
	h := testhost.Open(t, github.Open, origin, "", testhost.Token)
	for _, c := range []struct{ graphQL, rest int }{{5, 2}, {1, 2}} {
		got := h.Heads(t.Context(), want)
		if diff := cmp.Diff(repo.Observation{Heads: heads}, got[1]); diff != "" {
			t.Errorf("1,001 branches (-want +got):\n%s", diff)
		}
		if len(got[0].Heads) != 1 || len(got[2].Heads) != 1 {
			t.Errorf("its neighbours: %v and %v, want main", got[0], got[2])
		}
		all := api.Requests()
		byREST := len(slices.DeleteFunc(slices.Clone(all), func(r githosttest.Request) bool { return strings.HasSuffix(r.URL, "/graphql") }))
		if len(all)-byREST != c.graphQL || byREST != c.rest {
			t.Errorf("%d queries and %d other requests, want %d and %d", len(all)-byREST, byREST, c.graphQL, c.rest)
		}
	}
}

// A server that is in trouble is not asked once more for each repository.
func TestGraphQLGivesUp(t *testing.T) {
	for _, c := range []struct {
		status, most int
		kind         githost.Kind
	}{
		{http.StatusUnauthorized, 1, githost.Denied},
		{http.StatusForbidden, 1, githost.Denied},
		{http.StatusTooManyRequests, 1, githost.RateLimited},
		{http.StatusServiceUnavailable, 1, githost.Temporary},
		{http.StatusBadGateway, 9, githost.Temporary},
	} {
		_, _, want := newGraphQL(t, 500, "main")
		var asked atomic.Int64
		origin := testhost.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			asked.Add(1)
			w.WriteHeader(c.status)
		}))
		for i, o := range testhost.Open(t, github.Open, origin, "", testhost.Token).Heads(t.Context(), want) {
			if e := testhost.ErrorOf(t, o); e.Kind != c.kind {
				t.Errorf("HTTP %d: repository %d: %v, want %q", c.status, i, e, c.kind)
			}
		}
		if n := asked.Load(); n > int64(c.most) {
			t.Errorf("HTTP %d: %d requests for 500 repositories, want at most %d", c.status, n, c.most)
		}
	}
}

// A first query that is too much for GitHub is followed by smaller ones in the same cycle, also where hints are on
// and nothing was asked for them.
func TestSmallerQueriesInTheSameCycle(t *testing.T) {
	for _, sweep := range []time.Duration{0, 15 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			const n = 60
			api := filled(n)
			var asked atomic.Int64
			w := &testhost.Wire{Handler: http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
				if asked.Add(1) <= 2 {
					rw.WriteHeader(http.StatusBadGateway)
					return
				}
				api.ServeHTTP(rw, req)
			})}
			r := &poller.Reader{Hosts: opens, Base: w, Sweep: sweep}
			for i, o := range r.Heads(t.Context(), testhost.Monitors(t, config.GitHub, n)) {
				if o.Err != nil {
					t.Fatalf("sweep %s, repository %d: %v, want it read by a smaller query", sweep, i, o.Err)
				}
			}
		})
	}
}
