package conformance

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
	"github.com/tekton-sentry/sentry/pkg/githost/poller"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

// Branches are pushed to, forced back, created and deleted at random for thousands of cycles, as a Reader reads them:
// all in each cycle, by hints, and by hints that lie. What it reads is what is there; what it answers from memory was
// there within a sweep and a cycle.
func tellsTheTruth(t *testing.T, h Host) {
	run := func(name string, sweep time.Duration, lies bool) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { newTruth(t, h, sweep, lies).run() })
		})
	}
	run("no sweep", 0, false)
	if h.Hints != nil {
		run("hints", 15*time.Minute, false)
		run("hints that lie", 15*time.Minute, true)
	}
}

// truth is a host in memory, what is so on it, and what a Reader should say of it.
type truth struct {
	*testing.T
	host   Host
	api    *githosttest.API
	reader *poller.Reader
	sweep  time.Duration
	lies   bool
	random *rand.Rand
	want   []config.Monitor
	heads  []map[string]repo.SHA
	past   [][]was
	cached int
}

// was is a state that a repository had until some time.
type was struct {
	heads map[string]repo.SHA
	until time.Time
}

func newTruth(t *testing.T, host Host, sweep time.Duration, lies bool) *truth {
	n := 12
	if host.Hints != nil {
		n = max(n, host.Hints.Repositories)
	}
	h := &truth{T: t, host: host, sweep: sweep, lies: lies, random: rand.New(rand.NewPCG(uint64(n), uint64(sweep)))}
	h.api, h.want = host.filled(n), Monitors(t, host.Driver.Type, n)
	h.reader = host.reader(&Wire{Handler: http.HandlerFunc(h.serve)}, sweep)
	for i := range h.want {
		if i%3 > 0 {
			h.want[i].Branches = Patterns(t, "main", "dev.*")
		}
		h.heads = append(h.heads, map[string]repo.SHA{"main": SHA1, "dev": SHA2})
		h.past = append(h.past, nil)
	}
	return h
}

// serve is the host. Its lies are lists without what changed.
func (h *truth) serve(w http.ResponseWriter, req *http.Request) {
	if hints := h.host.Hints; h.lies && hints.Asked(req.URL.Path, bodyOf(req)) && h.random.IntN(3) == 0 {
		rec := httptest.NewRecorder()
		h.api.ServeHTTP(rec, req)
		w.Header().Set("Date", rec.Header().Get("Date"))
		_, _ = io.WriteString(w, hints.Empty(rec.Body.String()))
		return
	}
	h.api.ServeHTTP(w, req)
}

func (h *truth) run() {
	cycles := 1000
	if len(h.want) > 100 {
		cycles = 300
	}
	ticker := time.NewTicker(time.Minute)
	defer ticker.Stop()
	for cycle := range cycles {
		for range h.random.IntN(4) {
			h.change(h.random.IntN(min(12, len(h.want))))
			pause(time.Duration(h.random.IntN(2000)) * time.Millisecond)
		}
		if h.random.IntN(2) == 0 {
			pause(15 * time.Second) // what was changed last is listed
		}
		asked := time.Now()
		for i, o := range h.reader.Heads(h.Context(), h.want) {
			h.check(cycle, i, o, asked)
		}
		<-ticker.C
	}
	if (h.cached > 0) != (h.host.Hints != nil && h.sweep > 0) {
		h.Errorf("%d answers from memory", h.cached)
	}
}

func (h *truth) change(i int) {
	path, heads := fmt.Sprintf("o/r%d", i), h.heads[i]
	h.past[i] = append(h.past[i], was{maps.Clone(heads), time.Now()})
	branch, fate := []string{"main", "dev", "dev-2", "dev/3", "other"}[h.random.IntN(5)], h.random.IntN(9)
	switch there := heads[branch] != ""; {
	case there && fate < 3:
		h.api.Delete(path, branch)
		delete(heads, branch)
	case there && fate < 5: // back to where it was
		heads[branch] = repo.SHA(SHA1)
		h.api.Push(path, branch, SHA1)
	default:
		heads[branch] = repo.SHA(fmt.Sprintf("%040x", h.random.Uint64()|1))
		h.api.Push(path, branch, string(heads[branch]))
	}
}

