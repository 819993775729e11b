package poller

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

// hintingHost is a Host in memory that is a Prefilter.
type hintingHost struct {
	heads   map[string]map[string]repo.SHA // by URL
	changed func(url string) bool
	wrong   func(url string) *githost.Error // what reading it fails with
	hintErr error

	asked, hinted int
	read          map[string]int // by URL
}

func (h *hintingHost) Changed(_ context.Context, want []githost.Wanted) ([]bool, error) {
	h.hinted++
	changed := make([]bool, len(want))
	for i, w := range want {
		changed[i] = h.changed(w.URL)
	}
	return changed, h.hintErr
}

func (h *hintingHost) Heads(_ context.Context, want []githost.Wanted) []repo.Observation {
	h.asked += len(want)
	answers := make([]repo.Observation, len(want))
	for i, w := range want {
		h.read[w.URL]++
		if err := h.wrong(w.URL); err != nil {
			answers[i] = githost.Failed(err)
			continue
		}
		answers[i].Heads = maps.Clone(h.heads[w.URL])
	}
	return answers
}

// hinting returns a Reader of a host with n repositories, whose hints say that nothing ever changes.
func hinting(t *testing.T, n int, sweep time.Duration) (*hintingHost, *Reader, []config.Monitor) {
	t.Helper()
	h := &hintingHost{
		heads: make(map[string]map[string]repo.SHA), read: make(map[string]int),
		changed: func(string) bool { return false }, wrong: func(string) *githost.Error { return nil },
	}
	var want []config.Monitor
	for i := range n {
		url := fmt.Sprintf("https://a.example/%d", i)
		h.heads[url] = map[string]repo.SHA{"main": sha1, "dev": sha2}
		want = append(want, monitor(t, config.Gitea, url, "", ".*"))
	}
	open := func(githost.Endpoint, *http.Client) (githost.Host, error) { return h, nil }
	return h, &Reader{Hosts: githost.Drivers{driver(config.Gitea, open)}, Sweep: sweep}, want
}

func TestSweep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, r, want := hinting(t, 300, 15*time.Minute)
		minutes(t, 31, r, want, func(minute int, got []repo.Observation) {
			fresh := 0
			for i, o := range got {
				if o.Heads["main"] != sha1 || o.Heads["dev"] != sha2 || len(o.Heads) != 2 {
					t.Fatalf("minute %d, repository %d: got %v", minute, i, o)
				}
				if o.Status == repo.Fresh {
					fresh++
				}
			}
			switch {
			case minute == 0 && fresh != 300:
				t.Errorf("first minute: %d read, want all 300", fresh)
			case minute > 0 && (fresh < 5 || fresh > 45): // 20 on average
				t.Errorf("minute %d: %d read, want about a fifteenth of 300", minute, fresh)
			}
			if h.asked != fresh {
				t.Errorf("minute %d: %d asked for and %d not cached", minute, h.asked, fresh)
			}
			h.asked = 0
			got[0].Heads["main"] = sha2 // whoever asked may do with it as he likes
		})
		for url, n := range h.read {
			if n != 3 {
				t.Errorf("%s was read %d times in two sweeps after the first minute, want 3", url, n)
			}
		}
	})
}

func TestHints(t *testing.T) {
	const n = 10
	for name, test := range map[string]struct {
		sweep    time.Duration
		n        int
		set      func(*hintingHost)
		read     int // in the second round
		hinted   int // in two rounds
		problems int // in the second round
	}{
		"nothing changed": {sweep: 24 * time.Hour, n: n, hinted: 2},
		"one changed":     {sweep: 24 * time.Hour, n: n, set: func(h *hintingHost) { h.changed = func(u string) bool { return u == "https://a.example/3" } }, read: 1, hinted: 2},
		"no sweep":        {n: n, read: n},
		"few":             {sweep: 24 * time.Hour, n: 3, read: 3},
		"hints fail":      {sweep: 24 * time.Hour, n: n, set: func(h *hintingHost) { h.hintErr = errors.New("no such endpoint") }, read: n, hinted: 2},
		"hints panic":     {sweep: 24 * time.Hour, n: n, set: func(h *hintingHost) { h.changed = func(string) bool { panic("x") } }, read: n, hinted: 2},
		"hints limited": {sweep: 24 * time.Hour, n: n, set: func(h *hintingHost) {
			h.hintErr = githost.NewError(githost.RateLimited, "a.example", "points")
		}, read: n, hinted: 2},
	} {
		synctest.Test(t, func(t *testing.T) {
			h, r, want := hinting(t, test.n, test.sweep)
			r.Heads(t.Context(), want)
			time.Sleep(time.Second)
			h.asked = 0
			if test.set != nil {
				test.set(h)
			}
			problems := 0
			for _, o := range r.Heads(t.Context(), want) {
				if o.Err != nil {
					problems++
				}
			}
			if h.asked != test.read || h.hinted != test.hinted || problems != test.problems {
				t.Errorf("%s: %d read, %d hints asked for, %d errors, want %d, %d, %d", name, h.asked, h.hinted, problems, test.read, test.hinted, test.problems)
			}
		})
	}
}

