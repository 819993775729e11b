// Package statuses is what every host promises that has statuses of commits, as one test that each runs in its own folder.
package statuses

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
	"github.com/tekton-sentry/sentry/pkg/githost/transport"
	"github.com/tekton-sentry/sentry/pkg/secret"
)

// Kind is a kind of host under test.
type Kind struct {
	Driver githost.Driver
	New    func() *githosttest.API
	// Foreign makes a status that somebody else set to success.
	Foreign func(statusContext, description string) map[string]any
	// Page is the length of a page; 0 for a host that is asked for the statuses of one context alone.
	Page int
	// Description is the most characters of a description that the host takes.
	Description int
	// Emoji tells whether the host takes them.
	Emoji bool
}

const (
	token  = "good-token-xyzzy"
	path   = "team/app"
	ours   = "sentry/shop"
	sha    = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	absent = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

// server is a host with a repository that has a commit.
type server struct {
	*githosttest.API
	kind Kind
	url  string
}

func (k Kind) serve(t *testing.T) server {
	t.Helper()
	api := k.New()
	api.SetToken(token)
	api.Push(path, "main", sha)
	return k.behind(t, api, api)
}

// behind serves an API behind a handler.
func (k Kind) behind(t *testing.T, api *githosttest.API, front http.Handler) server {
	t.Helper()
	s := httptest.NewServer(front)
	t.Cleanup(s.Close)
	return server{api, k, s.URL}
}

// source is the repository in a configuration.
func (s server) source(withToken string) config.Source {
	source := config.Source{URL: s.url + "/" + path, Type: s.kind.Driver.Type}
	if source.Type == config.GitHub {
		source.APIURL = s.url
	}
	if withToken != "" {
		source.Auth.Token = secret.New("${T}", withToken)
	}
	return source
}

// open returns its statuses.
func (s server) open(t *testing.T, withToken string) githost.Statuses {
	t.Helper()
	source, driver := s.source(withToken), s.kind.Driver
	base := transport.NewTransport()
	t.Cleanup(base.CloseIdleConnections)
	e := githost.Endpoint{Account: driver.AccountOf(source), Auth: source.Auth}
	host, err := driver.Open(e, transport.NewClient(base, "test", time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	statuses, ok := host.(githost.Statuses)
	if !ok {
		t.Fatalf("%T has no statuses", host)
	}
	return statuses
}

func (s server) repository() string { return s.url + "/" + path }

func set(t *testing.T, h githost.Statuses, repoURL string, s githost.Status) {
	t.Helper()
	if err := h.SetStatus(t.Context(), repoURL, sha, s); err != nil {
		t.Fatalf("SetStatus(%+v) = %v", s, err)
	}
}

func read(t *testing.T, h githost.Statuses, repoURL, statusContext string) (githost.Status, bool) {
	t.Helper()
	s, ok, err := h.StatusOf(t.Context(), repoURL, sha, statusContext)
	if err != nil {
		t.Fatalf("StatusOf(%.60q) = %v", statusContext, err)
	}
	return s, ok
}

// errorOf returns the *Error of a call, and fails the test when there is none, or it holds the token or more than a line.
func errorOf(t *testing.T, name string, err error) *githost.Error {
	t.Helper()
	e, ok := errors.AsType[*githost.Error](err)
	if !ok {
		t.Fatalf("%s: %v, want an *Error", name, err)
	}
	text, basic := e.Error(), base64.StdEncoding.EncodeToString([]byte("git:"+token))
	leaks := strings.Contains(text, "xyzzy") || strings.Contains(text, basic)
	if leaks || strings.ContainsAny(text, "\n\r") || len(text) > 400 || e.Host == "" {
		t.Errorf("%s: %q, want one short line with the host and without the token", name, text)
	}
	return e
}

// Test runs the test.
func Test(t *testing.T, k Kind) {
	t.Run("an answer that is broken", func(t *testing.T) { k.faults(t) }) // alone, as it measures memory
	for name, keep := range map[string]func(Kind, *testing.T){
		"what is set is read back":           Kind.life,
		"the same again does no harm":        Kind.again,
		"the newest of a context":            Kind.newest,
		"all pages are read":                 Kind.pages,
		"pages have an end":                  Kind.endless,
		"texts that a host does not take":    Kind.texts,
		"what a token lacks is told":         Kind.rights,
		"a commit that is not there":         Kind.missing,
		"what cannot be asked":               Kind.refusals,
		"a status that Sentry would not set": Kind.foreign,
		"a server that hangs":                Kind.hanging,
		"a limit":                            Kind.limits,
		"reading goes on":                    Kind.beside,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			keep(k, t)
		})
	}
}

func (k Kind) life(t *testing.T) {
	s := k.serve(t)
	h := s.open(t, token)
	s.AddStatus(path, sha, k.Foreign("other/context", "of somebody else"))
	if got, ok := read(t, h, s.repository(), ours); ok {
		t.Fatalf("at first: %+v", got)
	}
	for i, state := range []githost.CommitState{githost.Pending, githost.Pending, githost.Success, githost.Pending, githost.Failure,
		githost.Errored, githost.Success} {
		want := githost.Status{Context: ours, State: state, Description: fmt.Sprintf("what it came to, %d", i),
			TargetURL: fmt.Sprintf("https://dashboard.example/#/runs/%d?a=b&c=d", i)}
		set(t, h, s.repository()+".git", want)
		if got, ok := read(t, h, s.repository(), ours); !ok || got != want {
			t.Errorf("set %+v, read %+v", want, got)
		}
	}
	bare := githost.Status{Context: "sentry/bare", State: githost.Success}
	set(t, h, s.repository(), bare)
	if got, _ := read(t, h, s.repository(), bare.Context); got != bare {
		t.Errorf("set %+v, read %+v", bare, got)
	}
	if got, _ := read(t, h, s.repository(), "other/context"); got.State != githost.Success || got.Description != "of somebody else" {
		t.Errorf("the status of somebody else is %+v", got)
	}
	for _, r := range s.Requests() {
		if r.Authorization == "" {
			t.Errorf("%s was asked without the token", r.URL)
		}
	}
}

func (k Kind) again(t *testing.T) {
	s := k.serve(t)
	h := s.open(t, token)
	for _, state := range []githost.CommitState{githost.Pending, githost.Pending, githost.Success, githost.Success} {
		set(t, h, s.repository(), githost.Status{Context: ours, State: state})
		if got, ok := read(t, h, s.repository(), ours); !ok || got.State != state {
			t.Errorf("set %s, read %+v", state, got)
		}
	}
}

// Statuses of the same second are told apart, too.
func (k Kind) newest(t *testing.T) {
	s := k.serve(t)
	h := s.open(t, token)
	for i := range 5 {
		s.AddStatus(path, sha, k.Foreign(ours, fmt.Sprintf("try %d", i)))
		s.AddStatus(path, sha, k.Foreign("other/context", "in between"))
		if got, _ := read(t, h, s.repository(), ours); got.Description != fmt.Sprintf("try %d", i) {
			t.Errorf("after try %d: %+v", i, got)
		}
	}
	if k.Driver.Type != config.GitHub { // which takes them for the same
		s.AddStatus(path, sha, k.Foreign(strings.ToUpper(ours), "another context"))
		if got, _ := read(t, h, s.repository(), ours); got.Description != "try 4" {
			t.Errorf("beside another context: %+v", got)
		}
	}
}

func (k Kind) pages(t *testing.T) {
	const others = 230
	s := k.serve(t)
	// What a proxy takes away of the headers must not hide what is there.
	bare := k.behind(t, s.API, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		rec := httptest.NewRecorder()
		s.API.ServeHTTP(rec, req)
		w.Header().Set("Content-Type", rec.Header().Get("Content-Type"))
		w.WriteHeader(rec.Code)
		_, _ = w.Write(rec.Body.Bytes())
	}))
	s.AddStatus(path, sha, k.Foreign(ours, "the oldest"))
	s.Advance(time.Minute)
	for i := range others {
		s.AddStatus(path, sha, k.Foreign(fmt.Sprintf("other/%d", i), ""))
	}
	most := 1
	if k.Page > 0 {
		most = others/k.Page + 1
	}
	for name, at := range map[string]server{"with": s, "without": bare} {
		s.Requests()
		h := at.open(t, token)
		if got, ok := read(t, h, at.repository(), ours); !ok || got.Description != "the oldest" {
			t.Errorf("%s headers: %+v, %t; want the oldest of %d statuses", name, got, ok, others+1)
		}
		if n := len(s.Requests()); n > most {
			t.Errorf("%s headers: %d requests, want %d at most", name, n, most)
		}
		if got, ok := read(t, h, at.repository(), "sentry/other"); ok {
			t.Errorf("%s headers: %+v, want none", name, got)
		}
		if n := len(s.Requests()); n > most+1 { // a full page may be the last
			t.Errorf("%s headers: %d requests for what is not there, want %d at most", name, n, most+1)
		}
	}
	s.Advance(time.Minute)
	s.AddStatus(path, sha, k.Foreign(ours, "the newest"))
	s.Requests()
	if got, _ := read(t, s.open(t, token), s.repository(), ours); got.Description != "the newest" {
		t.Errorf("%+v, want the newest", got)
	}
	if n := len(s.Requests()); n != 1 {
		t.Errorf("%d requests for the newest of all, want one", n)
	}
}

