package gitea

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	sdk "code.gitea.io/sdk/gitea"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/internal/jsonstream"
	"github.com/tekton-sentry/sentry/pkg/githost/internal/owned"
	"github.com/tekton-sentry/sentry/pkg/githost/internal/rest"
	"github.com/tekton-sentry/sentry/pkg/githost/transport"
)

const (
	// maxOwned bounds a page of an owner's repositories in bytes: a hundred with the longest descriptions that Gitea allows.
	maxOwned = 8 << 20
	// ownedSlack is how much older a change may look than it is.
	ownedSlack = time.Minute
	// filesAtOnce is how many files are read at a time.
	filesAtOnce = 4
)

// Owned implements githost.Owners by the search for the repositories of an owner, which tells how many there are and knows an order of
// the last change. That order shows neither that a repository was archived, which the number of archived ones tells, nor that it was
// renamed. A file is a request for each repository.
func (h *host) Owned(ctx context.Context, q githost.OwnedBy, last *githost.Owned) (*githost.Owned, error) {
	if err := owned.Check(h.api.Host(), q, false); err != nil {
		return nil, err
	}
	o := owner{h, q, rest.Need{Of: fmt.Sprintf("organisation or user as %.60q", q.Owner), May: "list its repositories",
		Right: "a token with the scopes read:user and read:repository"}, 0, 0}
	ctx = transport.Mark(ctx, transport.Marks{Aside: true})
	who := func(client *sdk.Client) error {
		_, _, err := client.GetUserInfo(q.Owner)
		return err
	}
	err := o.get(ctx, who, func(_ http.Header, v *jsonstream.Reader) error {
		for field := range v.Fields() {
			if field == "id" {
				o.id = owned.Number(v.Scalar())
			}
		}
		return v.End()
	})
	if err == nil && o.id <= 0 { // a search for nobody's would find all
		err = o.invalid("the answer about the owner %.100q has no number", q.Owner)
	}
	if err != nil {
		return nil, err
	}
	l := owned.Lister{Host: h.api.Host(), OwnedBy: q, Page: o.page, Orders: []string{"updated"}, Slack: ownedSlack, Files: o.files, Agrees: o.agrees}
	return l.Owned(ctx, last)
}

// owner is whose repositories are listed.
type owner struct {
	*host
	githost.OwnedBy
	need rest.Need
	id   int
	most int64 // bytes of an answer; 0 = maxOwned
}

// page reads a page of a list. A server has 50 on one at most unless its MAX_RESPONSE_ITEMS says otherwise.
func (o *owner) page(ctx context.Context, order string, size int, cursor string) (owned.Page, error) {
	sort := "id&order=asc"
	if order != "" {
		sort = order + "&order=desc"
	}
	number, before := owned.Numbered(cursor)
	p := owned.Page{Total: -1}
	err := o.search(ctx, fmt.Sprintf("sort=%s&limit=%d&page=%d", sort, size, number), func(header http.Header, v *jsonstream.Reader) {
		p.Total, p.Date = owned.Number(header.Get("X-Total-Count")), owned.Date(header)
		for range v.Items() {
			if len(p.Entries) <= owned.MaxPage {
				p.Entries = append(p.Entries, readOwned(v))
			}
		}
	})
	p.Next = owned.Following(number, before, len(p.Entries), p.Total)
	return p, err
}

// agrees compares how many are archived.
func (o *owner) agrees(ctx context.Context, all []githost.OwnedRepository) (ok bool, err error) {
	archived := 0
	for _, r := range all {
		if r.Archived {
			archived++
		}
	}
	err = o.search(ctx, "archived=true&limit=1", func(header http.Header, _ *jsonstream.Reader) {
		ok = owned.Number(header.Get("X-Total-Count")) == archived
	})
	return ok, err
}

// search asks for repositories of the owner, and has read read them.
func (o *owner) search(ctx context.Context, query string, read func(http.Header, *jsonstream.Reader)) error {
	told := false
	ask := func(client *sdk.Client) error {
		_, _, err := client.SearchRepos(sdk.SearchRepoOptions{RawQuery: "uid=" + strconv.Itoa(o.id) + "&exclusive=true&" + query})
		return err
	}
	return o.get(ctx, ask, func(header http.Header, v *jsonstream.Reader) error {
		for field := range v.Fields() {
			if field == "data" && !told && !v.IsNull() {
				told = true
				read(header, v)
			}
		}
		if err := v.End(); err != nil || told {
			return err
		}
		return o.invalid("its list of repositories is not what a Gitea answers: is this the right type of host, and the right api_url?")
	})
}

