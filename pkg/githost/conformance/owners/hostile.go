package owners

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"runtime"
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
const mostMemory = 128 << 20

// broken asks for a list of which one page is answered by a handler, the first time and again, and fails the test unless that is an
// error of a kind, "" for any, and the list is there afterwards.
func (k Kind) broken(t *testing.T, name string, kind githost.Kind, other func(api http.Handler) http.Handler) {
	t.Helper()
	for _, page := range []int{1, 2, k.Pages} {
		api := k.api()
		fill(api, 250)
		asked, on := 0, true
		front := other(api)
		s := k.serve(t, api, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			body := bodyOf(req)
			if k.Asks(req, body) {
				if asked++; on && asked >= page {
					front.ServeHTTP(w, req)
					return
				}
			}
			api.ServeHTTP(w, req)
		}))
		ask := func(last *githost.Owned) {
			t.Helper()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			asked = 0
			list, err := s.host.Owned(t.Context(), githost.OwnedBy{Owner: owner}, last)
			runtime.ReadMemStats(&after)
			if asked < page { // it was not asked for
				return
			}
			if e := errorOf(t, fmt.Sprintf("%s, page %d", name, page), list, err); kind != "" && e.Kind != kind {
				t.Errorf("%s, page %d: %v, want an error of the kind %q", name, page, e, kind)
			}
			if got := after.TotalAlloc - before.TotalAlloc; got > mostMemory {
				t.Errorf("%s, page %d: %d MiB allocated", name, page, got>>20)
			}
		}
		ask(nil)
		on = false
		list := s.list(t, "", nil)
		on = true
		api.Create(owner + "/another")
		ask(list)
		on = false
		s.list(t, "", list)
	}
}

func (k Kind) faults(t *testing.T) {
	for fault, kind := range map[githosttest.FaultKind]githost.Kind{
		githosttest.ShortBody: githost.Temporary, githosttest.Truncated: "", githosttest.Garbage: githost.Invalid,
		githosttest.WrongJSON: githost.Invalid, githosttest.ServerError: githost.Temporary, githosttest.Unauthorized: githost.Denied,
		githosttest.TooManyRequests: githost.RateLimited, githosttest.RedirectTo("http://elsewhere.example"): githost.Invalid,
		githosttest.EndlessBody: "", githosttest.GzipBomb: "",
	} {
		t.Run(string(fault), func(t *testing.T) {
			k.broken(t, string(fault), kind, func(api http.Handler) http.Handler { return githosttest.Fault(fault, api) })
		})
	}
}

// A file that cannot be read is not one that is gone.
func (k Kind) fileFaults(t *testing.T) {
	for _, fault := range k.FileFaults {
		t.Run(string(fault), func(t *testing.T) {
			api := k.api()
			fill(api, 150)
			asked, on := 0, false
			front := githosttest.Fault(fault, api)
			s := k.serve(t, api, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				if k.AsksFiles(req, bodyOf(req)) && on {
					asked++
					front.ServeHTTP(w, req)
					return
				}
				api.ServeHTTP(w, req)
			}))
			list := s.list(t, wanted, nil)
			on = true
			api.SetFile(owner+"/r7", wanted, "another")
			for _, last := range []*githost.Owned{nil, list} {
				got, err := s.host.Owned(t.Context(), githost.OwnedBy{Owner: owner, File: wanted}, last)
				_ = errorOf(t, string(fault), got, err)
			}
			if asked == 0 {
				t.Error("no file was asked for")
			}
			on = false
			s.list(t, wanted, list)
		})
	}
}

func (k Kind) lies(t *testing.T) {
	for name, lie := range k.Lies {
		t.Run(name, func(t *testing.T) {
			k.broken(t, name, "", func(api http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
					rec := httptest.NewRecorder()
					api.ServeHTTP(rec, req)
					header, before := rec.Header().Clone(), rec.Body.String()
					body := lie(header, before)
					if body == before && fmt.Sprint(header) == fmt.Sprint(rec.Header()) {
						t.Errorf("the lie changes nothing of %.300s", before)
					}
					maps.Copy(w.Header(), header)
					w.WriteHeader(rec.Code)
					_, _ = io.WriteString(w, body)
				})
			})
		})
	}
}

