// Package githosttest is what Git hosts for tests have in common. An API is a host in memory that speaks a Dialect;
// each kind of host has its own beside it, in a folder such as github/githubtest. GitHandler serves repositories of
// a folder over the Git protocol, and Fault and Lie break any of them.
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

	"github.com/tekton-sentry/sentry/pkg/repo"
)

// API is a Git host in memory: an http.Handler that answers the requests for branches as one kind of host does, with
// its headers, error texts and peculiarities. It records what it was asked. Tests change it while it serves.
type API struct {
	dialect Dialect

	mu       sync.Mutex
	repos    map[string]*Repository // by path: owner/name, or groups and name
	moved    map[string]string      // old path -> new path
	owners   map[string]Owner       // by path, in lower case
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
	graphQL  bool
}

// Repository is one repository of an API.
type Repository struct {
	ID       int
	Path     string
	Branches map[string]string
	Tags     map[string]Tag      // by short name
	Pushed   time.Time           // in whole seconds; zero when nothing was
	Requests map[int]OpenRequest // that are open, by number
	Hooks    []Hook
	Topics   []string
	Files    map[string]string // of the default branch, by path
	Created  time.Time
	Updated  time.Time // when what it is called, or whether it is archived, was set
	Labelled time.Time // when its topics were
	Archived bool
	Fork     bool
	statuses []*Status
	private  bool
	hidden   bool
	denied   bool
	readOnly bool
}

// Tag is what a tag points to.
type Tag struct {
	Commit string
	Object string // that of an annotated tag; else the Commit
}

