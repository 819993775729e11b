package truth

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/conformance/testhost"
	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/repo/repotest"
)

// requestPatterns are what is watched of requests, by turns.
var requestPatterns = []string{"requests to main", "requests to .* from anyone", "requests to main from anyone", "requests to (main|dev)"}

// Requests asserts that requests are opened, pushed to, closed, given another target and opened from forks, also by AGit, at random for
// hundreds of cycles, beside branches, as a Reader reads them in each way. What it reads is what is open, and whose each is.
func Requests(t *testing.T, h testhost.Host) {
	if !h.Driver.Requests {
		return
	}
	for _, graphQL := range []bool{true, false} {
		for _, sweep := range []time.Duration{0, 15 * time.Minute} {
			t.Run(fmt.Sprintf("GraphQL %v, sweep %v", graphQL, sweep), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { openRequests(t, h, graphQL, sweep) })
			})
		}
	}
}

func openRequests(t *testing.T, h testhost.Host, graphQL bool, sweep time.Duration) {
	const n, cycles = 12, 300
	random := rand.New(rand.NewPCG(n, uint64(sweep)))
	api := h.Filled(n)
	api.SetGraphQL(graphQL)
	api.Push("stranger/fork", "main", testhost.SHA1)
	branches := testhost.Monitors(t, h.Driver.Type, n)
	want := branches
	for i := range n {
		m := branches[i]
		m.Branches = repotest.Patterns(t, requestPatterns[i%len(requestPatterns)])
		want = append(want, m)
	}
	open := make([]map[int]githosttest.OpenRequest, n)
	r := h.Reader(&testhost.Wire{Handler: http.HandlerFunc(api.ServeHTTP)}, sweep)
	last := make([]int, n)
	for cycle := range cycles {
		for range random.IntN(4) {
			i := random.IntN(n)
			path := fmt.Sprintf("o/r%d", i)
			if open[i] == nil {
				open[i] = make(map[int]githosttest.OpenRequest)
			}
			number := 1 + random.IntN(last[i]+1)
			q, there := open[i][number]
			switch fate := random.IntN(6); {
			case there && fate < 2:
				api.CloseRequest(path, number)
				delete(open[i], number)
				continue
			case there && fate == 2:
				q.Target = []string{"main", "dev", "rel-1"}[random.IntN(3)]
			case there:
				q.Head = fmt.Sprintf("%040x", random.Uint64()|1)
			default:
				q = githosttest.OpenRequest{Head: fmt.Sprintf("%040x", random.Uint64()|1), Target: []string{"main", "dev"}[random.IntN(2)],
					From: []string{path, "stranger/fork", "", "gone/private", path}[random.IntN(5)]}
				q.AGit = h.Driver.Type == config.Gitea && q.From == path && random.IntN(2) == 0
				last[i] = max(last[i], number)
			}
			open[i][number] = q
			api.SetRequest(path, number, q)
		}
		for i, o := range r.Heads(t.Context(), want)[n:] {
			checkRequests(t, cycle, h.Driver.Type, want[n+i], fmt.Sprintf("o/r%d", i), open[i], o)
		}
		<-time.After(time.Minute)
	}
}

// checkRequests compares an answer with what is open.
func checkRequests(t *testing.T, cycle int, kind config.HostType, m config.Monitor, path string, open map[int]githosttest.OpenRequest, o repo.Observation) {
	t.Helper()
	start := repo.Pulls
	if kind == config.GitLab {
		start = repo.Merges
	}
	heads, requests := map[string]repo.SHA{}, map[string]repo.Request{}
	pattern, _ := m.Branches.Requests()
	for number, q := range open {
		name, _ := repo.RequestName(start, int64(number))
		r := repo.Request{Target: q.Target, Own: q.From == path && !q.AGit}
		if pattern.Takes(r) {
			heads[name], requests[name] = repo.SHA(q.Head), r
		}
	}
	if len(heads) == 0 {
		if e := testhost.ErrorOf(t, o); e.Kind != githost.NoBranch {
			t.Fatalf("cycle %d: %s without a request: %v, want %q", cycle, m.URL, e, githost.NoBranch)
		}
		return
	}
	told := maps.Clone(o.Requests)
	for name, r := range told {
		if _, err := repo.ParseSHA(string(r.TargetSHA)); r.TargetSHA != "" && err != nil {
			t.Errorf("cycle %d: %s: %v", cycle, name, err)
		}
		r.TargetSHA = ""
		told[name] = r
	}
	if o.Err != nil || o.Status != repo.Fresh || !maps.Equal(heads, o.Heads) || !maps.Equal(requests, told) {
		t.Fatalf("cycle %d: %s %v (-want +got):\n%s", cycle, m.URL, m.Branches, cmp.Diff(repo.Observation{Heads: heads, Requests: requests}, o))
	}
}
