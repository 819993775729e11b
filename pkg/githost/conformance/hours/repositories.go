package hours

import (
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/conformance/testhost"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/repo/repotest"
	"github.com/tekton-sentry/sentry/pkg/secret"
)

// RepositoryWithoutSense asserts that a repository that makes no sense costs the others of its host nothing, whether the host tells
// what changed or not.
func RepositoryWithoutSense(t *testing.T, h testhost.Host) {
	for _, token := range []string{testhost.Token, ""} {
		synctest.Test(t, func(t *testing.T) {
			const n = 20
			api := h.Filled(n)
			r := h.Reader(&testhost.Wire{Handler: http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
				if strings.Contains(req.URL.Path+"/", "r0/") {
					rw.WriteHeader(http.StatusTeapot)
					return
				}
				api.ServeHTTP(rw, req)
			})}, 15*time.Minute)
			want := testhost.Monitors(t, h.Driver.Type, n)
			for i := range want {
				want[i].Auth.Token = secret.New("${T}", token)
				want[i].Branches = repotest.Patterns(t, "main", "de.*")
			}
			for minute := range 30 {
				for i, o := range r.Heads(t.Context(), want) {
					e, ok := errors.AsType[*githost.Error](o.Err) // GitHub gives 60 requests without a token
					if i > 0 && o.Err != nil && (!ok || e.Kind != githost.RateLimited) {
						t.Fatalf("token %q, minute %d, %s: %v", token, minute, want[i].URL, o.Err)
					}
				}
				<-time.After(time.Minute)
			}
		})
	}
}

// RepositoryToWait asserts that a repository of a host that works waits alone when it is told to, for as long as it is told.
func RepositoryToWait(t *testing.T, h testhost.Host) {
	if !h.OneByOne {
		return
	}
	synctest.Test(t, func(t *testing.T) {
		const n = 20
		api := h.Filled(n)
		var asked atomic.Int64
		r := h.Reader(&testhost.Wire{Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if strings.Contains(req.URL.Path, "/r7/") {
				asked.Add(1)
				w.Header().Set("Retry-After", "1200")
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			api.ServeHTTP(w, req)
		})}, 0)
		want := testhost.Monitors(t, h.Driver.Type, n)
		ticker := time.NewTicker(time.Minute)
		defer ticker.Stop()
		for minute := range 59 {
			for i, o := range r.Heads(t.Context(), want) {
				if broken := i == 7; broken != (o.Err != nil) || !broken && o.Status != repo.Fresh {
					t.Fatalf("minute %d, repository %d: %+v, want all read but 7", minute, i, o)
				}
			}
			if until := r.Stats()[0].Until; !until.IsZero() {
				t.Errorf("minute %d: the host is left alone until %s", minute, until)
			}
			<-ticker.C
		}
		if asked := asked.Load(); asked != 3 {
			t.Errorf("the repository was asked for %d times in an hour, want once in 20 minutes", asked)
		}
	})
}
