// Package truth is what hosts promise to a poller.Reader while all is well: that it tells what is so, and costs little.
package truth

import (
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/conformance/testhost"
	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
	"github.com/tekton-sentry/sentry/pkg/githost/poller"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/repo/repotest"
)

// Told asserts that branches and tags are pushed to, forced back, created and deleted at random for thousands of cycles, as a Reader reads
// them: all in each cycle, by hints, and by hints that lie. What it reads is what is there. What it answers from memory
// was there within a sweep and a cycle.
func Told(t *testing.T, h testhost.Host) {
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
	host   testhost.Host
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

func newTruth(t *testing.T, host testhost.Host, sweep time.Duration, lies bool) *truth {
	n := 12
	if host.Hints != nil {
		n = max(n, host.Hints.Repositories)
	}
	h := &truth{T: t, host: host, sweep: sweep, lies: lies, random: rand.New(rand.NewPCG(uint64(n), uint64(sweep)))}
	h.api, h.want = host.Filled(n), testhost.Monitors(t, host.Driver.Type, n)
	h.reader = host.Reader(&testhost.Wire{Handler: http.HandlerFunc(h.serve)}, sweep)
	for i := range h.want {
		if entries := watched[i%len(watched)]; entries != nil {
			h.want[i].Branches = repotest.Patterns(t, entries...)
		}
		if i == tagsAlone {
			h.want[i].Branches = repotest.Patterns(t, "refs/tags/.*")
		}
		h.heads = append(h.heads, map[string]repo.SHA{"main": testhost.SHA1, "dev": testhost.SHA2})
		h.past = append(h.past, nil)
	}
	return h
}

// watched are what is watched of repositories in turn; nil is main and dev.
var watched = [][]string{nil, {"main", "dev.*"}, {"main", "dev.*", `refs/tags/v.*`}, {"main", "dev", "refs/tags/v1", "refs/tags/dev"}, {"main", "dev.*"}, {"main", "refs/tags/.*"}}

// tagsAlone is of the repository that is watched for tags alone.
const tagsAlone = 7

// names are what is pushed to.
var names = []string{"main", "dev", "dev-2", "dev/3", "other", "refs/tags/v1", "refs/tags/v1.1", "refs/tags/dev"}

// serve is the host. Its lies are lists without what changed.
func (h *truth) serve(w http.ResponseWriter, req *http.Request) {
	if hints := h.host.Hints; h.lies && hints.Asked(req.URL.Path, testhost.BodyOf(req)) && h.random.IntN(3) == 0 {
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
			<-time.After(time.Duration(h.random.IntN(2000)) * time.Millisecond)
		}
		if h.random.IntN(2) == 0 {
			<-time.After(15 * time.Second) // what was changed last is listed
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
	branch, fate := names[h.random.IntN(len(names))], h.random.IntN(9)
	switch there := heads[branch] != ""; {
	case there && fate < 3:
		h.api.Delete(path, branch)
		delete(heads, branch)
	case there && fate < 5: // back to where it was
		heads[branch] = repo.SHA(testhost.SHA1)
		h.api.Push(path, branch, testhost.SHA1)
	default:
		heads[branch] = repo.SHA(fmt.Sprintf("%040x", h.random.Uint64()|1))
		h.api.Push(path, branch, string(heads[branch]))
	}
}

// check compares an answer with what is so, and one from memory with what lately was.
func (h *truth) check(cycle, i int, o repo.Observation, asked time.Time) {
	h.Helper()
	if o.Status == repo.Fresh {
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
		if e := testhost.ErrorOf(t, o); e.Kind != githost.NoBranch {
			t.Fatalf("cycle %d: %s without a branch: %v, want %q", cycle, w.URL, e, githost.NoBranch)
		}
		return
	}
	if o.Err != nil || o.Status != repo.Fresh || !maps.Equal(heads, o.Heads) {
		t.Fatalf("cycle %d: %s %v (-want +got):\n%s", cycle, w.URL, w.Patterns, cmp.Diff(repo.Observation{Heads: heads}, o))
	}
}

// ToldByGraphQL asserts that whatever happens to branches and tags, each batch reads what is there, and hints miss no push.
func ToldByGraphQL(t *testing.T, h testhost.Host) {
	if !h.GraphQL() {
		return
	}
	const cycles, repositories = 1000, 8
	random := rand.New(rand.NewPCG(1, 2))
	api := h.Filled(0)
	const origin = "http://h.example"
	host := testhost.OpenOver(t, h.Driver.Open, testhost.RoundTrip(func(req *http.Request) (*http.Response, error) { return githosttest.Answer(api, req), nil }), origin, "", testhost.Token)
	filter, _ := host.(githost.Prefilter)
	names := []string{"main", "dev", "dev-x", "a'b", "x$(y)", "rel/1.0", "refs/tags/dev", "refs/tags/v1"}
	truth, pushed := make([]map[string]repo.SHA, repositories), make([]bool, repositories)
	want := make([]githost.Wanted, 150) // as many as it takes for the hints to be worth it
	for i := range want {
		patterns := []string{"main", "dev-x", "rel/1.0"}
		switch i % 4 {
		case 1:
			patterns = []string{"main", "dev.*", `[ax].*`}
		case 2:
			patterns = []string{"main", "dev-x", "refs/tags/dev"}
		case 3:
			patterns = []string{"main", "dev.*", "refs/tags/.*"}
		}
		want[i] = testhost.Wanted(t, origin, fmt.Sprintf("o/r%d", i%repositories), patterns...)
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

// HintsSurvive asserts that the few QA repositories that a cycle's runs need are read as they are, and the hints about all the
// watched ones are as good afterwards as before.
func HintsSurvive(t *testing.T, h testhost.Host) {
	if h.Hints == nil {
		return
	}
	synctest.Test(t, func(t *testing.T) {
		const n = 200
		w := &testhost.Wire{Handler: h.Filled(n + 10)}
		r := h.Reader(w, 24*time.Hour)
		all := testhost.Monitors(t, h.Driver.Type, n+10)
		<-time.After(time.Hour) // since the last push
		for range 2 {           // what was pushed to at the same time as the last one is read once more
			r.Heads(t.Context(), all[:n])
			<-time.After(time.Minute)
		}
		for range 3 {
			for i, o := range r.Heads(t.Context(), all[n:]) {
				if o.Err != nil || o.Status != repo.Fresh {
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
