package gitlab

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	gogitlab "gitlab.com/gitlab-org/api/client-go"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/internal/jsonstream"
	"github.com/tekton-sentry/sentry/pkg/githost/internal/owned"
	"github.com/tekton-sentry/sentry/pkg/githost/internal/rest"
	"github.com/tekton-sentry/sentry/pkg/githost/transport"
)

// ownedSlack is how much older a change may look than it is: of pushes within an hour, the first alone moves the time of the last
// activity.
const ownedSlack = 65 * time.Minute

// The orders of what changed: what is set, such as a name, moves the one time, and what is pushed the other.
const (
	byUpdate   = "updated_at"
	byActivity = "last_activity_at"
)

// Owned implements githost.Owners by the lists of REST, which tell how many there are up to 10,000. Files come by GraphQL, a hundred
// with one query.
func (h *host) Owned(ctx context.Context, q githost.OwnedBy, last *githost.Owned) (*githost.Owned, error) {
	if err := owned.Check(h.api.Host(), q, true); err != nil {
		return nil, err
	}
	if q.File != "" && h.token == "" {
		return nil, githost.NewError(githost.Denied, h.api.Host(), "there is no token: GitLab tells which repositories have the file %.60q to those who have one; "+
			"one with the scope read_api will do", q.File)
	}
	ctx = transport.Mark(ctx, transport.Marks{Aside: true})
	list, err := h.owned(ctx, "groups/", q, last)
	if e, ok := errors.AsType[*githost.Error](err); ok && e.Kind == githost.NotFound && !strings.Contains(q.Owner, "/") {
		return h.owned(ctx, "users/", q, last)
	}
	return list, err
}

func (h *host) owned(ctx context.Context, of string, q githost.OwnedBy, last *githost.Owned) (*githost.Owned, error) {
	o := owner{h, q, of + gogitlab.PathEscape(q.Owner) + "/projects", rest.Need{Of: fmt.Sprintf("group or user as %.60q", q.Owner),
		May: "list its repositories", Right: "a token with the scope read_api"}}
	l := owned.Lister{Host: h.api.Host(), OwnedBy: q, Page: o.page, Orders: []string{byUpdate, byActivity}, Slack: ownedSlack, Files: o.files}
	return l.Owned(ctx, last)
}

// owner is whose repositories are listed.
type owner struct {
	*host
	githost.OwnedBy
	path string
	need rest.Need
}

// ownedOptions are the parameters of a page. Users have no subgroups, and their lists know no such parameters.
type ownedOptions struct {
	gogitlab.ListOptions
	OrderBy   string `url:"order_by"`
	Sort      string `url:"sort"`
	Subgroups bool   `url:"include_subgroups,omitempty"`
	Shared    *bool  `url:"with_shared,omitempty"` // with the group, by other owners
}

// page reads a page of a list.
func (o *owner) page(ctx context.Context, order string, size int, cursor string) (owned.Page, error) {
	number, before := owned.Numbered(cursor)
	opts := ownedOptions{ListOptions: gogitlab.ListOptions{Page: int64(number), PerPage: int64(size)}, OrderBy: order, Sort: "desc"}
	if order == "" {
		opts.OrderBy, opts.Sort = "id", "asc"
	}
	if strings.HasPrefix(o.path, "groups/") {
		opts.Subgroups, opts.Shared = true, new(bool)
	}
	p := owned.Page{Total: -1}
	header, err := o.get(ctx, o.path, opts, rest.Stream(func(v *jsonstream.Reader) error {
		if v.IsNull() {
			return githost.NewError(githost.Invalid, o.api.Host(), "the answer is empty: is this a GitLab?")
		}
		for range v.Items() {
			if len(p.Entries) > owned.MaxPage {
				v.Stop() // a hostile answer may go on for long
				return nil
			}
			p.Entries = append(p.Entries, readProject(v, order))
		}
		return v.End()
	}))
	if err != nil {
		return p, err
	}
	if header.Get("X-Total") == "" && len(p.Entries) == size {
		return p, githost.NewError(githost.TooLarge, o.api.Host(), "it does not tell how many repositories %.100q has, as GitLab does not of more than "+
			"10,000: discover the groups in it", o.Owner)
	}
	p.Total, p.Date = owned.Number(header.Get("X-Total")), owned.Date(header)
	p.Next = owned.Following(number, before, len(p.Entries), p.Total)
	return p, nil
}

func readProject(v *jsonstream.Reader, order string) (e owned.Entry) {
	at := func() time.Time {
		t, _ := time.Parse(time.RFC3339, v.Text()) // zero is told of nothing
		return t
	}
	var updated time.Time
	for field := range v.Fields() {
		switch field {
		case "id":
			if id := owned.Number(v.Scalar()); id > 0 {
				e.ID = strconv.Itoa(id)
			}
		case "path_with_namespace":
			e.Path = strings.Clone(v.Text())
		case "http_url_to_repo":
			e.URL = strings.Clone(v.Text())
		case "ssh_url_to_repo":
			e.SSH = strings.Clone(v.Text())
		case "default_branch":
			e.DefaultBranch = strings.Clone(v.Text())
		case "archived":
			e.Archived = v.Scalar() == "true"
		case "empty_repo":
			e.Empty = v.Scalar() == "true"
		case "forked_from_project":
			e.Fork = !v.IsNull()
		case "topics":
			e.Topics = owned.ReadTopics(v)
		case byUpdate:
			updated = at()
		case byActivity:
			e.Pushed = at()
		}
	}
	if e.Key = e.Pushed; order == byUpdate {
		e.Key = updated
	}
	if e.Empty {
		e.DefaultBranch = ""
	}
	return e
}

// get sends a request, of which a good answer is copied to an io.Writer.
func (o *owner) get(ctx context.Context, path string, opts, to any) (http.Header, error) {
	headers := make(map[string]string)
	if o.token != "" {
		headers["Authorization"] = "Bearer " + o.token
	}
	req, err := o.client.NewRequest(http.MethodGet, path, opts, []gogitlab.RequestOptionFunc{gogitlab.WithContext(ctx), gogitlab.WithHeaders(headers)})
	if err != nil {
		return nil, rest.Failed(ctx, o.api.Host(), err)
	}
	resp, err := o.client.Do(req, to)
	if err := o.libraryError(ctx, resp, err, o.need); err != nil {
		return nil, err
	}
	return resp.Header, nil
}
