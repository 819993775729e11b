package githosttest

import (
	"bytes"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Dialect is what one kind of host does differently. Its functions are called one at a time.
type Dialect struct {
	Answer          func(*Asked) Reply
	Refuse          func(*Asked, int) Reply            // with a status: 401, 403 or 404
	Limited         func(*Asked) Reply                 // while a Limit is set
	Header          func(*Asked) map[string]string     // of every answer
	Changed         func(r *Repository, now time.Time) // after each change; nil = nothing is done
	ETag            string                             // format of a hash in hexadecimal; "" for none
	UnchangedIsFree bool                               // a 304 to a request with the token does not count against the limit
}

// Reply is an answer before it is written.
type Reply struct {
	Status int
	Header map[string]string
	Body   any // encoded as JSON, or a string that is sent as it is
}

// NewReply returns an answer.
func NewReply(status int, header map[string]string, body any) Reply {
	return Reply{status, header, body}
}

// Asked is a request as a Dialect sees it, with the host as it is then.
type Asked struct {
	*http.Request
	Parts   []string // of the path, escaped
	Repos   map[string]*Repository
	Moved   map[string]string // old path -> new path
	Limit   Limit
	Counted int       // against the limit
	Points  int       // of GraphQL
	Reset   time.Time // of the limit

	api *API
}

func (a *API) asked(req *http.Request) *Asked {
	return &Asked{Request: req, Parts: strings.Split(strings.Trim(req.URL.EscapedPath(), "/"), "/"),
		Repos: a.repos, Moved: a.moved, Limit: a.limit, Counted: a.counted, Points: a.points, Reset: a.reset, api: a}
}

// Find returns a repository that a request may read, or the status of the refusal.
func (a *Asked) Find(path string) (*Repository, int) {
	r := a.Repos[path]
	switch {
	case r == nil, !a.Sees(r):
		return nil, http.StatusNotFound
	case r.denied:
		return nil, http.StatusForbidden
	}
	return r, http.StatusOK
}

// Sees reports whether a repository is there for a request.
func (a *Asked) Sees(r *Repository) bool { return !r.hidden && (!r.private || a.HasToken()) }

// Private reports whether a repository is hidden from requests without the token.
func (r *Repository) Private() bool { return r.private }

// Denied reports whether no token may read a repository.
func (r *Repository) Denied() bool { return r.denied }

// Matching returns the branches that keep accepts, sorted by name.
func (r *Repository) Matching(keep func(string) bool) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(r.Branches)), func(b string) bool { return !keep(b) })
}

// HasToken reports whether a request has the token that is accepted.
func (a *Asked) HasToken() bool {
	sent := a.Token()
	return sent != "" && sent == a.api.token
}

// Token returns the token of a request, in any of the forms that the hosts take.
func (a *Asked) Token() string {
	if _, password, ok := a.BasicAuth(); ok {
		return password
	}
	if _, token, ok := strings.Cut(a.Request.Header.Get("Authorization"), " "); ok {
		return token
	}
	return a.Request.Header.Get("Private-Token")
}

// Spend counts points of GraphQL.
func (a *Asked) Spend(points int) {
	a.api.points += points
	a.Points = a.api.points
}

// AsksGraphQL reports whether a request is a query for the endpoint at one of paths, which is open.
func (a *Asked) AsksGraphQL(paths ...string) bool {
	return a.api.graphQL && a.Method == http.MethodPost && slices.Contains(paths, strings.Trim(a.URL.Path, "/"))
}

// Here returns the address that a client has for this host.
func (a *Asked) Here() string { return "http://" + a.Host }

// Query returns the query with its question mark, "" for none.
func (a *Asked) Query() string {
	if a.URL.RawQuery == "" {
		return ""
	}
	return "?" + a.URL.RawQuery
}

// Unescape returns a part of a path as it is meant.
func Unescape(s string) string {
	if u, err := url.PathUnescape(s); err == nil {
		return u
	}
	return s
}

// readAhead reads a request's body. Until it is read, a server does not notice that the client went away.
func readAhead(req *http.Request) {
	body, _ := io.ReadAll(io.LimitReader(req.Body, 1<<20))
	req.Body = io.NopCloser(bytes.NewReader(body))
}