// OpenRequest is an open pull or merge request.
type OpenRequest struct {
	Head, Target string
	From         string // path of the repository that has its branch; "" where that was deleted
	AGit         bool   // it was opened by a push without a branch, as Gitea takes from whoever may read
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

// NewAPI returns a host without repositories.
func NewAPI(d Dialect) *API {
	return &API{dialect: d, repos: make(map[string]*Repository), moved: make(map[string]string), owners: make(map[string]Owner),
		clock: time.Now, graphQL: true, lastID: 1000, reset: time.Now().Add(time.Hour).Truncate(time.Second)}
}

// Create makes an empty repository, unless it is there.
func (a *API) Create(path string) { a.Change(path, func(*Repository) {}) }

// Push points a branch or a tag, by what it is called, at sha, whether that follows from where it was or not, and makes it and
// the repository where they are missing. A tag is an annotated one when sha ends with an odd digit.
func (a *API) Push(path, name, sha string) {
	a.Change(path, func(r *Repository) {
		r.Pushed = a.now().Truncate(time.Second)
		tag, ok := repo.Tag(name)
		switch {
		case !ok:
			r.Branches[name] = sha
		case strings.ContainsAny(sha[len(sha)-1:], "13579bdf"):
			r.Tags[tag] = Tag{sha, fmt.Sprintf("%x", sha256.Sum256([]byte(sha)))[:40]}
		default:
			r.Tags[tag] = Tag{sha, sha}
		}
	})
}

// Delete deletes a branch or a tag, by what it is called.
func (a *API) Delete(path, name string) {
	a.Change(path, func(r *Repository) {
		if tag, ok := repo.Tag(name); ok {
			delete(r.Tags, tag)
			return
		}
		delete(r.Branches, name)
	})
}

// SetRequest opens a request, or pushes to it, or gives it another target. Nothing else of its repository changes.
func (a *API) SetRequest(path string, number int, q OpenRequest) {
	a.Set(func() {
		r := a.repos[path]
		if r.Requests == nil {
			r.Requests = make(map[int]OpenRequest)
		}
		r.Requests[number] = q
	})
}

// CloseRequest closes or merges a request.
func (a *API) CloseRequest(path string, number int) {
	a.Set(func() { delete(a.repos[path].Requests, number) })
}

// Open returns the numbers of the open requests, the oldest first.
func (r *Repository) Open() []int { return slices.Sorted(maps.Keys(r.Requests)) }

// SetPrivate hides a repository from requests without the token.
func (a *API) SetPrivate(path string) { a.Change(path, func(r *Repository) { r.private = true }) }

// SetDenied lets no token read a repository, as when a scope is missing.
func (a *API) SetDenied(path string) { a.Change(path, func(r *Repository) { r.denied = true }) }

// Rename moves a repository. Its old path redirects.
func (a *API) Rename(from, to string) {
	a.Set(func() {
		r := a.repos[from]
		delete(a.repos, from)
		r.Path, r.Updated = to, a.now()
		a.repos[to], a.moved[from] = r, to
	})
}

// Remove deletes a repository.
func (a *API) Remove(path string) { a.Set(func() { delete(a.repos, path) }) }

// Change changes a repository while nothing is answered, and makes it where it is missing.
func (a *API) Change(path string, f func(*Repository)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := a.repos[path]
	if r == nil {
		a.lastID++
		r = &Repository{ID: a.lastID, Path: path, Branches: make(map[string]string), Tags: make(map[string]Tag), Created: a.now(), Updated: a.now()}
		a.repos[path] = r
	}
	f(r)
	if a.dialect.Changed != nil {
		a.dialect.Changed(r, a.now())
	}
}

// SetToken sets the only token that is accepted. Any other is refused, for public repositories too.
func (a *API) SetToken(token string) { a.Set(func() { a.token = token }) }

// SetLimit turns all requests away, until it is called with Unlimited.
func (a *API) SetLimit(l Limit) { a.Set(func() { a.limit = l }) }

// SetLatency delays every answer.
func (a *API) SetLatency(d time.Duration) { a.Set(func() { a.latency = d }) }

// Set runs f while nothing is answered.
func (a *API) Set(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f()
}

// SetGraphQL opens or closes the GraphQL endpoint of hosts that have one, which is open at first.
func (a *API) SetGraphQL(open bool) { a.Set(func() { a.graphQL = open }) }

// Advance sets the host's clock forward. It is in the Date of each answer.
func (a *API) Advance(d time.Duration) { a.Set(func() { a.ahead += d }) }

// SetClock replaces the host's clock, which is the real one at first.
func (a *API) SetClock(now func() time.Time) { a.Set(func() { a.clock = now }) }

func (a *API) now() time.Time { return a.clock().Add(a.ahead) }

// Points returns how many points GraphQL queries have cost.
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

// ServeHTTP implements http.Handler.
func (a *API) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	readAhead(req)
	if !a.wait(req.Context()) {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	asked := a.asked(req)
	rep := a.answer(asked)
	h := w.Header()
	for k, v := range rep.Header {
		h.Set(k, v)
	}
	text, isText := rep.Body.(string)
	body := []byte(text)
	if !isText {
		body, _ = json.Marshal(rep.Body)
	}
	h.Set("Date", a.now().UTC().Format(http.TimeFormat))
	if a.dialect.ETag != "" && rep.Status == http.StatusOK && req.Method == http.MethodGet {
		// The real ones depend on the body alone, or on the body and the credential; never on headers.
		h.Set("ETag", fmt.Sprintf(a.dialect.ETag, sha256.Sum256(append(body, req.Header.Get("Authorization")...))))
		if req.Header.Get("If-None-Match") == h.Get("ETag") {
			rep.Status, body = http.StatusNotModified, nil
			h.Del("Content-Type")
		}
	}
	if rep.Status != http.StatusNotModified || !a.dialect.UnchangedIsFree || !asked.HasToken() {
		a.counted++
	}
	asked.Counted, asked.Points = a.counted, a.points
	for k, v := range a.dialect.Header(asked) {
		if h.Get(k) == "" {
			h.Set(k, v)
		}
	}
	w.WriteHeader(rep.Status)
	_, _ = w.Write(body)
	a.requests = append(a.requests, Request{URL: req.URL.RequestURI(), Authorization: req.Header.Get("Authorization"),
		IfNoneMatch: req.Header.Get("If-None-Match"), Status: rep.Status, Bytes: len(body)})
}

func (a *API) answer(asked *Asked) Reply {
	switch {
	case a.limit != Unlimited:
		return a.dialect.Limited(asked)
	case asked.Token() != "" && !asked.HasToken():
		return a.dialect.Refuse(asked, http.StatusUnauthorized)
	}
	return a.dialect.Answer(asked)
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
