package githost_test

import (
	"context"
	"fmt"
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
	"github.com/tekton-sentry/sentry/pkg/secret"
)

// What each kind of question costs, and in what form the credential travels.
func TestAPIHostsRequests(t *testing.T) {
	many := []string{"a1", "a2", "b1", "b2", "c1"}
	cases := []struct {
		kind     config.HostType
		branches []string
		token    string
		want     []string // sorted
		auth     string
	}{
		{config.GitHub, []string{"main"}, goodToken, []string{"/api/v3/repos/team/app/git/matching-refs/heads/main?per_page=100"}, "Bearer " + goodToken},
		{config.GitHub, []string{"main", "dev.*", "dev-x", "main-old"}, "", []string{
			"/api/v3/repos/team/app/git/matching-refs/heads/dev?per_page=100",
			"/api/v3/repos/team/app/git/matching-refs/heads/main?per_page=100"}, ""},
		{config.GitHub, many, "", []string{"/api/v3/repos/team/app/git/matching-refs/heads/?per_page=100"}, ""},
		{config.GitLab, []string{"main", "dev.*", "v1.0"}, goodToken, []string{
			"/api/v4/projects/team%2Fapp/repository/branches?page=1&per_page=100&regex=%5E%28main%24%7Cdev%7Cv1%5C.0%24%29"}, "Bearer " + goodToken},
		{config.GitLab, []string{".*"}, "", []string{"/api/v4/projects/team%2Fapp/repository/branches?page=1&per_page=100"}, ""},
		{config.GitLab, []string{strings.Repeat("a", 250), strings.Repeat("b", 250) + ".*", strings.Repeat("c", 999) + "+"}, "", []string{
			"/api/v4/projects/team%2Fapp/repository/branches?page=1&per_page=100"}, ""},
	}
	for _, c := range cases {
		t.Run(fmt.Sprint(c.kind, c.branches), func(t *testing.T) {
			t.Parallel()
			api := newAPI(c.kind)
			origin := serveAPI(t, api)

			openAPI(t, hostOf(c.kind).open, origin, "", c.token).Heads(t.Context(),
				[]githost.Wanted{{URL: origin + "/team/app.git", Patterns: apiPatterns(t, c.branches...)}})
			var urls []string
			for _, r := range restRequests(api) {
				urls = append(urls, r.URL)
				if r.Authorization != c.auth {
					t.Errorf("%s was sent %q, want %q", r.URL, r.Authorization, c.auth)
				}
			}
			slices.Sort(urls)
			if diff := cmp.Diff(c.want, urls); diff != "" {
				t.Errorf("requests for %v (-want +got):\n%s", c.branches, diff)
			}
		})
	}
}

// Where each host looks for the API and for the project, from origin, api_url and repo_url.
func TestAPIHostsAddresses(t *testing.T) {
	const gitHubPath = "/repos/o/r/git/matching-refs/heads/main?per_page=100"
	const gitLabQuery = "/repository/branches?page=1&per_page=100&regex=%5E%28main%24%29"
	cases := []struct {
		open                 githost.Open
		origin, apiURL, repo string
		want                 string
	}{
		{github.Open, "https://github.com", "", "/o/r.git", "https://api.github.com" + gitHubPath},
		{github.Open, "https://company.ghe.com", "", "/o/r", "https://api.company.ghe.com" + gitHubPath},
		{github.Open, "https://ghe.example.com:8443", "", "/o/r/", "https://ghe.example.com:8443/api/v3" + gitHubPath},
		{github.Open, "https://ghe.example.com", "https://gateway.example.com/github/", "/o/r", "https://gateway.example.com/github" + gitHubPath},
		{github.Open, "https://ghe.example.com", "", "/o%3Fx/r%2561", "https://ghe.example.com/api/v3/repos/o%3Fx/r%2561/git/matching-refs/heads/main?per_page=100"},
		{gitlab.Open, "https://gitlab.com", "", "/a/b/c/d.git", "https://gitlab.com/api/v4/projects/a%2Fb%2Fc%2Fd" + gitLabQuery},
		{gitlab.Open, "https://example.com", "https://example.com/gitlab/api/v4/", "/gitlab/a/b/c", "https://example.com/gitlab/api/v4/projects/a%2Fb%2Fc" + gitLabQuery},
		{gitlab.Open, "https://example.com", "https://example.com/gitlab", "/gitlab/a/b", "https://example.com/gitlab/api/v4/projects/a%2Fb" + gitLabQuery},
		{gitlab.Open, "https://example.com", "https://api.example.com/x/api/v4", "/x/b", "https://api.example.com/x/api/v4/projects/x%2Fb" + gitLabQuery},
		{gitlab.Open, "https://gitlab.com", "", "/a/site.io", "https://gitlab.com/api/v4/projects/a%2Fsite%2Eio" + gitLabQuery},
	}
	for _, c := range cases {
		var asked []string
		client := &http.Client{Transport: roundTrip(func(req *http.Request) (*http.Response, error) {
			asked = append(asked, req.URL.String())
			return nil, fmt.Errorf("no network here")
		})}
		h, err := c.open(githost.Endpoint{Origin: c.origin, APIURL: c.apiURL}, client)
		if err != nil {
			t.Errorf("Open(%s, %q) = %v", c.origin, c.apiURL, err)
			continue
		}
		_ = h.Heads(t.Context(), []githost.Wanted{{URL: c.origin + c.repo, Patterns: apiPatterns(t, "main")}})
		if len(asked) == 0 || asked[0] != c.want {
			t.Errorf("%s with api_url %q asked %q, want %s", c.origin+c.repo, c.apiURL, asked, c.want)
		}
	}
}

