// Package owners is what every kind of host promises that lists an owner's repositories, as tests that each runs in its own folder.
package owners

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
	"github.com/tekton-sentry/sentry/pkg/githost/transport"
	"github.com/tekton-sentry/sentry/pkg/secret"
)

// Kind is a kind of host, and its server for tests.
type Kind struct {
	Driver githost.Driver
	New    func() *githosttest.API
	// Deep has groups within groups, whose repositories are the group's, too.
	Deep bool
	// Quiet are the changes of a large list that no order of the host's shows: they are seen within an hour.
	Quiet []string
	// Counted are those that no order shows, and a number does, so that the list is read whole.
	Counted []string
	// Pages is how many pages 250 repositories have.
	Pages int
	// Requests are what 5,000 repositories take at most.
	Requests Requests
	// Lies are what can be wrong with an answer that is a page of a list. Each is an error.
	Lies map[string]func(header http.Header, body string) string
	// FileFaults are those that show in an answer to a request for files alone, of which AsksFiles tells; none where pages have them.
	FileFaults []githosttest.FaultKind
	AsksFiles  func(req *http.Request, body string) bool
	// Asks reports whether a request is for a page of a list.
	Asks func(req *http.Request, body string) bool
}

// Requests are numbers of requests.
type Requests struct {
	Whole     int // for the whole list
	WithFiles int // and a file of each
	Again     int // for the next list, when nothing changed
	Changes   int // for the next list, and the files of it, when a few were changed, added and taken away
}

const (
	token  = "good-token-xyzzy"
	owner  = "company"
	wanted = ".sentry.yaml"
	sha    = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
)

// Test runs the tests.
func Test(t *testing.T, k Kind) {
	for name, keep := range map[string]func(Kind, *testing.T){
		"a list has all that is told":        Kind.fields,
		"an owner without repositories":      Kind.empty,
		"a user":                             Kind.users,
		"whatever changes is seen":           Kind.small,
		"five thousand":                      Kind.large,
		"a change while pages are read":      Kind.shifting,
		"a token that sees fewer":            Kind.fewer,
		"a page that is broken":              Kind.faults,
		"a page that lies":                   Kind.lies,
		"a file that cannot be read":         Kind.fileFaults,
		"a list that is larger than is read": Kind.endless,
		"limits":                             Kind.limits,
		"what cannot be asked":               Kind.refusals,
		"reading goes on":                    Kind.beside,
	} {
		t.Run(name, func(t *testing.T) { keep(k, t) })
	}
}

// server is a host, and who asks it.
type server struct {
	*githosttest.API
	kind Kind
	url  string
	host githost.Owners
}

func (k Kind) api() *githosttest.API {
	api := k.New()
	api.SetToken(token)
	return api
}

// serve serves an API over a network.
func (k Kind) serve(t *testing.T, api *githosttest.API, front http.Handler) server {
	t.Helper()
	s := httptest.NewServer(front)
	base := transport.NewTransport()
	t.Cleanup(func() {
		base.CloseIdleConnections()
		s.Close()
	})
	return server{api, k, s.URL, k.open(t, s.URL, token, base)}
}

// within serves an API in a bubble of time.
func (k Kind) within(t *testing.T, api *githosttest.API) server {
	t.Helper()
	const origin = "http://h.example"
	return server{api, k, origin, k.open(t, origin, token, githosttest.Delayed{Handler: api})}
}

func (k Kind) source(origin, withToken string) config.Source {
	source := config.Source{URL: origin, Type: k.Driver.Type}
	if source.Type == config.GitHub {
		source.APIURL = origin
	}
	if withToken != "" {
		source.Auth.Token = secret.New("${T}", withToken)
	}
	return source
}

