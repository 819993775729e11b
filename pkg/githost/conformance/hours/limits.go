package hours

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/conformance/testhost"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/secret"
)

// LimitsWithoutATime asserts that a limit without a time, or with one that is over by a clock that is ahead, is not asked about
// every minute.
func LimitsWithoutATime(t *testing.T, h testhost.Host) {
	for name, l := range h.Limits {
		for _, n := range []int{1, 40} {
			t.Run(fmt.Sprint(name, "/", n), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := &testhost.Wire{Handler: h.Filled(n)}
					r := h.Reader(w, 15*time.Minute)
					want := testhost.Monitors(t, h.Driver.Type, n)
					ticker := time.NewTicker(time.Minute)
					defer ticker.Stop()
					r.Heads(t.Context(), want)
					w.Breaks(l.Serve)
					w.Take()
					for range 60 {
						<-ticker.C
						r.Heads(t.Context(), want)
					}
					most := 24 // two for each of 12 tries
					if l.Invites {
						most = 60
					}
					if asked := w.Take(); asked > most {
						t.Errorf("%d requests in an hour, want at most %d", asked, most)
					}
					w.Breaks(nil)
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

// RefusedToken asserts that a token that is refused is sent three times in all, from the start or after it was good, however many
// repositories have it. The next token is used at once.
func RefusedToken(t *testing.T, h testhost.Host) {
	for _, wasGood := range []bool{false, true} {
		t.Run(fmt.Sprint("good before: ", wasGood), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const n = 300
				api := h.Filled(n)
				w := &testhost.Wire{Handler: api}
				r := h.Reader(w, 15*time.Minute)
				want := testhost.Monitors(t, h.Driver.Type, n)
				cycle := func(kind githost.Kind) {
					t.Helper()
					for i, o := range r.Heads(t.Context(), want) {
						if kind == "" && o.Err != nil || kind != "" && (o.Err == nil && o.Status == repo.Fresh || o.Err != nil && testhost.ErrorOf(t, o).Kind != kind) {
							t.Fatalf("repository %d: %+v, want error %q", i, o, kind)
						}
					}
					<-time.After(time.Minute)
				}
				if wasGood {
					cycle("")
					cycle("")
				}
				api.SetToken("the next one")
				w.Take()
				for range 30 {
					cycle(githost.Denied)
				}
				if asked := w.Take(); asked != 3 {
					t.Errorf("the token was sent %d times, want 3", asked)
				}
				for i, o := range r.Heads(t.Context(), want) {
					if e := testhost.ErrorOf(t, o); e.Status != http.StatusUnauthorized {
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

// Maintenance asserts that one that begins in the middle of a cycle ends it soon, and the next cycles send nothing until it is to
// be over.
func Maintenance(t *testing.T, h testhost.Host) {
	synctest.Test(t, func(t *testing.T) {
		const n, minutes = 500, 7
		good := int64(2) // requests before it
		if h.OneByOne {
			good = 100
		}
		api, w := h.Filled(n), &testhost.Wire{}
		var served atomic.Int64
		w.Handler = http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
			if served.Add(1) == good {
				w.Breaks(func(*http.Request) (*http.Response, error) {
					return &http.Response{StatusCode: http.StatusServiceUnavailable, Body: http.NoBody,
						Header: http.Header{"Retry-After": {fmt.Sprint((minutes*time.Minute - 30*time.Second).Seconds())}}}, nil
				})
			}
			api.ServeHTTP(rw, req)
		})
		r := h.Reader(w, 0)
		want := testhost.Monitors(t, h.Driver.Type, n)
		ticker := time.NewTicker(time.Minute)
		defer ticker.Stop()
		for minute := range minutes {
			got := r.Heads(t.Context(), want)
			if asked := int64(w.Take()); minute == 0 && (asked <= good || asked > good+10+2*8) || minute > 0 && asked > 0 {
				t.Errorf("minute %d: %d requests, want little more than the %d that were answered, and then none", minute, asked, good)
			}
			if got[n-1].Err == nil || r.Stats()[0].Until.IsZero() {
				t.Errorf("minute %d: %+v, and %+v, want an error and a time", minute, got[n-1], r.Stats()[0])
			}
			<-ticker.C
		}
		w.Breaks(nil)
		for i, o := range r.Heads(t.Context(), want) {
			if o.Err != nil {
				t.Fatalf("after it: repository %d: %v", i, o.Err)
			}
		}
	})
}