// A host below a path, with a group in a group where there are such.
func TestAPIHostsBelowAPath(t *testing.T) {
	for _, c := range []struct {
		kind         config.HostType
		project, api string
	}{
		{config.GitLab, "team/backend/app", "/scm"},
		{config.GitLab, "team/backend/apps/app", "/scm/api/v4/"},
		{config.GitHub, "team/app", "/scm/api/v3"},
	} {
		api := githosttest.NewAPI(c.kind)
		api.Push(c.project, "main", shaA)
		origin := serveAPI(t, http.StripPrefix("/scm", api))
		repository := origin + "/scm/" + c.project + ".git"
		if c.kind == config.GitHub { // which never lives below a path; only its API may seem to
			repository = origin + "/" + c.project
		}
		o := openAPI(t, hostOf(c.kind).open, origin, origin+c.api, "").Heads(t.Context(),
			[]githost.Wanted{{URL: repository, Patterns: apiPatterns(t, "main")}})[0]
		if o.Heads["main"] != shaA {
			t.Errorf("%s with api_url %s: %v, want main at %s", repository, c.api, o, shaA)
		}
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// Addresses and credentials that cannot work are refused, in words that hold nothing secret.
func TestAPIHostsRefuse(t *testing.T) {
	for _, host := range apiHosts {
		for _, c := range []struct{ apiURL, token, want string }{
			{"ftp://example.com", "", "api_url is not of the form"},
			{"https://user:token-xyzzy@example.com/api", "", "api_url is not of the form"},
			{"https://example.com/api?token=xyzzy", "", "api_url is not of the form"},
			{"example.com", "", "api_url is not of the form"},
			{"", "token-xyzzy\n", "auth.token holds a line break"},
		} {
			_, err := host.open(githost.Endpoint{Origin: "https://example.com", APIURL: c.apiURL,
				Auth: config.Auth{Token: secret.New("${T}", c.token)}}, http.DefaultClient)
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "xyzzy") {
				t.Errorf("%s: Open(%q, %q) = %v, want %q and no secret", host.kind, c.apiURL, c.token, err, c.want)
			}
		}
		api := newAPI(host.kind)
		origin := serveAPI(t, api)
		h := openAPI(t, host.open, origin, "", "")
		for _, path := range []string{"", "/", "/app", "/team/..", "/../app", "/team//app", "/team/%0a", "/%2e%2e/app"} {
			e := apiError(t, h.Heads(t.Context(), []githost.Wanted{{URL: origin + path, Patterns: apiPatterns(t, "main")}})[0])
			if e.Kind != githost.Invalid || !strings.Contains(e.Error(), "repo_url") {
				t.Errorf("%s: repository %q: %v, want an invalid repo_url", host.kind, path, e)
			}
		}
		if n := len(api.Requests()); n != 0 {
			t.Errorf("%s: %d requests for repositories that cannot be", host.kind, n)
		}
	}
}

// An idle cycle costs a 304 a page, and what changed is seen all the same.
func TestAPIHostsUnchanged(t *testing.T) {
	for _, host := range apiHosts[:2] {
		t.Run(string(host.kind), func(t *testing.T) {
			t.Parallel()
			api := newAPI(host.kind)
			origin := serveAPI(t, api)
			h := openAPI(t, host.open, origin, "", goodToken)
			read := func(statuses ...int) map[string]repo.SHA {
				t.Helper()
				o := h.Heads(t.Context(), []githost.Wanted{{URL: origin + "/team/app", Patterns: apiPatterns(t, "main", "z.*")}})[0]
				if o.Err != nil {
					t.Fatal(o.Err)
				}
				var got []int
				for _, r := range restRequests(api) {
					got = append(got, r.Status)
					if (r.Status == http.StatusNotModified) != (r.Bytes == 0) {
						t.Errorf("%s: status %d with %d bytes", r.URL, r.Status, r.Bytes)
					}
				}
				if !slices.Equal(got, statuses) {
					t.Errorf("the host answered %v, want %v", got, statuses)
				}
				return o.Heads
			}
			want := map[string]repo.SHA{"main": shaA}
			check := func(got map[string]repo.SHA) {
				t.Helper()
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("heads (-want +got):\n%s", diff)
				}
			}
			requests := map[config.HostType]int{config.GitHub: 2, config.GitLab: 1}[host.kind]
			check(read(slices.Repeat([]int{200}, requests)...))
			check(read(slices.Repeat([]int{304}, requests)...))
			api.Push("team/app", "main", shaB) // also a force push
			want["main"] = shaB
			switch host.kind {
			case config.GitHub:
				check(read(200, 304))
			default:
				check(read(200))
			}
			for i := range 99 {
				b := fmt.Sprintf("z%03d", i)
				api.Push("team/app", b, shaB)
				want[b] = shaB
			}
			if host.kind == config.GitHub {
				check(read(304, 200))
				return
			}
			// GitLab's first page is full now, and its ETag says nothing about a page after it.
			check(read(200))
			check(read(304, 200))
			api.Push("team/app", "z1", shaA)
			want["z1"] = shaA
			check(read(304, 200))
			check(read(304, 304))
			api.Delete("team/app", "z1")
			delete(want, "z1")
			check(read(304, 200))
		})
	}
}

