package bitbucket

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/gitproto"
	"github.com/tekton-sentry/sentry/pkg/githost/internal/rest"
	"github.com/tekton-sentry/sentry/pkg/githost/transport"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

// cloud is the server, whose API is at another one.
const cloud = "https://bitbucket.org"

// tokenUser is the user name of access tokens. A token of a user has another, and the API wants the user's e-mail address beside it.
const tokenUser = "x-token-auth"

const (
	// fewest is how many repositories of a workspace are worth a request for what changed.
	fewest = 4
	// mostSpaces is how many workspaces are asked what changed: at a minute's interval each takes 60 of 1,000 requests an hour.
	mostSpaces = 12
)

// host reads heads by the Git protocol, and what changed from the lists of workspaces.
type host struct {
	git githost.Host
	githost.Commits
	api    rest.API
	client *http.Client
	header http.Header
	index  index
}

// Open is the githost.Open of Bitbucket Cloud. With an access token the Host is also a githost.Prefilter.
func Open(e githost.Endpoint, client *http.Client) (githost.Host, error) {
	git, err := gitproto.Open(e, client)
	if err != nil {
		return nil, err
	}
	if e.Origin == cloud && e.APIURL == "" {
		e.APIURL = "https://api.bitbucket.org"
	}
	api, err := rest.ParseAPI(e, "/2.0")
	if err != nil {
		return nil, err
	}
	token, err := rest.Token(e)
	if err != nil {
		return nil, err
	}
	if user := e.Auth.Username.Reveal(); token == "" || user != "" && user != tokenUser {
		return git, nil
	}
	commits, _ := git.(githost.Commits)
	return &host{git: git, Commits: commits, api: api, client: client, index: newIndex(),
		header: http.Header{"Authorization": {"Bearer " + token}, "Accept": {"application/json"}}}, nil
}

// Heads implements githost.Host. What the list showed before is what a repository is known by.
func (h *host) Heads(ctx context.Context, want []githost.Wanted) []repo.Observation {
	marks := h.index.marks(want)
	answers := h.git.Heads(ctx, want)
	for i := range answers {
		if answers[i].Err == nil {
			answers[i].Validator = marks[i]
		}
	}
	return answers
}

// Changed implements githost.Prefilter by the list of each workspace, from the last change that is known on. A repository counts as
// unchanged when the list shows it with the time that it had when its heads were last read, and the server's clock had gone on
// since. All others count as changed: those that the token does not see listed, renamed ones, those of workspaces with
// few wanted repositories or far more than are wanted, of those beyond the twelve largest, and of those whose list is none.
//
// It is an error when no workspace has a list, and when the API fails. An idle call is one request for each workspace. The first ones go through the list, a hundred repositories a page.
func (h *host) Changed(ctx context.Context, want []githost.Wanted) ([]bool, error) {
	more := rest.HalfTime(ctx)
	spaces, now := h.index.seek(want), time.Now()
	var looked []*space
	var none error
	for i, s := range spaces {
		err := h.look(ctx, s, now, more)
		switch e, _ := errors.AsType[*githost.Error](err); {
		case err == nil:
			looked = append(looked, s)
		case errors.As(err, new(listError)): // which says nothing of the others
			none = err
		case e != nil && e.Status == http.StatusUnauthorized:
			// It is not for the API, and Git may take it all the same. The others would refuse it as well, which is to count as one refusal.
			h.index.refused(spaces[i:], now)
			return h.index.changed(want, looked), nil
		case e != nil && (e.Kind == githost.Denied || e.Kind == githost.NotFound):
			h.index.refused(spaces[i:i+1], now)
		default:
			return nil, err
		}
	}
	if len(looked) == 0 && none != nil {
		return nil, none
	}
	return h.index.changed(want, looked), nil
}

// look brings what is known of a workspace up to date.
func (h *host) look(ctx context.Context, s *space, now time.Time, more func() bool) error {
	if err := h.refresh(ctx, s, now, more); err != nil {
		return err
	}
	return h.learn(ctx, s, now, more)
}

// refresh lists what changed since the last change that is known.
func (h *host) refresh(ctx context.Context, s *space, now time.Time, more func() bool) error {
	at, ok := h.index.since(s)
	if !ok {
		return nil
	}
	end := false
	for page := 0; !end && page < mostPages && (page == 0 || more()); page++ {
		var err error
		if at, end, err = h.page(ctx, s, at, now); err != nil {
			return err
		}
	}
	h.index.refreshed(s, end, now)
	return nil
}

// learn goes on through the list, from what changed the longest ago, to find wanted repositories.
func (h *host) learn(ctx context.Context, s *space, now time.Time, more func() bool) error {
	for first := true; first || more(); first = false {
		at, ok := h.index.toLearn(s, now)
		if !ok {
			return nil
		}
		at, end, err := h.page(ctx, s, at, now)
		if err != nil {
			return err
		}
		h.index.learned(s, at, end, now)
	}
	return nil
}

// cursor is a place in a list.
type cursor struct {
	from time.Time // the list of what changed then or later; zero = of all
	page int       // of that, from 0
}

// page lists a hundred repositories, and returns where the next ones are, and whether there are none. That is by when the last of them
// changed, and by a number only among changes of one time: so what changes meanwhile moves none to a page that was read.
func (h *host) page(ctx context.Context, s *space, at cursor, now time.Time) (next cursor, end bool, err error) {
	ctx = transport.Mark(ctx, transport.Marks{Resource: apiRequests, Apart: true, ForMany: true})
	l, err := h.list(ctx, s.name, at)
	if err != nil {
		return at, false, err
	}
	h.index.add(s, l.entries, now)
	if n := len(l.entries); n > 0 && l.entries[n-1].updated.After(at.from) {
		return cursor{from: l.entries[n-1].updated}, !l.more, nil
	}
	at.page++
	return at, !l.more, nil
}

// split returns WORKSPACE and WORKSPACE/REPOSITORY in lower case, as Bitbucket does not tell cases apart.
func split(repoURL string) (workspace, path string, ok bool) {
	parts, err := rest.Project(repoURL, "")
	if err != nil || len(parts) < 2 {
		return "", "", false
	}
	parts = parts[len(parts)-2:]
	return strings.ToLower(parts[0]), strings.ToLower(strings.Join(parts, "/")), true
}

// larger orders workspaces by how many repositories of them are wanted, then by name.
func larger(spaces []*space) []*space {
	slices.SortFunc(spaces, func(a, b *space) int {
		if len(a.sought) != len(b.sought) {
			return len(b.sought) - len(a.sought)
		}
		return strings.Compare(a.name, b.name)
	})
	return spaces[:min(len(spaces), mostSpaces)]
}
