package testhost

import (
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
	"github.com/tekton-sentry/sentry/pkg/githost/transport"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/repo/repotest"
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
	return OpenOver(t, open, base, origin, apiURL, token)
}

// OpenOver opens a host behind a transport.
func OpenOver(t testing.TB, open githost.Open, base http.RoundTripper, origin, apiURL, token string) githost.Host {
	t.Helper()
	h, err := open(githost.Endpoint{Account: githost.Account{Origin: origin, APIURL: apiURL}, Auth: config.Auth{
		Username: secret.New("somebody", "somebody"), Token: secret.New(token, token)}},
		transport.NewClient(base, "test", time.Hour))
	if err != nil {
		t.Fatalf("Open(%s, %q) = %v", origin, apiURL, err)
	}
	return githosttest.Keep(h)
}

// OpenStatuses opens the statuses of commits of a host at a server.
func OpenStatuses(t testing.TB, d githost.Driver, origin, apiURL string) githost.Statuses {
	t.Helper()
	return openAs[githost.Statuses](t, d, origin, apiURL)
}

// OpenOwners opens the lists of repositories of a host at a server.
func OpenOwners(t testing.TB, d githost.Driver, origin, apiURL string) githost.Owners {
	t.Helper()
	return openAs[githost.Owners](t, d, origin, apiURL)
}

func openAs[T any](t testing.TB, d githost.Driver, origin, apiURL string) T {
	t.Helper()
	base := transport.NewTransport()
	t.Cleanup(base.CloseIdleConnections)
	source := config.Source{URL: origin, Type: d.Type, APIURL: apiURL, Auth: config.Auth{Token: secret.New(Token, Token)}}
	h, err := d.Open(githost.Endpoint{Account: d.AccountOf(source), Auth: source.Auth}, transport.NewClient(base, "test", time.Minute))
	as, ok := h.(T)
	if err != nil || !ok {
		t.Fatalf("Open(%s, %q) = %T, %v", origin, apiURL, h, err)
	}
	return as
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

// Wanted is one repository at an origin.
func Wanted(t testing.TB, origin, path string, branches ...string) githost.Wanted {
	t.Helper()
	return githost.Wanted{URL: origin + "/" + path, Patterns: repotest.Patterns(t, branches...)}
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
