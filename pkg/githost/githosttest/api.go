// Package githosttest is Git hosts for tests, each an http.Handler: API answers like GitHub, GitLab or
// Gitea from memory, GitHandler serves repositories of a folder over the Git protocol, and Fault breaks
// either of them.
package githosttest

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/tekton-sentry/sentry/pkg/config"
)

// API is a Git host in memory: an http.Handler that answers the requests for branches as GitHub, GitLab
// or Gitea do, with their headers, error texts and peculiarities. It records what it was asked. Tests
// change it while it serves.
type API struct {
	kind config.HostType

	mu       sync.Mutex
	repos    map[string]*apiRepo // by path: owner/name, or groups and name
	moved    map[string]string   // old path -> new path
	token    string
	limit    Limit
	latency  time.Duration
	requests []Request
	counted  int // against the rate limit
	points   int // of GraphQL
	lastID   int
	reset    time.Time
	clock    func() time.Time
	ahead    time.Duration // of the clock
	lag      time.Duration // after which a Gitea's list shows a change
	ties     bool          // a Gitea's list orders changes of the same second on each page anew

	graphQL    bool
	gitalyDown bool
	queries    map[string]*ast.QueryDocument // that were valid, by their text
}

type apiRepo struct {
	id       int
	path     string
	branches map[string]string
	private  bool
	denied   bool
	pushed   time.Time // in whole seconds; zero when nothing was
	gitea    giteaRepo
}

// Request is one request that an API was sent, and what became of it.
type Request struct {
	URL           string // path and query
	Authorization string
	IfNoneMatch   string
	Status        int
	Bytes         int // of the answer's body
}

// Limit is how an API turns requests away.
type Limit string

// The limits. Each lasts an hour, or 60 seconds where it is told by Retry-After.
const (
	Unlimited Limit = ""
	Exhausted Limit = "exhausted" // GitHub: 403, X-RateLimit-Remaining: 0; GitLab: 429, RateLimit-*; Gitea's proxy: 429
	Abused    Limit = "abused"    // GitHub's secondary limit: 403, Retry-After; the others as above
	TooMany   Limit = "too many"  // 429 with Retry-After
)

// NewAPI returns a host without repositories. It panics for config.Git, which has no API.
func NewAPI(kind config.HostType) *API {
	if _, ok := dialects[kind]; !ok {
		panic("githosttest: no API for " + string(kind))
	}
	return &API{kind: kind, repos: make(map[string]*apiRepo), moved: make(map[string]string),
		clock: time.Now, graphQL: true, queries: make(map[string]*ast.QueryDocument), lastID: 1000, reset: time.Now().Add(time.Hour).Truncate(time.Second)}
}

// Create makes an empty repository, unless it is there.
func (a *API) Create(path string) { a.change(path, func(*apiRepo) {}) }

// Push points a branch at sha, whether that follows from where it was or not, and makes branch and
// repository where they are missing.
func (a *API) Push(path, branch, sha string) {
	a.change(path, func(r *apiRepo) { r.branches[branch], r.pushed = sha, a.now().Truncate(time.Second) })
}

// Delete deletes a branch.
func (a *API) Delete(path, branch string) {
	a.change(path, func(r *apiRepo) { delete(r.branches, branch) })
}

// SetPrivate hides a repository from requests without the token.
func (a *API) SetPrivate(path string) { a.change(path, func(r *apiRepo) { r.private = true }) }

// SetDenied lets no token read a repository, as when a scope is missing.
func (a *API) SetDenied(path string) { a.change(path, func(r *apiRepo) { r.denied = true }) }

// Rename moves a repository. Its old path redirects.
func (a *API) Rename(from, to string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := a.repos[from]
	delete(a.repos, from)
	r.path = to
	a.repos[to], a.moved[from] = r, to
}

// Remove deletes a repository.
func (a *API) Remove(path string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.repos, path)
}

func (a *API) change(path string, f func(*apiRepo)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.repos[path] == nil {
		a.lastID++
		a.repos[path] = &apiRepo{id: a.lastID, path: path, branches: make(map[string]string)}
	}
	f(a.repos[path])
	a.touch(a.repos[path])
}

// SetToken sets the only token that is accepted. Any other is refused, for public repositories too.
func (a *API) SetToken(token string) { a.set(func() { a.token = token }) }

// SetLimit turns all requests away, until it is called with Unlimited.
func (a *API) SetLimit(l Limit) { a.set(func() { a.limit = l }) }

// SetLatency delays every answer.
func (a *API) SetLatency(d time.Duration) { a.set(func() { a.latency = d }) }

func (a *API) set(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f()
}

// SetGraphQL opens or closes the GraphQL endpoint of GitHub and GitLab, which is open at first.
func (a *API) SetGraphQL(open bool) { a.set(func() { a.graphQL = open }) }

// SetGitalyDown has GitLab's GraphQL answer as it does when the server that holds the repositories is out
// of reach: with no commits, and no error.
func (a *API) SetGitalyDown(down bool) { a.set(func() { a.gitalyDown = down }) }

// Advance sets the host's clock forward. It is in the Date of each answer.
func (a *API) Advance(d time.Duration) { a.set(func() { a.ahead += d }) }

// SetClock replaces the host's clock, which is the real one at first.
func (a *API) SetClock(now func() time.Time) { a.set(func() { a.clock = now }) }

func (a *API) now() time.Time { return a.clock().Add(a.ahead) }

// Points returns how many points GitHub's GraphQL queries have cost.
func (a *API) Points() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.points
}

// Requests returns what was asked since the last call, in the order of the answers.
func (a *API) Requests() []Request {
	a.mu.Lock()
	defer a.mu.Unlock()
	asked := a.requests
	a.requests = nil
	return asked
}

// reply is an answer before it is written.
type reply struct {
	status int
	header map[string]string
	body   any // encoded as JSON, or a string that is sent as it is
}

// dialect is what the hosts do differently.
type dialect struct {
	route   func(a *API, req *http.Request, parts []string) reply
	denied  func(a *API, req *http.Request, status int) reply // 401, 403, 404
	limited func(a *API) reply
	header  func(a *API, req *http.Request) map[string]string // on every answer
	etag    string                                            // format of a hash in hexadecimal; "" for none
}

var dialects = map[config.HostType]dialect{
	config.GitHub: {gitHubRoute, gitHubDenied, gitHubLimited, gitHubHeader, `W/"%x"`},
	config.GitLab: {gitLabRoute, gitLabDenied, gitLabLimited, gitLabHeader, `W/"%x"`},
	config.Gitea:  {giteaRoute, giteaDenied, giteaLimited, giteaHeader, ""},
}

// ServeHTTP implements http.Handler.
func (a *API) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	readAhead(req)
	if !a.wait(req.Context()) {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	d := dialects[a.kind]
	rep := a.answer(d, req)
	h := w.Header()
	for k, v := range rep.header {
		h.Set(k, v)
	}
	text, isText := rep.body.(string)
	body := []byte(text)
	if !isText {
		body, _ = json.Marshal(rep.body)
	}
	h.Set("Date", a.now().UTC().Format(http.TimeFormat))
	if d.etag != "" && rep.status == http.StatusOK && req.Method == http.MethodGet {
		// The real ones depend on the body alone, or on the body and the credential; never on headers.
		h.Set("ETag", fmt.Sprintf(d.etag, sha256.Sum256(append(body, req.Header.Get("Authorization")...))))
		if req.Header.Get("If-None-Match") == h.Get("ETag") {
			rep.status, body = http.StatusNotModified, nil
			h.Del("Content-Type")
		}
	}
	if rep.status != http.StatusNotModified || a.kind != config.GitHub || !a.hasToken(req) {
		a.counted++
	}
	for k, v := range d.header(a, req) {
		if h.Get(k) == "" {
			h.Set(k, v)
		}
	}
	w.WriteHeader(rep.status)
	_, _ = w.Write(body)
	a.requests = append(a.requests, Request{URL: req.URL.RequestURI(), Authorization: req.Header.Get("Authorization"),
		IfNoneMatch: req.Header.Get("If-None-Match"), Status: rep.status, Bytes: len(body)})
}

func (a *API) answer(d dialect, req *http.Request) reply {
	switch {
	case a.limit == Exhausted && a.kind == config.GitHub && a.asksGraphQL(req, gitHubEndpoints...):
		return gitHubQueryLimited()
	case a.limit != Unlimited:
		return d.limited(a)
	case sentToken(req) != "" && !a.hasToken(req):
		return d.denied(a, req, http.StatusUnauthorized)
	}
	return d.route(a, req, strings.Split(strings.Trim(req.URL.EscapedPath(), "/"), "/"))
}

// wait delays an answer, and reports whether the client is still there.
func (a *API) wait(ctx context.Context) bool {
	a.mu.Lock()
	latency := a.latency
	a.mu.Unlock()
	if latency == 0 {
		return true
	}
	timer := time.NewTimer(latency)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// find returns a repository that a request may read, or the status of the refusal.
func (a *API) find(req *http.Request, path string) (*apiRepo, int) {
	r := a.repos[path]
	switch {
	case r == nil, r.private && !a.hasToken(req):
		return nil, http.StatusNotFound
	case r.denied:
		return nil, http.StatusForbidden
	}
	return r, http.StatusOK
}

func (a *API) hasToken(req *http.Request) bool {
	sent := sentToken(req)
	return sent != "" && sent == a.token
}

// sentToken returns the token of a request, in any of the forms that the hosts take.
func sentToken(req *http.Request) string {
	if _, password, ok := req.BasicAuth(); ok {
		return password
	}
	if _, token, ok := strings.Cut(req.Header.Get("Authorization"), " "); ok {
		return token
	}
	return req.Header.Get("Private-Token")
}

// matching returns the branches that keep accepts, sorted by name.
func (r *apiRepo) matching(keep func(string) bool) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(r.branches)), func(b string) bool { return !keep(b) })
}

// here returns the address that a client has for this host.
func here(req *http.Request) string { return "http://" + req.Host }
