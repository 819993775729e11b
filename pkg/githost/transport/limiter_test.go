package transport

import (
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tekton-sentry/sentry/pkg/githost"
)

// Turns are spread over twenty seconds, some at a moment: whoever waits for them wakes up that often.
func TestTurns(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, n := range []int{1000, 10_000, 50_000} {
		var p limiter
		p.spacing = spacing(n)
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
		if elapsed := last.Sub(now); elapsed < 18*time.Second || elapsed > 22*time.Second {
			t.Errorf("%d turns take %s, want 18s to 22s", n, elapsed)
		}
		if about := n / some; len(at) < about/2 || len(at) > about+about/5 {
			t.Errorf("%d turns are at %d moments, want about %d", n, len(at), about)
		}
	}
}

// Replicas together ask no faster than one that has all.
func TestTurnsOfReplicas(t *testing.T) {
	for _, n := range []int{200, 20_000} {
		var one, five Gate
		one.SpreadOver(5*n, 1)
		five.SpreadOver(n, 5)
		if five.limiter.spacing != 5*one.limiter.spacing {
			t.Errorf("of %d, each of five has its turns every %s, want five times %s", 5*n, five.limiter.spacing, one.limiter.spacing)
		}
	}
}

// Who waits for a turn is told at once that it does not come.
func TestNewsReachWhoWaits(t *testing.T) {
	for name, news := range map[string]func(*Gate){
		"a limit": func(g *Gate) {
			err := githost.NewError(githost.RateLimited, "a.example", "points")
			err.Until = time.Now().Add(time.Hour)
			g.Exhaust(err)
		},
		"a host that went down":        func(g *Gate) { answer(g, maxStreak, 0, "") },
		"a limit that an answer tells": func(g *Gate) { answer(g, 1, 429, "300") },
	} {
		synctest.Test(t, func(t *testing.T) {
			g := NewGate(nil, githost.Endpoint{Account: githost.Account{Origin: "https://a.example"}}, 0)
			g.Begin(time.Now(), MaxProbes)
			answer(g, 1, 200, "")
			g.limiter = limiter{spacing: time.Second, slot: time.Now().Add(time.Minute)}
			left := make(chan error)
			go func() { left <- g.enter(t.Context(), Marks{}) }()
			synctest.Wait()
			start := time.Now()
			news(g)
			err := <-left
			if waited, e := time.Since(start), githost.WrapError("", err); !e.Unsent || waited > 0 {
				t.Errorf("%s: after %s got %v, want at once that nothing is asked", name, waited, err)
			}
		})
	}
}

// answer lets so many requests be answered with a status and a Retry-After; 0 is no answer.
func answer(g *Gate, n, status int, after string) {
	for range n {
		g.mu.Lock()
		g.flying++
		g.mu.Unlock()
		if status == 0 {
			g.leave(nil, errors.New("dial tcp: connection refused"), false)
			continue
		}
		g.leave(&http.Response{StatusCode: status, Header: http.Header{"Retry-After": {after}}}, nil, false)
	}
}
