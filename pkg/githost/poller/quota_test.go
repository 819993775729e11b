package poller

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/secret"
)

// A good answer that says that nothing is left ends the requests until the time that it names, an hour at most.
func TestQuotaOfGoodAnswers(t *testing.T) {
	for _, test := range []struct {
		name, remaining string
		reset           time.Duration
		prefix          string
		silent          int // minutes
	}{
		{"GitHub", "0", 10 * time.Minute, "X-RateLimit-", 10},
		{"GitLab", "0", 10 * time.Minute, "RateLimit-", 10},
		{"one is left", "1", 10 * time.Minute, "X-RateLimit-", 0},
		{"a day", "0", 24 * time.Hour, "X-RateLimit-", 61}, // an hour from the answer
		{"over already", "0", -time.Minute, "X-RateLimit-", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				reset := fmt.Sprint(start.Add(test.reset).Unix())
				net := newInternet(map[string]func(*http.Request) (*http.Response, error){
					"a.example": status(200, test.prefix+"Remaining", test.remaining, test.prefix+"Reset", reset)})
				r, want := plain(t, net, "s3cret", 20, "a.example")
				var log strings.Builder
				r.Log = slog.New(slog.NewTextHandler(&log, nil))
				late := 0
				minutes(t, 62, r, want, func(minute int, got []repo.Observation) {
					if minute == 0 {
						net.servers["a.example"] = status(200, test.prefix+"Remaining", "4000", test.prefix+"Reset", reset)
					}
					silent := minute > 0 && minute < test.silent
					for _, o := range got {
						if silent != (kindOf(o) == githost.RateLimited && o.Status != repo.Fresh) && minute > 0 {
							t.Fatalf("minute %d: got %+v, want the host to be silent for %d minutes", minute, o, test.silent)
						}
					}
					if late = r.Stats()[0].Late; silent && late != 19+20*minute {
						t.Errorf("minute %d: %d late, want %d: all but the first of 20 since then", minute, late, 19+20*minute)
					}
				})
				asked := 1 + 20*(62-max(1, test.silent))
				if test.silent == 0 {
					asked = 20 * 62
				}
				if n := net.requests("a.example"); n != asked {
					t.Errorf("%d requests, want %d: one, and 20 a minute once the limit is over", n, asked)
				}
				if n := strings.Count(log.String(), "not asked for a while"); n != min(test.silent, 1) {
					t.Errorf("%d warnings, want %d:\n%s", n, min(test.silent, 1), log.String())
				}
			})
		})
	}
}

// What a Host reads out of a body counts like a header.
func TestSpent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		var n *network
		n = newNetwork(map[string]hostFunc{"https://a.example": func(ctx context.Context, want []githost.Wanted) []repo.Observation {
			if calls++; calls == 1 {
				n.billed(githost.Bill{Until: time.Now().Add(5 * time.Minute)})
			}
			return fixed(ctx, want)
		}})
		want := []config.Monitor{monitor(t, config.Git, "https://a.example/1", "", "main")}
		minutes(t, 10, &n.Reader, want, func(minute int, got []repo.Observation) {
			if silent := minute > 0 && minute < 5; silent != (kindOf(got[0]) == githost.RateLimited) {
				t.Errorf("minute %d: got %+v", minute, got[0])
			}
		})
		if calls != 6 {
			t.Errorf("asked %d times, want once before and five times after the limit", calls)
		}
	})
}

// A token has one budget whatever name stands beside it, where the name is not sent. Where it is part of the
// credential, the same password may be that of two people.
func TestOneBudgetOfAToken(t *testing.T) {
	for kind, want := range map[config.HostType]int{config.GitHub: 1, config.Git: 2} {
		n := newNetwork(nil)
		var monitors []config.Monitor
		for _, user := range []string{"somebody", "git"} {
			m := monitor(t, kind, "https://a.example/x", "s3cret", "main")
			m.Auth.Username = secret.New("${U}", user)
			monitors = append(monitors, m)
		}
		n.Heads(t.Context(), monitors)
		if got := len(n.Stats()); got != want {
			t.Errorf("%s: one token with two names has %d budgets, want %d", kind, got, want)
		}
	}
}
