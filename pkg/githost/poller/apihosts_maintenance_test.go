package poller_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost/hosts"
	"github.com/tekton-sentry/sentry/pkg/githost/poller"
)

// closedFor is the answer of a maintenance.
func closedFor(d time.Duration) func(*http.Request) (*http.Response, error) {
	return func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusServiceUnavailable, Header: http.Header{"Retry-After": {fmt.Sprint(d.Seconds())}},
			Body: http.NoBody}, nil
	}
}

// A repository of a host that works waits alone when it is told to, for as long as it is told.
func TestRepositoryThatIsToWait(t *testing.T) {
	for _, kind := range []config.HostType{config.Git, config.Gitea} {
		synctest.Test(t, func(t *testing.T) {
			const n = 20
			api := handlerOf(kind, n)
			var asked atomic.Int64
			w := &wire{handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				if strings.Contains(req.URL.Path, "/r7/") {
					asked.Add(1)
					w.Header().Set("Retry-After", "1200")
					w.WriteHeader(http.StatusServiceUnavailable)
					return
				}
				api.ServeHTTP(w, req)
			})}
			r := &poller.Reader{Hosts: hosts.All, Base: w}
			want := monitorsAt(t, kind, n)
			ticker := time.NewTicker(time.Minute)
			defer ticker.Stop()
			for minute := range 59 {
				for i, o := range r.Heads(t.Context(), want) {
					if broken := i == 7; broken != (o.Err != nil) || !broken && o.Cached {
						t.Fatalf("%s, minute %d, repository %d: %+v, want all read but 7", kind, minute, i, o)
					}
				}
				if until := r.Stats()[0].Until; !until.IsZero() {
					t.Errorf("%s, minute %d: the host is left alone until %s", kind, minute, until)
				}
				<-ticker.C
			}
			if asked := asked.Load(); asked != 3 {
				t.Errorf("%s: the repository was asked for %d times in an hour, want once in 20 minutes", kind, asked)
			}
		})
	}
}

// A maintenance that begins in the middle of a cycle ends it soon, and the next ones send nothing until it is to be over.
func TestMaintenanceInARound(t *testing.T) {
	for kind, good := range map[config.HostType]int64{config.GitHub: 2, config.GitLab: 2, config.Gitea: 100, config.Git: 100} {
		synctest.Test(t, func(t *testing.T) {
			const n, minutes = 500, 7
			api, w := handlerOf(kind, n), &wire{}
			var served atomic.Int64
			w.handler = http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
				if served.Add(1) == good {
					w.breaks(closedFor(minutes*time.Minute - 30*time.Second))
				}
				api.ServeHTTP(rw, req)
			})
			r := &poller.Reader{Hosts: hosts.All, Base: w}
			want := monitorsAt(t, kind, n)
			ticker := time.NewTicker(time.Minute)
			defer ticker.Stop()
			for minute := range minutes {
				got := r.Heads(t.Context(), want)
				if asked := int64(w.take()); minute == 0 && (asked <= good || asked > good+10+2*8) || minute > 0 && asked > 0 {
					t.Errorf("%s, minute %d: %d requests, want little more than the %d that were answered, and then none", kind, minute, asked, good)
				}
				if got[n-1].Err == nil || r.Stats()[0].Until.IsZero() {
					t.Errorf("%s, minute %d: %+v, and %+v, want an error and a time", kind, minute, got[n-1], r.Stats()[0])
				}
				<-ticker.C
			}
			w.breaks(nil)
			for i, o := range r.Heads(t.Context(), want) {
				if o.Err != nil {
					t.Fatalf("%s, after it: repository %d: %v", kind, i, o.Err)
				}
			}
		})
	}
}
