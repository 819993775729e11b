package poller

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/transport"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

// statusHost is a plainHost with statuses, each a POST.
type statusHost struct{ plainHost }

func openStatuses(e githost.Endpoint, c *http.Client) (githost.Host, error) {
	return statusHost{plainHost{e, c}}, nil
}

// StatusOf takes fifty requests.
func (h statusHost) StatusOf(ctx context.Context, repoURL, sha, statusContext string) (s githost.Status, ok bool, err error) {
	if statusContext == "panic" {
		panic("a fault of the library, and the token is s3cret")
	}
	for range 50 {
		if err := h.SetStatus(ctx, repoURL, sha, s); err != nil {
			return s, false, err
		}
	}
	return s, true, nil
}

func (h statusHost) SetStatus(ctx context.Context, repoURL, _ string, _ githost.Status) error {
	req, err := http.NewRequestWithContext(transport.Mark(ctx, transport.Marks{Aside: true}), http.MethodPost, repoURL, http.NoBody)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+h.endpoint.Auth.Token.Reveal())
	resp, err := h.client.Do(req)
	if err != nil {
		return githost.WrapError(h.endpoint.Host(), err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return transport.StatusError(h.endpoint.Host(), resp, []byte(resp.Header.Get("X-Body")))
	}
	return nil
}

// server answers reads and statuses, which are POSTs, each in its own way.
type server struct {
	mu           sync.Mutex
	read, write  func(*http.Request) (*http.Response, error)
	reads, posts int
	under, most  int // statuses under way
}

func (s *server) serve(req *http.Request) (*http.Response, error) {
	s.mu.Lock()
	answer := s.read
	if req.Method == http.MethodPost {
		answer = s.write
		s.posts++
		s.under++
		s.most = max(s.most, s.under)
		defer func() {
			s.mu.Lock()
			s.under--
			s.mu.Unlock()
		}()
	} else {
		s.reads++
	}
	s.mu.Unlock()
	return answer(req)
}

func (s *server) set(read, write func(*http.Request) (*http.Response, error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.read, s.write = read, write
}

// world is a Reader of n repositories of one host, and the statuses of the first.
func (s *server) world(t *testing.T, n int) (r *Reader, want []config.Monitor, set func() error) {
	t.Helper()
	net := newInternet(map[string]func(*http.Request) (*http.Response, error){"a.example": s.serve})
	r, want = plain(t, net, "s3cret", n, "a.example")
	r.Hosts = githost.Drivers{driver(config.Git, openStatuses)}
	statuses, err := r.Statuses(config.Repository{Monitor: want[0]})
	if err != nil {
		t.Fatal(err)
	}
	return r, want, func() error { return statuses.SetStatus(t.Context(), want[0].URL, sha1, githost.Status{}) }
}

func errorOf(t *testing.T, err error) *githost.Error {
	t.Helper()
	e, ok := errors.AsType[*githost.Error](err)
	if !ok || strings.Contains(e.Error(), "s3cret") || e.Host != "a.example" {
		t.Fatalf("got %v, want an *Error of the host without the token", err)
	}
	return e
}

// Whatever becomes of statuses, reading goes on as if there were none.
func TestStatusesTakeNoPartInReading(t *testing.T) {
	for name, tt := range map[string]struct {
		write func(*http.Request) (*http.Response, error)
		kind  githost.Kind
		posts int // in an hour, of sixty statuses
	}{
		"well":                {status(200), "", 60},
		"401":                 {status(401), githost.Denied, 60},
		"403":                 {status(403), githost.Denied, 60},
		"404":                 {status(404), githost.NotFound, 60},
		"500":                 {status(500), githost.Temporary, 60},
		"503, Retry-After":    {status(503, "Retry-After", "600"), githost.Temporary, 6},
		"429":                 {status(429), githost.RateLimited, 10},
		"429, Retry-After":    {status(429, "Retry-After", "600"), githost.RateLimited, 6},
		"403, Retry-After":    {status(403, "Retry-After", "600"), githost.RateLimited, 6},
		"403 in words":        {status(403, "X-Body", "You have exceeded a secondary rate limit."), githost.RateLimited, 10},
		"refuses connections": {refused, githost.Temporary, 60},
		"hangs":               {hang, githost.Temporary, 60},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &server{read: status(200), write: tt.write}
				r, want, set := s.world(t, 20)
				ended := make(chan struct{})
				minutes(t, 60, r, want, func(minute int, got []repo.Observation) {
					if minute > 0 {
						<-ended
					}
					go func() {
						defer func() { ended <- struct{}{} }()
						if err := set(); tt.kind != "" && errorOf(t, err).Kind != tt.kind || tt.kind == "" && err != nil {
							t.Errorf("minute %d: SetStatus = %v, want an error of the kind %q", minute, err, tt.kind)
						}
					}()
					for i, o := range got {
						if o.Err != nil || o.Status != repo.Fresh {
							t.Fatalf("minute %d, %s: %+v", minute, want[i].URL, o)
						}
					}
				})
				<-ended
				if s.reads != 60*20 {
					t.Errorf("%d reads, want %d", s.reads, 60*20)
				}
				if s.posts < tt.posts-1 || s.posts > tt.posts+1 {
					t.Errorf("%d statuses were sent, want %d", s.posts, tt.posts)
				}
				failures := 0
				if tt.kind == githost.Temporary || name == "401" {
					failures = s.posts
				}
				if now := r.Stats()[0]; now.Why != nil || now.Late != 0 || now.Revoked || now.Requests != s.reads+s.posts || now.Failures != failures {
					t.Errorf("Stats() = %+v, want all requests counted, and nothing that keeps the host from being asked", now)
				}
			})
		})
	}
}