// check compares an answer with what is so, and one from memory with what lately was.
func (h *truth) check(cycle, i int, o repo.Observation, asked time.Time) {
	h.Helper()
	if !o.Cached {
		checkTruth(h.T, cycle, githost.Wanted{URL: h.want[i].URL, Patterns: h.want[i].Branches}, h.heads[i], o)
		return
	}
	h.cached++
	late := h.sweep + time.Minute
	for _, s := range append([]was{{h.heads[i], asked}}, h.past[i]...) {
		wanted := maps.Clone(s.heads)
		maps.DeleteFunc(wanted, func(b string, _ repo.SHA) bool { return !h.want[i].Branches.Match(b) })
		if asked.Sub(s.until) <= late && o.Err == nil && maps.Equal(wanted, o.Heads) {
			return
		}
	}
	h.Fatalf("cycle %d, %s: answered %+v from memory, want %v or what it was within %s", cycle, h.want[i].URL, o, h.heads[i], late)
}

func checkTruth(t *testing.T, cycle int, w githost.Wanted, truth map[string]repo.SHA, o repo.Observation) {
	t.Helper()
	heads := maps.Clone(truth)
	maps.DeleteFunc(heads, func(b string, _ repo.SHA) bool { return !w.Patterns.Match(b) })
	if len(heads) == 0 {
		if e := ErrorOf(t, o); e.Kind != githost.NoBranch {
			t.Fatalf("cycle %d: %s without a branch: %v, want %q", cycle, w.URL, e, githost.NoBranch)
		}
		return
	}
	if o.Err != nil || o.Cached || !maps.Equal(heads, o.Heads) {
		t.Fatalf("cycle %d: %s %v (-want +got):\n%s", cycle, w.URL, w.Patterns, cmp.Diff(repo.Observation{Heads: heads}, o))
	}
}

// Whatever happens to the branches, each batch reads what is there, and hints miss no push.
func graphQLTellsTheTruth(t *testing.T, h Host) {
	if !h.graphQL() {
		return
	}
	const cycles, repositories = 1000, 8
	random := rand.New(rand.NewPCG(1, 2))
	api := h.server()
	api.SetGraphQL(true)
	const origin = "http://h.example"
	host := openOver(t, h.Driver.Open, RoundTrip(func(req *http.Request) (*http.Response, error) { return githosttest.Answer(api, req), nil }), origin, "", Token)
	filter, _ := host.(githost.Prefilter)
	names := []string{"main", "dev", "dev-x", "a'b", "x$(y)", "rel/1.0"}
	truth, pushed := make([]map[string]repo.SHA, repositories), make([]bool, repositories)
	want := make([]githost.Wanted, 150) // as many as it takes for the hints to be worth it
	for i := range want {
		patterns := []string{"main", "dev-x", "rel/1.0"}
		if i%2 == 1 {
			patterns = []string{"main", "dev.*", `[ax].*`}
		}
		want[i] = Wanted(t, origin, fmt.Sprintf("o/r%d", i%repositories), patterns...)
	}
	for i := range truth {
		truth[i] = make(map[string]repo.SHA)
		api.Create(fmt.Sprintf("o/r%d", i))
	}
	for cycle := range cycles {
		clear(pushed)
		for range random.IntN(4) {
			i, b := random.IntN(repositories), names[random.IntN(len(names))]
			path := fmt.Sprintf("o/r%d", i)
			if random.IntN(3) == 0 {
				api.Delete(path, b)
				delete(truth[i], b)
				continue
			}
			sha := fmt.Sprintf("%040x", random.Uint64())
			api.Push(path, b, sha)
			truth[i][b], pushed[i] = repo.SHA(sha), true
		}
		api.Advance(time.Duration(random.IntN(90)) * time.Second)
		if filter != nil && cycle > 0 {
			changed, err := filter.Changed(t.Context(), want)
			if err != nil {
				t.Fatalf("cycle %d: Changed = %v", cycle, err)
			}
			for i, told := range changed {
				if pushed[i%repositories] && !told {
					t.Fatalf("cycle %d: %s was pushed to, and Changed says no", cycle, want[i].URL)
				}
			}
		}
		for i, o := range host.Heads(t.Context(), want[:repositories]) {
			checkTruth(t, cycle, want[i], truth[i], o)
		}
	}
}

// The few QA repositories that a cycle's runs need are read as they are, and the hints about all the watched ones are
// as good afterwards as before.
func hintsSurvive(t *testing.T, h Host) {
	if h.Hints == nil {
		return
	}
	synctest.Test(t, func(t *testing.T) {
		const n = 200
		w := &Wire{Handler: h.filled(n + 10)}
		r := h.reader(w, 24*time.Hour)
		all := Monitors(t, h.Driver.Type, n+10)
		pause(time.Hour) // since the last push
		for range 2 {    // what was pushed to at the same time as the last one is read once more
			r.Heads(t.Context(), all[:n])
			pause(time.Minute)
		}
		for range 3 {
			for i, o := range r.Heads(t.Context(), all[n:]) {
				if o.Err != nil || o.Cached {
					t.Errorf("QA repository %d: %+v, want it read now", i, o)
				}
			}
			w.Take()
			r.Heads(t.Context(), all[:n])
			if asked := w.Take(); asked != 1 {
				t.Errorf("the idle cycle after a look at 10 other repositories took %d requests, want 1", asked)
			}
		}
	})
}

