package gitproto_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
	"github.com/tekton-sentry/sentry/pkg/githost/gitproto"
	"github.com/tekton-sentry/sentry/pkg/repo"
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
	transport := githost.NewTransport()
	t.Cleanup(transport.CloseIdleConnections)
	h, err := gitproto.Open(githost.Endpoint{
		Type:   config.Git,
		Origin: s.URL,
		Auth:   config.Auth{Username: config.NewValue("${U}", user), Token: config.NewValue("${T}", token)},
	}, githost.NewClient(transport, "test", 0))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func wanted(t *testing.T, url string, entries ...string) githost.Wanted {
	t.Helper()
	w := githost.Wanted{URL: url}
	for _, entry := range entries {
		p, err := repo.ParsePattern(entry)
		if err != nil {
			t.Fatal(err)
		}
		w.Patterns = append(w.Patterns, p)
	}
	return w
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

func TestHeadsAreWhatGitSays(t *testing.T) {
	root := t.TempDir()
	r := newRepository(t, filepath.Join(root, "team/app.git"))
	one, two := r.commit("one"), r.commit("two")
	refs := map[string]string{
		"refs/heads/main": one, "refs/heads/main2": two, "refs/heads/dev-x": two, "refs/heads/dev/y": one,
		"refs/heads/a$(reboot)'\"": one, "refs/heads/ü": two, "refs/tags/main": two, "refs/pull/1/head": two,
	}
	r.pack(refs)
	every(t, root, func(t *testing.T, s *server) {
		h := open(t, s, "", "")
		url := s.URL + "/team/app.git"
		for _, test := range []struct {
			entries []string
			want    map[string]string
		}{
			{[]string{"main"}, map[string]string{"main": one}},
			{[]string{"main", "main"}, map[string]string{"main": one}},
			{[]string{"dev.*"}, map[string]string{"dev-x": two, "dev/y": one}},
			{[]string{"main", "dev.*", "gone"}, map[string]string{"main": one, "dev-x": two, "dev/y": one}},
			{[]string{"main|ü"}, map[string]string{"main": one, "ü": two}},
			{[]string{`a\$\(reboot\).*`}, map[string]string{"a$(reboot)'\"": one}},
			{[]string{".*"}, r.branches()},
		} {
			if diff := cmp.Diff(test.want, heads(t, h, wanted(t, url, test.entries...))); diff != "" {
				t.Errorf("branches %q: (-want +got)\n%s", test.entries, diff)
			}
		}
		for _, entries := range [][]string{{"gone"}, {"mai"}, {"x.*"}} {
			e := failure(t, h, wanted(t, url, entries...))
			if e.Kind != githost.NoBranch || !strings.Contains(e.Error(), entries[0]) {
				t.Errorf("branches %q: got error %v, want no branch, naming the pattern", entries, e)
			}
		}
	})
}

func TestManyRefs(t *testing.T) {
	root := t.TempDir()
	for _, n := range []int{1, 3_000, 20_000} {
		r := newRepository(t, filepath.Join(root, fmt.Sprint(n)))
		sha := r.commit("one")
		refs := map[string]string{"refs/heads/main": sha}
		for i := 1; i < n; i++ {
			refs[fmt.Sprintf("refs/heads/topic/%05d", i)] = sha
		}
		r.pack(refs)
	}
	every(t, root, func(t *testing.T, s *server) {
		h := open(t, s, "", "")
		for _, n := range []int{1, 3_000, 20_000} {
			url := fmt.Sprintf("%s/%d", s.URL, n)
			if got := heads(t, h, wanted(t, url, ".*")); len(got) != n {
				t.Errorf("repository of %d branches: got %d", n, len(got))
			}
			if got := heads(t, h, wanted(t, url, "main")); len(got) != 1 {
				t.Errorf("repository of %d branches: got %d heads of main, want 1", n, len(got))
			}
		}
	})
}

// TestFollowsEveryMove creates, moves, rewinds and deletes branches at random, and compares with git after
// each step.
func TestFollowsEveryMove(t *testing.T) {
	root := t.TempDir()
	r := newRepository(t, filepath.Join(root, "app.git"))
	commits := []string{r.commit("one"), r.commit("two"), r.commit("three")}
	random := rand.New(rand.NewPCG(1, 2))
	newer, old := serve(t, githosttest.GitHandler(root)), serve(t, older("", githosttest.GitHandler(root)))
	hosts := map[*server]githost.Host{newer: open(t, newer, "", ""), old: open(t, old, "", "")}
	dev := regexp.MustCompile(`^(?:main|dev-.*)$`)
	for step := range 25 {
		var changes strings.Builder
		for _, branch := range []string{"main", "dev-1", "dev-2", "dev-2/x", "other", "x/dev-1"} {
			_, has := r.branches()[branch]
			_, parent := r.branches()["dev-2"]
			_, child := r.branches()["dev-2/x"]
			switch n := random.IntN(4); {
			case n == 0 && has:
				fmt.Fprintf(&changes, "delete refs/heads/%s\n", branch)
			case n == 1 && branch == "dev-2/x" && parent, n == 1 && branch == "dev-2" && (child || !has):
				// Git keeps no branch below another one.
			case n == 1:
				fmt.Fprintf(&changes, "update refs/heads/%s %s\n", branch, commits[random.IntN(len(commits))])
			}
		}
		r.git(changes.String(), "update-ref", "--stdin")
		want := r.branches()
		maps.DeleteFunc(want, func(branch, _ string) bool { return !dev.MatchString(branch) })
		for s, h := range hosts {
			w := wanted(t, s.URL+"/app.git", "main", "dev-.*")
			if len(want) == 0 {
				if e := failure(t, h, w); e.Kind != githost.NoBranch {
					t.Fatalf("step %d, %q: got %v, want no branch", step, changes.String(), e)
				}
				continue
			}
			if diff := cmp.Diff(want, heads(t, h, w)); diff != "" {
				t.Fatalf("step %d, %q: (-want +got)\n%s", step, changes.String(), diff)
			}
		}
	}
}

func TestEmptyRepositoryHasNoBranch(t *testing.T) {
	root := t.TempDir()
	newRepository(t, filepath.Join(root, "empty.git"))
	every(t, root, func(t *testing.T, s *server) {
		if e := failure(t, open(t, s, "", ""), wanted(t, s.URL+"/empty.git", "main")); e.Kind != githost.NoBranch {
			t.Errorf("got %v, want no branch", e)
		}
	})
}

func TestSHA256Repository(t *testing.T) {
	root := t.TempDir()
	r := newRepository(t, filepath.Join(root, "app.git"), "--object-format=sha256")
	sha := r.commit("one")
	r.pack(map[string]string{"refs/heads/main": sha})
	every(t, root, func(t *testing.T, s *server) {
		h := open(t, s, "", "")
		for cycle := range 2 {
			s.asked()
			if got := heads(t, h, wanted(t, s.URL+"/app.git", "main")); got["main"] != sha {
				t.Errorf("got %v, want main at %s", got, sha)
			}
			if asked := s.asked(); cycle == 1 && len(asked) != 1 {
				t.Errorf("the second cycle asked %q, want one request", asked)
			}
		}
	})
}

func TestOneRequestARepository(t *testing.T) {
	root := t.TempDir()
	const n = 20
	want := make([]string, n)
	for i := range n {
		r := newRepository(t, filepath.Join(root, fmt.Sprintf("%02d.git", i)))
		r.pack(map[string]string{"refs/heads/main": r.commit("one"), "refs/heads/main2": r.commit("two")})
		want[i] = fmt.Sprintf("/%02d.git", i)
	}
	for name, test := range map[string]struct {
		handler http.Handler
		request string // of every cycle but the first
		suffix  string
	}{
		"version 2": {githosttest.GitHandler(root), "POST %s/git-upload-pack", ".git"},
		"version 0": {older("", githosttest.GitHandler(root)), "GET %s/info/refs", ".git"},
		// Without .git in the URL the right one is found once and remembered.
		"without .git": {githosttest.GitHandler(root), "POST %s/git-upload-pack", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				test.handler.ServeHTTP(w, req)
				// Sends the answer in chunks, as most servers do: its end then comes on its own.
				_ = http.NewResponseController(w).Flush()
			}))
			h := open(t, s, "", "")
			var all []githost.Wanted
			var requests []string
			for _, path := range want {
				all = append(all, wanted(t, s.URL+strings.TrimSuffix(path, ".git")+test.suffix, "main"))
				requests = append(requests, fmt.Sprintf(test.request, path))
			}
			for cycle := range 3 {
				s.asked()
				for i, o := range h.Heads(t.Context(), all) {
					if o.Err != nil {
						t.Fatalf("%s: %v", all[i].URL, o.Err)
					}
				}
				if diff := cmp.Diff(requests, s.asked()); cycle > 0 && diff != "" {
					t.Errorf("cycle %d: requests (-want +got)\n%s", cycle, diff)
				}
			}
			// A connection is back in the pool a moment after its answer was read, so a few more than
			// the eight in use at once may be made.
			if got := s.connections.Load(); got > 16 {
				t.Errorf("%d connections for three cycles of %d repositories, want them used again", got, n)
			}
		})
	}
}

