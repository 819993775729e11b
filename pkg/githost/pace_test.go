package githost

import (
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// Turns are spread over twenty seconds, some at a moment: whoever waits for them wakes up that often.
func TestTurns(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, n := range []int{1000, 10_000, 50_000} {
		var p pace
		p.spreadOver(n)
		some := max(burst, n*int(shortest/time.Millisecond)/int(spread/time.Millisecond))
		at := make(map[time.Time]int)
		var last time.Time
		for i := range n {
			turn := p.take(now)
			if turn.Before(last) {
				t.Fatalf("of %d, turn %d is at %s, before the last one, %s", n, i, turn, last)
			}
			last = turn
			if !turn.After(now) {
				turn = now
			}
			if at[turn]++; at[turn] > 2*some {
				t.Fatalf("of %d, more than %d turns are at %s after the start", n, 2*some, turn.Sub(now))
			}
		}
		if took := last.Sub(now); took < 18*time.Second || took > 22*time.Second {
			t.Errorf("%d turns take %s, want 18s to 22s", n, took)
		}
		if about := n / some; len(at) < about/2 || len(at) > about+about/5 {
			t.Errorf("%d turns are at %d moments, want about %d", n, len(at), about)
		}
	}
}

func TestRequestsAreSpread(t *testing.T) {
	for _, n := range []int{1000, 10_000} {
		synctest.Test(t, func(t *testing.T) {
			net := newInternet(map[string]func(*http.Request) (*http.Response, error){"a.example": status(200)})
			r, want := plain(t, net, "", n, "a.example")
			start := time.Now()
			for i, o := range r.Heads(t.Context(), want) {
				if o.Err != nil {
					t.Fatalf("repository %d: %v", i, o.Err)
				}
			}
			if took := time.Since(start); took > 25*time.Second {
				t.Errorf("%d requests took %s, want about 20s", n, took)
			}
			times := net.times["a.example"]
			if gap := times[1].Sub(times[0]); gap < 5*time.Millisecond {
				t.Errorf("the second request went out %s after the first, want it to wait for the answer", gap)
			}
			most := 2 * n / 20 // in a second
			for i := range times[most:] {
				if d := times[i+most].Sub(times[i]); d < time.Second {
					t.Fatalf("%d requests within %s", most, d)
				}
			}
		})
	}
}

// The others go as soon as the first request was answered.
func TestFirstAnswerLetsTheOthersGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := newInternet(map[string]func(*http.Request) (*http.Response, error){"a.example": status(200)})
		r, want := plain(t, net, "", 8, "a.example")
		start := time.Now()
		r.Heads(t.Context(), want)
		if took := time.Since(start); took > time.Second {
			t.Errorf("8 requests took %s, want no wait but for the first answer", took)
		}
	})
}

// Who waits for a turn is told at once that it does not come.
func TestNewsReachWhoWaits(t *testing.T) {
	for name, news := range map[string]func(*gate){
		"a limit": func(g *gate) {
			err := NewError(RateLimited, "a.example", "points")
			err.Until = time.Now().Add(time.Hour)
			g.limitUntil(err)
		},
		"a host that went down":        func(g *gate) { answer(g, maxStreak, refused) },
		"a limit that an answer tells": func(g *gate) { answer(g, 1, status(429, "Retry-After", "300")) },
	} {
		synctest.Test(t, func(t *testing.T) {
			g := &gate{name: "a.example"}
			g.begin(time.Now(), maxProbes)
			answer(g, 1, status(200))
			g.pace = pace{spacing: time.Second, slot: time.Now().Add(time.Minute)}
			left := make(chan error)
			go func() { left <- g.enter(t.Context()) }()
			synctest.Wait()
			start := time.Now()
			news(g)
			err := <-left
			if waited := time.Since(start); !errors.Is(err, errNotAsked) || waited > 0 {
				t.Errorf("%s: after %s got %v, want at once that nothing is asked", name, waited, err)
			}
		})
	}
}

// answer lets so many requests be answered like that.
func answer(g *gate, n int, serve func(*http.Request) (*http.Response, error)) {
	for range n {
		g.mu.Lock()
		g.flying++
		g.mu.Unlock()
		resp, err := serve(nil)
		g.leave(resp, err, false)
	}
}