func readOwned(v *jsonstream.Reader) (e owned.Entry) {
	mirror := false
	for field := range v.Fields() {
		switch field {
		case "id":
			if id := owned.Number(v.Scalar()); id > 0 {
				e.ID = strconv.Itoa(id)
			}
		case "full_name":
			e.Path = strings.Clone(v.Text())
		case "clone_url":
			e.URL = strings.Clone(v.Text())
		case "ssh_url":
			e.SSH = strings.Clone(v.Text())
		case "default_branch":
			e.DefaultBranch = strings.Clone(v.Text())
		case "archived":
			e.Archived = v.Scalar() == "true"
		case "fork":
			e.Fork = v.Scalar() == "true"
		case "empty":
			e.Empty = v.Scalar() == "true"
		case "mirror":
			mirror = v.Scalar() == "true"
		case "topics":
			e.Topics = owned.ReadTopics(v)
		case "updated_at":
			e.Key, _ = time.Parse(time.RFC3339, v.Text()) // zero is told of nothing
		}
	}
	if e.Empty {
		e.DefaultBranch = "" // Gitea has that of the settings
	}
	if !mirror { // whose time is that of a commit
		e.Pushed = e.Key
	}
	return e
}

// files reads the file of each, a few at a time.
func (o *owner) files(ctx context.Context, of []*owned.Entry) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var next atomic.Int64
	var reading sync.WaitGroup
	var failed atomic.Pointer[githost.Error]
	for range filesAtOnce {
		reading.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(of) && failed.Load() == nil; i = int(next.Add(1)) - 1 {
				if err := o.file(ctx, of[i]); err != nil {
					failed.CompareAndSwap(nil, githost.WrapError(o.api.Host(), err))
					stop(err)
				}
			}
		})
	}
	reading.Wait()
	if err := failed.Load(); err != nil {
		return err
	}
	return nil
}

// file reads the file of a repository's default branch. One that is no text is empty.
func (o *owner) file(ctx context.Context, e *owned.Entry) error {
	user, name, _ := strings.Cut(e.Path, "/")
	ask := func(client *sdk.Client) error {
		_, _, err := client.GetFile(user, name, "", o.File)
		return err
	}
	return o.ask(ctx, ask, func(resp *http.Response) error {
		switch resp.StatusCode {
		case http.StatusNotFound:
			return nil
		case http.StatusOK:
		default:
			return o.refused(ctx, resp)
		}
		text, err := io.ReadAll(io.LimitReader(resp.Body, githost.MaxOwnedFile))
		if err != nil {
			return rest.Failed(ctx, o.api.Host(), err)
		}
		if e.File = text; slices.Contains(text, 0) {
			e.File = []byte{}
		}
		return nil
	})
}

// get asks by the library, and has read read a good answer.
func (o *owner) get(ctx context.Context, ask func(*sdk.Client) error, read func(http.Header, *jsonstream.Reader) error) error {
	return o.ask(ctx, ask, func(resp *http.Response) error {
		if resp.StatusCode != http.StatusOK {
			return o.refused(ctx, resp)
		}
		body := &io.LimitedReader{R: resp.Body, N: cmp.Or(o.most, maxOwned) + 1}
		err := read(resp.Header, jsonstream.New(body))
		if body.N == 0 {
			return o.invalid("its list is larger than a page can be")
		}
		if err != nil {
			return rest.Failed(ctx, o.api.Host(), err)
		}
		return nil
	})
}

// ask asks by the library, and has read read the answer before the library does, which would hold all of it.
func (o *owner) ask(ctx context.Context, ask func(*sdk.Client) error, read func(*http.Response) error) error {
	var answer error
	answered := false
	reading := *o.plain
	reading.Transport = taken{o.plain.Transport, func(resp *http.Response) { answered, answer = true, read(resp) }}
	client, err := o.library(ctx, &reading)
	if err == nil {
		err = ask(client)
	}
	if answered {
		return answer
	}
	return rest.Failed(ctx, o.api.Host(), err)
}

// taken hands over answers that are no redirects to read, and leaves nothing of them to others.
type taken struct {
	next http.RoundTripper
	read func(*http.Response)
}

// RoundTrip implements http.RoundTripper.
func (t taken) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.next.RoundTrip(req)
	if err != nil || resp.StatusCode/100 == 3 {
		return resp, err
	}
	t.read(resp)
	_ = resp.Body.Close()
	resp.Body, resp.ContentLength = io.NopCloser(strings.NewReader("{}")), -1
	return resp, nil
}

func (o *owner) refused(ctx context.Context, resp *http.Response) error {
	text, _ := io.ReadAll(io.LimitReader(resp.Body, maxRefusal))
	return o.need.Error(ctx, o.api.Host(), resp, text, errors.New(resp.Status))
}

func (o *owner) invalid(format string, args ...any) error {
	return githost.NewError(githost.Invalid, o.api.Host(), format, args...)
}
