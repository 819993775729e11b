package poller

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/transport"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

// plain returns a Reader on an internet, and n repositories of each host.
func plain(t *testing.T, net *internet, token string, n int, hosts ...string) (*Reader, []config.Monitor) {
	t.Helper()
	var want []config.Monitor
	for _, host := range hosts {
		for i := range n {
			want = append(want, monitor(t, config.Git, fmt.Sprintf("https://%s/%d", host, i), token, "main"))
		}
	}
	return &Reader{Hosts: githost.Drivers{driver(config.Git, openPlain)}, Base: net}, want
}

// minutes calls the Reader once a minute.
func minutes(t *testing.T, n int, r *Reader, want []config.Monitor, check func(minute int, got []repo.Observation)) {
	t.Helper()
	ticker := time.NewTicker(time.Minute)
	defer ticker.Stop()
	for minute := range n {
		check(minute, r.Heads(t.Context(), want))
		<-ticker.C
	}
}

func kindOf(o repo.Observation) githost.Kind {
	if e, ok := errors.AsType[*githost.Error](o.Err); ok {
		return e.Kind
	}
	return ""
}

func TestHostThatIsDown(t *testing.T) {
	for name, serve := range map[string]func(*http.Request) (*http.Response, error){
		"refuses connections": refused, "hangs": hang, "503": status(503), "500": status(500),
		"maintenance": status(503, "Retry-After", "5"), "proxy": status(407),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net := newInternet(map[string]func(*http.Request) (*http.Response, error){"down.example": serve, "up.example": status(200)})
				r, want := plain(t, net, "s3cret", 500, "down.example", "up.example")
				ticker := time.NewTicker(time.Minute)
				defer ticker.Stop()
				var longest time.Duration
				for minute := range 60 {
					start := time.Now()
					r.Each(t.Context(), want, func(some map[int]repo.Observation) {
						if _, up := some[500]; up {
							longest = max(longest, time.Since(start))
						}
						if elapsed := time.Since(start); name != "hangs" && name != "maintenance" && elapsed > 11*time.Second {
							t.Errorf("minute %d: an answer took %s, want it at once when nothing more is sent", minute, elapsed)
						}
						for i, o := range some {
							if down := i < 500; down != (o.Err != nil) || down && kindOf(o) != githost.Temporary && kindOf(o) != githost.Denied {
								t.Fatalf("minute %d, %s: got %v", minute, want[i].URL, o)
							}
						}
					})
					<-ticker.C
				}
				if n := net.requests("down.example"); n < 8 || n > 12 {
					t.Errorf("asked %d times in an hour, want 8 to 12", n)
				}
				if n := net.requests("up.example"); n != 60*500 {
					t.Errorf("the other host was asked %d times, want %d", n, 60*500)
				}
				if longest > 11*time.Second { // 500 requests at 50 a second
					t.Errorf("the other host's cycle took %s, want at most 11s", longest)
				}
				if s := r.Stats(); s[0].Requests > 12 || s[0].Late < 55*500 || s[0].Until.IsZero() || s[1].Late != 0 {
					t.Errorf("Stats() = %+v, want the first to have been late nearly always, and to wait", s)
				}

				net.mu.Lock()
				net.servers["down.example"] = status(200)
				net.mu.Unlock()
				back := 0
				minutes(t, 11, r, want[:500], func(_ int, got []repo.Observation) {
					for _, o := range got {
						if o.Err == nil {
							back++
						}
					}
				})
				if back < 500 || back%500 != 0 {
					t.Errorf("%d good answers in 11 minutes after it came back, want all 500 at once", back)
				}
			})
		})
	}
}

func TestHostThatGoesDownInARound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := newInternet(nil)
		net.servers = map[string]func(*http.Request) (*http.Response, error){"a.example": func(req *http.Request) (*http.Response, error) {
			if net.requests("a.example") > 100 {
				return refused(req)
			}
			return status(200)(req)
		}}
		r, want := plain(t, net, "", 500, "a.example")
		r.Heads(t.Context(), want)
		if n := net.requests("a.example"); n > 100+10+8+8 {
			t.Errorf("asked %d times, want little more than the 100 that were answered", n)
		}
	})
}

func TestRevokedToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := newInternet(map[string]func(*http.Request) (*http.Response, error){"a.example": func(req *http.Request) (*http.Response, error) {
			if req.Header.Get("Authorization") == "Bearer old" {
				return status(401)(req)
			}
			return status(200)(req)
		}})
		r, want := plain(t, net, "old", 20, "a.example")
		minutes(t, 60, r, want, func(minute int, got []repo.Observation) {
			for i, o := range got {
				if kindOf(o) != githost.Denied || minute > 0 && (o.Status == repo.Fresh || !strings.Contains(o.Err.Error(), "restart Sentry")) {
					t.Fatalf("minute %d, %s: got %+v, want it denied and a way out", minute, want[i].URL, o)
				}
			}
		})
		if n := net.requests("a.example"); n != 3 {
			t.Errorf("a revoked token was sent %d times, want 3", n)
		}
		if s := r.Stats(); !s[0].Revoked {
			t.Errorf("Stats() = %+v, want it revoked", s)
		}
		_, want = plain(t, net, "new", 20, "a.example")
		if got := r.Heads(t.Context(), want); got[19].Err != nil {
			t.Errorf("with a new token: got %v", got[19])
		}
	})
}

