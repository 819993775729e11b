// Package gitlab reads branch heads from gitlab.com and self-managed GitLab. With a token, and on servers
// whose GraphQL offers a commit by its ref (18.0 and newer; each is asked once), one query answers the
// exact names of up to a hundred projects.
//
// Patterns, older servers, and whatever GraphQL leaves open are asked for by REST. One request a page of
// a hundred branches answers a repository, with the server filtering by what the patterns have in common.
// ETags keep unchanged answers small; GitLab counts them all the same.
//
// There is no githost.Prefilter. A project's last_activity_at moves once an hour. The events of pushes
// show those to projects that the token's user is a member of, and nothing of public ones; they are
// asked for by whole days, and their pages in the evening cost more than reading everything does.
//
// Personal, project, group and OAuth tokens are sent as Bearer, which Go takes away, unlike GitLab's own
// header, should a redirect ever lead elsewhere. Passwords and deploy tokens do not open the API; the
// user name is not used. Without a token public projects are read.
package gitlab

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"strings"
	"sync"

	gogitlab "gitlab.com/gitlab-org/api/client-go"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/breaker"
	"github.com/tekton-sentry/sentry/pkg/githost/internal/graphql"
	"github.com/tekton-sentry/sentry/pkg/githost/internal/jsonstream"
	"github.com/tekton-sentry/sentry/pkg/githost/internal/rest"
	"github.com/tekton-sentry/sentry/pkg/githost/transport"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

const (
	// perPage is the most branches that GitLab puts on a page.
	perPage = 100
	// maxRegex bounds the server's filter in bytes, to keep the URL within what proxies pass on.
	maxRegex = 1_500
)

type host struct {
	api     rest.API
	client  *gogitlab.Client
	library *gogitlab.Client // of webhooks and statuses
	token   string

	graphQL graphql.Client
	batches graphql.Batches

	mu     sync.Mutex
	offers bool // the server's GraphQL answers heads
	// breaker is that of such GraphQL, which the server may not have.
	breaker breaker.Breaker
	rests   int // calls of Heads that leave GraphQL alone, after it was in trouble
}

// Open is the githost.Open of GitLab. The API is <origin>/api/v4; for a GitLab below a path, api_url
// says which: https://host/path, with or without /api/v4.
func Open(e githost.Endpoint, client *http.Client) (githost.Host, error) {
	api, err := rest.ParseAPI(e, "/api/v4")
	if err != nil {
		return nil, err
	}
	token, err := rest.Token(e)
	if err != nil {
		return nil, err
	}
	c, err := newClient(api, rest.Bounded(client))
	if err != nil {
		return nil, err
	}
	library, err := newClient(api, rest.ForLibrary(client))
	if err != nil {
		return nil, err
	}
	return &host{api: api, client: c, library: library, token: token, graphQL: graphql.Client{
		URL: graphQLURL(api.Base), Host: api.Host(), Token: token, HTTP: client}}, nil
}

func newClient(api rest.API, client *http.Client) (*gogitlab.Client, error) {
	return gogitlab.NewAuthSourceClient(gogitlab.Unauthenticated{},
		gogitlab.WithBaseURL(api.Base.String()),
		gogitlab.WithHTTPClient(client),
		gogitlab.WithoutRetries(), // the client given retries
		gogitlab.WithCustomLimiter(unlimited{}))
}

// unlimited never waits: the library's own limiter slows all calls down after the first answer.
type unlimited struct{}

func (unlimited) Wait(context.Context) error { return nil }

// Heads implements githost.Host.
func (h *host) Heads(ctx context.Context, want []githost.Wanted) []repo.Observation {
	answers, left := h.query(ctx, want)
	others := make([]githost.Wanted, len(left))
	for i, at := range left {
		others[i] = want[at]
	}
	for i, o := range rest.Each(ctx, h.api.Host(), others, h.read) {
		answers[left[i]] = o
	}
	return answers
}

// memory is what a project's last answers said, and its Validator.
type memory struct {
	branches int // that it had
	pages    *rest.Pages
}

// lastOf returns what a project's last answers said.
func lastOf(w githost.Wanted) memory {
	if m, ok := w.Validator.(*memory); ok {
		return *m
	}
	return memory{}
}

// Cost implements repo.Validator.
func (m *memory) Cost() int { return m.pages.Cost() }

// project returns the full path of a project.
func (h *host) project(repoURL string) (string, error) {
	parts, err := rest.Project(repoURL, h.api.Mount)
	if err == nil && len(parts) < 2 {
		err = rest.Address("repo_url: the path is not GROUP/PROJECT (for a GitLab below a path, set api_url)")
	}
	return strings.Join(parts, "/"), err
}

func (h *host) read(ctx context.Context, w githost.Wanted) repo.Observation {
	project, err := h.project(w.URL)
	if err != nil {
		return githost.Failed(githost.NewError(githost.Invalid, h.api.Host(), "%w", err))
	}
	heads, last := githost.NewHeads(h.api.Host(), w), lastOf(w)
	pages := last.pages.Again()
	for _, l := range lists(w.Patterns) {
		path := "projects/" + gogitlab.PathEscape(project) + "/" + l.name
		asked := rest.Request{Host: h.api.Host(), Name: path + " " + l.filter(), Size: perPage, Patterns: w.Patterns}
		err = pages.Read(ctx, asked, heads, func(ctx context.Context, number int, etag string, add func(rest.Head) error) (rest.Page, error) {
			return h.page(ctx, path, l, number, etag, add)
		})
		if err != nil {
			break
		}
	}
	o := pages.Observation(heads, err)
	if o.Err == nil {
		last.branches = len(o.Heads)
	}
	o.Validator = &memory{last.branches, pages}
	return o
}

