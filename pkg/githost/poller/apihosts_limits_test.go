package poller_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/hosts"
	"github.com/tekton-sentry/sentry/pkg/githost/poller"
)

// limits are answers of hosts that are asked too often and name no time from which on they may be asked.
var limits = map[string]struct {
	kind  config.HostType
	serve func(*http.Request) (*http.Response, error)
}{
	"GitHub, secondary, in a 403":         {config.GitHub, says(403, "application/json", `{"message":"You have exceeded a secondary rate limit."}`)},
	"GitHub, secondary, in a 200":         {config.GitHub, says(200, "application/json", `{"data":null,"errors":[{"message":"You have exceeded a secondary rate limit."}]}`)},
	"GitHub, RATE_LIMITED":                {config.GitHub, says(200, "application/json", `{"data":null,"errors":[{"type":"RATE_LIMITED","message":"API rate limit"}]}`)},
	"GitHub, a reset that is over":        {config.GitHub, limitedUntil(403, "X-RateLimit-Reset", -2*time.Hour)},
	"GitLab, in a 200":                    {config.GitLab, says(200, "application/json", `{"errors":[{"message":"This endpoint has been requested too many times."}]}`)},
	"GitLab, a reset that is over":        {config.GitLab, limitedUntil(429, "RateLimit-Reset", -2*time.Hour)},
	"invites: Gitea, a date that is over": {config.Gitea, limitedUntil(429, "Retry-After", -2*time.Hour)},
	"Git, a plain 429":                    {config.Git, says(429, "text/plain", "slow down")},
	"Git, in a 403":                       {config.Git, says(403, "text/plain", "rate limit exceeded")},
	"invites: Git, at once":               {config.Git, limitedUntil(429, "Retry-After", 0)},
}

// limitedUntil is an answer with a header that names a time so far from now.
func limitedUntil(status int, header string, in time.Duration) func(*http.Request) (*http.Response, error) {
	return func(*http.Request) (*http.Response, error) {
		at := time.Now().Add(in)
		value := fmt.Sprint(at.Unix())
		if header == "Retry-After" {
			value = at.UTC().Format(http.TimeFormat)
		}
		return &http.Response{StatusCode: status, Header: http.Header{header: {value}, "X-Ratelimit-Remaining": {"0"}}, Body: http.NoBody}, nil
	}
}

// A limit without a time, or with one that is over by a clock that is ahead, is not asked about every minute.
func TestLimitsWithoutATime(t *testing.T) {
	for name, c := range limits {
		for _, n := range []int{1, 40} {
			t.Run(fmt.Sprint(name, "/", n), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := &wire{handler: handlerOf(c.kind, n)}
					r := &poller.Reader{Hosts: hosts.All, Base: w, Sweep: 15 * time.Minute}
					want := monitorsAt(t, c.kind, n)
					ticker := time.NewTicker(time.Minute)
					defer ticker.Stop()
					r.Heads(t.Context(), want)
					w.breaks(c.serve)
					w.take()
					for range 60 {
						<-ticker.C
						r.Heads(t.Context(), want)
					}
					most := 24 // two for each of 12 tries
					if strings.HasPrefix(name, "invites") {
						most = 60 // each is sent three times
					}
					if asked := w.take(); asked > most {
						t.Errorf("%d requests in an hour, want at most %d", asked, most)
					}
					w.breaks(nil)
					minute := 0
					for ; r.Heads(t.Context(), want)[n-1].Err != nil && minute <= 11; minute++ {
						<-ticker.C
					}
					if minute > 11 {
						t.Errorf("still limited %d minutes after the limit was lifted", minute)
					}
				})
			})
		}
	}
}

// A first query that is too much for GitHub is followed by smaller ones in the same cycle, also where hints are on
// and nothing was asked for them.
func TestSmallerQueriesInTheSameCycle(t *testing.T) {
	for _, sweep := range []time.Duration{0, 15 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			const n = 60
			api := handlerOf(config.GitHub, n)
			var asked atomic.Int64
			w := &wire{handler: http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
				if asked.Add(1) <= 2 {
					rw.WriteHeader(http.StatusBadGateway)
					return
				}
				api.ServeHTTP(rw, req)
			})}
			r := &poller.Reader{Hosts: hosts.All, Base: w, Sweep: sweep}
			for i, o := range r.Heads(t.Context(), monitorsAt(t, config.GitHub, n)) {
				if o.Err != nil {
					t.Fatalf("sweep %s, repository %d: %v, want it read by a smaller query", sweep, i, o.Err)
				}
			}
		})
	}
}