func (k Kind) endless(t *testing.T) {
	s := k.serve(t)
	crowd := "other/context"
	if k.Page == 0 {
		crowd = ours
	}
	for range 6_000 {
		s.AddStatus(path, sha, k.Foreign(crowd, ""))
	}
	_, _, err := s.open(t, token).StatusOf(t.Context(), s.repository(), sha, ours)
	if e := errorOf(t, "more than are read", err); e.Kind != githost.TooLarge {
		t.Errorf("%v, want one of the kind %q", e, githost.TooLarge)
	}
	if n := len(s.Requests()); n > 50 {
		t.Errorf("%d requests", n)
	}
	set(t, s.open(t, token), s.repository(), githost.Status{Context: ours, State: githost.Success, Description: "the newest"})
	all := s.StatusesOf(path, sha)
	if got := all[len(all)-1].Body["description"]; got != "the newest" {
		t.Errorf("beside so many, the newest is %v", got)
	}
}

func (k Kind) texts(t *testing.T) {
	s := k.serve(t)
	h := s.open(t, token)
	long := strings.Repeat("ä€", 400)
	full := string([]rune(long)[:k.Description])
	unit := "sentry/" + strings.Repeat("ü", 300)
	emoji := "a � fix"
	if k.Emoji {
		emoji = "a 🐛 fix"
	}
	for name, tt := range map[string]struct {
		set, want githost.Status
	}{
		"long":       {githost.Status{Description: long}, githost.Status{Description: string([]rune(long)[:k.Description-1]) + "…"}},
		"just right": {githost.Status{Description: full}, githost.Status{Description: full}},
		"no text":    {githost.Status{Description: "a\xffb\x00c\nd "}, githost.Status{Description: "a�b c d"}},
		"emoji":      {githost.Status{Description: "a 🐛 fix"}, githost.Status{Description: emoji}},
		"script":     {githost.Status{TargetURL: "javascript:alert(1)"}, githost.Status{}},
		"no URL":     {githost.Status{TargetURL: "runs/7"}, githost.Status{}},
		"long URL":   {githost.Status{TargetURL: "https://dashboard.example/" + strings.Repeat("a", 3_000)}, githost.Status{}},
		"long unit":  {githost.Status{Context: unit + "1"}, githost.Status{Context: unit + "1"}},
	} {
		for _, status := range []*githost.Status{&tt.set, &tt.want} {
			if status.Context == "" {
				status.Context = "sentry/" + name
			}
			status.State = githost.Success
		}
		set(t, h, s.repository(), tt.set)
		if got, ok := read(t, h, s.repository(), tt.set.Context); !ok || got != tt.want {
			t.Errorf("%s: %+v, %t; want %+v", name, got, ok, tt.want)
		}
	}
	if got, ok := read(t, h, s.repository(), unit+"2"); ok {
		t.Errorf("another unit with a long name: %+v, want none", got)
	}
}

