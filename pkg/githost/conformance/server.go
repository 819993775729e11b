package conformance

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
	"github.com/tekton-sentry/sentry/pkg/githost/poller"
	"github.com/tekton-sentry/sentry/pkg/githost/transport"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/secret"
)

// The token that the servers accept, and two object names.
const (
	Token = "good-token-xyzzy"
	SHA1  = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	SHA2  = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

// Open opens a host at a server.
func Open(t testing.TB, open githost.Open, origin, apiURL, token string) githost.Host {
	t.Helper()
	base := transport.NewTransport()
	t.Cleanup(base.CloseIdleConnections)
	return openOver(t, open, base, origin, apiURL, token)
}

func openOver(t testing.TB, open githost.Open, base http.RoundTripper, origin, apiURL, token string) githost.Host {
	t.Helper()
	h, err := open(githost.Endpoint{Origin: origin, APIURL: apiURL, Auth: config.Auth{
		Username: secret.New("somebody", "somebody"), Token: secret.New(token, token)}},
		transport.NewClient(base, "test", time.Hour))
	if err != nil {
		t.Fatalf("Open(%s, %q) = %v", origin, apiURL, err)
	}
	return githosttest.Keep(h)
}

// Serve returns the origin of a server.
func Serve(t testing.TB, handler http.Handler) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

// WithoutGraphQL serves a host that has none.
func WithoutGraphQL(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if strings.HasSuffix(req.URL.Path, "/graphql") {
			http.NotFound(w, req)
			return
		}
		next.ServeHTTP(w, req)
	})
}

// ByREST are what a server was asked other than by GraphQL, since it was last asked for its requests.
func ByREST(api *githosttest.API) []githosttest.Request {
	var rest []githosttest.Request
	for _, r := range api.Requests() {
		if !strings.HasSuffix(r.URL, "/graphql") {
			rest = append(rest, r)
		}
	}
	return rest
}

// Patterns are branches as in sentry.yaml.
func Patterns(t testing.TB, entries ...string) repo.Patterns {
	t.Helper()
	var ps repo.Patterns
	for _, e := range entries {
		p, err := repo.ParsePattern(e)
		if err != nil {
			t.Fatalf("ParsePattern(%q) = %v", e, err)
		}
		ps = append(ps, p)
	}
	return ps
}

// Wanted is one repository at an origin.
func Wanted(t testing.TB, origin, path string, branches ...string) githost.Wanted {
	t.Helper()
	return githost.Wanted{URL: origin + "/" + path, Patterns: Patterns(t, branches...)}
}

// ErrorOf returns the *Error of an observation, and fails the test when it holds the token, more than one line, or
// heads beside it.
func ErrorOf(t testing.TB, o repo.Observation) *githost.Error {
	t.Helper()
	var e *githost.Error
	if !errors.As(o.Err, &e) {
		t.Fatalf("got heads %v and error %v, want an *Error", o.Heads, o.Err)
	}
	text, basic := e.Error(), base64.StdEncoding.EncodeToString([]byte("somebody:"+Token))
	if strings.Contains(text, "xyzzy") || strings.Contains(text, basic) || strings.ContainsAny(text, "\n\r") || len(text) > 400 {
		t.Errorf("error %q: want one short line without the token", text)
	}
	if o.Heads != nil || e.Host == "" {
		t.Errorf("error %v comes with heads %v and host %q, want none and one", e, o.Heads, e.Host)
	}
	return e
}

// server returns a server with one repository, team/app, and no GraphQL.
func (h Host) server() *githosttest.API {
	api := h.Server()
	api.SetToken(Token)
	api.SetGraphQL(false)
	for branch, sha := range map[string]string{"main": SHA1, "main-old": SHA2, "dev-x": SHA2, "dev/y": SHA1, "devil/../x": SHA1} {
		api.Push("team/app", branch, sha)
	}
	return api
}