// The deadline of the caller ends a request, in the caller's words.
func TestAPIHostsDeadline(t *testing.T) {
	for _, host := range apiHosts {
		api := newAPI(host.kind)
		api.SetLatency(time.Hour)
		origin := serveAPI(t, api)
		ctx, cancel := githost.WithTimeout(t.Context(), "example.com", 50*time.Millisecond)
		o := openAPI(t, host.open, origin, "", "").Heads(ctx, []githost.Wanted{{URL: origin + "/team/app", Patterns: apiPatterns(t, "main")}})
		cancel()
		if e := apiError(t, o[0]); e.Kind != githost.Temporary || !strings.Contains(e.Error(), "no answer within 50ms") {
			t.Errorf("%s, which takes an hour: %v, want the deadline's own words", host.kind, e)
		}
	}
}

// A proxy that keeps GitLab's headers to itself does not hide the pages after the first.
func TestGitLabWithoutPageHeaders(t *testing.T) {
	api := newAPI(config.GitLab)
	for b, sha := range manyBranches() {
		api.Push("team/app", b, string(sha))
	}
	origin := serveAPI(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		api.ServeHTTP(withoutPages{w}, req)
	}))
	o := openAPI(t, gitlab.Open, origin, "", "").Heads(t.Context(), []githost.Wanted{{URL: origin + "/team/app", Patterns: apiPatterns(t, "b.*")}})[0]
	if diff := cmp.Diff(repo.Observation{Heads: manyBranches()}, o); diff != "" {
		t.Errorf("250 branches (-want +got):\n%s", diff)
	}
}

type withoutPages struct{ http.ResponseWriter }

func (w withoutPages) WriteHeader(status int) {
	for _, name := range []string{"Link", "X-Next-Page", "X-Page", "X-Total", "X-Total-Pages"} {
		w.Header().Del(name)
	}
	w.ResponseWriter.WriteHeader(status)
}

// GitLab's library would space requests by a header of the first answer, here by minutes.
func TestGitLabIsNotSlowedDown(t *testing.T) {
	api := newAPI(config.GitLab)
	origin := serveAPI(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("RateLimit-Limit", "1")
		api.ServeHTTP(w, req)
	}))
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	want := slices.Repeat([]githost.Wanted{{URL: origin + "/team/app", Patterns: apiPatterns(t, "main")}}, 20)
	for _, o := range openAPI(t, gitlab.Open, origin, "", "").Heads(ctx, want) {
		if o.Err != nil {
			t.Errorf("error %v, want heads", o.Err)
		}
	}
}
