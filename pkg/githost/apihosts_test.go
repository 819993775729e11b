package githost_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
	"github.com/tekton-sentry/sentry/pkg/githost/github"
	"github.com/tekton-sentry/sentry/pkg/githost/gitlab"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/secret"
)

// apiHosts are the hosts with an API for heads, which must behave alike.
var apiHosts = []apiHost{
	{config.GitHub, github.Open},
	{config.GitLab, gitlab.Open},
}

type apiHost struct {
	kind config.HostType
	open githost.Open
}

const (
	goodToken = "good-token-xyzzy"
	shaA      = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	shaB      = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

// openAPI opens a host at a server.
func openAPI(t *testing.T, open githost.Open, origin, apiURL, token string) githost.Host {
	t.Helper()
	transport := githost.NewTransport()
	t.Cleanup(transport.CloseIdleConnections)
	h, err := open(githost.Endpoint{Origin: origin, APIURL: apiURL, Auth: config.Auth{
		Username: secret.New("somebody", "somebody"), Token: secret.New(token, token)}},
		githost.NewClient(transport, "test", time.Hour))
	if err != nil {
		t.Fatalf("Open(%s, %q) = %v", origin, apiURL, err)
	}
	return h
}

func serveAPI(t *testing.T, handler http.Handler) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

// restOnly serves a host without GraphQL.
func restOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Method == http.MethodPost {
			http.NotFound(w, req)
			return
		}
		next.ServeHTTP(w, req)
	})
}

// restRequests returns what a host was asked by GET.
func restRequests(api *githosttest.API) []githosttest.Request {
	return slices.DeleteFunc(api.Requests(), func(r githosttest.Request) bool { return strings.HasSuffix(r.URL, "/graphql") })
}

func apiPatterns(t testing.TB, entries ...string) repo.Patterns {
	t.Helper()
	var ps repo.Patterns
	for _, e := range entries {
		p, err := repo.ParsePattern(e)
		if err != nil {
			t.Fatalf("ParsePattern(%q) = %v", e, err)
		}
		ps = append(ps, p)
	}
	return ps
}

// apiError returns the *Error of an observation, and fails the test when it holds the token, more than
// one line, or heads beside it.
func apiError(t *testing.T, o repo.Observation) *githost.Error {
	t.Helper()
	var e *githost.Error
	if !errors.As(o.Err, &e) {
		t.Fatalf("got heads %v and error %v, want an *Error", o.Heads, o.Err)
	}
	if text := e.Error(); strings.Contains(text, "xyzzy") || strings.ContainsAny(text, "\n\r") || len(text) > 400 {
		t.Errorf("error %q: want one short line without the token", text)
	}
	if o.Heads != nil || e.Host == "" {
		t.Errorf("error %v comes with heads %v and host %q, want none and one", e, o.Heads, e.Host)
	}
	return e
}

// hostileNames are branch names that Git allows and that mean something to URLs, shells or regular expressions.
var hostileNames = []string{"x$(HOME)", "a'b", `q"q`, "ünï/cödé", "dev%20z", "100%", "a#b", "a&b=c", "a+b", "r;ls", "release/1.0", "日本"}

type apiCase struct {
	name      string
	arrange   func(*githosttest.API)
	path      string // default: team/app
	branches  []string
	token     string
	anonymous bool // means nothing with a token
	want      map[string]repo.SHA
	kind      githost.Kind
	status    int
}