func (k Kind) rights(t *testing.T) {
	s := k.serve(t)
	s.Push("team/secret", "main", sha)
	s.SetDenied("team/secret")
	s.Push("team/read", "main", sha)
	s.SetReadOnly("team/read")
	want := githost.Status{Context: ours, State: githost.Success, Description: "d"}
	for name, tt := range map[string]struct {
		token, path string
		kind        githost.Kind
		reads       bool
	}{
		"no right":       {token, "team/secret", githost.Denied, false},
		"right to read":  {token, "team/read", githost.Denied, true},
		"no repository":  {token, "team/other", githost.NotFound, false},
		"another token":  {"another-xyzzy", path, githost.Denied, false},
		"no token":       {"", path, githost.Denied, false},
		"no such thing ": {token, "team/%2e%2e", githost.Invalid, false},
	} {
		h, at := s.open(t, tt.token), s.url+"/"+tt.path
		_, ok, err := h.StatusOf(t.Context(), at, sha, ours)
		if tt.reads != (err == nil) || ok {
			t.Errorf("%s: reading gives %t, %v", name, ok, err)
		}
		errs := []error{h.SetStatus(t.Context(), at, sha, want)}
		if err != nil {
			errs = append(errs, err)
		}
		for _, err := range errs {
			e := errorOf(t, name, err)
			// GitHub calls what one may not do not found.
			right := e.Kind == tt.kind || tt.reads && e.Kind == githost.NotFound
			if !right || tt.kind != githost.Invalid && !strings.Contains(err.Error(), "want a") {
				t.Errorf("%s: %v, want one of the kind %q with the right that it takes", name, err, tt.kind)
			}
		}
	}
}

