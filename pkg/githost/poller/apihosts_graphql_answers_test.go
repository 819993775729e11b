package poller_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
	"github.com/tekton-sentry/sentry/pkg/githost/github"
	"github.com/tekton-sentry/sentry/pkg/githost/gitlab"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

// What GitHub says in an answer whose status is a success.
func TestGitHubGraphQLAnswers(t *testing.T) {
	const good = `{"nameWithOwner":"o/r0","pushedAt":null,"h0":{"prefix":"refs/heads/","name":"main","target":{"oid":"` + shaA + `"}}}`
	for _, c := range []struct {
		name, body string
		want       githost.Kind // of the second repository; the first has heads unless all is set
		all        bool
		text       string
	}{
		{"not found", `{"data":{"r0":` + good + `,"r1":null},"errors":[{"type":"NOT_FOUND","path":["r1"],"message":"Could not resolve"}]}`, githost.NotFound, false, "Could not resolve"},
		{"forbidden", `{"data":{"r0":` + good + `,"r1":null},"errors":[{"type":"FORBIDDEN","path":["r1"],"message":"SAML, ` + goodToken + `"}]}`, githost.Denied, false, "[redacted]"},
		{"forbidden below", `{"data":{"r0":` + good + `,"r1":{"nameWithOwner":"o/r1","h0":null}},"errors":[{"type":"FORBIDDEN","path":["r1","h0"],"message":"no"}]}`, githost.Denied, false, "lacks the right"},
		{"an outage of one", `{"data":{"r0":` + good + `,"r1":{"nameWithOwner":"o/r1","h0":null}},"errors":[{"type":"SERVICE_UNAVAILABLE","path":["r1","h0"],"message":"no"}]}`, githost.Temporary, false, "the server has a problem"},
		{"half an answer", `{"data":{"r0":` + good + `}}`, githost.Temporary, false, "leaves this repository out"},
		{"null without a reason", `{"data":{"r0":` + good + `,"r1":null}}`, githost.Temporary, false, "leaves this repository out"},
		{"half a repository", `{"data":{"r0":` + good + `,"r1":{"nameWithOwner":"o/r1"}}}`, githost.Invalid, false, "leaves out branch"},
		{"another type", `{"data":{"r0":` + good + `,"r1":{"nameWithOwner":7}}}`, githost.Invalid, false, "another shape"},
		{"another type below", `{"data":{"r0":` + good + `,"r1":{"nameWithOwner":"o/r1","h0":[1]}}}`, githost.Invalid, false, "another shape"},
		{"no object name", `{"data":{"r0":` + good + `,"r1":{"h0":{"prefix":"refs/heads/","name":"main","target":{}}}}}`, githost.Invalid, false, "main"},
		{"another ref of that name", `{"data":{"r0":` + good + `,"r1":{"h0":{"prefix":"refs/tags/","name":"main","target":{"oid":"` + shaA + `"}}}}}`, githost.NoBranch, false, "main"},
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
			origin := serveAPI(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("X-RateLimit-Reset", fmt.Sprint(time.Now().Add(30*time.Minute).Unix()))
				_, _ = io.WriteString(w, c.body)
			}))
			got := openAPI(t, github.Open, origin, "", goodToken).Heads(t.Context(), []githost.Wanted{
				{URL: origin + "/o/r0", Patterns: apiPatterns(t, "main")}, {URL: origin + "/o/r1", Patterns: apiPatterns(t, "main")}})
			if !c.all && got[0].Heads["main"] != shaA {
				t.Errorf("the first repository: %v, want main at %s", got[0], shaA)
			}
			for _, o := range got[map[bool]int{true: 0, false: 1}[c.all]:] {
				e := apiError(t, o)
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

// A repository with many branches is read by REST from then on, and its neighbours are not.
func TestGitHubManyBranches(t *testing.T) {
	api, origin, want := newGraphQL(t, config.GitHub, 3, "b.*", "main")
	heads := map[string]repo.SHA{"main": repo.SHA(fmt.Sprintf("%039x%d", 2, 0))}
	for i := range 1000 {
		b := fmt.Sprintf("b%04d", i)
		api.Push("o/r1", b, shaA)
		heads[b] = shaA
	}
	h := openAPI(t, github.Open, origin, "", goodToken)
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

// GitLab's GraphQL says that there are no branches when the repositories are out of reach. REST is asked,
// as it is for what was renamed; and on servers without what we need of GraphQL.
func TestGitLabLeavesOpen(t *testing.T) {
	api, origin, want := newGraphQL(t, config.GitLab, 20, "main", "dev")
	h := openAPI(t, gitlab.Open, origin, "", goodToken)
	for _, c := range []struct {
		name    string
		arrange func()
		rest    int
	}{
		{"all is well", func() {}, 0},
		{"the repositories are out of reach", func() { api.SetGitalyDown(true) }, 20},
		{"they are back", func() { api.SetGitalyDown(false) }, 0},
		{"one was renamed", func() { api.Rename("o/r7", "o/other") }, 2}, // a redirect
	} {
		c.arrange()
		checkHeads(t, h.Heads(t.Context(), want), "main", "dev")
		if n := len(restRequests(api)); n != c.rest {
			t.Errorf("%s: %d requests by REST, want %d", c.name, n, c.rest)
		}
	}
	for _, body := range []string{
		`{"data":{"repository":{"fields":[{"name":"tree","args":[]}]},"query":{"fields":[{"name":"projects","args":[{"name":"fullPaths"}]}]}}}`,
		`{"data":{"repository":{"fields":[{"name":"commit","args":[{"name":"ref"}]}]},"query":{"fields":[{"name":"projects","args":[{"name":"ids"}]}]}}}`,
	} {
		asked := 0
		old := serveAPI(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if req.Method == http.MethodPost {
				asked++
				_, _ = io.WriteString(w, body)
				return
			}
			api.ServeHTTP(w, req)
		}))
		h := openAPI(t, gitlab.Open, old, "", goodToken)
		for range 2 {
			o := h.Heads(t.Context(), []githost.Wanted{{URL: old + "/o/r3", Patterns: apiPatterns(t, "main")}})[0]
			if o.Err != nil || asked != 1 {
				t.Errorf("an older server: %v after %d introspections, want heads after one", o, asked)
			}
		}
	}
}