var apiCases = []apiCase{
	{name: "one exact name among others that begin alike", branches: []string{"main"},
		want: map[string]repo.SHA{"main": shaA}},
	{name: "exact names, of which one is missing", branches: []string{"main", "gone", "dev-x"},
		want: map[string]repo.SHA{"main": shaA, "dev-x": shaB}},
	{name: "a pattern", branches: []string{"dev.*"}, want: map[string]repo.SHA{"dev-x": shaB, "dev/y": shaA}},
	{name: "a pattern without a literal start", branches: []string{".*-x"}, want: map[string]repo.SHA{"dev-x": shaB}},
	{name: "exact names and patterns together", branches: []string{"main", "dev.*", "dev-x", "v[0-9]+"},
		want: map[string]repo.SHA{"main": shaA, "dev-x": shaB, "dev/y": shaA}},
	{name: "a start that is no path", branches: []string{`\.\./\.\./secret.*`}, kind: githost.NoBranch},
	{name: "an exact name that is a path to elsewhere", branches: []string{"main", "dev"}, path: "team/app.git",
		want: map[string]repo.SHA{"main": shaA}},
	{name: "250 branches", branches: []string{"b.*"}, arrange: func(a *githosttest.API) {
		for b := range manyBranches() {
			a.Push("team/app", b, shaB)
		}
	}, want: manyBranches()},
	{name: "no branch matches", branches: []string{"prod", "prod-.*"}, kind: githost.NoBranch},
	{name: "an empty repository", path: "team/empty", branches: []string{"main"}, kind: githost.NoBranch,
		arrange: func(a *githosttest.API) { a.Create("team/empty") }},
	{name: "no such repository", path: "team/none", branches: []string{"main", "dev.*"}, kind: githost.NotFound, status: 404},
	{name: "a private repository without a token", arrange: func(a *githosttest.API) { a.SetPrivate("team/app") },
		branches: []string{"main"}, anonymous: true, kind: githost.NotFound, status: 404},
	{name: "a private repository", arrange: func(a *githosttest.API) { a.SetPrivate("team/app") },
		branches: []string{"main"}, token: goodToken, want: map[string]repo.SHA{"main": shaA}},
	{name: "a token that is refused", branches: []string{"main"}, token: "stale-token-xyzzy", kind: githost.Denied, status: 401},
	{name: "a token without the right", arrange: func(a *githosttest.API) { a.SetDenied("team/app") },
		branches: []string{"main"}, token: goodToken, kind: githost.Denied, status: 403},
	{name: "a renamed repository", arrange: func(a *githosttest.API) { a.Rename("team/app", "team/new") },
		branches: []string{"main", "dev.*"}, token: goodToken, want: map[string]repo.SHA{"main": shaA, "dev-x": shaB, "dev/y": shaA}},
	{name: "a removed repository", arrange: func(a *githosttest.API) { a.Remove("team/app") },
		branches: []string{"main"}, kind: githost.NotFound, status: 404},
	{name: "an object name that is none", branches: []string{"main"}, kind: githost.Invalid,
		arrange: func(a *githosttest.API) { a.Push("team/app", "main", "$(reboot)") }},
	{name: "a limit that is exhausted", arrange: func(a *githosttest.API) { a.SetLimit(githosttest.Exhausted) },
		branches: []string{"main"}, token: goodToken, kind: githost.RateLimited},
	{name: "a secondary limit", arrange: func(a *githosttest.API) { a.SetLimit(githosttest.Abused) },
		branches: []string{"main"}, token: goodToken, kind: githost.RateLimited},
	{name: "too many requests", arrange: func(a *githosttest.API) { a.SetLimit(githosttest.TooMany) },
		branches: []string{"main"}, kind: githost.RateLimited, status: 429},
}

func manyBranches() map[string]repo.SHA {
	m := make(map[string]repo.SHA)
	for i := range 250 {
		m[fmt.Sprintf("b%03d", i)] = shaB
	}
	return m
}

// newAPI returns a host with one repository, team/app, and without GraphQL.
func newAPI(kind config.HostType) *githosttest.API {
	api := githosttest.NewAPI(kind)
	api.SetToken(goodToken)
	api.SetGraphQL(false)
	for branch, sha := range map[string]string{"main": shaA, "main-old": shaB, "dev-x": shaB, "dev/y": shaA, "devil/../x": shaA} {
		api.Push("team/app", branch, sha)
	}
	return api
}

