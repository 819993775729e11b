package gitproto_test

import (
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
	"github.com/tekton-sentry/sentry/pkg/githost/gitproto"
	"github.com/tekton-sentry/sentry/pkg/githost/transport"
	"github.com/tekton-sentry/sentry/pkg/repo/repotest"
	"github.com/tekton-sentry/sentry/pkg/secret"
)

// server is a Git server whose requests are counted.
type server struct {
	*httptest.Server
	mu          sync.Mutex
	requests    []string // method and path
	connections atomic.Int32
}

func serve(t *testing.T, h http.Handler) *server {
	t.Helper()
	s := &server{}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		s.mu.Lock()
		s.requests = append(s.requests, req.Method+" "+req.URL.Path)
		s.mu.Unlock()
		h.ServeHTTP(w, req)
	}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.connections.Add(1)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	return s
}

// asked returns the requests since it was last called, sorted.
func (s *server) asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	requests := slices.Sorted(slices.Values(s.requests))
	s.requests = nil
	return requests
}

func open(t *testing.T, s *server, user, token string) githost.Host {
	t.Helper()
	base := transport.NewTransport()
	t.Cleanup(base.CloseIdleConnections)
	h, err := gitproto.Open(githost.Endpoint{
		Account: githost.Account{Type: config.Git, Origin: s.URL},
		Auth:    config.Auth{Username: secret.New("${U}", user), Token: secret.New("${T}", token)},
	}, transport.NewClient(base, "test", 0))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func wanted(t *testing.T, url string, entries ...string) githost.Wanted {
	t.Helper()
	return githost.Wanted{URL: url, Patterns: repotest.Patterns(t, entries...)}
}

// heads asks for one repository and returns its heads.
func heads(t *testing.T, h githost.Host, w githost.Wanted) map[string]string {
	t.Helper()
	o := h.Heads(t.Context(), []githost.Wanted{w})[0]
	if o.Err != nil {
		t.Fatalf("heads of %s, %s: %v", w.URL, w.Patterns, o.Err)
	}
	got := make(map[string]string)
	for branch, sha := range o.Heads {
		got[branch] = string(sha)
	}
	return got
}

// failure asks for one repository and returns the error.
func failure(t *testing.T, h githost.Host, w githost.Wanted) *githost.Error {
	t.Helper()
	o := h.Heads(t.Context(), []githost.Wanted{w})[0]
	e, ok := errors.AsType[*githost.Error](o.Err)
	if !ok || o.Heads != nil {
		t.Fatalf("heads of %s: got %v and error %v, want only a *githost.Error", w.URL, o.Heads, o.Err)
	}
	return e
}

// backend serves root by the program git-http-backend.
func backend(t *testing.T, root string) http.Handler {
	t.Helper()
	program := filepath.Join((&repository{t: t, dir: root}).git("", "--exec-path"), "git-http-backend")
	if _, err := os.Stat(program); err != nil {
		t.Fatalf("git-http-backend, which comes with git (on Fedora in git-core, on Alpine in git-daemon), is missing: %v", err)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		env := []string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=" + os.DevNull}
		if asked := req.Header.Get("Git-Protocol"); asked != "" {
			env = append(env, "GIT_PROTOCOL="+asked)
		}
		(&cgi.Handler{Path: program, Dir: root, Env: env, Stderr: io.Discard, Logger: log.New(io.Discard, "", 0)}).ServeHTTP(w, req)
	})
}

// older makes a server speak protocol version 0 or 1 only.
func older(version string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		req.Header.Del("Git-Protocol")
		if version != "" {
			req.Header.Set("Git-Protocol", version)
		}
		next.ServeHTTP(w, req)
	})
}

// every runs a test against each kind of server that a repository can live on.
func every(t *testing.T, root string, test func(t *testing.T, s *server)) {
	t.Helper()
	for name, h := range map[string]http.Handler{
		"handler version 2":      githosttest.GitHandler(root),
		"handler version 1":      older("version=1", githosttest.GitHandler(root)),
		"handler version 0":      older("", githosttest.GitHandler(root)),
		"http-backend version 2": backend(t, root),
		"http-backend version 0": older("", backend(t, root)),
	} {
		t.Run(name, func(t *testing.T) { test(t, serve(t, h)) })
	}
}
