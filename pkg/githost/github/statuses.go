package github

import (
	"context"
	"net/http"
	"strings"

	gogithub "github.com/google/go-github/v60/github"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/internal/rest"
	"github.com/tekton-sentry/sentry/pkg/githost/transport"
)

var statusNeed = rest.Need{Of: "repository or commit", May: "set its statuses",
	Right: "a classic token with the scope repo:status, or a fine-grained one with the permission Commit statuses: read and write, " +
		"of who may push there"}

// statusRules are GitHub's, which answers 422 to what is longer, and to emoji and the like.
var statusRules = rest.StatusRules{Description: 140, TargetURL: 2_000, Narrow: true}

// statusesListed is the length of a page of statuses, the longest that there is.
const statusesListed = 100

// StatusOf implements githost.Statuses. GitHub lists the newest status first:
// https://docs.github.com/rest/commits/statuses#list-commit-statuses-for-a-reference.
func (h *host) StatusOf(ctx context.Context, repoURL, sha, statusContext string) (s githost.Status, ok bool, err error) {
	owner, name, err := h.statusesOf(repoURL, sha, statusContext)
	if err != nil {
		return s, false, err
	}
	ctx, cancel := h.aside(ctx)
	defer cancel()
	want := statusRules.Context(statusContext)
	err = rest.StatusPages(h.name, func(number int) (int, error) {
		page := &gogithub.ListOptions{Page: number, PerPage: statusesListed}
		listed, resp, err := h.library().Repositories.ListStatuses(ctx, owner, name, sha, page)
		if err := h.statusError(ctx, resp, err); err != nil {
			return 0, err
		}
		for _, l := range listed {
			if strings.EqualFold(l.GetContext(), want) { // to GitHub they are the same
				s = statusRules.Told(statusContext, rest.State(l.GetState()), l.GetDescription(), l.GetTargetURL())
				ok = true
				return 0, nil
			}
		}
		if resp.NextPage == 0 && len(listed) >= statusesListed {
			return number + 1, nil // some proxy took the header away
		}
		return resp.NextPage, nil
	})
	return s, ok, err
}

// SetStatus implements githost.Statuses.
func (h *host) SetStatus(ctx context.Context, repoURL, sha string, s githost.Status) error {
	owner, name, err := h.statusesOf(repoURL, sha, s.Context)
	if err != nil {
		return err
	}
	ctx, cancel := h.aside(ctx)
	defer cancel()
	s = statusRules.Fit(s)
	want := &gogithub.RepoStatus{Context: &s.Context, State: gogithub.String(string(s.State)), Description: &s.Description}
	if s.TargetURL != "" {
		want.TargetURL = &s.TargetURL
	}
	_, resp, err := h.library().Repositories.CreateStatus(ctx, owner, name, sha, want)
	return h.statusError(ctx, resp, err)
}

// aside returns a context for requests beside polling, which are counted as those of REST.
func (h *host) aside(ctx context.Context) (context.Context, context.CancelFunc) {
	return h.limited(transport.Mark(ctx, transport.Marks{Resource: requestsResource, Aside: true}))
}

func (h *host) statusesOf(repoURL, sha, statusContext string) (owner, name string, err error) {
	if err := rest.CheckStatus(h.name, sha, statusContext); err != nil {
		return "", "", err
	}
	return h.repository(repoURL, statusNeed)
}

// statusError makes an error of an answer, nil where it is none. A commit that is not there, such as one that was pushed over and
// collected, is a 422.
func (h *host) statusError(ctx context.Context, resp *gogithub.Response, err error) error {
	if err != nil && resp != nil && resp.StatusCode == http.StatusUnprocessableEntity &&
		strings.Contains(err.Error(), "No commit found for SHA") {
		return githost.NewError(githost.NotFound, h.name, "HTTP %d: there is no such commit", resp.StatusCode)
	}
	return h.libraryError(ctx, resp, err, statusNeed)
}
