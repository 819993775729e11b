package poller_test

import (
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
	"github.com/tekton-sentry/sentry/pkg/githost/hosts"
	"github.com/tekton-sentry/sentry/pkg/githost/poller"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

// Branches are pushed to, forced back, created and deleted at random for thousands of cycles, on every kind of host,
// as a Reader reads them: all in each cycle, by hints, and by hints that lie. What it reads is what is there; what it
// answers from memory was there within a sweep and a cycle.
func TestReaderTellsTheTruth(t *testing.T) {
	for kind, cycles := range map[config.HostType]int{config.GitHub: 300, config.GitLab: 1000, config.Gitea: 1000, config.Git: 1000} {
		for name, c := range map[string]struct {
			sweep time.Duration
			lies  bool
		}{"no sweep": {}, "hints": {sweep: 15 * time.Minute}, "hints that lie": {15 * time.Minute, true}} {
			if prefilter := kind == config.GitHub || kind == config.Gitea; !prefilter && name != "no sweep" {
				continue
			}
			t.Run(fmt.Sprint(kind, "/", name), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { newTruth(t, kind, c.sweep, c.lies).run(cycles) })
			})
		}
	}
}

// truth is a host in memory, what is so on it, and what a Reader should say of it.
type truth struct {
	*testing.T
	kind   config.HostType
	api    *githosttest.API
	reader poller.Reader
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

func newTruth(t *testing.T, kind config.HostType, sweep time.Duration, lies bool) *truth {
	n := map[config.HostType]int{config.GitHub: 110}[kind] // fewer are cheaper to read than GitHub's lists
	if n == 0 {
		n = 12
	}
	h := &truth{T: t, kind: kind, sweep: sweep, lies: lies, random: rand.New(rand.NewPCG(uint64(n), uint64(sweep)))}
	api := handlerOf(kind, n).(*githosttest.API)
	h.api, h.want = api, monitorsAt(t, kind, n)
	h.reader = poller.Reader{Hosts: hosts.All, Base: &wire{handler: http.HandlerFunc(h.serve)}, Sweep: sweep}
	for i := range h.want {
		if i%3 > 0 {
			h.want[i].Branches = apiPatterns(t, "main", "dev.*")
		}
		h.heads = append(h.heads, map[string]repo.SHA{"main": shaA, "dev": shaB})
		h.past = append(h.past, nil)
	}
	return h
}

// serve is the host. Its lies are lists without what changed.
func (h *truth) serve(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	req.Body = io.NopCloser(strings.NewReader(string(body)))
	list := strings.HasSuffix(req.URL.Path, "/repos/search") || strings.Contains(string(body), "repositoryOwner")
	if !list || !h.lies || h.random.IntN(3) > 0 {
		h.api.ServeHTTP(w, req)
		return
	}
	rec := httptest.NewRecorder()
	h.api.ServeHTTP(rec, req)
	text := strings.NewReplacer(`"hasNextPage":true`, `"hasNextPage":false`).Replace(rec.Body.String())
	if before, rest, ok := strings.Cut(text, `"nodes":[`); ok { // GitHub
		_, rest, _ = strings.Cut(rest, `],"pageInfo"`)
		text = before + `"nodes":[],"pageInfo"` + rest
	} else {
		text = `{"ok":true,"data":[` + text[strings.LastIndex(text, `{"id":`):]
	}
	w.Header().Set("Date", rec.Header().Get("Date"))
	_, _ = io.WriteString(w, text)
}

func (h *truth) run(cycles int) {
	ticker := time.NewTicker(time.Minute)
	defer ticker.Stop()
	for cycle := range cycles {
		for range h.random.IntN(4) {
			h.change(h.random.IntN(min(12, len(h.want))))
			time.Sleep(time.Duration(h.random.IntN(2000)) * time.Millisecond)
		}
		if h.random.IntN(2) == 0 {
			time.Sleep(15 * time.Second) // what was changed last is listed
		}
		asked := time.Now()
		for i, o := range h.reader.Heads(h.Context(), h.want) {
			h.check(cycle, i, o, asked)
		}
		<-ticker.C
	}
	if prefilter := h.kind == config.GitHub || h.kind == config.Gitea; (h.cached > 0) != (prefilter && h.sweep > 0) {
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
		heads[branch] = repo.SHA(shaA)
		h.api.Push(path, branch, shaA)
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