func TestAPIHosts(t *testing.T) {
	for _, host := range apiHosts {
		for _, c := range apiCases {
			t.Run(string(host.kind)+"/"+c.name, func(t *testing.T) { t.Parallel(); testAPIHost(t, host, c, false) })
			if host.kind != config.Gitea && !c.anonymous {
				t.Run(string(host.kind)+" GraphQL/"+c.name, func(t *testing.T) { t.Parallel(); testAPIHost(t, host, c, true) })
			}
		}
	}
}

func testAPIHost(t *testing.T, host apiHost, c apiCase, graphQL bool) {
	api := newAPI(host.kind)
	api.SetGraphQL(graphQL)
	if graphQL && c.token == "" {
		c.token = goodToken
	}
	if graphQL && host.kind == config.GitHub && c.status != http.StatusUnauthorized && c.status != http.StatusTooManyRequests {
		c.status = 0 // errors come with a 200
	}
	if c.arrange != nil {
		c.arrange(api)
	}
	origin := serveAPI(t, api)
	path := c.path
	if path == "" {
		path = "team/app"
	}
	h := openAPI(t, host.open, origin, "", c.token)
	got := h.Heads(t.Context(), []githost.Wanted{{URL: origin + "/" + path, Patterns: apiPatterns(t, c.branches...)}})
	if len(got) != 1 {
		t.Fatalf("%d answers for one repository", len(got))
	}
	if n := len(restRequests(api)); graphQL && host.kind == config.GitHub && n != 0 {
		t.Errorf("%d requests by REST, want none", n)
	}
	if c.kind == "" {
		if diff := cmp.Diff(repo.Observation{Heads: c.want}, got[0]); diff != "" {
			t.Errorf("heads of %v (-want +got):\n%s", c.branches, diff)
		}
		return
	}
	e := apiError(t, got[0])
	if e.Kind != c.kind || c.status != 0 && e.Status != c.status {
		t.Errorf("error %v: kind %q, status %d, want %q, %d", e, e.Kind, e.Status, c.kind, c.status)
	}
	if wait := time.Until(e.Until); c.kind == githost.RateLimited && (wait < 30*time.Second || wait > time.Hour) {
		t.Errorf("error %v: ask again in %s, want what the host said", e, wait)
	}
}

// Each name is found by itself, which shows how it travels in a URL, and among all others.
func TestAPIHostsHostileNames(t *testing.T) {
	for _, host := range apiHosts {
		t.Run(string(host.kind), func(t *testing.T) {
			t.Parallel()
			api := newAPI(host.kind)
			origin := serveAPI(t, api)
			var want []githost.Wanted
			var all repo.Patterns
			for _, b := range hostileNames {
				api.Push("team/app", b, shaA)
				all = append(all, repo.ExactPattern(b))
				want = append(want, githost.Wanted{URL: origin + "/team/app", Patterns: repo.Patterns{repo.ExactPattern(b)}})
			}
			want = append(want, githost.Wanted{URL: origin + "/team/app", Patterns: all})
			got := openAPI(t, host.open, origin, "", "").Heads(t.Context(), want)
			for i, o := range got {
				heads := make(map[string]repo.SHA)
				for _, p := range want[i].Patterns {
					heads[p.String()] = shaA
				}
				if diff := cmp.Diff(repo.Observation{Heads: heads}, o); diff != "" {
					t.Errorf("heads of %q (-want +got):\n%s", want[i].Patterns, diff)
				}
			}
		})
	}
}

