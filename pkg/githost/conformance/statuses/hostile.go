package statuses

import (
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
	"github.com/tekton-sentry/sentry/pkg/githost/poller"
	"github.com/tekton-sentry/sentry/pkg/githost/transport"
	"github.com/tekton-sentry/sentry/pkg/repo/repotest"
)

// mostMemory is what a hostile answer may have allocated.
const mostMemory = 64 << 20

func (k Kind) faults(t *testing.T) {
	fronts := map[string]struct {
		kind  githost.Kind // of the error of who reads; "" for any
		front func(http.Handler) http.Handler
	}{}
	for fault, kind := range map[githosttest.FaultKind]githost.Kind{
		githosttest.ShortBody: githost.Temporary, githosttest.Truncated: "", githosttest.Garbage: githost.Invalid,
		githosttest.WrongJSON: githost.Invalid, githosttest.ServerError: githost.Temporary, githosttest.Unauthorized: githost.Denied,
		githosttest.TooManyRequests: githost.RateLimited, githosttest.RedirectTo("http://elsewhere.example"): githost.Invalid,
		githosttest.EndlessBody: "", githosttest.GzipBomb: "",
	} {
		fronts[string(fault)] = struct {
			kind  githost.Kind
			front func(http.Handler) http.Handler
		}{kind, func(next http.Handler) http.Handler { return githosttest.Fault(fault, next) }}
	}
	for name, f := range fronts {
		api := k.New()
		api.SetToken(token)
		api.Push(path, "main", sha)
		api.AddStatus(path, sha, k.Foreign(ours, "there"))
		s := k.behind(t, api, f.front(api))
		h := s.open(t, token)
		var err error
		if n := allocated(func() { _, _, err = h.StatusOf(t.Context(), s.repository(), sha, ours) }); n > mostMemory {
			t.Errorf("%s: reading allocated %d MiB", name, n>>20)
		}
		if e := errorOf(t, name, err); f.kind != "" && e.Kind != f.kind {
			t.Errorf("%s: %v, want one of the kind %q", name, e, f.kind)
		}
		if n := allocated(func() {
			err = h.SetStatus(t.Context(), s.repository(), sha, githost.Status{Context: ours, State: githost.Success})
		}); n > mostMemory {
			t.Errorf("%s: setting allocated %d MiB", name, n>>20)
		}
		_ = errorOf(t, name, err)
	}
	for _, body := range []string{"null", "[null]", "[{}]", "{}", `[{"id":"x"}]`, `[{"context":7,"name":[]}]`, ""} {
		for _, code := range []int{http.StatusOK, http.StatusCreated, http.StatusNoContent} {
			s := k.behind(t, k.New(), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(code)
				_, _ = io.WriteString(w, body)
			}))
			h := s.open(t, token)
			name := fmt.Sprintf("%d %q", code, body)
			if got, ok, err := h.StatusOf(t.Context(), s.repository(), sha, ours); err != nil {
				_ = errorOf(t, name, err)
			} else if ok {
				t.Errorf("%s: %+v", name, got)
			}
			if err := h.SetStatus(t.Context(), s.repository(), sha, githost.Status{Context: ours, State: githost.Success}); err != nil {
				_ = errorOf(t, name, err)
			}
		}
	}
	k.circles(t)
}

// circles has a server say for ever that one more page follows, or always the same one.
func (k Kind) circles(t *testing.T) {
	for _, next := range []string{"2", "1", "0", "-1", "99999999999999999999", "x"} {
		asked := 0
		s := k.behind(t, k.New(), nil)
		s = k.behind(t, s.API, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			asked++
			page := next
			if next == "2" {
				page = fmt.Sprint(asked + 1)
			}
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("X-Next-Page", page)
			w.Header().Set("Link", fmt.Sprintf(`<http://%s%s?page=%s>; rel="next"`, req.Host, req.URL.Path, page))
			_, _ = io.WriteString(w, "[]")
		}))
		if _, ok, err := s.open(t, token).StatusOf(t.Context(), s.repository(), sha, ours); ok {
			t.Errorf("next page %s: found one", next)
		} else if err != nil {
			_ = errorOf(t, next, err)
		}
		if asked > 50 {
			t.Errorf("next page %s: asked %d times", next, asked)
		}
	}
}

func (k Kind) hanging(t *testing.T) {
	s := k.behind(t, k.New(), githosttest.Fault(githosttest.Hang, nil))
	h := s.open(t, token)
	ctx, cancel := githost.WithTimeout(t.Context(), "example.com", 50*time.Millisecond)
	defer cancel()
	_, _, err := h.StatusOf(ctx, s.repository(), sha, ours)
	for _, err := range []error{err, h.SetStatus(ctx, s.repository(), sha, githost.Status{Context: ours, State: githost.Success})} {
		if e := errorOf(t, "hang", err); e.Kind != githost.Temporary {
			t.Errorf("%v, want one of the kind %q", e, githost.Temporary)
		}
	}
}

// beside has a host that refuses whatever is asked about statuses, while its heads are read.
func (k Kind) beside(t *testing.T) {
	api := k.New()
	api.SetToken(token)
	api.Push(path, "main", sha)
	s := k.behind(t, api, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if strings.Contains(req.URL.Path, "/statuses") {
			w.Header().Set("Retry-After", "600")
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		api.ServeHTTP(w, req)
	}))
	for name, ask := range map[string]func(githost.Statuses) error{
		"read": func(h githost.Statuses) error {
			_, _, err := h.StatusOf(t.Context(), s.repository(), sha, ours)
			return err
		},
		"set": func(h githost.Statuses) error {
			return h.SetStatus(t.Context(), s.repository(), sha, githost.Status{Context: ours, State: githost.Success})
		},
	} {
		base := transport.NewTransport()
		t.Cleanup(base.CloseIdleConnections)
		r := &poller.Reader{Hosts: githost.Drivers{k.Driver}, Base: base}
		want := config.Monitor{Source: s.source(token), Branches: repotest.Patterns(t, "main")}
		h, err := r.Statuses(config.Repository{Monitor: want})
		if err != nil {
			t.Fatal(err)
		}
		for _, unsent := range []bool{false, true} {
			if e := errorOf(t, name, ask(h)); e.Kind != githost.Temporary || e.Unsent != unsent || e.Until.IsZero() {
				t.Errorf("%s: %+v, want one of the kind %q that names a time", name, e, githost.Temporary)
			}
			if got := r.Heads(t.Context(), []config.Monitor{want})[0]; got.Heads["main"] != sha {
				t.Errorf("%s: the heads are %+v", name, got)
			}
		}
	}
}

func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}