// A host that is silenced for reading is sent no status either, and who sets one is told when to come back.
func TestStatusesWaitWithReading(t *testing.T) {
	for name, tt := range map[string]struct {
		read func(*http.Request) (*http.Response, error)
		kind githost.Kind
	}{
		"limited": {status(429, "Retry-After", "600"), githost.RateLimited},
		"spent":   {status(200, "RateLimit-Remaining", "0", "RateLimit-Reset", "600"), githost.RateLimited},
		"down":    {refused, githost.Temporary},
		"refused": {status(401), githost.Denied},
		"404s":    {status(404), ""}, // of repositories, which say nothing about the host
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &server{read: tt.read, write: status(200)}
				r, want, set := s.world(t, 5)
				r.Heads(t.Context(), want)
				err := set()
				if tt.kind == "" {
					if err != nil || s.posts != 1 {
						t.Fatalf("SetStatus = %v after %d requests, want one", err, s.posts)
					}
					return
				}
				if e := errorOf(t, err); e.Kind != tt.kind || !e.Unsent || s.posts != 0 {
					t.Fatalf("SetStatus = %+v after %d requests, want an error of the kind %q and none", e, s.posts, tt.kind)
				}
				if name != "refused" {
					time.Sleep(11 * time.Minute)
					s.set(status(200), status(200))
					r.Heads(t.Context(), want)
					if err := set(); err != nil || s.posts != 1 {
						t.Errorf("once it is over: SetStatus = %v after %d requests", err, s.posts)
					}
				}
			})
		})
	}
}

// A limit without a time ends as it does for reading, however often a status was to be set meanwhile.
func TestStatusesWaitNoLongerThanReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{read: status(429), write: status(200)}
		r, want, set := s.world(t, 5)
		r.Heads(t.Context(), want)
		time.Sleep(42 * time.Second) // with more than ten left
		if e := errorOf(t, set()); e.Kind != githost.RateLimited {
			t.Fatal(e)
		}
		time.Sleep(20 * time.Second)
		s.set(status(200), status(200))
		r.Heads(t.Context(), want)
		if err := set(); err != nil {
			t.Error(err)
		}
	})
}

// What ends a round says nothing about statuses, and they need not wait for its first answer.
func TestStatusesBesideARound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		s := &server{write: status(200), read: func(req *http.Request) (resp *http.Response, err error) {
			time.Sleep(2 * time.Second)
			if asked.Add(1) > 1 {
				return refused(req)
			}
			return status(200)(req)
		}}
		r, want, set := s.world(t, 40)
		ended := make(chan struct{})
		go func() {
			r.Heads(t.Context(), want)
			close(ended)
		}()
		synctest.Wait()
		start := time.Now()
		if err := set(); err != nil || time.Since(start) > time.Second {
			t.Errorf("while the first answer is awaited: %v after %s", err, time.Since(start))
		}
		<-ended
		if s.reads >= 3*40 {
			t.Fatal("the round did not end early")
		}
		if err := set(); err != nil {
			t.Errorf("after a round that ended early: %v", err)
		}
	})
}

func TestStatusThatIsAnsweredAfterALimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		s := &server{write: func(req *http.Request) (*http.Response, error) {
			if asked.Add(1) > 1 {
				return status(429, "Retry-After", "600")(req)
			}
			time.Sleep(5 * time.Second)
			return status(200)(req)
		}}
		_, _, set := s.world(t, 1)
		var all sync.WaitGroup
		for range 2 {
			all.Go(func() { _ = set() })
			synctest.Wait()
			time.Sleep(time.Second)
		}
		all.Wait()
		if e := errorOf(t, set()); e.Kind != githost.RateLimited || s.posts != 2 {
			t.Errorf("SetStatus = %v after %d requests, want the limit to last", e, s.posts)
		}
	})
}

func TestStatusesThatTakeLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{write: func(req *http.Request) (*http.Response, error) {
			time.Sleep(10 * time.Second)
			return status(200)(req)
		}}
		r, want, _ := s.world(t, 1)
		statuses, err := r.Statuses(config.Repository{Monitor: want[0]})
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		_, _, err = statuses.StatusOf(t.Context(), want[0].URL, sha1, "sentry/shop")
		if e := errorOf(t, err); e.Kind != githost.Temporary || time.Since(start) > DefaultTimeout+11*time.Second {
			t.Errorf("StatusOf = %v after %s", e, time.Since(start))
		}
	})
}

func TestStatusWaitsForALittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{read: status(429, "Retry-After", "8"), write: status(200)}
		r, want, set := s.world(t, 5)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second) // so that the read is not sent again
		r.Heads(ctx, want)
		cancel()
		start := time.Now()
		if err := set(); err != nil {
			t.Fatal(err)
		}
		if waited := time.Since(start); waited < 5*time.Second || waited > 9*time.Second {
			t.Errorf("waited for %s, want the rest of eight seconds", waited)
		}
	})
}

// A budget for writing alone keeps nobody from reading.
func TestStatusThatUsesUpItsOwnBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reset := strconv.FormatInt(time.Now().Add(10*time.Minute).Unix(), 10)
		s := &server{read: status(200), write: status(200, "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", reset, "X-RateLimit-Resource", "writing")}
		r, want, set := s.world(t, 5)
		if err := set(); err != nil {
			t.Fatal(err)
		}
		for _, o := range r.Heads(t.Context(), want) {
			if o.Err != nil {
				t.Errorf("read: %v", o.Err)
			}
		}
		if e := errorOf(t, set()); e.Kind != githost.RateLimited || !e.Unsent || time.Until(e.Until) < 9*time.Minute {
			t.Errorf("written: %+v, want it not sent for ten minutes", e)
		}
		time.Sleep(11 * time.Minute)
		if err := set(); err != nil {
			t.Errorf("once it is over: %v", err)
		}
	})
}

// The budget is one: what a status used up is not read with.
func TestStatusThatUsesUpTheBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reset := strconv.FormatInt(time.Now().Add(10*time.Minute).Unix(), 10)
		s := &server{read: status(200), write: status(200, "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", reset)}
		r, want, set := s.world(t, 5)
		if err := set(); err != nil {
			t.Fatal(err)
		}
		for _, o := range r.Heads(t.Context(), want) {
			if o.Status != repo.NotAsked || kindOf(o) != githost.RateLimited {
				t.Errorf("got %+v, want it not asked", o)
			}
		}
		time.Sleep(11 * time.Minute)
		for _, o := range r.Heads(t.Context(), want) {
			if o.Err != nil {
				t.Errorf("once it is over: %v", o.Err)
			}
		}
	})
}

func TestStatusesDoNotCrowdOutReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{read: status(200), write: hang}
		r, want, set := s.world(t, 100)
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() { _ = set() })
		}
		synctest.Wait()
		start := time.Now()
		for _, o := range r.Heads(ctx, want) {
			if o.Err != nil {
				t.Fatal(o.Err)
			}
		}
		if took := time.Since(start); took > 5*time.Second { // 100 requests at 50 a second
			t.Errorf("reading took %s", took)
		}
		cancel()
		all.Wait()
		if s.most != maxAside || s.posts != 50 {
			t.Errorf("%d statuses were under way at a time, of %d; want %d of 50", s.most, s.posts, maxAside)
		}
		if waited := time.Since(start); waited > 25*DefaultTimeout {
			t.Errorf("they took %s", waited)
		}
	})
}

func TestStatusesOfAnEndpointThatWasForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{read: status(200), write: status(200)}
		r, _, set := s.world(t, 1)
		time.Sleep(2 * time.Hour)
		r.Heads(t.Context(), nil)
		if len(r.Stats()) != 0 {
			t.Fatal("it was not forgotten")
		}
		if err := set(); err != nil || s.posts != 1 {
			t.Errorf("SetStatus = %v", err)
		}
		r.Heads(t.Context(), nil)
		if len(r.Stats()) != 1 {
			t.Error("it was forgotten while it is in use")
		}
	})
}

func TestStatusOfAHostThatPanics(t *testing.T) {
	s := &server{}
	r, want, _ := s.world(t, 1)
	statuses, err := r.Statuses(config.Repository{Monitor: want[0]})
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = statuses.StatusOf(t.Context(), want[0].URL, sha1, "panic")
	if e := errorOf(t, err); e.Kind != githost.Invalid {
		t.Errorf("StatusOf = %v, want an error of the kind %q", e, githost.Invalid)
	}
}

func TestHostsWithoutStatuses(t *testing.T) {
	r, want := plain(t, newInternet(nil), "", 1, "a.example")
	if got, err := r.Statuses(config.Repository{Monitor: want[0]}); got != nil || !errors.Is(errorOf(t, err), githost.ErrNoStatuses) {
		t.Errorf("Statuses() = %v, %v; want %v", got, err, githost.ErrNoStatuses)
	}
	want[0].URL = "::"
	if got, err := r.Statuses(config.Repository{Monitor: want[0]}); got != nil || err == nil || errors.Is(err, githost.ErrNoStatuses) {
		t.Errorf("Statuses() of no URL = %v, %v", got, err)
	}
}
