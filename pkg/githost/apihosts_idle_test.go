package githost_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
	"github.com/tekton-sentry/sentry/pkg/secret"
)

// What a Reader spends on a cycle in which nothing changed, of 1,000 repositories with three branches each, by exact
// names. The sweep is apart: it is so long here that no repository has its turn.
func TestIdleCycleOfAThousand(t *testing.T) {
	const n = 1000
	for name, c := range map[string]struct {
		kind             config.HostType
		sweep            time.Duration
		requests, points int // at most
		body             int // of a request to the Git protocol, bytes at most
	}{
		"GitHub":            {kind: config.GitHub, requests: 10, points: 10},
		"GitHub, prefilter": {kind: config.GitHub, sweep: 1e6 * time.Hour, requests: 1, points: 1},
		"GitLab":            {kind: config.GitLab, requests: 20},
		"Gitea":             {kind: config.Gitea, requests: n, body: 150},
		"Gitea, prefilter":  {kind: config.Gitea, sweep: 1e6 * time.Hour, requests: 3},
		"Git":               {kind: config.Git, requests: n, body: 150},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				api := handlerOf(c.kind, n).(*githosttest.API)
				var mu sync.Mutex // of longest
				longest := 0
				want := monitorsAt(t, c.kind, n)
				for i := range want {
					api.Push(fmt.Sprintf("o/r%d", i), "prod", shaA)
					time.Sleep(15 * time.Second) // what was pushed to at the same time as the last one is read once more
					want[i].Branches = apiPatterns(t, "main", "dev", "prod")
				}
				w := &wire{handler: http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
					body, _ := io.ReadAll(req.Body)
					mu.Lock()
					longest = max(longest, len(body))
					mu.Unlock()
					req.Body = io.NopCloser(bytes.NewReader(body))
					api.ServeHTTP(rw, req)
				})}
				r := &githost.Reader{Open: allHosts, Base: w, Sweep: c.sweep}
				time.Sleep(time.Hour) // since the last push
				for cycle := range 4 {
					w.take()
					before := api.Points()
					longest = 0
					for i, o := range r.Heads(t.Context(), want) {
						if o.Err != nil || len(o.Heads) != 3 {
							t.Fatalf("cycle %d, repository %d: %+v", cycle, i, o)
						}
					}
					requests, points := w.take(), api.Points()-before
					if cycle > 0 && (requests > c.requests || points > c.points || c.body > 0 && longest > c.body) {
						t.Errorf("cycle %d: %d requests, %d points, the longest body %d bytes, want at most %d, %d, %d",
							cycle, requests, points, longest, c.requests, c.points, c.body)
					}
					time.Sleep(time.Minute)
				}
			})
		})
	}
}

// A token that is refused is sent three times in all, by every kind of host, from the start or after it was good,
// however many repositories have it; and the next token is used at once.
func TestRevokedTokenOfEveryHost(t *testing.T) {
	for kind := range allHosts {
		for _, wasGood := range []bool{false, true} {
			t.Run(fmt.Sprint(kind, "/good before: ", wasGood), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					const n = 300
					api := handlerOf(kind, n).(*githosttest.API)
					w := &wire{handler: api}
					r := &githost.Reader{Open: allHosts, Base: w, Sweep: 15 * time.Minute}
					want := monitorsAt(t, kind, n)
					cycle := func(kind githost.Kind) {
						t.Helper()
						for i, o := range r.Heads(t.Context(), want) {
							if kind == "" && o.Err != nil || kind != "" && (o.Err == nil && !o.Cached || o.Err != nil && apiError(t, o).Kind != kind) {
								t.Fatalf("repository %d: %+v, want error %q", i, o, kind)
							}
						}
						time.Sleep(time.Minute)
					}
					if wasGood {
						cycle("")
						cycle("")
					}
					api.SetToken("the next one")
					w.take()
					for range 30 {
						cycle(githost.Denied)
					}
					if asked := w.take(); asked != 3 {
						t.Errorf("the token was sent %d times, want 3", asked)
					}
					for i, o := range r.Heads(t.Context(), want) {
						if e := apiError(t, o); e.Status != http.StatusUnauthorized {
							t.Fatalf("repository %d: %v, want it to show that the token was refused", i, e)
						}
					}
					for i := range want {
						want[i].Auth.Token = secret.New("${T}", "the next one")
					}
					cycle("")
				})
			})
		}
	}
}
