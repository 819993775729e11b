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

	"github.com/google/go-cmp/cmp"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

// One repository's trouble is its own, and the answers keep the order of the questions.
func manyRepositories(t *testing.T, h Host) {
	api := h.server()
	api.SetPrivate("team/hidden")
	origin := Serve(t, api)
	var want []githost.Wanted
	for i := range 30 {
		path := fmt.Sprintf("team/app%d", i)
		switch i % 3 {
		case 0:
			api.Push(path, "main", fmt.Sprintf("%040x", i+1))
		case 1:
			path = "team/hidden"
		}
		want = append(want, Wanted(t, origin, path, "main"))
	}
	for i, o := range Open(t, h.Driver.Open, origin, "", "").Heads(t.Context(), want) {
		if i%3 != 0 {
			if e := ErrorOf(t, o); e.Kind != h.Missing {
				t.Errorf("repository %d: %v, want %q", i, e, h.Missing)
			}
		} else if sha := repo.SHA(fmt.Sprintf("%040x", i+1)); o.Heads["main"] != sha {
			t.Errorf("repository %d: %v, want main at %s", i, o, sha)
		}
	}
}

// At most eight requests are under way at once, and eight are.
func parallel(t *testing.T, h Host) {
	synctest.Test(t, func(t *testing.T) {
		var under, most atomic.Int64
		var once sync.Once
		full := make(chan struct{})
		api := h.server()
		base := RoundTrip(func(req *http.Request) (*http.Response, error) {
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
		want := slices.Repeat([]githost.Wanted{Wanted(t, origin, "team/app", "main")}, 40)
		for _, o := range openOver(t, h.Driver.Open, base, origin, "", "").Heads(ctx, want) {
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
func stopsWhenLimited(t *testing.T, h Host) {
	api := h.server()
	api.SetLimit(githosttest.TooMany)
	origin := Serve(t, api)
	want := slices.Repeat([]githost.Wanted{Wanted(t, origin, "team/app", "main")}, 50)
	for i, o := range Open(t, h.Driver.Open, origin, "", Token).Heads(t.Context(), want) {
		if e := ErrorOf(t, o); e.Kind != githost.RateLimited || e.Until.IsZero() {
			t.Errorf("repository %d: %v until %v, want %q and a time", i, e, e.Until, githost.RateLimited)
		}
	}
	if n := len(api.Requests()); n > 8 {
		t.Errorf("%d requests to a host that answers 429, want at most 8", n)
	}
}

// Hosts tell of some limits in a 403 or a 200, without a header that tells it from a missing right.
func limitsInWords(t *testing.T, h Host) {
	for _, c := range h.Words {
		var asked atomic.Int64
		introspection := h.filled(1)
		origin := Serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			body := bodyOf(req)
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
			want[i] = Wanted(t, origin, fmt.Sprintf("o/r%d", i), "main")
		}
		for i, o := range Open(t, h.Driver.Open, origin, "", c.Token).Heads(t.Context(), want) {
			if e := ErrorOf(t, o); e.Kind != githost.RateLimited {
				t.Fatalf("%d %s: repository %d: %v, want %q", c.Status, c.Body, i, e, githost.RateLimited)
			}
		}
		if asked.Load() > 9 {
			t.Errorf("%d %s: %d requests for 60 repositories, want it to be left alone", c.Status, c.Body, asked.Load())
		}
	}
}

func interrupted(t *testing.T, h Host) {
	ctx, cancel := context.WithCancel(t.Context())
	origin := Serve(t, http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		cancel()
		_, _ = io.Copy(io.Discard, req.Body) // or the server would not notice
		<-req.Context().Done()
	}))
	want := slices.Repeat([]githost.Wanted{Wanted(t, origin, "team/app", "main")}, 20)
	for _, o := range Open(t, h.Driver.Open, origin, "", Token).Heads(ctx, want) {
		e := ErrorOf(t, o)
		told := errors.Is(e, context.Canceled) || h.OneByOne && githost.Unasked(o) && strings.Contains(e.Error(), "interrupted")
		if e.Kind != githost.Temporary || !told {
			t.Errorf("error %v, want a temporary one of the cancelled context", e)
		}
	}
}

// Batch gives a server n repositories, o/r0 and so on, each with three branches, and returns what is wanted of them at
// an origin.
func Batch(t testing.TB, api *githosttest.API, origin string, n int, branches ...string) []githost.Wanted {
	t.Helper()
	api.SetToken(Token)
	patterns := Patterns(t, branches...)
	want := make([]githost.Wanted, n)
	for i := range want {
		path := fmt.Sprintf("o/r%d", i)
		for k, b := range []string{"main", "dev", "prod"} {
			api.Push(path, b, fmt.Sprintf("%039x%d", i+1, k))
		}
		want[i] = githost.Wanted{URL: origin + "/" + path, Patterns: patterns}
	}
	return want
}

// CheckBatch fails the test unless each repository has the branches that Batch gave it.
func CheckBatch(t testing.TB, got []repo.Observation, branches ...string) {
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

// TooMuch answers status to queries for more than most repositories, and for any with poison among them.
func TooMuch(next http.Handler, status int, asked *atomic.Int64, most int, poison string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Method != http.MethodPost {
			next.ServeHTTP(w, req)
			return
		}
		asked.Add(1)
		body := bodyOf(req)
		n := strings.Count(body, `:repository(`) + strings.Count(body, `"o/r`)
		if n > most && strings.Contains(body, "o0") || n > 2*most || poison != "" && strings.Contains(body, poison) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, `{"errors":[{"message":"Something went wrong while executing your query."}],"data":null}`)
			return
		}
		next.ServeHTTP(w, req)
	})
}

