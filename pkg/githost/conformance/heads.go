package conformance

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/conformance/testhost"
	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/repo/repotest"
	"github.com/tekton-sentry/sentry/pkg/secret"
)

// question is one, and its answer.
type question struct {
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

var questions = []question{
	{name: "one exact name among others that begin alike", branches: []string{"main"},
		want: map[string]repo.SHA{"main": testhost.SHA1}},
	{name: "exact names, of which one is missing", branches: []string{"main", "gone", "dev-x"},
		want: map[string]repo.SHA{"main": testhost.SHA1, "dev-x": testhost.SHA2}},
	{name: "a pattern", branches: []string{"dev.*"}, want: map[string]repo.SHA{"dev-x": testhost.SHA2, "dev/y": testhost.SHA1}},
	{name: "a pattern without a literal start", branches: []string{".*-x"}, want: map[string]repo.SHA{"dev-x": testhost.SHA2}},
	{name: "exact names and patterns together", branches: []string{"main", "dev.*", "dev-x", "v[0-9]+"},
		want: map[string]repo.SHA{"main": testhost.SHA1, "dev-x": testhost.SHA2, "dev/y": testhost.SHA1}},
	{name: "a start that is no path", branches: []string{`\.\./\.\./secret.*`}, kind: githost.NoBranch},
	{name: "a URL with .git at its end", branches: []string{"main", "dev"}, path: "team/app.git",
		want: map[string]repo.SHA{"main": testhost.SHA1}},
	{name: "250 branches", branches: []string{"b.*"}, arrange: func(a *githosttest.API) {
		for b := range testhost.ManyBranches() {
			a.Push("team/app", b, testhost.SHA2)
		}
	}, want: testhost.ManyBranches()},
	{name: "tags beside branches", branches: []string{"main", "dev.*", `refs/tags/v\d+`},
		want: map[string]repo.SHA{"main": testhost.SHA1, "dev-x": testhost.SHA2, "dev/y": testhost.SHA1, "refs/tags/v1": testhost.SHA1, "refs/tags/v2": testhost.SHA2}},
	{name: "tags alone", branches: []string{"refs/tags/.*-rc"}, want: map[string]repo.SHA{"refs/tags/v3-rc": testhost.SHA1}},
	{name: "tags by name", branches: []string{"refs/tags/v1", "refs/tags/v9", "refs/tags/v2"},
		want: map[string]repo.SHA{"refs/tags/v1": testhost.SHA1, "refs/tags/v2": testhost.SHA2}},
	{name: "a branch and a tag by the same name", branches: []string{"main", "refs/tags/main"},
		want: map[string]repo.SHA{"main": testhost.SHA1, "refs/tags/main": testhost.SHA2}},
	{name: "a branch by name and tags by a pattern", branches: []string{"main", "refs/tags/v.*"},
		want: map[string]repo.SHA{"main": testhost.SHA1, "refs/tags/v1": testhost.SHA1, "refs/tags/v2": testhost.SHA2, "refs/tags/v3-rc": testhost.SHA1}},
	{name: "no tag matches", branches: []string{"refs/tags/x.*"}, kind: githost.NoBranch},
	{name: "a branch whose name is that of a tag in full", branches: []string{".*x/v1", "refs/tags/x/v1"},
		arrange: func(a *githosttest.API) {
			a.Push("team/app", "refs/tags/x/v1", testhost.SHA2)
			a.Change("team/app", func(r *githosttest.Repository) { r.Branches["refs/tags/x/v1"] = testhost.SHA1 })
		}, want: map[string]repo.SHA{"refs/heads/refs/tags/x/v1": testhost.SHA1, "refs/tags/x/v1": testhost.SHA2}},
	{name: "250 tags, and as many branches", branches: []string{"b.*", "refs/tags/b.*"}, arrange: func(a *githosttest.API) {
		for b := range testhost.ManyBranches() {
			a.Push("team/app", b, testhost.SHA2)
			a.Push("team/app", repo.Tags+b, testhost.SHA1)
		}
	}, want: manyTags()},
	{name: "a thousand tags beside a branch", branches: []string{"main", "refs/tags/t.*"}, token: testhost.Token, arrange: func(a *githosttest.API) {
		for i := range 1000 {
			a.Push("team/app", fmt.Sprintf("refs/tags/t%d", i), testhost.SHA1)
		}
	}, want: thousandTags()},
	{name: "no branch matches", branches: []string{"prod", "prod-.*"}, kind: githost.NoBranch},
	{name: "an empty repository", path: "team/empty", branches: []string{"main"}, kind: githost.NoBranch,
		arrange: func(a *githosttest.API) { a.Create("team/empty") }},
	{name: "no such repository", path: "team/none", branches: []string{"main", "dev.*"}, kind: githost.NotFound, status: 404},
	{name: "no such repository, with a token", path: "team/none", branches: []string{"main"}, token: testhost.Token, kind: githost.NotFound, status: 404},
	{name: "a private repository without a token", arrange: func(a *githosttest.API) { a.SetPrivate("team/app") },
		branches: []string{"main"}, anonymous: true, kind: githost.NotFound, status: 404},
	{name: "a private repository", arrange: func(a *githosttest.API) { a.SetPrivate("team/app") },
		branches: []string{"main"}, token: testhost.Token, want: map[string]repo.SHA{"main": testhost.SHA1}},
	{name: "a token that is refused", branches: []string{"main"}, token: "stale-token-xyzzy", kind: githost.Denied, status: 401},
	{name: "a token without the right", arrange: func(a *githosttest.API) { a.SetDenied("team/app") },
		branches: []string{"main"}, token: testhost.Token, kind: githost.Denied, status: 403},
	{name: "a renamed repository", arrange: func(a *githosttest.API) { a.Rename("team/app", "team/new") },
		branches: []string{"main", "dev.*"}, token: testhost.Token, want: map[string]repo.SHA{"main": testhost.SHA1, "dev-x": testhost.SHA2, "dev/y": testhost.SHA1}},
	{name: "a removed repository", arrange: func(a *githosttest.API) { a.Remove("team/app") },
		branches: []string{"main"}, kind: githost.NotFound, status: 404},
	{name: "an object name that is none", branches: []string{"main"}, kind: githost.Invalid,
		arrange: func(a *githosttest.API) { a.Push("team/app", "main", "$(reboot)") }},
	{name: "a limit that is exhausted", arrange: func(a *githosttest.API) { a.SetLimit(githosttest.Exhausted) },
		branches: []string{"main"}, token: testhost.Token, kind: githost.RateLimited},
	{name: "a secondary limit", arrange: func(a *githosttest.API) { a.SetLimit(githosttest.Abused) },
		branches: []string{"main"}, token: testhost.Token, kind: githost.RateLimited},
	{name: "too many requests", arrange: func(a *githosttest.API) { a.SetLimit(githosttest.TooMany) },
		branches: []string{"main"}, kind: githost.RateLimited, status: 429},
}

func manyTags() map[string]repo.SHA {
	heads := testhost.ManyBranches()
	for b := range testhost.ManyBranches() {
		heads[repo.Tags+b] = testhost.SHA1
	}
	return heads
}

func thousandTags() map[string]repo.SHA {
	heads := map[string]repo.SHA{"main": testhost.SHA1}
	for i := range 1000 {
		heads[fmt.Sprintf("refs/tags/t%d", i)] = testhost.SHA1
	}
	return heads
}

func headsOrAReason(t *testing.T, h testhost.Host) {
	for _, way := range h.Ways {
		for _, q := range questions {
			if way.GraphQL && q.anonymous {
				continue
			}
			t.Run(way.Name+"/"+q.name, func(t *testing.T) { t.Parallel(); answers(t, h, way, q) })
		}
	}
}

func answers(t *testing.T, h testhost.Host, way testhost.Way, q question) {
	api := oneRepository(h)
	api.SetGraphQL(way.GraphQL)
	if way.GraphQL && q.token == "" {
		q.token = testhost.Token
	}
	switch {
	case way.Alone && q.status != http.StatusUnauthorized && q.status != http.StatusTooManyRequests:
		q.status = 0
	case q.kind == githost.NotFound && q.token == "" && h.Missing == githost.Denied:
		q.kind, q.status = githost.Denied, http.StatusUnauthorized
	}
	if q.arrange != nil {
		q.arrange(api)
	}
	path := q.path
	if path == "" {
		path = "team/app"
	}
	got := ask(t, h, api, q.token, path, q.branches...)
	if n := len(testhost.ByREST(api)); way.Alone && n != 0 && len(q.want) < 1000 && !tagsByREST(h, q) {
		t.Errorf("%d requests by REST, want none", n)
	}
	if q.kind == "" {
		if diff := cmp.Diff(repo.Observation{Heads: q.want}, got); diff != "" {
			t.Errorf("heads of %v (-want +got):\n%s", q.branches, diff)
		}
		return
	}
	e := testhost.ErrorOf(t, got)
	if e.Kind != q.kind || q.status != 0 && e.Status != q.status {
		t.Errorf("error %v: kind %q, status %d, want %q, %d", e, e.Kind, e.Status, q.kind, q.status)
	}
	most := time.Hour
	if q.status == http.StatusTooManyRequests {
		most = time.Minute // by Retry-After, which goes before the hour of other headers
	}
	if wait := time.Until(e.Until); q.kind == githost.RateLimited && (wait < 30*time.Second || wait > most) {
		t.Errorf("error %v: ask again in %s, want what the host said", e, wait)
	}
}

// tagsByREST reports whether only REST answers a question: GitLab's GraphQL has no list of tags.
func tagsByREST(h testhost.Host, q question) bool {
	return h.Driver.Type == config.GitLab && slices.ContainsFunc(q.branches, func(b string) bool { return strings.HasPrefix(b, repo.Tags) })
}

// HostileNames are branch names that Git allows and that mean something to URLs, shells, GraphQL or regular expressions.
var HostileNames = []string{"x$(HOME)", "a'b", `q"q`, "ünï/cödé", "dev%20z", "100%", "a#b", "a&b=c", "a+b", "r;ls", "release/1.0", "日本",
	`a"){__typename}`, "$b0", "{}"}

// Each name is found by itself, which shows how it travels, and among all others.
func hostileNames(t *testing.T, h testhost.Host) {
	for _, way := range h.Ways {
		t.Run(way.Name, func(t *testing.T) {
			t.Parallel()
			api := oneRepository(h)
			api.SetGraphQL(way.GraphQL)
			origin := testhost.Serve(t, api)
			path, token := `team/app`, ""
			if way.GraphQL {
				path, token = `te"){x}am/ap'p$(reboot)`, testhost.Token
			}
			url := origin + "/" + strings.NewReplacer(`"`, "%22", ")", "%29", "{", "%7B", "}", "%7D", "'", "%27", "(", "%28").Replace(path)
			var want []githost.Wanted
			var all repo.Patterns
			for _, b := range HostileNames {
				api.Push(path, b, testhost.SHA1)
				all = append(all, repo.ExactPattern(b))
				want = append(want, githost.Wanted{URL: url, Patterns: repo.Patterns{repo.ExactPattern(b)}})
			}
			want = append(want, githost.Wanted{URL: url, Patterns: all})
			for i, o := range testhost.Open(t, h.Driver.Open, origin, "", token).Heads(t.Context(), want) {
				heads := make(map[string]repo.SHA)
				for _, p := range want[i].Patterns {
					heads[p.String()] = testhost.SHA1
				}
				if diff := cmp.Diff(repo.Observation{Heads: heads}, o); diff != "" {
					t.Errorf("heads of %q (-want +got):\n%s", want[i].Patterns, diff)
				}
			}
			for _, r := range api.Requests() {
				if way.GraphQL && !strings.HasSuffix(r.URL, "/graphql") {
					t.Errorf("asked %s, want GraphQL alone", r.URL)
				}
			}
		})
	}
}

func addresses(t *testing.T, h testhost.Host) {
	for _, a := range h.Addresses {
		var asked []string
		client := &http.Client{Transport: testhost.RoundTrip(func(req *http.Request) (*http.Response, error) {
			asked = append(asked, req.Method+" "+req.URL.String())
			return nil, errors.New("no network here")
		})}
		host, err := h.Driver.Open(githost.Endpoint{Account: githost.Account{Origin: a.Origin, APIURL: a.APIURL}, Auth: config.Auth{Token: secret.New("${T}", a.Token)}}, client)
		if err != nil {
			t.Errorf("Open(%s, %q) = %v", a.Origin, a.APIURL, err)
			continue
		}
		_ = host.Heads(t.Context(), []githost.Wanted{{URL: a.Origin + a.Repo, Patterns: repotest.Patterns(t, "main")}})
		if len(asked) == 0 || asked[0] != a.Want || a.Token != "" && len(asked) != 1 {
			t.Errorf("%s with api_url %q asked %q, want %s", a.Origin+a.Repo, a.APIURL, asked, a.Want)
		}
	}
}

// What each kind of question costs, and in what form the credential travels.
func requests(t *testing.T, h testhost.Host) {
	for _, c := range h.Requests {
		t.Run(fmt.Sprint(c.Branches), func(t *testing.T) {
			t.Parallel()
			api := oneRepository(h)
			ask(t, h, api, c.Token, "team/app.git", c.Branches...)
			var urls []string
			for _, r := range testhost.ByREST(api) {
				urls = append(urls, r.URL)
				if r.Authorization != c.Auth {
					t.Errorf("%s was sent %q, want %q", r.URL, r.Authorization, c.Auth)
				}
			}
			slices.Sort(urls)
			if diff := cmp.Diff(c.Want, urls); diff != "" {
				t.Errorf("requests for %v (-want +got):\n%s", c.Branches, diff)
			}
		})
	}
}

// Addresses and credentials that cannot work are refused, in words that hold nothing secret.
func refusals(t *testing.T, h testhost.Host) {
	if !h.HasAPI {
		return
	}
	for _, c := range []struct{ apiURL, token, want string }{
		{"ftp://example.com", "", "api_url is not of the form"},
		{"https://user:token-xyzzy@example.com/api", "", "api_url is not of the form"},
		{"https://example.com/api?token=xyzzy", "", "api_url is not of the form"},
		{"example.com", "", "api_url is not of the form"},
		{"", "token-xyzzy\n", "auth.token holds a line break"},
	} {
		_, err := h.Driver.Open(githost.Endpoint{Account: githost.Account{Origin: "https://example.com", APIURL: c.apiURL},
			Auth: config.Auth{Token: secret.New("${T}", c.token)}}, new(http.Client))
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "xyzzy") {
			t.Errorf("Open(%q, %q) = %v, want %q and no secret", c.apiURL, c.token, err, c.want)
		}
	}
	api := oneRepository(h)
	origin := testhost.Serve(t, api)
	host := testhost.Open(t, h.Driver.Open, origin, "", "")
	for _, path := range []string{"", "/", "/app", "/team/..", "/../app", "/team//app", "/team/%0a", "/%2e%2e/app"} {
		e := testhost.ErrorOf(t, host.Heads(t.Context(), []githost.Wanted{{URL: origin + path, Patterns: repotest.Patterns(t, "main")}})[0])
		if e.Kind != githost.Invalid || !strings.Contains(e.Error(), "repo_url") {
			t.Errorf("repository %q: %v, want an invalid repo_url", path, e)
		}
	}
	if n := len(api.Requests()); n != 0 {
		t.Errorf("%d requests for repositories that cannot be", n)
	}
}

// oneRepository returns a server with one repository, team/app, and no GraphQL.
func oneRepository(h testhost.Host) *githosttest.API {
	api := h.Server()
	api.SetToken(testhost.Token)
	api.SetGraphQL(false)
	for branch, sha := range map[string]string{"main": testhost.SHA1, "main-old": testhost.SHA2, "dev-x": testhost.SHA2, "dev/y": testhost.SHA1, "devil/../x": testhost.SHA1} {
		api.Push("team/app", branch, sha)
	}
	for tag, sha := range map[string]string{"v1": testhost.SHA1, "v2": testhost.SHA2, "v3-rc": testhost.SHA1, "main": testhost.SHA2} {
		api.Push("team/app", repo.Tags+tag, sha)
	}
	return api
}

// ask opens a server and asks it once, for one repository.
func ask(t *testing.T, h testhost.Host, handler http.Handler, token, path string, branches ...string) repo.Observation {
	t.Helper()
	origin := testhost.Serve(t, handler)
	got := testhost.Open(t, h.Driver.Open, origin, "", token).Heads(t.Context(), []githost.Wanted{testhost.Wanted(t, origin, path, branches...)})
	if len(got) != 1 {
		t.Fatalf("%d answers for one repository", len(got))
	}
	return got[0]
}
