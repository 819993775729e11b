package hours

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/conformance/testhost"
)

// withGraphQL serves a host whose GraphQL there is only when offered says so.
func withGraphQL(api http.Handler, offered func() bool) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/api/graphql" && !offered() {
			rw.WriteHeader(http.StatusNotFound)
			return
		}
		api.ServeHTTP(rw, req)
	})
}

// GraphQLIsLookedFor asserts that a host without GraphQL is asked for it again after an hour. It may have been upgraded, or only
// been starting.
func GraphQLIsLookedFor(t *testing.T, h testhost.Host) {
	if !h.GraphQL() {
		return
	}
	for _, interval := range []time.Duration{time.Minute, 10 * time.Minute} {
		t.Run(fmt.Sprint("every ", interval), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const n = 10
				start := time.Now()
				var graphql atomic.Int64
				api := h.Filled(n)
				r := h.Reader(&testhost.Wire{Handler: withGraphQL(http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
					if req.URL.Path == "/api/graphql" {
						graphql.Add(1)
					}
					api.ServeHTTP(rw, req)
				}), func() bool { return time.Since(start) > 30*time.Minute })}, 0)
				want := testhost.Monitors(t, h.Driver.Type, n)
				for at := time.Duration(0); at < 70*time.Minute; at += interval {
					for i, o := range r.Heads(t.Context(), want) {
						if o.Err != nil {
							t.Fatalf("after %s, repository %d: %v", at, i, o.Err)
						}
					}
					if at < time.Hour && graphql.Load() > 0 {
						t.Fatalf("GraphQL asked again after %s, want an hour", at)
					}
					<-time.After(interval)
				}
				if graphql.Load() == 0 {
					t.Error("GraphQL not found in 70 minutes, want it looked for again after an hour")
				}
			})
		})
	}
}

// GraphQLGoesAway asserts that a GraphQL that is away for a cycle is trouble of the host, and no reason to read thousands of
// repositories by REST for an hour. One that stays away is.
func GraphQLGoesAway(t *testing.T, h testhost.Host) {
	if !h.GraphQL() {
		return
	}
	for name, away := range map[string]time.Duration{"for a cycle": time.Minute, "for good": 24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const n, good = 10, 5 * time.Minute
				start := time.Now()
				var byREST atomic.Int64
				api := h.Filled(n)
				r := h.Reader(&testhost.Wire{Handler: withGraphQL(http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
					if req.Method == http.MethodGet {
						byREST.Add(1)
					}
					api.ServeHTTP(rw, req)
				}), func() bool { at := time.Since(start); return at < good || at >= good+away })}, 0)
				bad := 0 // cycles
				for time.Since(start) < 90*time.Minute {
					answers := r.Heads(t.Context(), testhost.Monitors(t, h.Driver.Type, n))
					for i, o := range answers {
						e, ok := errors.AsType[*githost.Error](o.Err)
						if o.Err != nil && (!ok || e.Kind != githost.Temporary || !strings.Contains(e.Error(), "is not there now")) {
							t.Fatalf("after %s, repository %d: %v, want that GraphQL is not there", time.Since(start), i, o.Err)
						}
					}
					if answers[0].Err != nil {
						bad++
					}
					<-time.After(time.Minute)
				}
				switch asked := byREST.Load(); {
				case away < time.Hour && (asked > 0 || bad > 3):
					t.Errorf("%d requests to REST and %d cycles without heads, want none and a cycle or three", asked, bad)
				case away > time.Hour && (asked == 0 || bad > 75):
					t.Errorf("%d requests to REST, and %d cycles without heads, want REST after an hour", asked, bad)
				}
			})
		})
	}
}