func (k Kind) endless(t *testing.T) {
	api := k.api()
	fill(api, 20_001)
	s := k.serve(t, api, api)
	list, err := s.host.Owned(t.Context(), githost.OwnedBy{Owner: owner}, nil)
	if e := errorOf(t, "20,001 repositories", list, err); e.Kind != githost.TooLarge {
		t.Errorf("20,001 repositories: %v, want an error of the kind %q", e, githost.TooLarge)
	}
	s.asked(t, "20,001 repositories", 3)
}

func (k Kind) limits(t *testing.T) {
	api := k.api()
	s := k.serve(t, api, api)
	fill(api, 250)
	list := s.list(t, "", nil)
	for _, limit := range []githosttest.Limit{githosttest.Exhausted, githosttest.Abused, githosttest.TooMany} {
		api.SetLimit(limit)
		for _, last := range []*githost.Owned{nil, list} {
			got, err := s.host.Owned(t.Context(), githost.OwnedBy{Owner: owner}, last)
			if e := errorOf(t, string(limit), got, err); e.Kind != githost.RateLimited || !e.Until.After(time.Now()) {
				t.Errorf("%s: %v, until %s; want one of the kind %q with a time", limit, e, e.Until, githost.RateLimited)
			}
		}
	}
}

func (k Kind) refusals(t *testing.T) {
	api := k.api()
	s := k.serve(t, api, api)
	fill(api, 3)
	for _, q := range []githost.OwnedBy{{}, {Owner: ".."}, {Owner: "company/"}, {Owner: "/company"}, {Owner: "a\nb"}, {Owner: "company/../other"},
		{Owner: owner, File: "../../etc/passwd"}, {Owner: owner, File: "/etc/passwd"}, {Owner: owner, File: "a\x00b"}} {
		list, err := s.host.Owned(t.Context(), q, nil)
		if e := errorOf(t, fmt.Sprintf("%+q", q), list, err); e.Kind != githost.Invalid {
			t.Errorf("%+q: %v, want an error of the kind %q", q, e, githost.Invalid)
		}
	}
	s.asked(t, "what cannot be", 0)
}

// A list that is refused, such as for a limit that is not of the budget, says nothing to who reads heads.
func (k Kind) beside(t *testing.T) {
	api := k.api()
	fill(api, 3)
	refused := 0
	s := k.serve(t, api, k.pageAt(api, func(int) bool { return true }, func(w http.ResponseWriter, _ *http.Request) {
		refused++
		w.Header().Set("Retry-After", "3600")
		http.Error(w, `{"message":"You have exceeded a secondary rate limit."}`, http.StatusForbidden)
	}))
	base := transport.NewTransport()
	t.Cleanup(base.CloseIdleConnections)
	r := &poller.Reader{Hosts: githost.Drivers{k.Driver}, Base: base}
	source := k.source(s.url, token)
	monitor := config.Monitor{Source: source, Branches: repotest.Patterns(t, "main")}
	monitor.URL = s.url + "/" + owner + "/r1"
	for range 3 {
		list, err := r.Owned(t.Context(), source, githost.OwnedBy{Owner: owner}, nil)
		if e := errorOf(t, "a limit", list, err); e.Kind != githost.RateLimited {
			t.Errorf("a limit: %v, want an error of the kind %q", e, githost.RateLimited)
		}
		if o := r.Heads(t.Context(), []config.Monitor{monitor})[0]; o.Err != nil {
			t.Errorf("the heads beside it: %v", o.Err)
		}
	}
	if refused != 1 {
		t.Errorf("asked %d times, want once until the time that was told", refused)
	}
}
