package githost_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/gitea"
	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
	"github.com/tekton-sentry/sentry/pkg/githost/github"
	"github.com/tekton-sentry/sentry/pkg/githost/gitlab"
	"github.com/tekton-sentry/sentry/pkg/githost/gitproto"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/secret"
)

var allHosts = map[config.HostType]githost.Open{
	config.GitHub: github.Open, config.GitLab: gitlab.Open, config.Gitea: gitea.Open, config.Git: gitproto.Open,
}

// wire is a transport to a handler without a network, so that it runs in a bubble of time. It counts what it is
// asked. The handler can be replaced by a fault.
type wire struct {
	mu       sync.Mutex
	handler  http.Handler
	fault    func(*http.Request) (*http.Response, error)
	requests int
}

func (w *wire) RoundTrip(req *http.Request) (*http.Response, error) {
	w.mu.Lock()
	w.requests++
	handler, fault := w.handler, w.fault
	w.mu.Unlock()
	time.Sleep(5 * time.Millisecond) // of the bubble: the way there and back
	if fault != nil {
		resp, err := fault(req)
		if resp != nil {
			resp.Request = req
		}
		return resp, err
	}
	return githosttest.Answer(handler, req), nil
}

func (w *wire) breaks(fault func(*http.Request) (*http.Response, error)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fault = fault
}

// take returns how many requests were sent since it was last called.
func (w *wire) take() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := w.requests
	w.requests = 0
	return n
}

func says(status int, contentType, body string) func(*http.Request) (*http.Response, error) {
	return func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {contentType}},
			Body: io.NopCloser(strings.NewReader(body)), ContentLength: -1}, nil
	}
}

// outages are the ways in which a whole host can be no use.
var outages = map[string]func(*http.Request) (*http.Response, error){
	"502":      says(502, "text/html", "<html>bad gateway"),
	"500":      says(500, "text/plain", "oops"),
	"503":      says(503, "text/plain", "down"),
	"504":      says(504, "text/html", ""),
	"garbage":  says(200, "text/html", "<html>down for maintenance"),
	"nonsense": says(200, "application/json", `{"hello":[1]}`),
	"nothing":  says(200, "application/json", ""),
	"not git":  says(200, "application/x-git-upload-pack-result", "\x00\xff"),
	"refuses": func(*http.Request) (*http.Response, error) {
		return nil, fmt.Errorf("dial tcp: %w", syscall.ECONNREFUSED)
	},
	"resets": func(*http.Request) (*http.Response, error) { return nil, fmt.Errorf("read: %w", syscall.ECONNRESET) },
	"closes": func(*http.Request) (*http.Response, error) { return nil, io.EOF },
	"hangs":  hang,
	"drips": func(req *http.Request) (*http.Response, error) {
		resp, err := says(200, "application/json", "")(req)
		resp.Body = io.NopCloser(drip{req.Context()})
		return resp, err
	},
}

// drip is a body that sends a space a second, without an end.
type drip struct{ ctx context.Context }

func (d drip) Read(p []byte) (int, error) {
	select {
	case <-time.After(time.Second):
		p[0] = ' '
		return 1, nil
	case <-d.ctx.Done():
		return 0, context.Cause(d.ctx)
	}
}

func hang(req *http.Request) (*http.Response, error) { //nolint:unparam // as the others
	<-req.Context().Done()
	return nil, req.Context().Err()
}

// A host that is no use, whatever it does instead, is asked at most 12 times in an hour for 500 repositories or few,
// from the start of the program or after it was well; and is read again within eleven minutes when it is back.
func TestOutagesOfAnHour(t *testing.T) {
	for kind := range allHosts {
		for name, fault := range outages {
			n := 40
			if name == "502" || name == "garbage" || name == "hangs" || name == "drips" {
				n = 500
			}
			for _, wasWell := range []bool{false, true} {
				t.Run(fmt.Sprint(kind, "/", name, "/well before: ", wasWell), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						most := 12
						if name == "drips" {
							most += 16 // that begin to answer, in the first cycle
						}
						outage(t, kind, fault, n, wasWell, most)
					})
				})
			}
		}
	}
}

