// Package github reads branch heads from github.com and GitHub Enterprise. With a token one GraphQL query
// answers up to a hundred repositories and costs one of the 5,000 points that a token has an hour.
//
// Without a token, and for what GraphQL answers badly (more than 500 branches, many exact names, a server
// without it), the REST API is asked. There one request, for the refs that begin with what the patterns
// have in common, answers a repository; asked again with the ETag of the last answer it costs nothing of
// the rate limit while nothing has changed.
//
// Tokens of all kinds (personal, fine-grained, of an app) are sent as Bearer. GitHub knows no passwords;
// the user name is not used. Without a token public repositories are read, 60 requests an hour.
package github

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	gogithub "github.com/google/go-github/v60/github"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/breaker"
	"github.com/tekton-sentry/sentry/pkg/githost/github/installation"
	"github.com/tekton-sentry/sentry/pkg/githost/internal/graphql"
	"github.com/tekton-sentry/sentry/pkg/githost/internal/jsonstream"
	"github.com/tekton-sentry/sentry/pkg/githost/internal/requests"
	"github.com/tekton-sentry/sentry/pkg/githost/internal/rest"
	"github.com/tekton-sentry/sentry/pkg/githost/transport"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

type host struct {
	base   *url.URL // with a slash at its end, as go-github wants it
	name   string   // host[:port] of the API
	client *http.Client
	limit  time.Duration // of one request; 0 = none
	token  string
	billed func(githost.Bill)

	graphQL graphql.Client
	batches graphql.Batches

	mu      sync.Mutex
	breaker breaker.Breaker // of GraphQL, which the server may not have
	spoke   time.Time       // when GraphQL answered last
	large   map[string]bool // repositories with more branches than GraphQL is good for
}

// Open is the githost.Open of GitHub. The API is https://api.github.com for github.com,
// https://api.NAME.ghe.com for https://NAME.ghe.com, and <origin>/api/v3 for any other server; api_url
// names it whole, where it is elsewhere.
func Open(e githost.Endpoint, client *http.Client) (githost.Host, error) {
	base, err := apiBase(e)
	if err != nil {
		return nil, err
	}
	token, err := rest.Token(e)
	if err != nil {
		return nil, err
	}
	base.Path += "/"
	if app := e.Auth.App; app.IsSet() {
		if client, err = installation.Client(client, base, app, e.Minted); err != nil {
			return nil, err
		}
		token = "of the installation" // stands in for the one that the client sends
	}
	// go-github leaves the bodies of errors open, and with them a goroutine for the client's timeout.
	name := strings.ToLower(base.Host)
	untimed := rest.Bounded(client)
	untimed.Timeout = 0
	return &host{base: base, name: name, client: untimed, limit: client.Timeout, token: token, billed: e.Billed,
		graphQL: graphql.Client{URL: graphQLURL(base), Host: name, Token: token, Resource: pointsResource, HTTP: client},
		large:   make(map[string]bool)}, nil
}

// graphQLURL returns the endpoint beside a REST API: /api/graphql for an Enterprise server's /api/v3/, and
// graphql below it for all others.
func graphQLURL(base *url.URL) string {
	u := *base
	if strings.HasSuffix("/"+u.Path, "/api/v3/") {
		u.Path = strings.TrimSuffix(u.Path, "v3/")
	}
	return u.JoinPath("graphql").String()
}

func apiBase(e githost.Endpoint) (*url.URL, error) {
	if e.APIURL != "" {
		return rest.ParseURL(e.APIURL)
	}
	u, err := url.Parse(e.Origin)
	if err != nil {
		return nil, err
	}
	switch name := u.Hostname(); {
	case name == "github.com" || name == "www.github.com":
		return url.Parse("https://api.github.com")
	case strings.HasSuffix(name, ".ghe.com"):
		return url.Parse("https://api." + name)
	}
	return u.JoinPath("/api/v3"), nil
}

// Heads implements githost.Host.
func (h *host) Heads(ctx context.Context, want []githost.Wanted) []repo.Observation {
	if h.token == "" {
		return rest.Each(ctx, h.name, want, h.read)
	}
	answers, left := h.query(ctx, want)
	if len(left) == 0 {
		return answers
	}
	others := make([]githost.Wanted, len(left))
	for i, at := range left {
		others[i] = want[at]
	}
	for i, o := range rest.Each(ctx, h.name, others, h.read) {
		answers[left[i]] = o
	}
	return answers
}

func (h *host) read(ctx context.Context, w githost.Wanted) repo.Observation {
	owner, name, err := rest.OwnerAndName(w.URL, "")
	if err != nil {
		return githost.Failed(githost.NewError(githost.Invalid, h.name, "%w", err))
	}
	heads, pages := githost.NewHeads(h.name, w), rest.PagesOf(w)
	for _, prefix := range rest.Prefixes(w.Patterns.Branches()) {
		if err := h.matching(ctx, owner, name, prefix, w.Patterns, heads, pages); err != nil {
			return pages.Observation(heads, err)
		}
	}
	if len(w.Patterns.OfRequests()) > 0 {
		err = h.pages(ctx, fmt.Sprintf("repos/%s/%s/pulls", url.PathEscape(owner), url.PathEscape(name)), w.Patterns, heads, pages, h.pulls)
	}
	if len(w.Patterns.Tags()) > 0 {
		err = h.pages(ctx, fmt.Sprintf("repos/%s/%s/tags", url.PathEscape(owner), url.PathEscape(name)), w.Patterns, heads, pages, h.tags)
	}
	return pages.Observation(heads, err)
}