// withoutGraphQL serves a host whose GraphQL there is only when offered says so.
func withoutGraphQL(api http.Handler, offered func() bool) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/api/graphql" && !offered() {
			rw.WriteHeader(http.StatusNotFound)
			return
		}
		api.ServeHTTP(rw, req)
	})
}

// A host without GraphQL is asked for it again after an hour: it may have been upgraded, or only been starting.
func TestGraphQLIsLookedForAgain(t *testing.T) {
	for _, kind := range []config.HostType{config.GitHub, config.GitLab} {
		for _, interval := range []time.Duration{time.Minute, 10 * time.Minute} {
			t.Run(fmt.Sprint(kind, " every ", interval), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					const n = 10
					start, graphql := time.Now(), 0
					api := handlerOf(kind, n)
					w := &wire{handler: withoutGraphQL(http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
						if req.URL.Path == "/api/graphql" {
							graphql++
						}
						api.ServeHTTP(rw, req)
					}), func() bool { return time.Since(start) > 30*time.Minute })}
					r := &poller.Reader{Hosts: hosts.All, Base: w}
					want := monitorsAt(t, kind, n)
					for at := time.Duration(0); at < 70*time.Minute; at += interval {
						for i, o := range r.Heads(t.Context(), want) {
							if o.Err != nil {
								t.Fatalf("%s, after %s, repository %d: %v", kind, at, i, o.Err)
							}
						}
						if at < time.Hour && graphql > 0 {
							t.Fatalf("%s: GraphQL asked again after %s, want an hour", kind, at)
						}
						time.Sleep(interval)
					}
					if graphql == 0 {
						t.Errorf("%s, every %s: GraphQL not found in 70 minutes, want it looked for again after an hour", kind, interval)
					}
				})
			})
		}
	}
}

// A GraphQL that is away for a cycle is trouble of the host, and no reason to read thousands of repositories by REST for an
// hour; one that stays away is.
func TestGraphQLThatGoesAway(t *testing.T) {
	for _, kind := range []config.HostType{config.GitHub, config.GitLab} {
		for name, away := range map[string]time.Duration{"for a cycle": time.Minute, "for good": 24 * time.Hour} {
			t.Run(fmt.Sprint(kind, " ", name), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { graphQLThatGoesAway(t, kind, away) })
			})
		}
	}
}

func graphQLThatGoesAway(t *testing.T, kind config.HostType, away time.Duration) {
	const n, good = 10, 5 * time.Minute
	start := time.Now()
	var byREST atomic.Int64
	api := handlerOf(kind, n)
	counted := http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
		if req.Method == http.MethodGet {
			byREST.Add(1)
		}
		api.ServeHTTP(rw, req)
	})
	w := &wire{handler: withoutGraphQL(counted, func() bool { at := time.Since(start); return at < good || at >= good+away })}
	r := &poller.Reader{Hosts: hosts.All, Base: w}
	failed := 0 // cycles
	for time.Since(start) < 90*time.Minute {
		answers := r.Heads(t.Context(), monitorsAt(t, kind, n))
		for i, o := range answers {
			e, ok := errors.AsType[*githost.Error](o.Err)
			if o.Err != nil && (!ok || e.Kind != githost.Temporary || !strings.Contains(e.Error(), "is not there now")) {
				t.Fatalf("after %s, repository %d: %v, want that GraphQL is not there", time.Since(start), i, o.Err)
			}
		}
		if answers[0].Err != nil {
			failed++
		}
		time.Sleep(time.Minute)
	}
	switch asked := byREST.Load(); {
	case away < time.Hour && (asked > 0 || failed > 3):
		t.Errorf("%d requests to REST and %d cycles without heads, want none and a cycle or three", asked, failed)
	case away > time.Hour && (asked == 0 || failed > 75):
		t.Errorf("%d requests to REST, and %d cycles without heads, want REST after an hour", asked, failed)
	}
}
