package poller_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
	"github.com/tekton-sentry/sentry/pkg/githost/github"
	"github.com/tekton-sentry/sentry/pkg/githost/gitlab"
)

// A broken answer for one repository is an error of the right kind, and the repository beside it is read.
func TestAPIHostsFaults(t *testing.T) {
	cases := []struct {
		fault githosttest.FaultKind
		want  []githost.Kind
	}{
		{githosttest.ShortBody, []githost.Kind{githost.Temporary}},
		{githosttest.Truncated, []githost.Kind{githost.Temporary}},
		{githosttest.Garbage, []githost.Kind{githost.Invalid}},
		{githosttest.WrongJSON, []githost.Kind{githost.Invalid}},
		{githosttest.ServerError, []githost.Kind{githost.Temporary}},
		{githosttest.Unauthorized, []githost.Kind{githost.Denied}},
		{githosttest.TooManyRequests, []githost.Kind{githost.RateLimited}},
		{githosttest.RedirectTo("http://elsewhere.example"), []githost.Kind{githost.Invalid}},
	}
	for _, host := range apiHosts {
		for _, c := range cases {
			t.Run(string(host.kind)+"/"+string(c.fault), func(t *testing.T) {
				t.Parallel()
				api := newAPI(host.kind)
				api.Push("team/broken", "main", shaA)
				broken := githosttest.Fault(c.fault, api)
				origin := serveAPI(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
					if strings.Contains(req.URL.Path, "broken") {
						broken.ServeHTTP(w, req)
						return
					}
					api.ServeHTTP(w, req)
				}))
				got := openAPI(t, host.open, origin, "", goodToken).Heads(t.Context(), []githost.Wanted{
					{URL: origin + "/team/app", Patterns: apiPatterns(t, "main")},
					{URL: origin + "/team/broken", Patterns: apiPatterns(t, "main")},
				})
				if c.fault != githosttest.TooManyRequests && got[0].Heads["main"] != shaA {
					t.Errorf("the healthy repository: %v, want main at %s", got[0], shaA)
				}
				e := apiError(t, got[1])
				for _, kind := range c.want {
					if e.Kind == kind {
						return
					}
				}
				t.Errorf("error %v, want kind %v", e, c.want)
			})
		}
	}
}

func TestAPIHostsHang(t *testing.T) {
	for _, host := range apiHosts {
		origin := serveAPI(t, githosttest.Fault(githosttest.Hang, nil))
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		got := openAPI(t, host.open, origin, "", goodToken).Heads(ctx, []githost.Wanted{{URL: origin + "/team/app", Patterns: apiPatterns(t, "main")}})
		cancel()
		if e := apiError(t, got[0]); e.Kind != githost.Temporary {
			t.Errorf("%s hangs: %v, want a temporary error", host.kind, e)
		}
	}
}

// Answers that are HTTP and JSON, and lies.
func TestAPIHostsLies(t *testing.T) {
	const sha40 = shaA
	gitHubRef := `{"ref":"refs/heads/main","object":{"sha":"` + sha40 + `"}}`
	gitLabBranch := `{"name":"main","commit":{"id":"` + sha40 + `"}}`
	cases := []struct {
		name   string
		kind   config.HostType
		status int
		header map[string]string
		body   string
		want   githost.Kind
		text   string
	}{
		{"an empty 200", config.GitHub, 200, nil, "", githost.Invalid, "empty"},
		{"null", config.GitHub, 200, nil, "null", githost.Invalid, "empty"},
		{"null", config.GitLab, 200, nil, "null", githost.Invalid, "empty"},
		{"an empty 200", config.GitLab, 200, nil, "", githost.Temporary, "cut short"},
		{"an object", config.GitHub, 200, nil, `{"message":"hello"}`, githost.Invalid, "another shape"},
		{"an object", config.GitLab, 200, nil, `{"message":"hello"}`, githost.Invalid, "another shape"},
		{"a login page", config.GitLab, 200, map[string]string{"Content-Type": "text/html"}, "<html>sign in", githost.Invalid, "not JSON"},
		{"nulls in the list", config.GitHub, 200, nil, "[null," + gitHubRef + "]", githost.Invalid, "without its name"},
		{"nulls in the list", config.GitLab, 200, nil, "[null," + gitLabBranch + "]", githost.Invalid, "without its name"},
		{"a ref without an object", config.GitHub, 200, nil, `[{"ref":"refs/heads/main"}]`, githost.Invalid, "main"},
		{"a branch without a commit", config.GitLab, 200, nil, `[{"name":"main","commit":null}]`, githost.Invalid, "main"},
		{"tags only", config.GitHub, 200, nil, `[{"ref":"refs/tags/main","object":{"sha":"` + sha40 + `"}}]`, githost.NoBranch, ""},
		{"a page that follows itself", config.GitHub, 200, map[string]string{"Link": `<https://x/y?page=1>; rel="next"`}, "[]", githost.Invalid, "page 1"},
		{"a page that follows itself", config.GitLab, 200, map[string]string{"X-Next-Page": "1"}, "[]", githost.Invalid, "page 1"},
		{"a page before the first", config.GitLab, 200, map[string]string{"X-Next-Page": "-7"}, "[]", githost.Invalid, "page -7"},
		{"a Link that the library does not survive", config.GitLab, 200, map[string]string{"Link": "<x>; y"}, "[" + gitLabBranch + "]", githost.Invalid, "fault of Sentry"},
		{"unchanged, at first", config.GitHub, 304, nil, "", githost.Invalid, "unchanged"},
		{"unchanged, at first", config.GitLab, 304, nil, "", githost.Invalid, "unchanged"},
		{"accepted", config.GitHub, 202, nil, "{}", githost.Invalid, "202"},
		{"no content", config.GitLab, 204, nil, "", githost.Invalid, "204"},
		{"a conflict that is no empty repository", config.GitHub, 409, nil, `{"message":"being created"}`, githost.Temporary, "not available yet"},
		{"a credential that is echoed", config.GitHub, 403, map[string]string{"Content-Type": "application/json"}, `{"message":"no, ` + goodToken + `"}`, githost.Denied, "[redacted]"},
		{"a credential that is echoed", config.GitLab, 403, map[string]string{"Content-Type": "application/json"}, `{"message":"no, ` + goodToken + `"}`, githost.Denied, "[redacted]"},
		{"gone", config.GitLab, 410, nil, "", githost.NotFound, ""},
		{"limits without a time", config.GitLab, 429, nil, "", githost.RateLimited, ""},
	}
	for _, c := range cases {
		t.Run(string(c.kind)+"/"+c.name, func(t *testing.T) {
			t.Parallel()
			origin := serveAPI(t, restOnly(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				for k, v := range c.header {
					w.Header().Set(k, v)
				}
				w.WriteHeader(c.status)
				_, _ = w.Write([]byte(c.body))
			})))
			o := openAPI(t, hostOf(c.kind).open, origin, "", goodToken).Heads(t.Context(),
				[]githost.Wanted{{URL: origin + "/team/app", Patterns: apiPatterns(t, "main")}})[0]
			if c.want == "" {
				if o.Err != nil || o.Heads["main"] != sha40 {
					t.Errorf("%d %s: %v, want main at %s", c.status, c.body, o, sha40)
				}
				return
			}
			if e := apiError(t, o); e.Kind != c.want || !strings.Contains(e.Error(), c.text) {
				t.Errorf("%d %s: %v, want kind %q and %q", c.status, c.body, e, c.want, c.text)
			}
		})
	}
}