// ask opens a server and asks it once, for one repository.
func (h Host) ask(t *testing.T, handler http.Handler, token, path string, branches ...string) repo.Observation {
	t.Helper()
	origin := Serve(t, handler)
	return Open(t, h.Driver.Open, origin, "", token).Heads(t.Context(), []githost.Wanted{Wanted(t, origin, path, branches...)})[0]
}

// graphQL reports whether there is a way by GraphQL.
func (h Host) graphQL() bool {
	for _, w := range h.Ways {
		if w.GraphQL {
			return true
		}
	}
	return false
}

// Filled gives a server n repositories, o/r0 and so on, with the branches main and dev.
func Filled(api *githosttest.API, n int) *githosttest.API {
	api.SetToken(Token)
	for i := range n {
		path := fmt.Sprintf("o/r%d", i)
		api.Push(path, "main", SHA1)
		api.Push(path, "dev", SHA2)
	}
	return api
}

func (h Host) filled(n int) *githosttest.API { return Filled(h.Server(), n) }

// Monitors are the repositories of Filled.
func Monitors(t *testing.T, kind config.HostType, n int) []config.Monitor {
	t.Helper()
	want := make([]config.Monitor, n)
	for i := range want {
		want[i] = config.Monitor{Source: config.Source{URL: fmt.Sprintf("http://%s.example/o/r%d", kind, i), Type: kind,
			Auth: config.Auth{Token: secret.New("${T}", Token)}}, Branches: Patterns(t, "main", "dev")}
	}
	return want
}

// reader returns a Reader of this host alone.
func (h Host) reader(base http.RoundTripper, sweep time.Duration) *poller.Reader {
	return &poller.Reader{Hosts: githost.Drivers{h.Driver}, Base: base, Sweep: sweep}
}

// Wire is a transport to a handler without a network, so that it runs in a bubble of time. It counts what it is asked.
type Wire struct {
	Handler  http.Handler
	mu       sync.Mutex
	fault    Fault
	requests int
}

// Fault answers in place of a server.
type Fault func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (w *Wire) RoundTrip(req *http.Request) (*http.Response, error) {
	w.mu.Lock()
	w.requests++
	fault := w.fault
	w.mu.Unlock()
	pause(5 * time.Millisecond) // the way there and back
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
func (w *Wire) Breaks(f Fault) {
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

// pause lets time pass in a bubble.
func pause(d time.Duration) { <-time.After(d) }

// Says is an answer.
func Says(status int, contentType, body string) Fault {
	return func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {contentType}},
			Body: io.NopCloser(strings.NewReader(body)), ContentLength: -1}, nil
	}
}

// Named is an answer with a header that names a time so far from now.
func Named(status int, header string, in time.Duration) Fault {
	return func(*http.Request) (*http.Response, error) {
		at := time.Now().Add(in)
		value := fmt.Sprint(at.Unix())
		if header == "Retry-After" {
			value = at.UTC().Format(http.TimeFormat)
		}
		return &http.Response{StatusCode: status, Header: http.Header{header: {value}, "X-Ratelimit-Remaining": {"0"}}, Body: http.NoBody}, nil
	}
}

func hang(req *http.Request) (*http.Response, error) {
	<-req.Context().Done()
	return nil, req.Context().Err()
}

// slowly is a transport that takes its time.
type slowly struct {
	next http.RoundTripper
	took time.Duration
}

func (s slowly) RoundTrip(req *http.Request) (*http.Response, error) {
	select {
	case <-time.After(s.took):
		return s.next.RoundTrip(req)
	case <-req.Context().Done():
		return nil, context.Cause(req.Context()) // as net/http does
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
	return func(req *http.Request) bool { return strings.Contains(req.URL.Path+bodyOf(req), part) }
}

// bodyOf returns a request's body, which can be read again.
func bodyOf(req *http.Request) string {
	body, _ := io.ReadAll(req.Body)
	req.Body = io.NopCloser(strings.NewReader(string(body)))
	return string(body)
}
