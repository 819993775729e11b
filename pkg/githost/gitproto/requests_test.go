package gitproto_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
)

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

// A repository that was renamed is found by its old name until another one has that.
func TestRenamedRepository(t *testing.T) {
	root := t.TempDir()
	r := newRepository(t, filepath.Join(root, "new.git"))
	r.pack(map[string]string{"refs/heads/main": r.commit("one")})
	handler := githosttest.BasicAuth("me", "t0ken", githosttest.GitHandler(root))
	var taken atomic.Bool
	s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if rest, ok := strings.CutPrefix(req.URL.Path, "/old.git/"); ok && !taken.Load() {
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
	before := heads(t, h, w)
	s.asked()
	heads(t, h, w)
	if diff := cmp.Diff([]string{"GET /old.git/info/refs", "POST /new.git/git-upload-pack"}, s.asked()); diff != "" {
		t.Errorf("requests once the new place is known (-want +got)\n%s", diff)
	}
	r = newRepository(t, filepath.Join(root, "old.git"))
	r.pack(map[string]string{"refs/heads/main": r.commit("another")})
	taken.Store(true)
	for range 2 {
		s.asked()
		if after := heads(t, h, w); maps.Equal(before, after) {
			t.Errorf("another repository has the old name, and still %v was read", after)
		}
	}
	if diff := cmp.Diff([]string{"POST /old.git/git-upload-pack"}, s.asked()); diff != "" {
		t.Errorf("requests once another has the old name (-want +got)\n%s", diff)
	}
}

// A server that redirects to the same name with .git, as GitLab does, is asked there from then on.
func TestRedirectToTheUsualSpelling(t *testing.T) {
	root := t.TempDir()
	r := newRepository(t, filepath.Join(root, "app.git"))
	r.pack(map[string]string{"refs/heads/main": r.commit("one")})
	handler := githosttest.GitHandler(root)
	s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if rest, ok := strings.CutPrefix(req.URL.Path, "/app/"); ok {
			http.Redirect(w, req, "/app.git/"+rest+"?"+req.URL.RawQuery, http.StatusMovedPermanently)
			return
		}
		handler.ServeHTTP(w, req)
	}))
	h := open(t, s, "", "")
	w := wanted(t, s.URL+"/app", "main")
	heads(t, h, w)
	s.asked()
	heads(t, h, w)
	if diff := cmp.Diff([]string{"POST /app.git/git-upload-pack"}, s.asked()); diff != "" {
		t.Errorf("requests of a second cycle (-want +got)\n%s", diff)
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
		_ = failure(t, h, wanted(t, s.URL+"/gone", "main"))
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
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	defer cancel()
	answers := h.Heads(ctx, want)
	if last := answers[8]; last.Err != nil {
		t.Errorf("the repository that answers: got error %v", last.Err)
	}
	for _, o := range answers[:8] {
		e, ok := errors.AsType[*githost.Error](o.Err)
		if !ok || e.Kind != githost.Temporary || !strings.Contains(e.Error(), "no answer within ") {
			t.Errorf("a repository that hangs: got %v, want temporary, no answer within half of the time", o.Err)
		}
	}
}
