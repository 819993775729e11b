package conformance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/conformance/testhost"
	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

// One repository's trouble is its own, and the answers keep the order of the questions.
func manyRepositories(t *testing.T, h testhost.Host) {
	api := oneRepository(h)
	api.SetPrivate("team/hidden")
	origin := testhost.Serve(t, api)
	var want []githost.Wanted
	for i := range 30 {
		path := fmt.Sprintf("team/app%d", i)
		switch i % 3 {
		case 0:
			api.Push(path, "main", fmt.Sprintf("%040x", i+1))
		case 1:
			path = "team/hidden"
		}
		want = append(want, testhost.Wanted(t, origin, path, "main"))
	}
	for i, o := range testhost.Open(t, h.Driver.Open, origin, "", "").Heads(t.Context(), want) {
		if i%3 != 0 {
			if e := testhost.ErrorOf(t, o); e.Kind != h.Missing {
				t.Errorf("repository %d: %v, want %q", i, e, h.Missing)
			}
		} else if sha := repo.SHA(fmt.Sprintf("%040x", i+1)); o.Heads["main"] != sha {
			t.Errorf("repository %d: %v, want main at %s", i, o, sha)
		}
	}
}

// At most eight requests are under way at once, and eight are.
func parallel(t *testing.T, h testhost.Host) {
	synctest.Test(t, func(t *testing.T) {
		var under, most atomic.Int64
		var once sync.Once
		full := make(chan struct{})
		api := oneRepository(h)
		base := testhost.RoundTrip(func(req *http.Request) (*http.Response, error) {
			n := under.Add(1)
			defer under.Add(-1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			if n >= 8 {
				once.Do(func() { close(full) })
			}
			select {
			case <-full:
			case <-req.Context().Done():
				return nil, context.Cause(req.Context())
			}
			return githosttest.Answer(api, req), nil
		})
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		origin := "http://h.example"
		want := slices.Repeat([]githost.Wanted{testhost.Wanted(t, origin, "team/app", "main")}, 40)
		for _, o := range testhost.OpenOver(t, h.Driver.Open, base, origin, "", "").Heads(ctx, want) {
			if o.Err != nil {
				t.Fatalf("error %v, want heads: eight requests did not arrive together", o.Err)
			}
		}
		if most.Load() != 8 {
			t.Errorf("%d requests at once for 40 repositories, want 8", most.Load())
		}
	})
}

// A host that limits us is left alone, not asked for the other repositories as well.
func stopsWhenLimited(t *testing.T, h testhost.Host) {
	api := oneRepository(h)
	api.SetLimit(githosttest.TooMany)
	origin := testhost.Serve(t, api)
	want := slices.Repeat([]githost.Wanted{testhost.Wanted(t, origin, "team/app", "main")}, 50)
	for i, o := range testhost.Open(t, h.Driver.Open, origin, "", testhost.Token).Heads(t.Context(), want) {
		if e := testhost.ErrorOf(t, o); e.Kind != githost.RateLimited || e.Until.IsZero() {
			t.Errorf("repository %d: %v until %v, want %q and a time", i, e, e.Until, githost.RateLimited)
		}
	}
	if n := len(api.Requests()); n > 8 {
		t.Errorf("%d requests to a host that answers 429, want at most 8", n)
	}
}

// Hosts tell of some limits in a 403 or a 200, without a header that tells it from a missing right.
func limitsInWords(t *testing.T, h testhost.Host) {
	for _, c := range h.Words {
		var asked atomic.Int64
		introspection := h.Filled(1)
		origin := testhost.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			body := testhost.BodyOf(req)
			switch {
			case c.REST && strings.HasSuffix(req.URL.Path, "/graphql"):
				http.NotFound(w, req)
			case strings.Contains(body, "__type"):
				introspection.ServeHTTP(w, req)
			default:
				asked.Add(1)
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(c.Status)
				_, _ = io.WriteString(w, c.Body)
			}
		}))
		want := make([]githost.Wanted, 60)
		for i := range want {
			want[i] = testhost.Wanted(t, origin, fmt.Sprintf("o/r%d", i), "main")
		}
		for i, o := range testhost.Open(t, h.Driver.Open, origin, "", c.Token).Heads(t.Context(), want) {
			if e := testhost.ErrorOf(t, o); e.Kind != githost.RateLimited {
				t.Fatalf("%d %s: repository %d: %v, want %q", c.Status, c.Body, i, e, githost.RateLimited)
			}
		}
		if asked.Load() > 9 {
			t.Errorf("%d %s: %d requests for 60 repositories, want it to be left alone", c.Status, c.Body, asked.Load())
		}
	}
}

func interrupted(t *testing.T, h testhost.Host) {
	ctx, cancel := context.WithCancel(t.Context())
	origin := testhost.Serve(t, http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		cancel()
		_, _ = io.Copy(io.Discard, req.Body) // or the server would not notice
		<-req.Context().Done()
	}))
	want := slices.Repeat([]githost.Wanted{testhost.Wanted(t, origin, "team/app", "main")}, 20)
	for _, o := range testhost.Open(t, h.Driver.Open, origin, "", testhost.Token).Heads(ctx, want) {
		if e := testhost.ErrorOf(t, o); e.Kind != githost.Temporary || !errors.Is(e, context.Canceled) {
			t.Errorf("error %v, want a temporary one of the cancelled context", e)
		}
	}
}

// A server that cannot answer many at once is asked for fewer.
func asksForLess(t *testing.T, h testhost.Host) {
	if !h.GraphQL() {
		return
	}
	for _, status := range []int{http.StatusBadGateway, http.StatusGatewayTimeout, http.StatusOK} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			api := h.Server()
			var asked atomic.Int64
			origin := testhost.Serve(t, testhost.TooMuch(api, status, &asked, 13, ""))
			want := testhost.Batch(t, api, origin, 120, "main", "dev", "prod")
			testhost.CheckBatch(t, testhost.Open(t, h.Driver.Open, origin, "", testhost.Token).Heads(t.Context(), want), "main", "dev", "prod")
			if n := asked.Load(); n > 40 {
				t.Errorf("%d queries for 120 repositories, want at most 40", n)
			}
		})
	}
}