// Hints lie in both directions, reading fails at random, branches come, move and go. A change is seen within
// a sweep and an interval, and nothing is ever answered that was not so within that time.
func TestHintsThatLie(t *testing.T) {
	const sweep, interval = 15 * time.Minute, time.Minute
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 1))
			h, r, want := hinting(t, 40, sweep)
			type state struct {
				heads map[string]repo.SHA
				until time.Time // when it was replaced
			}
			past := make(map[string][]state)
			h.changed = func(string) bool { return random.IntN(20) == 0 }
			h.wrong = func(string) *githost.Error {
				switch random.IntN(60) {
				case 0:
					return githost.NewError(githost.Temporary, "a.example", "down")
				case 1:
					return githost.NewError(githost.NoBranch, "a.example", "none")
				}
				return nil
			}
			for minute := range 200 {
				h.hintErr = nil
				if random.IntN(30) == 0 {
					h.hintErr = errors.New("hints are down")
				}
				for url, heads := range h.heads {
					if random.IntN(30) > 0 {
						continue
					}
					past[url] = append(past[url], state{maps.Clone(heads), time.Now()})
					heads["main"] = repo.SHA(fmt.Sprintf("%040x", random.Uint64()|1))
					if _, ok := heads["dev"]; ok {
						delete(heads, "dev")
					} else {
						heads["dev"] = sha2
					}
				}
				for i, o := range r.Heads(t.Context(), want) {
					url := want[i].URL
					if kindOf(o) == githost.NoBranch && o.Status != repo.Fresh {
						t.Fatalf("seed %d, minute %d, %s: %v, want it to be asked again", seed, minute, url, o)
					}
					if o.Err != nil || maps.Equal(o.Heads, h.heads[url]) {
						continue
					}
					was := false
					for _, s := range past[url] {
						was = was || maps.Equal(o.Heads, s.heads) && time.Since(s.until) < sweep+interval
					}
					if o.Status == repo.Fresh || !was {
						t.Fatalf("seed %d, minute %d, %s: got %+v, want %v, or what it was within %s", seed, minute, url, o, h.heads[url], sweep+interval)
					}
				}
				time.Sleep(interval)
			}
		})
	}
}

// A hint is told once. What it names is read in the first round that can, also when a limit kept it from the first.
func TestHintThatALimitKeepsFromBeingUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n, moved = 10, "https://a.example/3"
		h, r, want := hinting(t, n, 24*time.Hour)
		r.Heads(t.Context(), want)
		h.heads[moved]["main"] = sha2
		h.changed = func(url string) bool { return url == moved }
		h.wrong = func(string) *githost.Error {
			return githost.NotAsked(githost.NewError(githost.RateLimited, "a.example", "points"))
		}
		time.Sleep(time.Minute)
		if o := r.Heads(t.Context(), want)[3]; o.Status != repo.NotAsked {
			t.Fatalf("while the limit lasts: got %+v, want it not to be asked", o)
		}
		h.changed = func(string) bool { return false }
		h.wrong = func(string) *githost.Error { return nil }
		time.Sleep(time.Minute)
		if o := r.Heads(t.Context(), want)[3]; o.Status != repo.Fresh || o.Heads["main"] != sha2 {
			t.Errorf("once the limit is over: got %+v, want main at %s", o, sha2)
		}
	})
}