func (k Kind) missing(t *testing.T) {
	s := k.serve(t)
	h := s.open(t, token)
	_, _, err := h.StatusOf(t.Context(), s.repository(), absent, ours)
	setErr := h.SetStatus(t.Context(), s.repository(), absent, githost.Status{Context: ours, State: githost.Success})
	for name, err := range map[string]error{"read": err, "set": setErr} {
		if e := errorOf(t, name, err); e.Kind != githost.NotFound {
			t.Errorf("%s: %v, want one of the kind %q", name, e, githost.NotFound)
		}
	}
}

func (k Kind) refusals(t *testing.T) {
	s := k.serve(t)
	h := s.open(t, token)
	for name, tt := range map[string]struct{ url, sha, context string }{
		"a branch":   {s.repository(), "main", ours},
		"a path":     {s.repository(), "../../user", ours},
		"no commit":  {s.repository(), "", ours},
		"no context": {s.repository(), sha, " "},
		"no name":    {s.url + "/", sha, ours},
	} {
		_, _, err := h.StatusOf(t.Context(), tt.url, tt.sha, tt.context)
		for _, err := range []error{err, h.SetStatus(t.Context(), tt.url, tt.sha, githost.Status{Context: tt.context, State: githost.Success})} {
			if e := errorOf(t, name, err); e.Kind != githost.Invalid {
				t.Errorf("%s: %v, want one of the kind %q", name, e, githost.Invalid)
			}
		}
	}
	if asked := s.Requests(); len(asked) > 0 {
		t.Errorf("asked %v, want nothing", asked)
	}
}

func (k Kind) foreign(t *testing.T) {
	s := k.serve(t)
	h := s.open(t, token)
	body := k.Foreign(ours, strings.Repeat("long ", 10_000)+"\x1b[31m")
	for _, name := range []string{"state", "status"} {
		if body[name] != nil {
			body[name] = "warning"
		}
	}
	body["target_url"] = "javascript:alert(1)"
	s.AddStatus(path, sha, body)
	got, ok := read(t, h, s.repository(), ours)
	much := len([]rune(got.Description)) > k.Description || strings.ContainsRune(got.Description, '\x1b')
	if !ok || much || got.State != "" || got.TargetURL != "" {
		t.Errorf("%+v, %t; want it without a state, an address and what is too much", got, ok)
	}
	want := githost.Status{Context: ours, State: githost.Success}
	set(t, h, s.repository(), want)
	if got, _ := read(t, h, s.repository(), ours); got != want {
		t.Errorf("afterwards: %+v", got)
	}
}

func (k Kind) limits(t *testing.T) {
	s := k.serve(t)
	h := s.open(t, token)
	want := githost.Status{Context: ours, State: githost.Success}
	for _, limit := range []githosttest.Limit{githosttest.Exhausted, githosttest.Abused, githosttest.TooMany} {
		s.SetLimit(limit)
		_, _, err := h.StatusOf(t.Context(), s.repository(), sha, ours)
		for _, err := range []error{err, h.SetStatus(t.Context(), s.repository(), sha, want)} {
			if e := errorOf(t, string(limit), err); e.Kind != githost.RateLimited || !e.Until.After(time.Now()) {
				t.Errorf("%s: %v, until %s; want one of the kind %q with a time", limit, e, e.Until, githost.RateLimited)
			}
		}
	}
	s.SetLimit(githosttest.Unlimited)
	set(t, h, s.repository(), want)
	if n := len(s.StatusesOf(path, sha)); n != 1 {
		t.Errorf("%d statuses, want one", n)
	}
}