func outage(t *testing.T, kind config.HostType, fault func(*http.Request) (*http.Response, error), n int, wasWell bool, most int) {
	handler := handlerOf(kind, n)
	w := &wire{handler: handler}
	r := &githost.Reader{Open: allHosts, Base: w, Sweep: 15 * time.Minute}
	want := monitorsAt(t, kind, n)
	ticker := time.NewTicker(time.Minute)
	defer ticker.Stop()
	if wasWell {
		for range 3 {
			for i, o := range r.Heads(t.Context(), want) {
				if o.Err != nil {
					t.Fatalf("while it is well: %s: %v", want[i].URL, o.Err)
				}
			}
			<-ticker.C
		}
	}
	w.breaks(fault)
	w.take()
	silent := 0
	for minute := range 60 {
		for i, o := range r.Heads(t.Context(), want) {
			var e *githost.Error
			if o.Err == nil && !o.Cached {
				t.Fatalf("minute %d, %s: heads %v of a host that is no use", minute, want[i].URL, o.Heads)
			}
			if o.Err != nil && (!errors.As(o.Err, &e) || e.Kind == githost.NotFound || e.Kind == githost.NoBranch) {
				t.Fatalf("minute %d, %s: error %v, want one of the host", minute, want[i].URL, o.Err)
			}
		}
		if !r.Stats()[0].Until.IsZero() {
			silent++
		}
		<-ticker.C
	}
	if silent < 45 {
		t.Errorf("Stats() told in %d of 60 minutes until when the host is left alone", silent)
	}
	if asked := w.take(); asked > most {
		t.Errorf("%d requests in the hour, want at most %d", asked, most)
	}
	w.breaks(nil)
	for minute := 0; ; minute++ {
		bad := 0
		for _, o := range r.Heads(t.Context(), want) {
			if o.Err != nil {
				bad++
			}
		}
		if bad == 0 {
			return
		}
		if minute > 11 {
			t.Fatalf("%d minutes after it is back %d repositories still have an error", minute, bad)
		}
		<-ticker.C
	}
}

// A host that failed as a whole is tried with one repository at a time: never the same one, lest the others stay
// unread when only that one is still broken.
func TestProbesTakeTurns(t *testing.T) {
	for kind := range allHosts {
		for _, name := range []string{"500", "garbage"} {
			for _, n := range []int{2, 5} {
				synctest.Test(t, func(t *testing.T) {
					start, well := time.Now(), fmt.Sprintf("r%d", n-1)
					api := handlerOf(kind, n)
					w := &wire{handler: http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
						body, _ := io.ReadAll(req.Body)
						req.Body = io.NopCloser(bytes.NewReader(body))
						if time.Since(start) > 10*time.Minute && strings.Contains(req.URL.Path+string(body), well) && !strings.Contains(string(body), `"r0"`) {
							api.ServeHTTP(rw, req)
							return
						}
						resp, _ := outages[name](req)
						rw.WriteHeader(resp.StatusCode)
						_, _ = io.Copy(rw, resp.Body)
					})}
					r := &githost.Reader{Open: allHosts, Base: w}
					want, minute := monitorsAt(t, kind, n), 0
					ticker := time.NewTicker(time.Minute)
					defer ticker.Stop()
					for ; r.Heads(t.Context(), want)[n-1].Err != nil && minute < 100; minute++ {
						<-ticker.C
					}
					if minute >= 100 {
						t.Errorf("%s, %s, %d repositories: the one that is well again was not read in an hour and a half", kind, name, n)
					}
				})
			}
		}
	}
}

// handlerOf returns a host of n repositories, o/r0 and so on, with the branches main and dev.
func handlerOf(kind config.HostType, n int) http.Handler {
	served := kind
	if kind == config.Git {
		served = config.Gitea // which serves the Git protocol
	}
	api := githosttest.NewAPI(served)
	api.SetToken(goodToken)
	for i := range n {
		path := fmt.Sprintf("o/r%d", i)
		api.Push(path, "main", shaA)
		api.Push(path, "dev", shaB)
	}
	return api
}

