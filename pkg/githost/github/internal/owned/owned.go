// Package owned lists an owner's repositories by GitHub's GraphQL: a hundred with one query, for a point or two.
package owned

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/github/internal/reply"
	"github.com/tekton-sentry/sentry/pkg/githost/internal/graphql"
	"github.com/tekton-sentry/sentry/pkg/githost/internal/jsonstream"
	"github.com/tekton-sentry/sentry/pkg/githost/internal/owned"
)

const (
	// slack is how much older a change may look than it is: the answers of several servers are not of the same moment.
	slack = time.Minute
	// fewest is how many repositories are asked for at least where the server runs out of time.
	fewest = 10
	// topics is how many of a repository are asked for: GitHub allows 20.
	topics = 20
)

// Host asks a GitHub.
type Host struct {
	Name string
	// Ask sends a query. build is given what declares a variable of type String!, and returns the fields.
	Ask func(ctx context.Context, build func(variable func(name, value string) string) string, field graphql.Field) (graphql.Answer, error)
	// Refusal makes an error of a problem that an answer has with the owner, or below it.
	Refusal func(graphql.Problem) *githost.Error
}

// Owned implements githost.Owners. It goes by two orders: what is set, such as a name or topics, moves the time of the last update,
// and what is pushed the time of the last push.
func (h Host) Owned(ctx context.Context, q githost.OwnedBy, last *githost.Owned) (*githost.Owned, error) {
	if err := owned.Check(h.Name, q, false); err != nil {
		return nil, err
	}
	most := owned.MaxPage
	l := owned.Lister{Host: h.Name, OwnedBy: q, Orders: []string{"UPDATED_AT", "PUSHED_AT"}, Slack: slack}
	l.Page = func(ctx context.Context, order string, size int, cursor string) (owned.Page, error) {
		for {
			p, err := h.page(ctx, q, order, min(size, most), cursor)
			if err == nil || !errors.Is(err, graphql.ErrTooMuch) || min(size, most) <= fewest {
				return p, err
			}
			most = max(min(size, most)/2, fewest)
		}
	}
	return l.Owned(ctx, last)
}

// page reads a page. Whatever it has no value for is an error, as a repository that is passed over would count as deleted.
func (h Host) page(ctx context.Context, q githost.OwnedBy, order string, size int, cursor string) (owned.Page, error) {
	key, by := "updatedAt", order+",direction:DESC"
	switch order {
	case "":
		by = "CREATED_AT,direction:ASC"
	case "PUSHED_AT":
		key = "pushedAt"
	}
	r := reader{file: q.File != "", key: key}
	p := owned.Page{Total: -1}
	answer, err := h.Ask(ctx, func(variable func(name, value string) string) string {
		after, file := "", ""
		if cursor != "" {
			after = ",after:" + variable("after", cursor)
		}
		if r.file {
			file = "file:object(expression:" + variable("file", "HEAD:"+q.File) + "){__typename ...on Blob{isBinary text}}"
		}
		return fmt.Sprintf("repositoryOwner(login:%s){repositories(first:%d,ownerAffiliations:[OWNER],orderBy:{field:%s}%s){totalCount nodes{"+
			"databaseId nameWithOwner url sshUrl isArchived isFork isEmpty %s defaultBranchRef{name} "+
			"repositoryTopics(first:%d){nodes{topic{name}}} %s} pageInfo{hasNextPage endCursor}}}",
			variable("login", q.Owner), size, by, after, key, topics, file)
	}, func(alias string, v *jsonstream.Reader) {
		if alias == "repositoryOwner" {
			r.owner(v, &p)
		}
	})
	switch {
	case err != nil:
		return p, err
	case len(answer.Problems) > 0:
		return p, h.Refusal(answer.Problems[0])
	case errors.Is(r.err, jsonstream.ErrShape):
		return p, githost.WrapError(h.Name, r.err)
	case r.err != nil:
		return p, githost.NewError(githost.Invalid, h.Name, "the list of the repositories of %.100q: %w", q.Owner, r.err)
	case !r.told:
		return p, githost.NewError(githost.Temporary, h.Name, "the answer leaves the owner %.100q out", q.Owner)
	case r.null:
		return p, githost.NewError(githost.NotFound, h.Name, "there is no organisation or user %.100q, or this credential may not see it", q.Owner)
	case r.next.Next && r.next.Cursor == "", !r.next.Told:
		return p, githost.NewError(githost.Invalid, h.Name, "the list of the repositories of %.100q does not say whether there are more", q.Owner)
	}
	if r.next.Next {
		p.Next = r.next.Cursor
	}
	p.Date = owned.Date(answer.Header)
	return p, nil
}

