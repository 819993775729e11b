package github_test

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/conformance/testhost"
	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
	"github.com/tekton-sentry/sentry/pkg/githost/github"
	"github.com/tekton-sentry/sentry/pkg/githost/poller"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/repo/repotest"
)

// spends are ways in which a GitHub tells that it is asked too often, for ten minutes, and what is used up then.
var spends = map[string]spend{
	"points, by header":             {true, "graphql", 0, "", []string{"X-RateLimit-Remaining", "0", "X-RateLimit-Resource", "graphql"}},
	"points, by 403":                {true, "graphql", 403, `{"message":"API rate limit exceeded"}`, []string{"X-RateLimit-Remaining", "0", "X-RateLimit-Resource", "graphql"}},
	"points, by 429":                {true, "graphql", 429, "{}", []string{"X-RateLimit-Remaining", "0", "X-RateLimit-Resource", "graphql"}},
	"points, by RATE_LIMITED":       {true, "graphql", 0, `{"errors":[{"type":"RATE_LIMITED","message":"API rate limit exceeded"}]}`, nil},
	"points, by rateLimit":          {true, "graphql", 0, "rateLimit", nil},
	"requests, by header":           {false, "core", 0, "", []string{"X-RateLimit-Remaining", "0", "X-RateLimit-Resource", "core"}},
	"requests, by 403":              {false, "core", 403, `{"message":"API rate limit exceeded"}`, []string{"X-RateLimit-Remaining", "0", "X-RateLimit-Resource", "core"}},
	"secondary, of GraphQL":         {true, "", 403, "{}", []string{"Retry-After", "400", "X-RateLimit-Resource", "graphql"}},
	"secondary, with nothing left":  {true, "", 403, "{}", []string{"Retry-After", "400", "X-RateLimit-Remaining", "0", "X-RateLimit-Resource", "graphql"}},
	"secondary, in words":           {false, "", 403, `{"message":"You have exceeded a secondary rate limit."}`, []string{"X-RateLimit-Remaining", "0", "X-RateLimit-Resource", "core"}},
	"secondary, as RATE_LIMITED":    {true, "", 0, `{"errors":[{"type":"RATE_LIMITED","message":"You have exceeded a secondary rate limit."}]}`, nil},
	"no resource":                   {true, "", 0, "", []string{"X-RateLimit-Remaining", "0", "X-RateLimit-Resource", ""}},
	"a resource that was not asked": {true, "", 403, "{}", []string{"X-RateLimit-Remaining", "0", "X-RateLimit-Resource", "x1"}},
}

type spend struct {
	graphQL bool   // it tells so by GraphQL, else by REST
	of      string // "" = all
	status  int    // 0 = that of the good answer
	body    string // "" = that of the good answer; "rateLimit" = that without points left
	header  []string
}

// answer makes of a good answer one that tells of the limit until then.
func (s spend) answer(rec *httptest.ResponseRecorder, until time.Time) (status int, body string) {
	status, body = max(rec.Code, s.status), rec.Body.String()
	rec.Header().Set("X-RateLimit-Reset", fmt.Sprint(until.Unix()))
	for i := 0; i < len(s.header); i += 2 {
		rec.Header().Set(s.header[i], s.header[i+1])
	}
	switch s.body {
	case "":
		return status, body
	case "rateLimit":
		before, rest, _ := strings.Cut(body, `"rateLimit":{`)
		_, rest, _ = strings.Cut(rest, "}")
		return status, fmt.Sprintf(`%s"rateLimit":{"cost":1,"remaining":0,"resetAt":%q}%s`, before, until.UTC().Format(time.RFC3339), rest)
	}
	return status, s.body
}

// GitHub counts points of GraphQL apart from requests of REST. Where the one is used up, what only the other answers is
// read on; a limit on both, or one that names none, is one on all.
func TestResources(t *testing.T) {
	for name, c := range spends {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { c.test(t) })
		})
	}
}

func (s spend) test(t *testing.T) {
	const n, many = 150, 5 // repositories, of which so many have too many exact names for GraphQL
	start := time.Now()
	api, asked := filled(n), make(map[string]int)
	var mu sync.Mutex // of asked
	w := &testhost.Wire{Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		graphQL := strings.HasSuffix(req.URL.Path, "/graphql")
		mu.Lock()
		asked[map[bool]string{true: "graphql", false: "core"}[graphQL]]++
		mu.Unlock()
		rec := httptest.NewRecorder()
		api.ServeHTTP(rec, req)
		status, body := rec.Code, rec.Body.String()
		if since := time.Since(start); graphQL == s.graphQL && since > 150*time.Second && since < 10*time.Minute {
			status, body = s.answer(rec, start.Add(10*time.Minute))
		}
		maps.Copy(w.Header(), rec.Header())
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})}
	var log strings.Builder
	r := &poller.Reader{Hosts: opens, Base: w, Sweep: 15 * time.Minute, Log: slog.New(slog.NewTextHandler(&log, nil))}
	want := testhost.Monitors(t, config.GitHub, n)
	names := []string{"main"}
	for k := range 25 {
		names = append(names, fmt.Sprintf("b%d", k))
	}
	for i := range many {
		want[i].Branches = repotest.Patterns(t, names...)
	}
	held := map[string][2]int{"": {0, n}, "graphql": {many, n}, "core": {0, many}}[s.of]
	ticker := time.NewTicker(time.Minute)
	defer ticker.Stop()
	for minute := range 13 {
		clear(asked)
		late := 0
		for _, stats := range r.Stats() {
			late = stats.Late
		}
		got := r.Heads(t.Context(), want)
		switch stats := r.Stats()[0]; {
		case minute > 3 && minute < 10: // the limit came in minute 3
			checkHeld(t, minute, got, held)
			if late = stats.Late - late; late != held[1]-held[0] || stats.Until.IsZero() || stats.Resource != s.of {
				t.Errorf("minute %d: Stats() = %+v, %d late, want %d, and a time for %q", minute, stats, late, held[1]-held[0], s.of)
			}
			if asked[s.of] > 0 || (s.of == "") != (len(asked) == 0) {
				t.Errorf("minute %d: %v requests, want none of %q, and some of the other", minute, asked, s.of)
			}
		case minute > 10 || minute < 3:
			checkHeld(t, minute, got, [2]int{})
		}
		if minute == 12 && asked["graphql"] > 2 {
			t.Errorf("minute %d: %v requests, want hints to be used again", minute, asked)
		}
		<-ticker.C
	}
	if s.of != "" && (strings.Count(log.String(), "for a while") != 1 || !strings.Contains(log.String(), "resource="+s.of)) {
		t.Errorf("the log says\n%s\nwant one warning, of %q", log.String(), s.of)
	}
}