// A 401 for one repository is its own, as is any without a credential.
func TestRefusalsThatAreNotTheCredentials(t *testing.T) {
	for token, more := range map[string]int{"": 19, "s3cret": 2} { // repositories that refuse, each five minutes
		synctest.Test(t, func(t *testing.T) {
			bad := more
			net := newInternet(map[string]func(*http.Request) (*http.Response, error){"a.example": func(req *http.Request) (*http.Response, error) {
				if n, err := strconv.Atoi(req.URL.Path[1:]); err != nil || n < bad {
					return status(401)(req)
				}
				return status(200)(req)
			}})
			r, want := plain(t, net, token, 20, "a.example")
			minutes(t, 30, r, want, func(minute int, got []repo.Observation) {
				n := 0
				for _, o := range got {
					if o.Err == nil {
						n++
					}
				}
				if n != 20-bad {
					t.Errorf("minute %d, token %q: %d good answers, want %d", minute, token, n, 20-bad)
				}
				if minute%5 == 4 {
					bad = min(bad+more, 19)
				}
			})
		})
	}
}

func TestLimits(t *testing.T) {
	for name, test := range map[string]struct {
		serve func(*http.Request) (*http.Response, error)
		after time.Duration
	}{
		"429, Retry-After": {status(429, "Retry-After", "300"), 300 * time.Second},
		"403, reset":       {status(403, "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", "600"), 600 * time.Second},
		"503, Retry-After": {status(503, "Retry-After", "400"), 400 * time.Second},
		"429":              {status(429), 54 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			net := newInternet(map[string]func(*http.Request) (*http.Response, error){"a.example": status(200)})
			r, want := plain(t, net, "s3cret", 20, "a.example")
			start := time.Now()
			minutes(t, 20, r, want, func(minute int, got []repo.Observation) {
				net.mu.Lock()
				net.servers["a.example"] = status(200)
				if minute == 0 {
					net.servers["a.example"], net.times["a.example"] = test.serve, nil
				}
				net.mu.Unlock()
				if minute > 1 && time.Since(start) < test.after && (kindOf(got[19]) == "" || got[19].Status == repo.Fresh) {
					t.Errorf("%s: minute %d: got %+v, want the error, cached", name, minute, got[19])
				}
			})
			times := net.times["a.example"]
			if len(times) < 20 || kindOf(r.Heads(t.Context(), want)[19]) != "" {
				t.Fatalf("%s: asked %d times, want it to be read again", name, len(times))
			}
			asked := 0 // before the limit was over
			for _, at := range times {
				if at.Before(times[0].Add(test.after)) {
					asked++
				}
			}
			if name == "503, Retry-After" && asked <= transport.MaxProbes || asked == 1 {
				return
			}
			t.Errorf("%s: %d requests before the limit was over, want 1", name, asked)
		})
	}
}

// A limit that comes inside of an answer of status 200.
func TestLimitInAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		until := time.Now().Add(5 * time.Minute)
		n := newNetwork(map[string]hostFunc{"https://a.example": func(ctx context.Context, want []githost.Wanted) []repo.Observation {
			calls++
			if time.Now().Before(until) {
				return []repo.Observation{{Err: &githost.Error{Kind: githost.RateLimited, Until: until, Err: errors.New("points")}}}
			}
			return fixed(ctx, want)
		}})
		want := []config.Monitor{monitor(t, config.Git, "https://a.example/1", "", "main")}
		minutes(t, 10, &n.Reader, want, func(minute int, got []repo.Observation) {
			if limited := minute < 5; limited != (kindOf(got[0]) == githost.RateLimited) || limited && minute > 0 != (got[0].Status != repo.Fresh) {
				t.Errorf("minute %d: got %+v", minute, got[0])
			}
		})
		if calls != 6 {
			t.Errorf("asked %d times, want once before and five times after the limit", calls)
		}
	})
}

func TestRepositoryThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := newInternet(map[string]func(*http.Request) (*http.Response, error){"a.example": func(req *http.Request) (*http.Response, error) {
			if req.URL.Path == "/0" {
				return status(500)(req)
			}
			return status(200)(req)
		}})
		r, want := plain(t, net, "", 20, "a.example")
		cached := 0
		minutes(t, 60, r, want, func(minute int, got []repo.Observation) {
			if kindOf(got[0]) != githost.Temporary || kindOf(got[19]) != "" || got[19].Status != repo.Fresh {
				t.Errorf("minute %d: got %+v, and %+v beside it", minute, got[0], got[19])
			}
			if got[0].Status != repo.Fresh {
				cached++
			}
		})
		if n := net.paths["a.example/0"]; n < 8 || n > 12 || n+cached != 60 {
			t.Errorf("asked %d times in an hour and cached %d times, want 8 to 12, and cached else", n, cached)
		}
		if n := net.paths["a.example/19"]; n != 60 {
			t.Errorf("the repository beside it was asked %d times, want 60", n)
		}
	})
}

// The repository that comes first hangs, and costs the others a moment.
func TestFirstRepositoryHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := newInternet(nil)
		net.servers = map[string]func(*http.Request) (*http.Response, error){"a.example": func(req *http.Request) (*http.Response, error) {
			if net.requests("a.example") == 1 {
				return hang(req)
			}
			return status(200)(req)
		}}
		r, want := plain(t, net, "", 20, "a.example")
		good := 0
		for _, o := range r.Heads(t.Context(), want) {
			if o.Err == nil {
				good++
			}
		}
		if good != 19 {
			t.Errorf("%d good answers, want all but the one that hangs", good)
		}
	})
}