func TestServerThatChangesItsVersion(t *testing.T) {
	root := t.TempDir()
	r := newRepository(t, filepath.Join(root, "app.git"))
	r.pack(map[string]string{"refs/heads/main": r.commit("one")})
	handler := githosttest.GitHandler(root)
	var old atomic.Bool
	s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if old.Load() {
			older("", handler).ServeHTTP(w, req)
			return
		}
		handler.ServeHTTP(w, req)
	}))
	h := open(t, s, "", "")
	w := wanted(t, s.URL+"/app.git", "main")
	for _, now := range []bool{false, true, false} {
		old.Store(now)
		heads(t, h, w)
	}
}

func TestRenamedRepository(t *testing.T) {
	root := t.TempDir()
	r := newRepository(t, filepath.Join(root, "new.git"))
	r.pack(map[string]string{"refs/heads/main": r.commit("one")})
	handler := githosttest.BasicAuth("me", "t0ken", githosttest.GitHandler(root))
	s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if rest, ok := strings.CutPrefix(req.URL.Path, "/old.git/"); ok {
			target := "/new.git/" + rest
			if req.URL.RawQuery != "" {
				target += "?" + req.URL.RawQuery
			}
			http.Redirect(w, req, target, http.StatusMovedPermanently)
			return
		}
		handler.ServeHTTP(w, req)
	}))
	h := open(t, s, "me", "t0ken")
	w := wanted(t, s.URL+"/old.git", "main")
	heads(t, h, w)
	s.asked()
	heads(t, h, w)
	if diff := cmp.Diff([]string{"POST /new.git/git-upload-pack"}, s.asked()); diff != "" {
		t.Errorf("requests once the new place is known (-want +got)\n%s", diff)
	}
}