// reader reads an answer.
type reader struct {
	file       bool   // it is asked for
	key        string // the field that the page is ordered by
	told, null bool   // the owner
	next       reply.Page
	err        error
}

func (r *reader) owner(v *jsonstream.Reader, p *owned.Page) {
	r.told, r.null = true, v.IsNull()
	for field := range v.Fields() {
		if field != "repositories" {
			continue
		}
		for field := range v.Fields() {
			switch field {
			case "totalCount":
				p.Total = owned.Number(v.Scalar())
			case "nodes":
				for range v.Items() {
					if len(p.Entries) > owned.MaxPage || r.err != nil {
						continue // that is an error already
					}
					p.Entries = append(p.Entries, r.entry(v))
				}
			case "pageInfo":
				r.next = reply.ReadPage(v)
			}
		}
	}
	if err := v.Shape(); err != nil {
		r.err = err
	}
}

// entry reads a repository.
func (r *reader) entry(v *jsonstream.Reader) (e owned.Entry) {
	told := make(map[string]bool)
	flag := func(name string, to *bool) {
		text := v.Scalar()
		told[name], *to = text == "true" || text == "false", text == "true"
	}
	for field := range v.Fields() {
		var err error
		switch field {
		case "databaseId":
			if n := owned.Number(v.Scalar()); n > 0 {
				e.ID = fmt.Sprint(n)
			}
		case "nameWithOwner":
			e.Path = strings.Clone(v.Text())
		case "url":
			e.URL = strings.Clone(v.Text())
		case "sshUrl":
			e.SSH = strings.Clone(v.Text())
		case "isArchived":
			flag(field, &e.Archived)
		case "isFork":
			flag(field, &e.Fork)
		case "isEmpty":
			flag(field, &e.Empty)
		case r.key:
			e.Key, err = reply.ReadTime(v)
		case "defaultBranchRef":
			for field := range v.Fields() {
				if field == "name" {
					e.DefaultBranch = strings.Clone(v.Text())
				}
			}
		case "repositoryTopics":
			told[field], e.Topics = !v.IsNull(), readTopics(v)
		case "file":
			told[field], e.File = true, readFile(v)
		}
		r.err = cmp.Or(r.err, err)
	}
	want := []string{"isArchived", "isFork", "isEmpty", "repositoryTopics"}
	if r.file {
		want = append(want, "file")
	}
	if k := slices.IndexFunc(want, func(field string) bool { return !told[field] }); k >= 0 {
		r.err = cmp.Or(r.err, fmt.Errorf("the answer has a repository, %.100q, without its %s", e.Path, want[k]))
	}
	return e
}

func readTopics(v *jsonstream.Reader) (all []string) {
	for field := range v.Fields() {
		if field != "nodes" {
			continue
		}
		for range v.Items() {
			for field := range v.Fields() {
				if field != "topic" {
					continue
				}
				for field := range v.Fields() {
					if field == "name" {
						all = owned.AddTopic(all, v.Text())
					}
				}
			}
		}
	}
	slices.Sort(all)
	return all
}

// readFile reads what is at the path of the wanted file: nil for nothing, and for what is no file. One that is no text is empty.
func readFile(v *jsonstream.Reader) []byte {
	var blob bool
	text := []byte{}
	for field := range v.Fields() {
		switch field {
		case "__typename":
			blob = v.Text() == "Blob"
		case "text":
			text = []byte(v.Long(githost.MaxOwnedFile))
		}
	}
	if !blob {
		return nil
	}
	return text
}