func monitorsAt(t *testing.T, kind config.HostType, n int) []config.Monitor {
	t.Helper()
	want := make([]config.Monitor, n)
	for i := range want {
		want[i] = config.Monitor{Source: config.Source{URL: fmt.Sprintf("http://%s.example/o/r%d", kind, i), Type: kind,
			Auth: config.Auth{Token: secret.New("${T}", goodToken)}}, Branches: apiPatterns(t, "main", "dev")}
	}
	return want
}

// GitHub's points, which it tells of in the body: with fewer left than a query costs, it is silent until the
// reset, and what was left to ask is late, and read then.
func TestGitHubPoints(t *testing.T) {
	for name, c := range map[string]struct {
		left, cost, silent int
	}{"none left": {0, 1, 10}, "less than a query costs": {4, 5, 10}, "enough": {5, 5, 0}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				api := handlerOf(config.GitHub, 300)
				start := time.Now()
				w := &wire{handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
					rec := httptest.NewRecorder()
					api.ServeHTTP(rec, req)
					left := 4000
					if time.Since(start) < 10*time.Minute {
						left = c.left
					}
					before, rest, _ := strings.Cut(rec.Body.String(), `"rateLimit":`)
					_, rest, _ = strings.Cut(rest, "}")
					_, _ = fmt.Fprintf(w, `%s"rateLimit":{"cost":%d,"remaining":%d,"resetAt":%q}%s`, before, c.cost, left,
						start.Add(10*time.Minute).UTC().Format(time.RFC3339), rest)
				})}
				r := &githost.Reader{Open: allHosts, Base: w}
				want := monitorsAt(t, config.GitHub, 300)
				ticker := time.NewTicker(time.Minute)
				defer ticker.Stop()
				for minute := range 13 {
					got := r.Heads(t.Context(), want)
					bad := len(slices.DeleteFunc(slices.Clone(got), func(o repo.Observation) bool { return o.Err == nil }))
					late, asked := r.Stats()[0].Late, w.take()
					switch {
					case c.silent > 0 && minute == 0:
						if asked != 1 || bad != 250 || late != 250 {
							t.Errorf("first minute: %d queries, %d errors, %d late, want 1 query for 50, and the others late", asked, bad, late)
						}
					case minute < c.silent:
						if asked != 0 || bad != 300 || late != 250+300*minute {
							t.Errorf("minute %d: %d queries, %d errors, %d late, want silence and all of it late", minute, asked, bad, late)
						}
					case bad != 0 || asked == 0:
						t.Errorf("minute %d: %d queries, %d errors, want all to be read", minute, asked, bad)
					}
					<-ticker.C
				}
			})
		})
	}
}

// A repository that makes no sense costs the others of its host nothing, whether the host tells what changed or not.
func TestOddRepositoryAlone(t *testing.T) {
	for kind := range allHosts {
		for _, token := range []string{goodToken, ""} {
			synctest.Test(t, func(t *testing.T) {
				const n = 20
				api := handlerOf(kind, n)
				w := &wire{handler: http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
					if strings.Contains(req.URL.Path+"/", "r0/") {
						rw.WriteHeader(http.StatusTeapot)
						return
					}
					api.ServeHTTP(rw, req)
				})}
				r := &githost.Reader{Open: allHosts, Base: w, Sweep: 15 * time.Minute}
				want := monitorsAt(t, kind, n)
				for i := range want {
					want[i].Auth.Token = secret.New("${T}", token)
					want[i].Branches = apiPatterns(t, "main", "de.*")
				}
				for minute := range 30 {
					for i, o := range r.Heads(t.Context(), want) {
						var e *githost.Error // GitHub gives 60 requests without a token
						if i > 0 && o.Err != nil && (!errors.As(o.Err, &e) || e.Kind != githost.RateLimited) {
							t.Fatalf("%s, token %q, minute %d, %s: %v", kind, token, minute, want[i].URL, o.Err)
						}
					}
					time.Sleep(time.Minute)
				}
			})
		}
	}
}