// Projects with branches of their own fill queries up to what GitLab allows.
func TestGitLabComplexity(t *testing.T) {
	api, origin, want := newGraphQL(t, config.GitLab, 200, "main")
	for i := range want {
		b := fmt.Sprintf("own%d", i)
		api.Push(fmt.Sprintf("o/r%d", i), b, shaB)
		want[i].Patterns = apiPatterns(t, "main", b)
	}
	for i, o := range openAPI(t, gitlab.Open, origin, "", goodToken).Heads(t.Context(), want) {
		if len(o.Heads) != 2 {
			t.Errorf("repository %d: %v, want two heads", i, o)
		}
	}
	if n := len(api.Requests()); n > 20 {
		t.Errorf("%d requests for 200 projects with branches of their own, want at most 20", n)
	}
}

// An answer that leaves out what tells whether it is whole is an error, and not a repository with fewer branches.
func TestGitHubPartialAnswers(t *testing.T) {
	const ref, last = `{"prefix":"refs/heads/","name":"main","target":{"oid":"` + shaA + `"}}`, `"pageInfo":{"hasNextPage":false}`
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
			origin := serveAPI(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, `{"data":{"r0":{"nameWithOwner":"o/r0",`+c.said+`}}}`)
			}))
			got := openAPI(t, github.Open, origin, "", goodToken).Heads(t.Context(), []githost.Wanted{
				{URL: origin + "/o/r0", Patterns: apiPatterns(t, "main", c.branch)}})
			if e := apiError(t, got[0]); e.Kind != githost.Invalid {
				t.Errorf("%s: %v, want kind %q", c.said, e, githost.Invalid)
			}
		})
	}
}
