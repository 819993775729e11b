package githost_test

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
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

// graphQLHosts are the hosts with GraphQL.
var graphQLHosts = apiHosts[:2]

// newGraphQL returns a host with GraphQL and n repositories, o/r0 and so on, each with three branches, and
// what is wanted of them.
func newGraphQL(t *testing.T, kind config.HostType, n int, branches ...string) (*githosttest.API, string, []githost.Wanted) {
	t.Helper()
	api := newAPI(kind)
	api.SetGraphQL(true)
	origin := serveAPI(t, api)
	patterns := apiPatterns(t, branches...)
	want := make([]githost.Wanted, n)
	for i := range want {
		path := fmt.Sprintf("o/r%d", i)
		for k, b := range []string{"main", "dev", "prod"} {
			api.Push(path, b, fmt.Sprintf("%039x%d", i+1, k))
		}
		want[i] = githost.Wanted{URL: origin + "/" + path, Patterns: patterns}
	}
	return api, origin, want
}

// checkHeads fails the test unless each repository has the branches that newGraphQL gave it.
func checkHeads(t *testing.T, got []repo.Observation, branches ...string) {
	t.Helper()
	for i, o := range got {
		want := make(map[string]repo.SHA)
		for k, b := range []string{"main", "dev", "prod"} {
			if slices.Contains(branches, b) {
				want[b] = repo.SHA(fmt.Sprintf("%039x%d", i+1, k))
			}
		}
		if diff := cmp.Diff(repo.Observation{Heads: want}, o); diff != "" {
			t.Fatalf("repository %d (-want +got):\n%s", i, diff)
		}
	}
}

// What an idle cycle of 1,000 repositories with three branches costs.
func TestGraphQLCost(t *testing.T) {
	for _, c := range []struct {
		kind     config.HostType
		branches []string
		requests int
		points   int
	}{
		{config.GitHub, []string{"main", "dev", "prod"}, 10, 10},
		{config.GitHub, []string{"main", "dev|prod"}, 10, 10},
		{config.GitLab, []string{"main", "dev", "prod"}, 10, 0},
	} {
		t.Run(fmt.Sprint(c.kind, c.branches), func(t *testing.T) {
			t.Parallel()
			api, origin, want := newGraphQL(t, c.kind, 1000, c.branches...)
			h := openAPI(t, hostOf(c.kind).open, origin, "", goodToken)
			checkHeads(t, h.Heads(t.Context(), want), "main", "dev", "prod") // learns the size of a batch
			before := api.Points()
			api.Requests()
			checkHeads(t, h.Heads(t.Context(), want), "main", "dev", "prod")
			if n, p := len(api.Requests()), api.Points()-before; n != c.requests || p != c.points {
				t.Errorf("an idle cycle took %d requests and %d points, want %d and %d", n, p, c.requests, c.points)
			}
		})
	}
}

// Whatever happens to the branches, each cycle reads what is there, and GitHub's prefilter misses no push.
func TestGraphQLReadsTheTruth(t *testing.T) {
	const cycles, repositories = 1000, 8
	for _, host := range graphQLHosts {
		t.Run(string(host.kind), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(1, 2))
			api := newAPI(host.kind)
			api.SetGraphQL(true)
			origin := serveAPI(t, api)
			h := openAPI(t, host.open, origin, "", goodToken)
			filter, _ := h.(githost.Prefilter)
			names := []string{"main", "dev", "dev-x", "a'b", "x$(y)", "rel/1.0"}
			truth, pushed := make([]map[string]repo.SHA, repositories), make([]bool, repositories)
			want := make([]githost.Wanted, 150) // as many as it takes for the prefilter to be worth it
			for i := range want {
				patterns := []string{"main", "dev-x", "rel/1.0"}
				if i%2 == 1 {
					patterns = []string{"main", "dev.*", `[ax].*`}
				}
				want[i] = githost.Wanted{URL: fmt.Sprintf("%s/o/r%d", origin, i%repositories), Patterns: apiPatterns(t, patterns...)}
			}
			for i := range truth {
				truth[i] = make(map[string]repo.SHA)
				api.Create(fmt.Sprintf("o/r%d", i))
			}
			for cycle := range cycles {
				clear(pushed)
				for range random.IntN(4) {
					i, b := random.IntN(repositories), names[random.IntN(len(names))]
					path := fmt.Sprintf("o/r%d", i)
					if random.IntN(3) == 0 {
						api.Delete(path, b)
						delete(truth[i], b)
						continue
					}
					sha := fmt.Sprintf("%040x", random.Uint64())
					api.Push(path, b, sha)
					truth[i][b], pushed[i] = repo.SHA(sha), true
				}
				api.Advance(time.Duration(random.IntN(90)) * time.Second)
				if filter != nil && cycle > 0 {
					changed, err := filter.Changed(t.Context(), want)
					if err != nil {
						t.Fatalf("cycle %d: Changed = %v", cycle, err)
					}
					for i, told := range changed {
						if pushed[i%repositories] && !told {
							t.Fatalf("cycle %d: %s was pushed to, and Changed says no", cycle, want[i].URL)
						}
					}
				}
				for i, o := range h.Heads(t.Context(), want[:repositories]) {
					checkTruth(t, cycle, want[i], truth[i], o)
				}
			}
		})
	}
}

