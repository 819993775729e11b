// Package gitproto reads branch heads from any server that speaks Git's protocol, over smart HTTP or SSH. It asks for
// the wanted branches alone, by the ls-refs command of protocol version 2 (gitprotocol-v2(5)), in one POST, or one session,
// a repository. What it learns of a server, such as that it only knows version 0 and lists all its refs, it
// remembers, so that the next cycle is one request a repository again.
package gitproto

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/internal/rest"
	"github.com/tekton-sentry/sentry/pkg/githost/sshgit"
	"github.com/tekton-sentry/sentry/pkg/giturl"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

// maxRoutes bounds the repositories whose routes are remembered, some hundred bytes each: more than one server's
// are watched at once.
const maxRoutes = 100_000

// defaultShare is how long one repository may take where the context has no deadline.
const defaultShare = 15 * time.Second

// host is one server with one credential.
type host struct {
	name        string // host[:port]
	client      *http.Client
	posts, gets http.Header   // of all requests
	login       *sshgit.Login // nil = over HTTP

	mu     sync.Mutex
	routes map[string]route // by URL as in sentry.yaml
	usual  dialect          // what the server spoke last
	lost   bool             // neither version made sense when both were tried last
	// whole has until when repositories are not asked for a filter, by route.base.
	whole map[string]time.Time
	space *githost.Space
}

// route is how to ask for one repository.
type route struct {
	base    string  // URL that works: other than written after a redirect, or with .git at its end
	from    string  // URL that redirected to base; "" without a redirect
	dialect dialect // unknown: try version 2
	format  string  // object format to name; "" where none has to be
}

type dialect int

const (
	unknown dialect = iota
	v2
	v0 // or version 1, which differs by one line
)

// Open returns the Host of a server that speaks the Git protocol. Over HTTP, the credential is sent with
// every request, as HTTP Basic: waiting to be asked for it would double the requests. A token without a
// user name is sent as the password of the user git, which hosts accept with any name.
func Open(e githost.Endpoint, client *http.Client) (githost.Host, error) {
	// Each read has a deadline of its own; the client's would cost a goroutine and a timer a request.
	untimed := *client
	untimed.Timeout = 0
	user, password := e.Auth.Basic()
	h := &host{
		name:   e.Host(),
		client: &untimed,
		posts:  headers(typeResult, user, password),
		gets:   headers(typeAdvert, user, password),
		routes: make(map[string]route),
		whole:  make(map[string]time.Time),
		space:  cmp.Or(e.Space, githost.NewSpace()),
	}
	h.posts.Set("Content-Type", typeRequest)
	if giturl.IsSSH(e.Origin) {
		var err error
		if h.login, err = login(e); err != nil {
			return nil, err
		}
	}
	return h, nil
}

// Heads implements githost.Host. One repository may take half of the time that there is for all, so that
// a few that hang leave time for the others.
func (h *host) Heads(ctx context.Context, want []githost.Wanted) []repo.Observation {
	share := defaultShare
	if deadline, ok := ctx.Deadline(); ok {
		share = time.Until(deadline) / 2
	}
	return rest.Each(ctx, h.name, want, func(ctx context.Context, w githost.Wanted) repo.Observation {
		ctx, cancel := githost.WithTimeout(ctx, h.name, share.Round(time.Millisecond))
		defer cancel()
		return h.read(ctx, w)
	})
}

// read asks for one repository, at the URL as written and, where that is not found, with .git at its end: over SSH servers look
// there by themselves.
func (h *host) read(ctx context.Context, w githost.Wanted) repo.Observation {
	if h.login != nil {
		return h.readSSH(ctx, w)
	}
	if r, ok := h.recall(w.URL); ok && (r.from == "" || h.leads(ctx, r)) {
		answer, now := h.ask(ctx, r, w)
		h.learn(w.URL, now, answer)
		return answer
	}
	var first repo.Observation
	for i, base := range spellings(w.URL) {
		answer, r := h.ask(ctx, route{base: base, dialect: h.spoken()}, w)
		if kindOf(answer) != githost.NotFound {
			h.learn(w.URL, r, answer)
			return answer
		}
		if i == 0 {
			first = answer
		}
	}
	return first
}

func spellings(url string) []string {
	url = strings.TrimRight(url, "/")
	if strings.HasSuffix(url, ".git") {
		return []string{url}
	}
	return []string{url, url + ".git"}
}

// ask asks by a route and returns the route that should be taken next time.
func (h *host) ask(ctx context.Context, r route, w githost.Wanted) (repo.Observation, route) {
	var first repo.Observation
	if r.dialect != v0 && !h.isLost() {
		if first = h.lsRefs(ctx, r, w); !mayBeOlder(r, first) {
			r.dialect = v2
			return first, r
		}
	}
	// A server that is no use in general is asked one question from then on, by which any version is found again.
	answer, r := h.advertised(ctx, r, w)
	if first.Err != nil && answer.Status == repo.NotAsked {
		return first, r
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lost = githost.Unhealthy(answer)
	return answer, r
}

func (h *host) isLost() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.lost
}

// mayBeOlder reports whether a failed ls-refs can come from a server, or a repository, that has to be
// asked for its advertisement first: one of version 0, one with SHA-256 names, one that moved. Old servers
// answer the unknown command with an ERR packet, nothing at all, or a status of nearly any kind.
func mayBeOlder(r route, answer repo.Observation) bool {
	switch kindOf(answer) {
	case githost.NotFound:
		return r.dialect != v2
	case githost.Invalid:
		return !errors.Is(answer.Err, errTooMany)
	case githost.Temporary:
		return isOldServer(answer.Err)
	}
	return false
}

func (h *host) recall(url string) (route, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, ok := h.routes[url]
	return r, ok
}

func (h *host) spoken() dialect {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.usual
}

// learn remembers a route that led to a repository, and forgets one that does not any more.
func (h *host) learn(url string, r route, answer repo.Observation) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch kindOf(answer) {
	case "", githost.NoBranch:
		if len(h.routes) >= maxRoutes {
			clear(h.routes) // each is found again by a request or three
		}
		h.routes[url] = r
		h.usual = r.dialect
	case githost.NotFound, githost.Invalid:
		delete(h.routes, url)
	}
}
