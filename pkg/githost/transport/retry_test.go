package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tekton-sentry/sentry/pkg/githost"
)

// script answers each request with its next step, and the last one for ever.
type script struct {
	steps   []step
	bodies  []string      // that were sent
	closed  int           // answers whose body was closed
	elapsed time.Duration // until the last request
	start   time.Time
}

type step struct {
	status int
	after  string // Retry-After
	err    error
}

func (s *script) RoundTrip(req *http.Request) (*http.Response, error) {
	step := s.steps[min(len(s.bodies), len(s.steps)-1)]
	body := ""
	if req.Body != nil {
		b, _ := io.ReadAll(req.Body)
		body = string(b)
	}
	s.bodies = append(s.bodies, body)
	s.elapsed = time.Since(s.start)
	if step.err != nil {
		return nil, step.err
	}
	resp := &http.Response{StatusCode: step.status, Header: http.Header{}, Request: req}
	if step.after != "" {
		resp.Header.Set("Retry-After", step.after)
	}
	resp.Body = &closing{strings.NewReader("body"), &s.closed}
	return resp, nil
}

type closing struct {
	io.Reader
	n *int
}

func (c *closing) Close() error { *c.n++; return nil }

func TestRetry(t *testing.T) {
	refused := fmt.Errorf("dial tcp: %w", os.NewSyscallError("connect", syscall.ECONNREFUSED))
	for _, test := range []struct {
		name     string
		method   string
		readOnly bool
		steps    []step
		attempts int
		status   int           // 0 = an error
		least    time.Duration // that all waits take
		most     time.Duration
	}{
		{"success", "GET", false, []step{{status: 200}}, 1, 200, 0, 0},
		{"refused once", "GET", false, []step{{err: refused}, {status: 200}}, 2, 200, 0, 500 * time.Millisecond},
		{"refused for ever", "GET", false, []step{{err: refused}}, 3, 0, 0, 1500 * time.Millisecond},
		{"closed", "GET", false, []step{{err: io.EOF}, {status: 200}}, 2, 200, 0, time.Second},
		{"502, 503", "GET", false, []step{{status: 502}, {status: 503}, {status: 200}}, 3, 200, 0, 1500 * time.Millisecond},
		{"504 for ever", "GET", false, []step{{status: 504}}, 3, 504, 0, 1500 * time.Millisecond},
		{"500", "GET", false, []step{{status: 500}, {status: 200}}, 1, 500, 0, 0},
		{"404", "GET", false, []step{{status: 404}, {status: 200}}, 1, 404, 0, 0},
		{"429, short", "GET", false, []step{{status: 429, after: "10"}, {status: 200}}, 2, 200, 10 * time.Second, 11 * time.Second},
		{"429, long", "GET", false, []step{{status: 429, after: "11"}, {status: 200}}, 1, 429, 0, 0},
		{"429, not told", "GET", false, []step{{status: 429}, {status: 200}}, 1, 429, 0, 0},
		{"403, short", "GET", false, []step{{status: 403, after: "1"}, {status: 200}}, 2, 200, time.Second, 2 * time.Second},
		{"403", "GET", false, []step{{status: 403}, {status: 200}}, 1, 403, 0, 0},
		{"503, long", "GET", false, []step{{status: 503, after: "120"}, {status: 200}}, 1, 503, 0, 0},
		{"beyond the deadline", "GET", false, []step{{status: 429, after: "10"}, {status: 429, after: "10"}, {status: 429, after: "10"}}, 2, 429, 10 * time.Second, 11 * time.Second},
		{"POST", "POST", false, []step{{err: refused}, {status: 200}}, 1, 0, 0, 0},
		{"POST that reads", "POST", true, []step{{err: refused}, {status: 502}, {status: 200}}, 3, 200, 0, 1500 * time.Millisecond},
		{"PUT", "PUT", true, []step{{status: 502}, {status: 200}}, 1, 502, 0, 0},
		{"timed out", "GET", false, []step{{err: os.ErrDeadlineExceeded}, {status: 200}}, 1, 0, 0, 0},
		{"not asked", "GET", false, []step{{err: githost.NotAsked(githost.NewError(githost.Temporary, "h", "x"))}, {status: 200}}, 1, 0, 0, 0},
		{"our own error", "GET", false, []step{{err: githost.NewError(githost.Invalid, "h", "x")}, {status: 200}}, 1, 0, 0, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &script{steps: test.steps, start: time.Now()}
				ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
				defer cancel()
				if test.readOnly {
					ctx = Mark(ctx, Marks{ReadOnly: true})
				}
				var body io.Reader
				if test.method != "GET" {
					body = strings.NewReader("query")
				}
				req, err := http.NewRequestWithContext(ctx, test.method, "http://git.example/", body)
				if err != nil {
					t.Fatal(err)
				}
				resp, err := NewClient(s, "", 0).Do(req)
				status := 0
				if err == nil {
					status = resp.StatusCode
					_ = resp.Body.Close()
				}
				if status != test.status || len(s.bodies) != test.attempts || s.elapsed < test.least || s.elapsed > test.most {
					t.Errorf("got status %d, error %v, after %d attempts in %s; want %d, %d attempts, %s to %s",
						status, err, len(s.bodies), s.elapsed, test.status, test.attempts, test.least, test.most)
				}
				answered := 0
				for i := range s.bodies {
					if test.steps[min(i, len(test.steps)-1)].err == nil {
						answered++
					}
					if body != nil && s.bodies[i] != "query" {
						t.Errorf("attempt %d sent %q, want the whole body", i+1, s.bodies[i])
					}
				}
				if s.closed != answered {
					t.Errorf("%d of %d answers were closed", s.closed, answered)
				}
			})
		})
	}
}

func TestRetryIsInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{steps: []step{{status: 429, after: "5"}}, start: time.Now()}
		ctx, cancel := context.WithCancelCause(t.Context())
		cause := errors.New("the program ends")
		time.AfterFunc(time.Second, func() { cancel(cause) })
		req, err := http.NewRequestWithContext(ctx, "GET", "http://git.example/", nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = NewClient(s, "", 0).Do(req)
		if elapsed := time.Since(s.start); !errors.Is(err, cause) || elapsed != time.Second {
			t.Errorf("got error %v after %s, want the cause after a second", err, elapsed)
		}
	})
}