func TestRedirectToAnotherHostCarriesNothing(t *testing.T) {
	away := serve(t, http.NotFoundHandler())
	s := serve(t, githosttest.Fault(githosttest.RedirectTo(away.URL), nil))
	e := failure(t, open(t, s, "me", "t0ken"), wanted(t, s.URL+"/app.git", "main"))
	if asked := away.asked(); len(asked) > 0 {
		t.Errorf("the other host was asked %q, want nothing", asked)
	}
	if want := "set repo_url to " + away.URL + "/app.git"; e.Kind != githost.Invalid || !strings.Contains(e.Error(), want) {
		t.Errorf("got %v, want an invalid answer that says %q", e, want)
	}
}

func TestCredentials(t *testing.T) {
	root := t.TempDir()
	r := newRepository(t, filepath.Join(root, "app.git"))
	r.pack(map[string]string{"refs/heads/main": r.commit("one")})
	for _, test := range []struct {
		user, token string // given
		want        string // "" = heads
	}{
		{"me", "t0ken", ""},
		{"me", "wr0ng", "credential was refused"},
		{"", "", "no credential was given: set auth.token (hosts answer this, too, for a repository that does not exist)"},
	} {
		s := serve(t, githosttest.BasicAuth("me", "t0ken", githosttest.GitHandler(root)))
		h := open(t, s, test.user, test.token)
		w := wanted(t, s.URL+"/app.git", "main")
		if test.want == "" {
			heads(t, h, w)
		} else if e := failure(t, h, w); e.Kind != githost.Denied || !strings.Contains(e.Error(), test.want) || strings.Contains(e.Error(), "wr0ng") {
			t.Errorf("user %q, token %q: got %v, want denied, %q, without the token", test.user, test.token, e, test.want)
		}
		if asked := s.asked(); len(asked) != 1 {
			t.Errorf("user %q, token %q: asked %q, want one request", test.user, test.token, asked)
		}
	}
	s := serve(t, githosttest.BasicAuth("git", "t0ken", githosttest.GitHandler(root)))
	heads(t, open(t, s, "", "t0ken"), wanted(t, s.URL+"/app.git", "main"))
}