// One repository's trouble is its own, and the answers keep the order of the questions.
func TestAPIHostsManyRepositories(t *testing.T) {
	for _, host := range apiHosts {
		t.Run(string(host.kind), func(t *testing.T) {
			t.Parallel()
			api := newAPI(host.kind)
			api.SetPrivate("team/hidden")
			origin := serveAPI(t, api)
			var want []githost.Wanted
			for i := range 30 {
				path := fmt.Sprintf("team/app%d", i)
				switch i % 3 {
				case 0:
					api.Push(path, "main", fmt.Sprintf("%040x", i+1))
				case 1:
					path = "team/hidden"
				}
				want = append(want, githost.Wanted{URL: origin + "/" + path, Patterns: apiPatterns(t, "main")})
			}
			got := openAPI(t, host.open, origin, "", "").Heads(t.Context(), want)
			for i, o := range got {
				if i%3 != 0 {
					if e := apiError(t, o); e.Kind != githost.NotFound {
						t.Errorf("repository %d: %v, want %q", i, e, githost.NotFound)
					}
				} else if sha := repo.SHA(fmt.Sprintf("%040x", i+1)); o.Heads["main"] != sha {
					t.Errorf("repository %d: %v, want main at %s", i, o, sha)
				}
			}
		})
	}
}

// At most eight requests are under way at once, and eight are.
func TestAPIHostsParallel(t *testing.T) {
	for _, host := range apiHosts {
		t.Run(string(host.kind), func(t *testing.T) {
			t.Parallel()
			var under, most atomic.Int64
			var once sync.Once
			full := make(chan struct{})
			api := newAPI(host.kind)
			origin := serveAPI(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				n := under.Add(1)
				defer under.Add(-1)
				for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
				}
				if n >= 8 {
					once.Do(func() { close(full) })
				}
				select {
				case <-full:
				case <-req.Context().Done():
				}
				api.ServeHTTP(w, req)
			}))
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			want := slices.Repeat([]githost.Wanted{{URL: origin + "/team/app", Patterns: apiPatterns(t, "main")}}, 40)
			for _, o := range openAPI(t, host.open, origin, "", "").Heads(ctx, want) {
				if o.Err != nil {
					t.Fatalf("error %v, want heads: eight requests did not arrive together", o.Err)
				}
			}
			if most.Load() != 8 {
				t.Errorf("%d requests at once for 40 repositories, want 8", most.Load())
			}
		})
	}
}

// A host that limits us is left alone, not asked for the other repositories as well.
func TestAPIHostsStopWhenLimited(t *testing.T) {
	for _, host := range apiHosts {
		t.Run(string(host.kind), func(t *testing.T) {
			t.Parallel()
			api := newAPI(host.kind)
			api.SetLimit(githosttest.TooMany)
			origin := serveAPI(t, api)
			want := slices.Repeat([]githost.Wanted{{URL: origin + "/team/app", Patterns: apiPatterns(t, "main")}}, 50)
			for i, o := range openAPI(t, host.open, origin, "", goodToken).Heads(t.Context(), want) {
				if e := apiError(t, o); e.Kind != githost.RateLimited || e.Until.IsZero() {
					t.Errorf("repository %d: %v until %v, want %q and a time", i, e, e.Until, githost.RateLimited)
				}
			}
			if n := len(api.Requests()); n > 8 {
				t.Errorf("%d requests to a host that answers 429, want at most 8", n)
			}
		})
	}
}

func TestAPIHostsInterrupted(t *testing.T) {
	for _, host := range apiHosts {
		t.Run(string(host.kind), func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			origin := serveAPI(t, http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
				cancel()
				_, _ = io.Copy(io.Discard, req.Body) // or the server would not notice
				<-req.Context().Done()
			}))
			want := slices.Repeat([]githost.Wanted{{URL: origin + "/team/app", Patterns: apiPatterns(t, "main")}}, 20)
			for _, o := range openAPI(t, host.open, origin, "", goodToken).Heads(ctx, want) {
				if e := apiError(t, o); e.Kind != githost.Temporary || !errors.Is(e, context.Canceled) {
					t.Errorf("error %v, want a temporary one of the cancelled context", e)
				}
			}
		})
	}
}
