package owners

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
)

// asked fails the test when more was asked than that, and tells what it was.
func (s server) asked(t *testing.T, what string, most int) {
	t.Helper()
	n := len(s.Requests())
	t.Logf("%s: %d requests", what, n)
	if n > most {
		t.Errorf("%s: %d requests, want %d at most", what, n, most)
	}
}

// Of five thousand repositories the pages take few requests, and what changed afterwards fewer.
func (k Kind) large(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := k.api()
		s := k.within(t, api)
		fill(api, 5_000)
		<-time.After(3 * time.Hour)
		bare := s.list(t, "", nil)
		s.asked(t, "the whole list", k.Requests.Whole)
		list := s.list(t, wanted, nil)
		s.asked(t, "with a file of each", k.Requests.WithFiles)
		<-time.After(5 * time.Minute)
		for range 3 {
			again := s.list(t, wanted, list)
			s.asked(t, "once more", k.Requests.Again)
			if &again.Repositories[0] != &list.Repositories[0] {
				t.Error("nothing changed, and it is another list")
			}
			list = again
			<-time.After(5 * time.Minute)
		}
		bare = s.list(t, "", bare)
		s.asked(t, "once more without files", k.Requests.Again)
		for name, change := range changes {
			change(api)
			most := 2 * k.Requests.Changes
			if slices.Contains(k.Quiet, name) {
				if _, err := s.host.Owned(t.Context(), githost.OwnedBy{Owner: owner, File: wanted}, list); err != nil {
					t.Errorf("%s: %v", name, err)
				}
				<-time.After(time.Hour)
			}
			if slices.Contains(k.Quiet, name) || slices.Contains(k.Counted, name) || strings.Contains(name, "delete") || name == "move away" {
				most += 2 * k.Requests.Whole
			}
			<-time.After(time.Minute)
			list = s.list(t, wanted, list)
			bare = s.list(t, "", bare)
			s.asked(t, name+", with files and without", most)
			<-time.After(2 * time.Minute)
		}
		<-time.After(3 * time.Hour)
		list = s.list(t, wanted, list)
		s.Requests()
		<-time.After(10 * time.Minute)
		for i := range 5 {
			api.SetFile(fmt.Sprintf("%s/r%d", owner, 100+i), wanted, "several")
		}
		api.SetFile(owner+"/another", wanted, "new")
		list = s.list(t, wanted, list)
		s.asked(t, "five files and a new one", k.Requests.Changes)
		// Half of all at once is read as a whole list.
		for i := range 3_000 {
			api.SetFile(fmt.Sprintf("%s/r%d", owner, 1000+i), wanted, "all")
		}
		list = s.list(t, wanted, list)
		s.asked(t, "3,000 files", k.Requests.WithFiles+k.Requests.Whole)
		<-time.After(25 * time.Hour)
		s.list(t, wanted, list)
		s.asked(t, "after a day", k.Requests.WithFiles)
	})
}

// Repositories come and go while pages are read. One is never left out for that.
func (k Kind) shifting(t *testing.T) {
	shift := func(name string, most int, change func(*githosttest.API, int)) (list *githost.Owned, s server, err error) {
		api := k.api()
		fill(api, 250)
		pages := 0
		s = k.serve(t, api, k.pageAt(api, func(int) bool { return true }, func(w http.ResponseWriter, req *http.Request) {
			api.ServeHTTP(w, req)
			if pages++; pages <= most {
				change(api, pages)
			}
		}))
		list, err = s.host.Owned(t.Context(), githost.OwnedBy{Owner: owner}, nil)
		t.Logf("%s: %v", name, err)
		return list, s, err
	}
	for name, change := range map[string]func(*githosttest.API, int){
		"deleted": func(a *githosttest.API, n int) { a.Remove(fmt.Sprintf("%s/r%d", owner, n)) },
		"added":   func(a *githosttest.API, n int) { a.Create(fmt.Sprintf("%s/new%d", owner, n)) },
		"pushed":  func(a *githosttest.API, n int) { a.SetFile(fmt.Sprintf("%s/r%d", owner, 249-n), wanted, "pushed") },
	} {
		list, s, err := shift(name+" after the first page", 1, change)
		if err != nil {
			t.Errorf("%s after the first page: %v", name, err)
			continue
		}
		if want := len(s.truth("")); len(list.Repositories) != want {
			t.Errorf("%s after the first page: %d repositories, want %d", name, len(list.Repositories), want)
		}
		list, _, err = shift(name+" after each page", 1_000, change)
		if name == "pushed" {
			if err != nil || len(list.Repositories) != 250 {
				t.Errorf("pushed after each page: %v", err)
			}
			continue
		}
		if e := errorOf(t, name+" after each page", list, err); e.Kind != githost.Temporary {
			t.Errorf("%s after each page: %v, want an error of the kind %q", name, e, githost.Temporary)
		}
	}
}

// What a token sees no more is no longer listed, and is listed again when it is seen: the numbers do not add up then.
func (k Kind) fewer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := k.api()
		s := k.within(t, api)
		fill(api, 250)
		<-time.After(3 * time.Hour)
		list := s.list(t, wanted, nil)
		for _, hidden := range []bool{true, false} {
			for i := range 3 {
				api.Hide(fmt.Sprintf("%s/r%d", owner, 70*i), hidden)
			}
			hold := list
			seen := s.seen(t, list)
			if seen != 250 && !hidden || seen != 247 && hidden {
				t.Errorf("hidden: %t: %d repositories", hidden, seen)
			}
			if len(hold.Repositories) != 250 {
				t.Error("the last list was changed")
			}
		}
		anonymous := k.open(t, s.url, "another-xyzzy", githosttest.Delayed{Handler: api})
		got, err := anonymous.Owned(t.Context(), githost.OwnedBy{Owner: owner}, list)
		if e := errorOf(t, "another token", got, err); e.Kind != githost.Denied {
			t.Errorf("another token: %v, want an error of the kind %q", e, githost.Denied)
		}
	})
}

func (s server) seen(t *testing.T, last *githost.Owned) int {
	t.Helper()
	list, err := s.host.Owned(t.Context(), githost.OwnedBy{Owner: owner, File: wanted}, last)
	if err != nil {
		t.Fatal(err)
	}
	return len(list.Repositories)
}

// pageAt has another handler answer some of the requests for pages, which are numbered from 1.
func (k Kind) pageAt(api http.Handler, which func(page int) bool, other http.HandlerFunc) http.Handler {
	page := 0
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body := bodyOf(req)
		if k.Asks(req, body) {
			if page++; which(page) {
				other(w, req)
				return
			}
		}
		api.ServeHTTP(w, req)
	})
}

func bodyOf(req *http.Request) string {
	var b strings.Builder
	if req.Body != nil {
		buf := make([]byte, 64<<10)
		for n, err := req.Body.Read(buf); ; n, err = req.Body.Read(buf) {
			b.Write(buf[:n])
			if err != nil {
				break
			}
		}
	}
	req.Body = http.NoBody
	if b.Len() > 0 {
		req.Body = readCloser{strings.NewReader(b.String())}
	}
	return b.String()
}

type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }
