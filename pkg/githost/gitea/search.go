package gitea

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	sdk "code.gitea.io/sdk/gitea"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/internal/jsonstream"
	"github.com/tekton-sentry/sentry/pkg/githost/internal/owned"
	"github.com/tekton-sentry/sentry/pkg/githost/internal/requests"
	"github.com/tekton-sentry/sentry/pkg/githost/internal/rest"
	"github.com/tekton-sentry/sentry/pkg/githost/transport"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

// list is a page of the server's repositories, in the order of their last change, newest first.
type list struct {
	repositories []*sdk.Repository
	last         bool          // no page follows
	date         time.Time     // when it was answered, by the clock of who answered
	came         time.Time     // when it had come, by ours
	delay        time.Duration // from the question until then
}

// oldest returns the time of the last repository of a page that has one.
func (l list) oldest() time.Time { return l.repositories[len(l.repositories)-1].Updated }

// search asks for a page, numbered from 1, of limit repositories.
func (h *host) search(ctx context.Context, page, limit int) (list, error) {
	client, err := h.library(ctx, h.client)
	if err != nil {
		return list{}, rest.Failed(ctx, h.api.Host(), err)
	}
	start := time.Now()
	repositories, resp, err := client.SearchRepos(sdk.SearchRepoOptions{
		RawQuery: fmt.Sprintf("sort=updated&order=desc&limit=%d&page=%d", limit, page),
	})
	came := time.Now()
	switch {
	case resp == nil:
		return list{}, rest.Failed(ctx, h.api.Host(), err)
	case resp.StatusCode != http.StatusOK:
		var body []byte
		if err != nil {
			body, _ = json.Marshal(map[string]string{"message": err.Error()}) // what the library made of the answer
		}
		return list{}, transport.StatusError(h.api.Host(), resp.Response, body)
	case err != nil && ctx.Err() != nil:
		return list{}, rest.Failed(ctx, h.api.Host(), err)
	case err != nil:
		return list{}, githost.NewError(githost.Invalid, h.api.Host(),
			"its list of repositories is not what a Gitea answers: is this the right type of host, and the right api_url?")
	}
	if err := inOrder(repositories); err != nil {
		return list{}, githost.NewError(githost.Invalid, h.api.Host(), "its list of repositories: %w", err)
	}
	date, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		return list{}, githost.NewError(githost.Invalid, h.api.Host(), "its list of repositories comes without the time (header Date)")
	}
	link := resp.Header.Get("Link")
	return list{
		repositories: repositories,
		last:         len(repositories) == 0 || link != "" && !strings.Contains(link, `rel="next"`),
		date:         date, came: came, delay: came.Sub(start),
	}, nil
}

// follows returns an error when a page cannot be the one after another: one that is answered again and again
// hides all that comes after it. What changes meanwhile only moves repositories to later pages.
func (h *host) follows(before, l list) error {
	if len(before.repositories) > 0 && len(l.repositories) > 0 && l.repositories[0].Updated.After(before.oldest()) {
		return githost.NewError(githost.Invalid, h.api.Host(), "its list of repositories: a page begins before the end of the one before it")
	}
	return nil
}

// inOrder returns an error unless the repositories are in the order of their last change. All rests on it: a
// server that does not keep it would hide what changed.
func inOrder(repositories []*sdk.Repository) error {
	for i, r := range repositories {
		switch {
		case r == nil, r.Updated.IsZero():
			return errors.New("it has an entry without a time")
		case i > 0 && r.Updated.After(repositories[i-1].Updated):
			return errors.New("it is not in the order of the last change")
		}
	}
	return nil
}

const (
	// maxPulls bounds a page of requests in bytes: strangers write their texts, of which nothing is kept.
	maxPulls = 60 << 20
	// maxPullPages bounds the pages of one repository's open requests.
	maxPullPages = 100
)

// requests reads the open requests of a repository, the oldest first, so that those that are opened meanwhile come last.
func (h *host) requests(ctx context.Context, w githost.Wanted) repo.Observation {
	heads := githost.NewHeads(h.api.Host(), w)
	path, err := pathOf(w.URL)
	listed, total := 0, 0
	for page := 1; err == nil; page++ {
		var found, told int
		if page > maxPullPages {
			err = githost.NewError(githost.TooLarge, h.api.Host(), "its open requests do not end after %d pages", maxPullPages)
			break
		}
		found, told, err = h.pulls(ctx, path, page, heads)
		if listed += found; page == 1 {
			total = told
		}
		switch {
		case err != nil:
		case told != total: // one that closed moves those behind it up a place, and one of them onto a page that was read before
			err = rest.Moved(h.api.Host(), total, told)
		case listed == total:
			return heads.Observation()
		case listed > total, found == 0:
			err = rest.CutShort(h.api.Host(), total, listed)
		}
	}
	heads.Drop()
	return githost.Failed(err)
}

// pulls reads a page, and returns how many requests it has, and how many there are.
func (h *host) pulls(ctx context.Context, path string, page int, heads *githost.Heads) (found, total int, err error) {
	name, of, _ := strings.Cut(path, "/")
	asked := owner{host: h, need: rest.Need{Of: "repository", May: "list its pull requests", Right: "a token with the scope read:repository"}, most: maxPulls}
	ask := func(client *sdk.Client) error {
		_, _, err := client.ListRepoPullRequests(name, of, sdk.ListPullRequestsOptions{
			ListOptions: sdk.ListOptions{Page: page, PageSize: mostListed}, State: sdk.StateOpen, Sort: "oldest"})
		return err
	}
	err = asked.get(ctx, ask, func(header http.Header, v *jsonstream.Reader) error {
		if total = owned.Number(header.Get("X-Total-Count")); total < 0 {
			return asked.invalid("its list of requests comes without their number (header X-Total-Count): is this the right type of host?")
		}
		var err error
		found, err = requests.ReadPulls(v, h.api.Host(), func(p requests.Pull) bool { return p.Own() && p.OfBranch() },
			func(head rest.Head) error { head.AddTo(heads); return heads.Err() })
		return err
	})
	return found, total, err
}