// A server that cannot answer many at once is asked for fewer.
func asksForLess(t *testing.T, h Host) {
	if !h.graphQL() {
		return
	}
	for _, status := range []int{http.StatusBadGateway, http.StatusGatewayTimeout, http.StatusOK} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			api := h.Server()
			var asked atomic.Int64
			origin := Serve(t, TooMuch(api, status, &asked, 13, ""))
			want := Batch(t, api, origin, 120, "main", "dev", "prod")
			CheckBatch(t, Open(t, h.Driver.Open, origin, "", Token).Heads(t.Context(), want), "main", "dev", "prod")
			if n := asked.Load(); n > 40 {
				t.Errorf("%d queries for 120 repositories, want at most 40", n)
			}
		})
	}
}

// Unchanged is one repository, team/app, that is read by REST again and again.
type Unchanged struct {
	t    *testing.T
	api  *githosttest.API
	host githost.Host
	want []githost.Wanted
	true map[string]repo.SHA
}

// NewUnchanged returns one of which main is at SHA1. The other branches are pushed.
func NewUnchanged(t *testing.T, api *githosttest.API, open githost.Open, branches ...string) *Unchanged {
	t.Helper()
	origin := Serve(t, api)
	return &Unchanged{t, api, Open(t, open, origin, "", Token), []githost.Wanted{Wanted(t, origin, "team/app", branches...)},
		map[string]repo.SHA{"main": SHA1}}
}

// Push pushes to a branch.
func (u *Unchanged) Push(branch, sha string) {
	u.api.Push("team/app", branch, sha)
	u.true[branch] = repo.SHA(sha)
}

// Delete deletes a branch.
func (u *Unchanged) Delete(branch string) {
	u.api.Delete("team/app", branch)
	delete(u.true, branch)
}

// Read fails the test unless the heads are read, from answers with these statuses, in which a 304 has no body.
func (u *Unchanged) Read(statuses ...int) {
	u.t.Helper()
	o := u.host.Heads(u.t.Context(), u.want)[0]
	if diff := cmp.Diff(repo.Observation{Heads: u.true}, o); diff != "" {
		u.t.Errorf("heads (-want +got):\n%s", diff)
	}
	var got []int
	for _, r := range ByREST(u.api) {
		got = append(got, r.Status)
		if (r.Status == http.StatusNotModified) != (r.Bytes == 0) {
			u.t.Errorf("%s: status %d with %d bytes", r.URL, r.Status, r.Bytes)
		}
	}
	if !slices.Equal(got, statuses) {
		u.t.Errorf("the host answered %v, want %v", got, statuses)
	}
}