// The sweep is apart: it is so long here that no repository has its turn.
func idleCycles(t *testing.T, h Host) {
	for name, c := range h.Idle {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { c.test(t, h) })
		})
	}
}

func (c Idle) test(t *testing.T, h Host) {
	const n = 1000
	api := h.filled(n)
	var longest atomic.Int64
	want := Monitors(t, h.Driver.Type, n)
	for i := range want {
		api.Push(fmt.Sprintf("o/r%d", i), "prod", SHA1)
		pause(15 * time.Second) // what was pushed to at the same time as the last one is read once more
		want[i].Branches = Patterns(t, "main", "dev", "prod")
	}
	w := &Wire{Handler: http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
		size := int64(len(bodyOf(req)))
		for old := longest.Load(); size > old && !longest.CompareAndSwap(old, size); old = longest.Load() {
		}
		api.ServeHTTP(rw, req)
	})}
	r := h.reader(w, c.Sweep)
	pause(time.Hour) // since the last push
	for cycle := range 4 {
		w.Take()
		before := api.Points()
		longest.Store(0)
		for i, o := range r.Heads(t.Context(), want) {
			if o.Err != nil || len(o.Heads) != 3 {
				t.Fatalf("cycle %d, repository %d: %+v", cycle, i, o)
			}
		}
		requests, points, body := w.Take(), api.Points()-before, int(longest.Load())
		if cycle > 0 && (requests > c.Requests || points > c.Points || c.Body > 0 && body > c.Body) {
			t.Errorf("cycle %d: %d requests, %d points, the longest body %d bytes, want at most %d, %d, %d",
				cycle, requests, points, body, c.Requests, c.Points, c.Body)
		}
		pause(time.Minute)
	}
}

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

// A host without GraphQL is asked for it again after an hour: it may have been upgraded, or only been starting.
func graphQLIsLookedFor(t *testing.T, h Host) {
	if !h.graphQL() {
		return
	}
	for _, interval := range []time.Duration{time.Minute, 10 * time.Minute} {
		t.Run(fmt.Sprint("every ", interval), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const n = 10
				start := time.Now()
				var graphql atomic.Int64
				api := h.filled(n)
				r := h.reader(&Wire{Handler: withGraphQL(http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
					if req.URL.Path == "/api/graphql" {
						graphql.Add(1)
					}
					api.ServeHTTP(rw, req)
				}), func() bool { return time.Since(start) > 30*time.Minute })}, 0)
				want := Monitors(t, h.Driver.Type, n)
				for at := time.Duration(0); at < 70*time.Minute; at += interval {
					for i, o := range r.Heads(t.Context(), want) {
						if o.Err != nil {
							t.Fatalf("after %s, repository %d: %v", at, i, o.Err)
						}
					}
					if at < time.Hour && graphql.Load() > 0 {
						t.Fatalf("GraphQL asked again after %s, want an hour", at)
					}
					pause(interval)
				}
				if graphql.Load() == 0 {
					t.Error("GraphQL not found in 70 minutes, want it looked for again after an hour")
				}
			})
		})
	}
}

// A GraphQL that is away for a cycle is trouble of the host, and no reason to read thousands of repositories by REST for an
// hour; one that stays away is.
func graphQLGoesAway(t *testing.T, h Host) {
	if !h.graphQL() {
		return
	}
	for name, away := range map[string]time.Duration{"for a cycle": time.Minute, "for good": 24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const n, good = 10, 5 * time.Minute
				start := time.Now()
				var byREST atomic.Int64
				api := h.filled(n)
				r := h.reader(&Wire{Handler: withGraphQL(http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
					if req.Method == http.MethodGet {
						byREST.Add(1)
					}
					api.ServeHTTP(rw, req)
				}), func() bool { at := time.Since(start); return at < good || at >= good+away })}, 0)
				bad := 0 // cycles
				for time.Since(start) < 90*time.Minute {
					answers := r.Heads(t.Context(), Monitors(t, h.Driver.Type, n))
					for i, o := range answers {
						e, ok := errors.AsType[*githost.Error](o.Err)
						if o.Err != nil && (!ok || e.Kind != githost.Temporary || !strings.Contains(e.Error(), "is not there now")) {
							t.Fatalf("after %s, repository %d: %v, want that GraphQL is not there", time.Since(start), i, o.Err)
						}
					}
					if answers[0].Err != nil {
						bad++
					}
					pause(time.Minute)
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
