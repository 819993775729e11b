package gitea_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

// polled is a server whose repositories are pushed to at random and polled once a minute.
type polled struct {
	*server
	name   string
	lag    time.Duration // up to how long after a push it is listed
	random *rand.Rand
	want   []githost.Wanted
	heads  map[int]map[string]repo.SHA // that are
	seen   map[int]map[string]repo.SHA // that were read
	pushed map[int]time.Time           // the last push
}

const (
	polledRepositories = 40
	otherRepositories  = 20
)

func newPolled(t *testing.T, name string, seed uint64) *polled {
	t.Helper()
	p := &polled{server: newServer(t, "", token), name: name, lag: 1600 * time.Millisecond, random: rand.New(rand.NewPCG(seed, 1)),
		heads: make(map[int]map[string]repo.SHA), seen: make(map[int]map[string]repo.SHA), pushed: make(map[int]time.Time)}
	p.want = p.wanted(polledRepositories, "main")
	for i := range polledRepositories + otherRepositories {
		p.push(i)
		time.Sleep(time.Second)
	}
	return p
}

func (p *polled) push(i int) {
	p.SetLag(p.within(p.lag + 1))
	text := sha(p.random.IntN(1 << 30))
	p.Push(fmt.Sprintf("team/app%d", i), "main", text)
	p.heads[i], p.pushed[i] = map[string]repo.SHA{"main": repo.SHA(text)}, time.Now()
}

func (p *polled) within(d time.Duration) time.Duration {
	return time.Duration(p.random.Int64N(int64(d)))
}

// minute pushes to so many repositories and does something else, all at random times of a minute, and polls at its
// end. It returns how many repositories were read and how many lists asked for.
func (p *polled) minute(pushes int, other func()) (read, lists int) {
	p.t.Helper()
	start := time.Now()
	at := make([]time.Duration, pushes)
	for i := range at {
		at[i] = p.within(time.Minute)
	}
	slices.Sort(at)
	turn := p.random.IntN(2) * p.random.IntN(pushes+1) // often first
	for i := range pushes + 1 {
		if i == turn && other != nil {
			other()
		}
		if i < pushes {
			time.Sleep(time.Until(start.Add(at[i])))
			p.push(p.random.IntN(polledRepositories + otherRepositories))
		}
	}
	time.Sleep(time.Until(start.Add(time.Minute)))
	p.Requests()
	changed := p.changed(p.want)
	lists = len(p.Requests())
	maps.Copy(p.seen, p.read(p.want, changed))
	for i := range p.want {
		if time.Since(p.pushed[i]) > 3*time.Second && !maps.Equal(p.heads[i], p.seen[i]) {
			p.t.Errorf("%s: app%d, pushed to %s ago, was not read", p.name, i, time.Since(p.pushed[i]))
		}
	}
	return len(changed), lists
}

// A clock that is set, back or forth, hides nothing: what was pushed and is listed is read in the next cycle. After as
// much time as it was set back idle cycles cost a request again.
func TestClockIsSet(t *testing.T) {
	second := time.Second
	for name, steps := range map[string][]time.Duration{ // one a cycle
		"back by a second":          {-second},
		"back by seconds":           {-4 * second},
		"back by more seconds":      {-8 * second},
		"back by as much as counts": {-10 * second},
		"back by a little more":     {-12 * second},
		"back within a cycle":       {-30 * second},
		"back by a cycle":           {-60 * second},
		"back by minutes":           {-5 * time.Minute},
		"back by hours":             {-3 * time.Hour},
		"back again and again":      {-20 * second, -7 * second, -time.Hour, -5 * second, -20 * second, -4 * second, -4 * second, -4 * second},
		"forth":                     {time.Hour},
		"forth and back":            {2 * time.Hour, 0, 0, -2 * time.Hour},
		"forth and at once back":    {40 * second, -40 * second},
		"there and back":            {-time.Hour, time.Hour, -time.Hour},
	} {
		for seed := range uint64(8) {
			synctest.Test(t, func(t *testing.T) {
				p := newPolled(t, name, seed)
				for range 3 {
					p.minute(4, nil)
				}
				var back time.Duration
				for _, by := range steps {
					p.minute(6, func() { p.ahead += by })
					back -= min(by, 0)
				}
				for range 10 {
					p.minute(4, nil)
				}
				time.Sleep(back + time.Minute)
				p.minute(0, nil)
				p.minute(0, nil)
				for range 3 {
					if read, lists := p.minute(0, nil); read > 0 || lists > 1 {
						t.Errorf("%s: %d repositories read and %d lists asked for in an idle cycle %s later, want none and 1", name, read, lists, back)
					}
				}
			})
		}
	}
}

// Three pushes right after the clock of a quiet server was set back: the newest two would hide the first.
func TestPushesAfterTheClockWasSetBack(t *testing.T) {
	for seconds := range 75 {
		synctest.Test(t, func(t *testing.T) {
			p := newPolled(t, fmt.Sprintf("back by %d seconds", seconds), 1)
			p.minute(0, nil)
			p.minute(0, func() {
				time.Sleep(58 * time.Second)
				p.push(polledRepositories)
			})
			p.minute(0, nil)
			p.minute(0, func() {
				p.ahead -= time.Duration(seconds) * time.Second
				for i := range 3 {
					p.push(i)
					time.Sleep(2 * time.Second)
				}
			})
		})
	}
}