func (h *host) page(ctx context.Context, path string, l list, number int, etag string, add func(rest.Head) error) (rest.Page, error) {
	opts := l.options
	opts.Page = int64(number)
	headers := make(map[string]string)
	if h.token != "" {
		headers["Authorization"] = "Bearer " + h.token
	}
	if etag != "" {
		headers["If-None-Match"] = etag
	}
	req, err := h.client.NewRequest(http.MethodGet, path, opts,
		[]gogitlab.RequestOptionFunc{gogitlab.WithContext(ctx), gogitlab.WithHeaders(headers)})
	if err != nil {
		return rest.Page{}, rest.Failed(ctx, h.api.Host(), err)
	}
	branches := 0
	resp, err := h.client.Do(req, rest.Stream(func(v *jsonstream.Reader) error {
		if l.prefix == repo.Merges {
			return h.requests(v, func(head rest.Head) error { branches++; return add(head) })
		}
		return h.refs(v, l, func(name, sha string) error {
			branches++
			return add(rest.Head{Branch: l.called(name), Name: sha})
		})
	}))
	if resp == nil {
		return rest.Page{}, rest.Failed(ctx, h.api.Host(), err)
	}
	var total *int // of open requests: strangers close these at any time
	if _, told := resp.Header["X-Total"]; told && l.prefix == repo.Merges {
		total = new(int(resp.TotalItems))
	}
	switch {
	case resp.StatusCode == http.StatusNotModified: // err is that there was no body
		return rest.Page{Unchanged: true, Total: total}, nil
	case resp.StatusCode != http.StatusOK:
		return rest.Page{}, transport.StatusError(h.api.Host(), resp.Response, bodyOf(err))
	case err != nil:
		return rest.Page{}, rest.Failed(ctx, h.api.Host(), err)
	}
	page := rest.Page{ETag: resp.Header.Get("ETag"), Next: int(resp.NextPage), Total: total}
	if _, told := resp.Header["X-Next-Page"]; !told && branches >= perPage {
		page.Next = number + 1 // some proxy took the header away
	}
	return page, nil
}

// refs reads a list of branches or tags, and adds those that have a commit: a tag may be of something else.
func (h *host) refs(v *jsonstream.Reader, l list, add func(name, sha string) error) error {
	if v.IsNull() {
		return githost.NewError(githost.Invalid, h.api.Host(), "the answer is empty: is this a GitLab?")
	}
	for range v.Items() {
		var name, sha string
		none := false
		for field := range v.Fields() {
			switch field {
			case "name":
				name = v.Text()
			case "commit":
				none = v.IsNull() && l.prefix == repo.Tags
				for field := range v.Fields() {
					if field == "id" {
						sha = v.Text()
					}
				}
			}
		}
		if err := rest.CheckItem(v, h.api.Host(), name); err != nil {
			return err
		}
		if none {
			continue
		}
		if err := add(name, sha); err != nil {
			return err
		}
	}
	return v.End()
}

// bodyOf returns what the library has read of an answer that it calls an error.
func bodyOf(err error) []byte {
	if e, ok := errors.AsType[*gogitlab.ErrorResponse](err); ok {
		return e.Body
	}
	return nil
}

// list is what is asked for of a project, page by page: its branches, its tags, or its open requests.
type list struct {
	name    string // at the end of the path
	prefix  string // of full names
	options listOptions
}

// listOptions are the parameters of a page. They are those of all lists.
type listOptions struct {
	gogitlab.ListOptions
	Regex  string `url:"regex,omitempty"`
	Search string `url:"search,omitempty"`
	State  string `url:"state,omitempty"`
}

// plain is what means nothing in a search.
var plain = regexp.MustCompile(`^[A-Za-z0-9._/-]+$`)

// lists returns what has to be asked for. Tags know no regular expression, and are searched for by what all of the patterns begin with.
func lists(patterns repo.Patterns) []list {
	pages := gogitlab.ListOptions{PerPage: perPage}
	if _, requests := patterns.Requests(); requests {
		return []list{{"merge_requests", repo.Merges, listOptions{ListOptions: pages, State: "opened"}}}
	}
	var all []list
	if branches := patterns.Branches(); len(branches) > 0 {
		all = append(all, list{"repository/branches", repo.Heads, listOptions{ListOptions: pages, Regex: serverRegex(branches)}})
	}
	if tags := patterns.Tags(); len(tags) > 0 {
		search := ""
		if prefixes := rest.Prefixes(tags); len(prefixes) == 1 && plain.MatchString(prefixes[0]) {
			search = "^" + prefixes[0]
		}
		all = append(all, list{"repository/tags", repo.Tags, listOptions{ListOptions: pages, Search: search}})
	}
	return all
}

// filter returns what tells the answers to a list apart.
func (l list) filter() string { return l.options.Regex + l.options.Search }

func (l list) called(short string) string {
	name, _ := repo.Called(l.prefix + short)
	return name
}

// serverRegex returns a regular expression that the server can leave branches out by, "" for none. It
// matches more than the patterns do, and has only literals in it, so that the dialect of the server
// (RE2, of any version) makes no difference. A GitLab that does not know the parameter answers with all.
func serverRegex(patterns repo.Patterns) string {
	alternatives := make([]string, 0, len(patterns))
	for _, p := range patterns {
		literal := regexp.QuoteMeta(p.Prefix())
		if literal == "" {
			return ""
		}
		if _, exact := p.Exact(); exact {
			literal += "$"
		}
		alternatives = append(alternatives, literal)
	}
	filter := "^(" + strings.Join(alternatives, "|") + ")"
	if len(filter) > maxRegex {
		return ""
	}
	return filter
}