func (k Kind) open(t *testing.T, origin, withToken string, base http.RoundTripper) githost.Owners {
	t.Helper()
	source := k.source(origin, withToken)
	h, err := k.Driver.Open(githost.Endpoint{Account: k.Driver.AccountOf(source), Auth: source.Auth}, transport.NewClient(base, "test", time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	owners, ok := h.(githost.Owners)
	if !ok {
		t.Fatalf("%T does not list repositories", h)
	}
	return owners
}

// fill gives the owner n repositories, r0 and so on, each with a file.
func fill(api *githosttest.API, n int) {
	for i := range n {
		path := fmt.Sprintf("%s/r%d", owner, i)
		api.Push(path, "main", sha)
		api.SetFile(path, wanted, fmt.Sprintf("number: %d\n", i))
	}
}

// list asks for a list, which must be that of the server.
func (s server) list(t *testing.T, file string, last *githost.Owned) *githost.Owned {
	t.Helper()
	got, err := s.host.Owned(t.Context(), githost.OwnedBy{Owner: owner, File: file}, last)
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(s.truth(file), got.Repositories); diff != "" {
		t.Fatalf("the list (-want +got):\n%.4000s", diff)
	}
	return got
}

// truth is the list as the server would tell it without mistake.
func (s server) truth(file string) []githost.OwnedRepository {
	all := []githost.OwnedRepository{}
	s.Set(func() {
		for _, r := range s.Here(owner) {
			o := githost.OwnedRepository{ID: fmt.Sprint(r.ID), Path: r.Path, Topics: slices.Clone(r.Topics), Archived: r.Archived, Fork: r.Fork,
				Empty: len(r.Branches) == 0, URL: s.url + "/" + r.Path, SSH: "git@" + strings.TrimPrefix(s.url, "http://") + ":" + r.Path + ".git"}
			if s.kind.Driver.Type != config.GitHub {
				o.URL += ".git"
			}
			slices.Sort(o.Topics)
			if !o.Empty {
				o.DefaultBranch = "main"
			}
			if text, ok := r.Files[file]; ok && file != "" {
				if o.File = []byte(text); strings.Contains(text, "\x00") {
					o.File = []byte{}
				}
				o.File = o.File[:min(len(o.File), githost.MaxOwnedFile)]
			}
			all = append(all, o)
		}
	})
	slices.SortFunc(all, func(a, b githost.OwnedRepository) int { return cmp.Compare(a.ID, b.ID) })
	return all
}

// errorOf returns the *Error of a call, and fails the test when there is none, or a list beside it, or it holds the token or more than
// a line.
func errorOf(t *testing.T, name string, list *githost.Owned, err error) *githost.Error {
	t.Helper()
	e, ok := errors.AsType[*githost.Error](err)
	if !ok || list != nil {
		t.Fatalf("%s: %v, with a list: %t; want an *Error and none", name, err, list != nil)
	}
	if text := e.Error(); strings.Contains(text, "xyzzy") || strings.ContainsAny(text, "\n\r") || len(text) > 400 || e.Host == "" {
		t.Errorf("%s: %q, want one short line with the host and without the token", name, text)
	}
	return e
}

func (k Kind) fields(t *testing.T) {
	api := k.api()
	s := k.serve(t, api, api)
	fill(api, 3)
	api.SetTopics(owner+"/r1", "web", "backend")
	api.SetPrivate(owner + "/r1")
	api.Archive(owner+"/r2", true)
	api.SetFork(owner + "/r2")
	api.Create(owner + "/empty")
	api.Push(owner+"/without-file", "main", sha)
	api.SetFile(owner+"/binary", wanted, "a\x00b")
	api.SetFile(owner+"/long", wanted, strings.Repeat("ä\n\"", githost.MaxOwnedFile/3))
	api.SetFile(owner+"/just-right", wanted, strings.Repeat("x", githost.MaxOwnedFile))
	api.Push("company2/other", "main", sha)
	api.Push("other/company", "main", sha)
	if k.Deep {
		api.SetFile(owner+"/platform/deep/web", wanted, "deep: true")
	}
	api.Hide("company2/other", false)
	for _, file := range []string{"", wanted, "deploy/sentry.yaml"} {
		list := s.list(t, file, nil)
		s.list(t, file, list)
	}
	list, err := s.host.Owned(t.Context(), githost.OwnedBy{Owner: "COMPANY"}, nil)
	if err != nil || len(list.Repositories) != len(s.truth("")) {
		t.Errorf("in capitals: %v", err)
	}
	for _, r := range api.Requests() {
		if r.Authorization == "" {
			t.Errorf("%s was asked without the token", r.URL)
		}
	}
}

func (k Kind) empty(t *testing.T) {
	api := k.api()
	s := k.serve(t, api, api)
	_, err := s.host.Owned(t.Context(), githost.OwnedBy{Owner: owner}, nil)
	if e := errorOf(t, "no such owner", nil, err); e.Kind != githost.NotFound || !strings.Contains(e.Error(), owner) {
		t.Errorf("no such owner: %v, want an error of the kind %q that names it", e, githost.NotFound)
	}
	api.AddOwner(owner, false)
	list := s.list(t, wanted, nil)
	api.Create(owner + "/first")
	list = s.list(t, wanted, list)
	api.Remove(owner + "/first")
	s.list(t, wanted, list)
}

func (k Kind) users(t *testing.T) {
	api := k.api()
	s := k.serve(t, api, api)
	api.AddOwner(owner, true)
	fill(api, 150)
	list := s.list(t, wanted, nil)
	api.Create(owner + "/another")
	s.list(t, wanted, list)
}

// changes are what can become of the repositories r1 to r9.
var changes = map[string]func(*githosttest.API){
	"rename":    func(a *githosttest.API) { a.Rename(owner+"/r1", owner+"/renamed") },
	"file":      func(a *githosttest.API) { a.SetFile(owner+"/r2", wanted, "number: another") },
	"no file":   func(a *githosttest.API) { a.SetFile(owner+"/r3", wanted, "") },
	"topics":    func(a *githosttest.API) { a.SetTopics(owner+"/r4", "web") },
	"archive":   func(a *githosttest.API) { a.Archive(owner+"/r5", true) },
	"add":       func(a *githosttest.API) { a.SetFile(owner+"/new", wanted, "number: new") },
	"add empty": func(a *githosttest.API) { a.Create(owner + "/new") },
	"delete":    func(a *githosttest.API) { a.Remove(owner + "/r6") },
	"add and delete": func(a *githosttest.API) {
		a.Remove(owner + "/r7")
		a.Create(owner + "/new")
	},
	"move away": func(a *githosttest.API) { a.Rename(owner+"/r8", "elsewhere/r8") },
	"delete and make again": func(a *githosttest.API) {
		a.Remove(owner + "/r9")
		a.Create(owner + "/r9")
	},
}

// A list of a page is read whole each time.
func (k Kind) small(t *testing.T) {
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				api := k.api()
				s := k.within(t, api)
				fill(api, 40)
				list := s.list(t, wanted, nil)
				change(api)
				s.list(t, wanted, list)
			})
		})
	}
}