func checkTruth(t *testing.T, cycle int, w githost.Wanted, truth map[string]repo.SHA, o repo.Observation) {
	t.Helper()
	heads := maps.Clone(truth)
	maps.DeleteFunc(heads, func(b string, _ repo.SHA) bool { return !w.Patterns.Match(b) })
	if len(heads) == 0 {
		if e := apiError(t, o); e.Kind != githost.NoBranch {
			t.Fatalf("cycle %d: %s without a branch: %v, want %q", cycle, w.URL, e, githost.NoBranch)
		}
		return
	}
	if diff := cmp.Diff(repo.Observation{Heads: heads}, o); diff != "" {
		t.Fatalf("cycle %d: %s %v (-want +got):\n%s", cycle, w.URL, w.Patterns, diff)
	}
}

// Where each host looks for GraphQL, from origin and api_url.
func TestGraphQLAddresses(t *testing.T) {
	for _, c := range []struct {
		open                 githost.Open
		origin, apiURL, want string
	}{
		{github.Open, "https://github.com", "", "https://api.github.com/graphql"},
		{github.Open, "https://company.ghe.com", "", "https://api.company.ghe.com/graphql"},
		{github.Open, "https://ghe.example.com:8443", "", "https://ghe.example.com:8443/api/graphql"},
		{github.Open, "https://ghe.example.com", "https://gateway.example.com/x/api/v3/", "https://gateway.example.com/x/api/graphql"},
		{github.Open, "https://ghe.example.com", "https://gateway.example.com/github", "https://gateway.example.com/github/graphql"},
		{gitlab.Open, "https://gitlab.com", "", "https://gitlab.com/api/graphql"},
		{gitlab.Open, "https://example.com", "https://example.com/gitlab", "https://example.com/gitlab/api/graphql"},
	} {
		var asked []string
		client := &http.Client{Transport: roundTrip(func(req *http.Request) (*http.Response, error) {
			asked = append(asked, req.Method+" "+req.URL.String())
			return nil, fmt.Errorf("no network here")
		})}
		h, err := c.open(githost.Endpoint{Origin: c.origin, APIURL: c.apiURL, Auth: config.Auth{Token: secret.New("${T}", goodToken)}}, client)
		if err != nil {
			t.Fatalf("Open(%s, %q) = %v", c.origin, c.apiURL, err)
		}
		_ = h.Heads(t.Context(), []githost.Wanted{{URL: c.origin + "/o/r", Patterns: apiPatterns(t, "main")}})
		if want := []string{"POST " + c.want}; !slices.Equal(asked, want) {
			t.Errorf("%s with api_url %q asked %q, want %q", c.origin, c.apiURL, asked, want)
		}
	}
}

// Names that mean something to GraphQL, URLs or shells travel in variables and come back whole.
func TestGraphQLHostileNames(t *testing.T) {
	for _, host := range graphQLHosts {
		api := newAPI(host.kind)
		api.SetGraphQL(true)
		origin := serveAPI(t, api)
		const path = `te"){x}am/ap'p$(reboot)`
		var want []githost.Wanted
		for _, b := range slices.Concat(hostileNames, []string{`a"){__typename}`, "$b0", "{}"}) {
			api.Push(path, b, shaA)
			want = append(want, githost.Wanted{URL: origin + "/te%22%29%7Bx%7Dam/ap%27p$%28reboot%29", Patterns: repo.Patterns{repo.ExactPattern(b)}})
		}
		for i, o := range openAPI(t, host.open, origin, "", goodToken).Heads(t.Context(), want) {
			if diff := cmp.Diff(repo.Observation{Heads: map[string]repo.SHA{want[i].Patterns.String(): shaA}}, o); diff != "" {
				t.Errorf("%s: heads of %q (-want +got):\n%s", host.kind, want[i].Patterns, diff)
			}
		}
		for _, r := range api.Requests() {
			if !strings.HasSuffix(r.URL, "/graphql") {
				t.Errorf("%s was asked %s, want GraphQL alone", host.kind, r.URL)
			}
		}
	}
}

// tooMuch answers status to queries for more than most repositories, and for any with poison among them.
func tooMuch(next http.Handler, status int, asked *atomic.Int64, most int, poison string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Method != http.MethodPost {
			next.ServeHTTP(w, req)
			return
		}
		asked.Add(1)
		body, _ := io.ReadAll(req.Body)
		n := strings.Count(string(body), `:repository(`) + strings.Count(string(body), `"o/r`)
		if n > most && strings.Contains(string(body), "o0") || n > 2*most || poison != "" && strings.Contains(string(body), poison) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, `{"errors":[{"message":"Something went wrong while executing your query."}],"data":null}`)
			return
		}
		req.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(w, req)
	})
}

// A server that cannot answer many at once is asked for fewer, and one repository that it cannot answer at
// all costs only itself.
func TestGraphQLAsksForLess(t *testing.T) {
	for _, host := range graphQLHosts {
		for _, status := range []int{http.StatusBadGateway, http.StatusGatewayTimeout, http.StatusOK} {
			t.Run(fmt.Sprint(host.kind, " ", status), func(t *testing.T) {
				t.Parallel()
				api, _, want := newGraphQL(t, host.kind, 120, "main", "dev", "prod")
				var asked atomic.Int64
				origin := serveAPI(t, tooMuch(api, status, &asked, 13, ""))
				for i := range want {
					want[i].URL = fmt.Sprintf("%s/o/r%d", origin, i)
				}
				h := openAPI(t, host.open, origin, "", goodToken)
				checkHeads(t, h.Heads(t.Context(), want), "main", "dev", "prod")
				if n := asked.Load(); n > 40 {
					t.Errorf("%d queries for 120 repositories, want at most 40", n)
				}
			})
		}
	}
	api, _, want := newGraphQL(t, config.GitHub, 60, "main")
	var asked atomic.Int64
	origin := serveAPI(t, tooMuch(api, http.StatusBadGateway, &asked, 1000, `"r37"`))
	for i := range want {
		want[i].URL = fmt.Sprintf("%s/o/r%d", origin, i)
	}
	for i, o := range openAPI(t, github.Open, origin, "", goodToken).Heads(t.Context(), want) {
		if i == 37 {
			if e := apiError(t, o); e.Kind != githost.Temporary || e.Status != http.StatusBadGateway {
				t.Errorf("the repository that is too much: %v, want a temporary error of the 502", e)
			}
		} else if o.Err != nil {
			t.Errorf("repository %d: %v, want heads", i, o.Err)
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
		_, _, want := newGraphQL(t, config.GitHub, 500, "main")
		var asked atomic.Int64
		origin := serveAPI(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			asked.Add(1)
			w.WriteHeader(c.status)
		}))
		for i, o := range openAPI(t, github.Open, origin, "", goodToken).Heads(t.Context(), want) {
			if e := apiError(t, o); e.Kind != c.kind {
				t.Errorf("HTTP %d: repository %d: %v, want %q", c.status, i, e, c.kind)
			}
		}
		if n := asked.Load(); n > int64(c.most) {
			t.Errorf("HTTP %d: %d requests for 500 repositories, want at most %d", c.status, n, c.most)
		}
	}
}
