package conformance

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/conformance/testhost"
	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
)

// everyWay tests each way in which heads are asked for, with a server of one repository, team/app, that has 40 branches
// dev-0 and so on.
func everyWay(t *testing.T, h testhost.Host, test func(*testing.T, *githosttest.API)) {
	for _, way := range h.Ways {
		t.Run(way.Name, func(t *testing.T) {
			t.Parallel()
			api := oneRepository(h)
			api.SetGraphQL(way.GraphQL)
			for i := range 40 {
				api.Push("team/app", fmt.Sprint("dev-", i), testhost.SHA2)
			}
			test(t, api)
		})
	}
}

// Branches that an answer had no time for were not deleted: half of an answer is none.
func cutShort(t *testing.T, h testhost.Host) {
	for _, fault := range []githosttest.FaultKind{githosttest.ShortBody, githosttest.Truncated} {
		everyWay(t, h, func(t *testing.T, api *githosttest.API) {
			broken := githosttest.Fault(fault, api)
			o := ask(t, h, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				if testhost.AsksFor("__type")(req) {
					api.ServeHTTP(w, req)
					return
				}
				broken.ServeHTTP(w, req)
			}), testhost.Token, "team/app", "main", "dev-.*")
			if e := testhost.ErrorOf(t, o); e.Kind != githost.Temporary {
				t.Errorf("%s: %v, want kind %q", fault, e, githost.Temporary)
			}
		})
	}
}

// A server that repeats what it was sent shows nobody the credential. ErrorOf looks for it.
func echoes(t *testing.T, h testhost.Host) {
	for _, status := range []int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound,
		http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusOK} {
		everyWay(t, h, func(t *testing.T, _ *githosttest.API) {
			for contentType, format := range map[string]string{
				"text/plain":       "no, %s, %s",
				"application/json": `{"message":"no, %s","errors":[{"message":"no, %s"}]}`,
			} {
				o := ask(t, h, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
					w.Header().Set("Content-Type", contentType)
					w.WriteHeader(status)
					_, password, _ := req.BasicAuth()
					_, _ = fmt.Fprintf(w, format, req.Header.Get("Authorization"), password)
				}), testhost.Token, "team/app", "main")
				if e := testhost.ErrorOf(t, o); e.Kind == githost.NoBranch {
					t.Errorf("%d: %v, want an error of the answer", status, e)
				}
			}
		})
	}
}

// A redirect to another server is not followed, even where it is as good as the first.
func redirects(t *testing.T, h testhost.Host) {
	for _, status := range []int{http.StatusMovedPermanently, http.StatusTemporaryRedirect} {
		everyWay(t, h, func(t *testing.T, api *githosttest.API) {
			var asked atomic.Int64
			elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				asked.Add(1)
				api.ServeHTTP(w, req)
			}))
			defer elsewhere.Close()
			o := ask(t, h, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				http.Redirect(w, req, elsewhere.URL+req.URL.RequestURI(), status)
			}), testhost.Token, "team/app", "main")
			if e := testhost.ErrorOf(t, o); e.Kind != githost.Invalid || asked.Load() > 0 {
				t.Errorf("%d: %v, and the other server was asked %d times, want kind %q and never", status, e, asked.Load(), githost.Invalid)
			}
		})
	}
}