// matching reads the branches that begin with prefix. GitHub answers all of them at once, whatever
// per_page says; a server that does make pages is followed.
func (h *host) matching(ctx context.Context, owner, name, prefix string, patterns repo.Patterns, heads *githost.Heads, pages *rest.Pages) error {
	path := fmt.Sprintf("repos/%s/%s/git/matching-refs/heads/%s", url.PathEscape(owner), url.PathEscape(name), escape(prefix))
	return h.pages(ctx, path, patterns, heads, pages, h.refs)
}

// pages reads a list from its first page to the last.
func (h *host) pages(ctx context.Context, path string, patterns repo.Patterns, heads *githost.Heads, pages *rest.Pages, read reader) error {
	asked := rest.Request{Host: h.name, Name: path, Patterns: patterns}
	return pages.Read(ctx, asked, heads, func(ctx context.Context, number int, etag string, add func(rest.Head) error) (rest.Page, error) {
		query := "?per_page=100"
		if number > 1 {
			query += fmt.Sprintf("&page=%d", number)
		}
		return h.page(ctx, path+query, etag, func(v *jsonstream.Reader) error { return read(v, add) })
	})
}

// reader reads a list of refs, and adds those that may be wanted.
type reader func(v *jsonstream.Reader, add func(rest.Head) error) error

func (h *host) page(ctx context.Context, path, etag string, read func(*jsonstream.Reader) error) (rest.Page, error) {
	ctx, cancel := h.limited(transport.Mark(ctx, transport.Marks{Resource: requestsResource}))
	defer cancel() // also closes what was left open
	// A client for each request: go-github's refuses further calls on its own account when it believes
	// that a limit is used up, with answers that no server gave.
	client := gogithub.NewClient(h.client)
	client.BaseURL = h.base
	req, err := client.NewRequest(http.MethodGet, path, nil)
	if err != nil {
		return rest.Page{}, rest.Failed(ctx, h.name, err)
	}
	if h.token != "" {
		req.Header.Set("Authorization", "Bearer "+h.token)
	}
	if etag != "" {
		req.Header.Set("If-None-Match", etag)
	}
	resp, err := client.Do(ctx, req, rest.Stream(read))
	switch {
	case resp == nil:
		return rest.Page{}, rest.Failed(ctx, h.name, err)
	case resp.StatusCode == http.StatusNotModified:
		return rest.Page{Unchanged: true}, nil
	case resp.StatusCode != http.StatusOK:
		return rest.Page{}, h.refused(resp.Response)
	case err != nil:
		return rest.Page{}, rest.Failed(ctx, h.name, err)
	}
	return rest.Page{Next: resp.NextPage, ETag: resp.Header.Get("ETag")}, nil
}

// refs reads a list of refs, and adds those that are branches.
func (h *host) refs(v *jsonstream.Reader, add func(rest.Head) error) error {
	return h.list(v, "ref", "object", func(ref, sha string) error {
		if name, ok := repo.Called(ref); ok && !strings.HasPrefix(ref, repo.Tags) {
			return add(rest.Head{Branch: name, Name: sha})
		}
		return nil
	})
}

// tags reads a list of tags, which tells of their commits.
func (h *host) tags(v *jsonstream.Reader, add func(rest.Head) error) error {
	return h.list(v, "name", "commit", func(tag, sha string) error { return add(rest.Head{Branch: repo.Tags + tag, Name: sha}) })
}

// pulls reads a list of open requests: without a state, these are asked for.
func (h *host) pulls(v *jsonstream.Reader, add func(rest.Head) error) error {
	_, err := requests.ReadPulls(v, h.name, requests.Pull.Own, add)
	return err
}

// list reads a list of what has a name and an object, by the names of these fields.
func (h *host) list(v *jsonstream.Reader, nameField, objectField string, add func(name, sha string) error) error {
	if v.IsNull() || errors.Is(v.Err(), jsonstream.ErrShort) {
		return githost.NewError(githost.Invalid, h.name, "the answer is empty: is this a GitHub?")
	}
	for range v.Items() {
		var name, sha string
		for field := range v.Fields() {
			switch field {
			case nameField:
				name = v.Text()
			case objectField:
				for field := range v.Fields() {
					if field == "sha" {
						sha = v.Text()
					}
				}
			}
		}
		if err := rest.CheckItem(v, h.name, name); err != nil {
			return err
		}
		if err := add(name, sha); err != nil {
			return err
		}
	}
	return v.End()
}

func (h *host) limited(ctx context.Context) (context.Context, context.CancelFunc) {
	if h.limit == 0 {
		return context.WithCancel(ctx)
	}
	return githost.WithTimeout(ctx, h.name, h.limit)
}

// refused makes an error of an answer that is no list, nil for a repository without commits. Such a
// repository is a conflict to GitHub, and so is one that is still being made.
func (h *host) refused(resp *http.Response) error {
	body, _ := io.ReadAll(resp.Body) // go-github has read it, and put it back
	if resp.StatusCode != http.StatusConflict {
		return transport.StatusError(h.name, resp, body)
	}
	if strings.Contains(strings.ToLower(string(body)), "empty") {
		return nil
	}
	e := githost.NewError(githost.Temporary, h.name, "HTTP %d: the repository is not available yet", resp.StatusCode)
	e.Status = resp.StatusCode
	return e
}

// escape makes a branch's beginning fit for a path. GitHub wants its slashes as they are.
func escape(prefix string) string {
	parts := strings.Split(prefix, "/")
	for i := range parts {
		parts[i] = url.PathEscape(parts[i])
	}
	return strings.Join(parts, "/")
}
