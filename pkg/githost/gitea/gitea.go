// Package gitea reads branch heads from Gitea and Forgejo. Heads come over the Git protocol: one small
// request a repository, however many branches it names. The REST API is asked which repositories
// changed lately (Changed), and for open requests.
//
// The credential goes with every request as HTTP Basic. Gitea takes an access token for the password, with
// any user name; a real password works too, and takes it four times as long to check. Without a credential
// public repositories are read.
package gitea

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/gitproto"
	"github.com/tekton-sentry/sentry/pkg/githost/internal/rest"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

type host struct {
	git githost.Host
	githost.Commits
	api            rest.API
	client         *http.Client // of the API's list
	plain          *http.Client // of all else of it
	user, password string
	index          index
}

// Open is the githost.Open of Gitea. The API is <origin>/api/v1; for a Gitea below a path, api_url says
// which: https://host/path, with or without /api/v1. The Host is also a githost.Prefilter.
func Open(e githost.Endpoint, client *http.Client) (githost.Host, error) {
	api, err := rest.ParseAPI(e, "/api/v1")
	if err != nil {
		return nil, err
	}
	token, err := rest.Token(e)
	if err != nil {
		return nil, err
	}
	git, err := gitproto.Open(e, client)
	if err != nil {
		return nil, err
	}
	user, _ := e.Auth.Basic()
	checked := *client
	checked.Transport = &bounded{client.Transport, api.Host()}
	commits, _ := git.(githost.Commits)
	return &host{git: git, Commits: commits, api: api, client: &checked, plain: client, user: user, password: token, index: newIndex()}, nil
}

// Heads implements githost.Host.
func (h *host) Heads(ctx context.Context, want []githost.Wanted) []repo.Observation {
	answers := make([]repo.Observation, len(want))
	var asked, requests []githost.Wanted
	var at, of []int // of asked[i] and requests[i], in want
	for i, w := range want {
		if _, err := pathOf(w.URL); err != nil {
			answers[i].Err = githost.NewError(githost.Invalid, h.api.Host(), "%w", err)
			continue
		}
		if _, ok := w.Patterns.Requests(); ok {
			requests, of = append(requests, w), append(of, i)
			continue
		}
		asked, at = append(asked, w), append(at, i)
	}
	for i, o := range rest.Each(ctx, h.api.Host(), requests, h.requests) {
		answers[of[i]] = o
	}
	marks := h.index.marks(asked)
	for i, o := range h.git.Heads(ctx, asked) {
		if o.Err == nil {
			o.Validator = marks[i]
		}
		answers[at[i]] = o
	}
	return answers
}

// Changed implements githost.Prefilter by the server's list of repositories, newest change first. A
// repository counts as unchanged when the list shows it with the time that it had when its heads were last
// read, and that time was already over then. Whatever the list does not tell of counts as changed: pull
// mirrors, whose time is that of a commit, archived and renamed repositories, and those that this credential
// does not see listed.
//
// The first calls go through the list to find the wanted repositories in it, each for half of the context's time.
// After that an idle call is one request of some 4 kB. Below four repositories nothing is asked, since reading
// them costs as little.
func (h *host) Changed(ctx context.Context, want []githost.Wanted) ([]bool, error) {
	if len(want) < fewest {
		all := make([]bool, len(want))
		for i := range all {
			all[i] = true
		}
		return all, nil
	}
	if err := h.look(ctx, want); err != nil {
		return nil, err
	}
	return h.index.changed(want), nil
}

// Glance implements githost.Glancer by the same list as Changed, and costs the same.
func (h *host) Glance(ctx context.Context, want []githost.Wanted) ([]bool, error) {
	if err := h.look(ctx, want); err != nil {
		return nil, err
	}
	return h.index.pushed(want), nil
}

// look brings the index up to date.
func (h *host) look(ctx context.Context, want []githost.Wanted) error {
	h.index.seek(want)
	more := rest.HalfTime(ctx)
	if err := h.refresh(ctx, more); err != nil {
		return err
	}
	return h.learn(ctx, more)
}

const (
	// fewest is how many repositories are worth a request for what changed: that one costs as much as
	// reading one of them.
	fewest = 4
	// mostListed is the length of a page, Gitea's own default for the longest: 107 kB and 20 ms, where two
	// repositories take 4 kB and 8 ms, and reading one 5 to 10 ms.
	mostListed = 50
)

// refresh lists what changed since the list was last asked for, as long as there is time.
func (h *host) refresh(ctx context.Context, more func() bool) error {
	since, worth := h.index.since()
	if since.IsZero() || worth == 0 {
		return nil
	}
	var over time.Time
	// Mostly nothing changed, so it begins small.
	ask := []struct{ page, limit int }{{1, 2}, {1, 10}}
	for page := range worth {
		ask = append(ask, struct{ page, limit int }{page + 1, mostListed})
	}
	var before list
	seen := make(map[int64]bool) // on long pages
	complete, twice, again := false, false, false
	for i := 0; i < len(ask) && !complete && (i == 0 || more()); i++ {
		a := ask[i]
		l, err := h.search(ctx, a.page, a.limit)
		switch {
		case err == nil && a.page > 1:
			err = h.follows(before, l)
		case err == nil && len(l.repositories) == 0:
			err = githost.NewError(githost.Invalid, h.api.Host(), "its list of repositories is empty, and was not")
		}
		if err != nil {
			return err
		}
		before = l
		if heard := h.index.hear(l); i == 0 || heard.Before(over) {
			over = heard
		}
		h.index.add(l.repositories)
		for _, r := range l.repositories {
			twice = twice || seen[r.ID]
			seen[r.ID] = a.limit == mostListed
		}
		complete = l.last || l.oldest().Before(since)
		if twice && !again {
			// A push between two pages moves all on. Where that was not it, Gitea leaves the order of changes of the same
			// second to its database, and another one may have come on no page.
			complete, twice, again, i = false, false, true, 1
			clear(seen)
		}
	}
	// Or more changed than is worth listing, or than there is time for.
	if !complete || twice {
		h.index.forgetReads()
	}
	h.index.refreshed(over)
	return nil
}

// learn goes on through the list to find wanted repositories in it, as long as there is time. The next call goes on
// from there.
func (h *host) learn(ctx context.Context, more func() bool) error {
	var before list
	for page := h.index.toLearn(); page > 0 && more(); page = h.index.toLearn() {
		l, err := h.search(ctx, page, mostListed)
		if err == nil {
			err = h.follows(before, l)
		}
		if err != nil {
			return err
		}
		before = l
		h.index.hear(l)
		h.index.add(l.repositories)
		h.index.learned(l)
	}
	return nil
}

// pathOf returns OWNER/REPOSITORY in lower case, as Gitea does not tell cases apart. A Gitea below a path
// has more before it.
func pathOf(repoURL string) (string, error) {
	parts, err := rest.Project(repoURL, "")
	if err != nil {
		return "", err
	}
	if len(parts) < 2 {
		return "", rest.Address("repo_url: the path %.100q is not OWNER/REPOSITORY", parts[0])
	}
	return strings.ToLower(strings.Join(parts[len(parts)-2:], "/")), nil
}
