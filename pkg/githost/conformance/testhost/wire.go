package testhost

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
)

// Wire is a transport to a handler without a network, so that it runs in a bubble of time. It counts what it is asked.
type Wire struct {
	Handler  http.Handler
	mu       sync.Mutex
	fault    RoundTrip
	requests int
}

// RoundTrip implements http.RoundTripper.
func (w *Wire) RoundTrip(req *http.Request) (*http.Response, error) {
	w.mu.Lock()
	w.requests++
	fault := w.fault
	w.mu.Unlock()
	<-time.After(5 * time.Millisecond) // the way there and back
	if fault != nil {
		resp, err := fault(req)
		if resp != nil {
			resp.Request = req
		}
		return resp, err
	}
	return githosttest.Answer(w.Handler, req), nil
}

// Breaks has a fault answer, until it is called with nil.
func (w *Wire) Breaks(f RoundTrip) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fault = f
}

// Take returns how many requests were sent since it was last called.
func (w *Wire) Take() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := w.requests
	w.requests = 0
	return n
}

// Says is an answer.
func Says(status int, contentType, body string) RoundTrip {
	return func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {contentType}},
			Body: io.NopCloser(strings.NewReader(body)), ContentLength: -1}, nil
	}
}

// Named is an answer with a header that names a time so far from now.
func Named(status int, header string, in time.Duration) RoundTrip {
	return func(*http.Request) (*http.Response, error) {
		at := time.Now().Add(in)
		value := fmt.Sprint(at.Unix())
		if header == "Retry-After" {
			value = at.UTC().Format(http.TimeFormat)
		}
		return &http.Response{StatusCode: status, Header: http.Header{header: {value}, "X-Ratelimit-Remaining": {"0"}}, Body: http.NoBody}, nil
	}
}

// RoundTrip is a transport that is a function.
type RoundTrip func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f RoundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// Everything is a question of Malice: all requests.
func Everything(*http.Request) bool { return true }

// AsksFor tells requests by a part of their path or body.
func AsksFor(part string) func(*http.Request) bool {
	return func(req *http.Request) bool { return strings.Contains(req.URL.Path+BodyOf(req), part) }
}

// BodyOf returns a request's body, which can be read again.
func BodyOf(req *http.Request) string {
	body, _ := io.ReadAll(req.Body)
	req.Body = io.NopCloser(strings.NewReader(string(body)))
	return string(body)
}

// TooMuch answers status to queries for more than most repositories, and for any with poison among them.
func TooMuch(next http.Handler, status int, asked *atomic.Int64, most int, poison string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Method != http.MethodPost {
			next.ServeHTTP(w, req)
			return
		}
		asked.Add(1)
		body := BodyOf(req)
		n := strings.Count(body, `:repository(`) + strings.Count(body, `"o/r`)
		if n > most && strings.Contains(body, "o0") || n > 2*most || poison != "" && strings.Contains(body, poison) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, `{"errors":[{"message":"Something went wrong while executing your query."}],"data":null}`)
			return
		}
		next.ServeHTTP(w, req)
	})
}