// Pages that never end, and pages at another host, which never sees the token.
func TestAPIHostsEndlessPages(t *testing.T) {
	elsewhere := serveAPI(t, http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		t.Errorf("the other host was asked %s with %q", req.URL, req.Header.Get("Authorization"))
	}))
	for _, c := range []struct {
		open     githost.Open
		perPage  int
		requests int
		kind     githost.Kind
		want     string
	}{
		{github.Open, 0, 1000, githost.Invalid, "do not end after 1000 pages"},
		{gitlab.Open, 0, 1000, githost.Invalid, "do not end after 1000 pages"},
		{github.Open, 5000, 21, githost.TooLarge, "more than 100000 branches"},
		{gitlab.Open, 5000, 21, githost.TooLarge, "more than 100000 branches"},
	} {
		requests := 0
		origin := serveAPI(t, restOnly(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			requests++
			w.Header().Set("Link", fmt.Sprintf(`<%s/next?page=%d>; rel="next"`, elsewhere, requests+1))
			w.Header().Set("X-Next-Page", fmt.Sprint(requests+1))
			item := `{"ref":"refs/heads/b%[1]d","object":{"sha":"` + shaA + `"},"name":"b%[1]d","commit":{"id":"` + shaA + `"}}`
			items := make([]string, c.perPage)
			for i := range items {
				items[i] = fmt.Sprintf(item, requests*c.perPage+i)
			}
			_, _ = fmt.Fprintf(w, "[%s]", strings.Join(items, ","))
		})))
		got := openAPI(t, c.open, origin, "", goodToken).Heads(t.Context(), []githost.Wanted{{URL: origin + "/team/app", Patterns: apiPatterns(t, "main")}})
		if e := apiError(t, got[0]); e.Kind != c.kind || !strings.Contains(e.Error(), c.want) || requests != c.requests {
			t.Errorf("%d branches a page without an end: %v after %d requests, want %q after %d", c.perPage, e, requests, c.want, c.requests)
		}
	}
}

// go-github would refuse all calls after such an answer, until the time that the host named, itself.
func TestGitHubIsAskedAgain(t *testing.T) {
	api := newAPI(config.GitHub)
	origin := serveAPI(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("X-RateLimit-Remaining", "0")
		w.Header().Set("X-RateLimit-Reset", "4102444800")
		api.ServeHTTP(w, req)
	}))
	h := openAPI(t, github.Open, origin, "", goodToken)
	want := []githost.Wanted{{URL: origin + "/team/app", Patterns: apiPatterns(t, "main")}}
	api.SetLimit(githosttest.Abused)
	if e := apiError(t, h.Heads(t.Context(), want)[0]); e.Kind != githost.RateLimited {
		t.Errorf("error %v, want %q", e, githost.RateLimited)
	}
	api.SetLimit(githosttest.Unlimited)
	for range 2 {
		if o := h.Heads(t.Context(), want)[0]; o.Heads["main"] != shaA {
			t.Errorf("after the limit was lifted: %v, want main at %s", o, shaA)
		}
	}
}

func hostOf(kind config.HostType) apiHost {
	for _, h := range apiHosts {
		if h.kind == kind {
			return h
		}
	}
	panic("no such host: " + kind)
}