// checkHeld fails the test unless the repositories from held[0] to before held[1] wait for a limit, and all others are read.
func checkHeld(t *testing.T, minute int, got []repo.Observation, held [2]int) {
	t.Helper()
	for i, o := range got {
		var e *githost.Error
		limited := errors.As(o.Err, &e) && e.Kind == githost.RateLimited && e.Until.After(time.Now()) && o.Status != repo.Fresh
		if wait := i >= held[0] && i < held[1]; wait != limited || !wait && o.Err != nil {
			t.Fatalf("minute %d, repository %d: %+v, want it read unless it is one of %v", minute, i, o, held)
		}
	}
}

// GitHub's points, which it tells of in the body: with fewer left than a query costs, it is silent until the
// reset, and what was left to ask is late, and read then.
func TestPoints(t *testing.T) {
	for name, c := range map[string]struct {
		left, cost, silent int
	}{"none left": {0, 1, 10}, "less than a query costs": {4, 5, 10}, "enough": {5, 5, 0}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				api := filled(300)
				start := time.Now()
				w := &testhost.Wire{Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
					rec := httptest.NewRecorder()
					api.ServeHTTP(rec, req)
					left := 4000
					if time.Since(start) < 10*time.Minute {
						left = c.left
					}
					before, rest, _ := strings.Cut(rec.Body.String(), `"rateLimit":`)
					_, rest, _ = strings.Cut(rest, "}")
					_, _ = fmt.Fprintf(w, `%s"rateLimit":{"cost":%d,"remaining":%d,"resetAt":%q}%s`, before, c.cost, left,
						start.Add(10*time.Minute).UTC().Format(time.RFC3339), rest)
				})}
				var billed atomic.Int64
				r := &poller.Reader{Hosts: opens, Base: w, Billed: func(b githost.Bill) {
					if b.Resource == "graphql" {
						billed.Add(int64(b.Cost))
					}
				}}
				want := testhost.Monitors(t, config.GitHub, 300)
				ticker := time.NewTicker(time.Minute)
				defer ticker.Stop()
				for minute := range 13 {
					got := r.Heads(t.Context(), want)
					bad := len(slices.DeleteFunc(slices.Clone(got), func(o repo.Observation) bool { return o.Err == nil }))
					late, asked := r.Stats()[0].Late, w.Take()
					if cost := billed.Swap(0); cost != int64(c.cost*asked) {
						t.Errorf("minute %d: %d queries cost %d points, want %d each", minute, asked, cost, c.cost)
					}
					switch {
					case c.silent > 0 && minute == 0:
						if asked != 1 || bad != 250 || late != 250 {
							t.Errorf("first minute: %d queries, %d errors, %d late, want 1 query for 50, and the others late", asked, bad, late)
						}
					case minute < c.silent:
						if asked != 0 || bad != 300 || late != 250+300*minute {
							t.Errorf("minute %d: %d queries, %d errors, %d late, want silence and all of it late", minute, asked, bad, late)
						}
					case bad != 0 || asked == 0:
						t.Errorf("minute %d: %d queries, %d errors, want all to be read", minute, asked, bad)
					}
					<-ticker.C
				}
			})
		})
	}
}

// go-github would refuse all calls after such an answer, until the time that the host named, itself.
func TestIsAskedAgain(t *testing.T) {
	api := newServer()
	origin := testhost.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("X-RateLimit-Remaining", "0")
		w.Header().Set("X-RateLimit-Reset", "4102444800")
		api.ServeHTTP(w, req)
	}))
	h := testhost.Open(t, github.Open, origin, "", testhost.Token)
	want := []githost.Wanted{{URL: origin + "/team/app", Patterns: repotest.Patterns(t, "main")}}
	api.SetLimit(githosttest.Abused)
	if e := testhost.ErrorOf(t, h.Heads(t.Context(), want)[0]); e.Kind != githost.RateLimited {
		t.Errorf("error %v, want %q", e, githost.RateLimited)
	}
	api.SetLimit(githosttest.Unlimited)
	for range 2 {
		if o := h.Heads(t.Context(), want)[0]; o.Heads["main"] != testhost.SHA1 {
			t.Errorf("after the limit was lifted: %v, want main at %s", o, testhost.SHA1)
		}
	}
}