// A clock that was ahead for an instant and is right again at the next poll, so that no list was made meanwhile.
func TestClockWasAheadBetweenPolls(t *testing.T) {
	for _, proxy := range []time.Duration{0, 40 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			p := newPolled(t, fmt.Sprint("ahead between polls, a Date ahead by ", proxy), 1)
			p.date = func(now time.Time) string { return now.Add(proxy).UTC().Format(http.TimeFormat) }
			p.minute(4, nil)
			p.minute(4, func() {
				p.ahead = 12 * time.Hour
				p.push(7)
				p.push(polledRepositories)
				p.push(polledRepositories + 1)
				p.ahead = 0
			})
			for range 30 {
				p.minute(6, nil)
			}
			p.minute(0, nil)
			if read, lists := p.minute(0, nil); read > 1 || lists > 2 {
				t.Errorf("%s: %d repositories read and %d lists asked for in an idle cycle, want the one with a time in the future, and at most 2", p.name, read, lists)
			}
		})
	}
}

// A proxy that answers with a Date of its own hides nothing, however wrong that is.
func TestDateOfAProxy(t *testing.T) {
	for _, ahead := range []time.Duration{-24 * time.Hour, -time.Minute, -8 * time.Second, 8 * time.Second, 40 * time.Second, 24 * time.Hour} {
		for seed := range uint64(8) {
			synctest.Test(t, func(t *testing.T) {
				p := newPolled(t, fmt.Sprint("a Date ahead by ", ahead), seed)
				p.date = func(now time.Time) string { return now.Add(ahead).UTC().Format(http.TimeFormat) }
				for range 20 {
					p.minute(4, nil)
				}
				time.Sleep(max(0, -ahead) + time.Minute)
				p.minute(0, nil)
				p.minute(0, nil)
				if read, lists := p.minute(0, nil); read > 0 || lists > 1 {
					t.Errorf("%s: %d repositories read and %d lists asked for in an idle cycle, want none and 1", p.name, read, lists)
				}
			})
		}
	}
}

// A list that is answered from a cache, with the Date that it was made at, is no news: all is read.
func TestListFromACache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPolled(t, "cached", 1)
		for range 3 {
			p.minute(4, nil)
		}
		pages := make(map[string][]byte)
		p.list = func(url string, page []byte) []byte {
			if pages[url] == nil {
				pages[url] = page
			}
			return pages[url]
		}
		date := time.Now().UTC().Format(http.TimeFormat)
		p.date = func(time.Time) string { return date }
		for range 5 {
			p.minute(4, nil)
		}
	})
}

// Without a Date, a clock that was set back would not be noticed, so nothing is told, and again when there is one.
func TestNoDate(t *testing.T) {
	for _, date := range []string{"", "yesterday"} {
		synctest.Test(t, func(t *testing.T) {
			p := newPolled(t, "no date", 1)
			for range 3 {
				p.minute(4, nil)
			}
			p.date = func(time.Time) string { return date }
			changed, err := p.host.(githost.Prefilter).Changed(t.Context(), p.want)
			if err == nil {
				t.Errorf("Date %q: told %v, want an error", date, changed)
			}
			p.date = nil
			for range 3 {
				p.minute(4, nil)
			}
		})
	}
}

// The time of a pull mirror is that of a commit, which tells nothing of the server's clock.
func TestMirrorIsNoClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPolled(t, "a commit from the future", 1)
		p.SetLag(0)
		p.date = func(now time.Time) string { return now.Add(40 * time.Second).UTC().Format(http.TimeFormat) }
		p.minute(0, nil)
		p.minute(0, func() {
			time.Sleep(58 * time.Second)
			p.ahead = 35 * time.Second
			p.Push("team/mirror", "main", sha(1))
			p.SetMirror("team/mirror")
			p.ahead = 0
		})
		p.minute(0, func() {
			for i := range 3 {
				p.push(i)
				time.Sleep(2 * time.Second)
			}
		})
	})
}

// Two pushes within a second with a read between them are told apart, whatever a proxy says that the time is.
func TestTwoPushesWithinASecond(t *testing.T) {
	for _, proxy := range []time.Duration{-time.Minute, 0, 40 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			p := newPolled(t, fmt.Sprint("a Date ahead by ", proxy), 1)
			p.date = func(now time.Time) string { return now.Add(proxy).UTC().Format(http.TimeFormat) }
			p.minute(0, nil)
			p.minute(0, nil)
			p.lag = 0
			p.minute(0, func() {
				p.push(7)
				time.Sleep(300 * time.Millisecond)
				maps.Copy(p.seen, p.read(p.want, p.changed(p.want)))
				p.push(7)
			})
		})
	}
}