func TestMissingRepository(t *testing.T) {
	root := t.TempDir()
	r := newRepository(t, filepath.Join(root, "app.git"))
	r.pack(map[string]string{"refs/heads/main": r.commit("one")})
	every(t, root, func(t *testing.T, s *server) {
		h := open(t, s, "", "")
		for range 2 {
			if e := failure(t, h, wanted(t, s.URL+"/gone", "main")); e.Kind != githost.NotFound || e.Host == "" {
				t.Errorf("got %#v, want not found", e)
			}
			heads(t, h, wanted(t, s.URL+"/app", "main"))
		}
	})
}

// TestWhatIsKnownOfAServer: one repository shows what the server speaks, and the others are asked by that.
func TestWhatIsKnownOfAServer(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{"a.git", "b.git"} {
		r := newRepository(t, filepath.Join(root, name))
		r.pack(map[string]string{"refs/heads/main": r.commit("one")})
	}
	handler := githosttest.GitHandler(root)
	for _, test := range []struct {
		handler http.Handler
		good    []string
		missing []string
	}{
		{handler, []string{"POST /b.git/git-upload-pack"}, []string{"POST /gone.git/git-upload-pack", "POST /gone/git-upload-pack"}},
		{older("", handler), []string{"GET /b.git/info/refs"}, []string{"GET /gone.git/info/refs", "GET /gone/info/refs"}},
	} {
		s := serve(t, test.handler)
		h := open(t, s, "", "")
		heads(t, h, wanted(t, s.URL+"/a.git", "main"))
		s.asked()
		heads(t, h, wanted(t, s.URL+"/b.git", "main"))
		if diff := cmp.Diff(test.good, s.asked()); diff != "" {
			t.Errorf("a second repository: requests (-want +got)\n%s", diff)
		}
		failure(t, h, wanted(t, s.URL+"/gone", "main"))
		if diff := cmp.Diff(test.missing, s.asked()); diff != "" {
			t.Errorf("a missing repository: requests (-want +got)\n%s", diff)
		}
	}
}

// TestMovedBack: a repository that was found at another place than written is found where it is written
// once that other place is gone.
func TestMovedBack(t *testing.T) {
	root := t.TempDir()
	r := newRepository(t, filepath.Join(root, "app.git"))
	r.pack(map[string]string{"refs/heads/main": r.commit("one")})
	s := serve(t, githosttest.GitHandler(root))
	h := open(t, s, "", "")
	w := wanted(t, s.URL+"/app", "main")
	heads(t, h, w)
	if err := os.Rename(filepath.Join(root, "app.git"), filepath.Join(root, "app")); err != nil {
		t.Fatal(err)
	}
	if e := failure(t, h, w); e.Kind != githost.NotFound {
		t.Errorf("got %v, want not found", e)
	}
	heads(t, h, w)
}

func TestHangingRepositoriesLeaveTimeForTheOthers(t *testing.T) {
	root := t.TempDir()
	r := newRepository(t, filepath.Join(root, "app.git"))
	r.pack(map[string]string{"refs/heads/main": r.commit("one")})
	handler := githosttest.GitHandler(root)
	hang := githosttest.Fault(githosttest.Hang, nil)
	s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if strings.HasPrefix(req.URL.Path, "/hang") {
			hang.ServeHTTP(w, req)
			return
		}
		handler.ServeHTTP(w, req)
	}))
	h := open(t, s, "", "")
	var want []githost.Wanted
	for i := range 8 {
		want = append(want, wanted(t, fmt.Sprintf("%s/hang%d", s.URL, i), "main"))
	}
	want = append(want, wanted(t, s.URL+"/app.git", "main"))
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	answers := h.Heads(ctx, want)
	if last := answers[8]; last.Err != nil {
		t.Errorf("the repository that answers: got error %v", last.Err)
	}
	for _, o := range answers[:8] {
		e, ok := errors.AsType[*githost.Error](o.Err)
		if !ok || e.Kind != githost.Temporary || !strings.Contains(e.Error(), "no answer within 1.5s") {
			t.Errorf("a repository that hangs: got %v, want temporary, no answer within 1.5s", o.Err)
		}
	}
}
