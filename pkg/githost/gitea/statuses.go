package gitea

import (
	"context"

	sdk "code.gitea.io/sdk/gitea"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/internal/rest"
	"github.com/tekton-sentry/sentry/pkg/githost/transport"
)

var statusNeed = rest.Need{Of: "repository or commit", May: "set its statuses",
	Right: "a token with the scope write:repository, of who may write to the repository"}

// statusRules are wide enough for what a page of Gitea shows; it has no limits itself.
var statusRules = rest.StatusRules{Description: 255, TargetURL: 2_000}

// StatusOf implements githost.Statuses. Gitea lists the newest status first, by a time in whole seconds: of those of one second
// the newest has the highest ID.
func (h *host) StatusOf(ctx context.Context, repoURL, sha, statusContext string) (githost.Status, bool, error) {
	var newest *sdk.Status
	want := statusRules.Context(statusContext)
	err := h.statuses(ctx, repoURL, sha, statusContext, func(client *sdk.Client, owner, name string) error {
		return rest.StatusPages(h.api.Host(), func(number int) (int, error) {
			page := sdk.ListStatusesOption{ListOptions: sdk.ListOptions{Page: number, PageSize: mostListed}}
			listed, resp, err := client.ListStatuses(owner, name, sha, page)
			if err := h.libraryError(ctx, resp, err, statusNeed); err != nil {
				return 0, err
			}
			older := false // than the newest, so that all that follow are
			for _, l := range listed {
				if l != nil && l.Context == want && (newest == nil || l.ID > newest.ID) {
					newest = l
				}
				older = l != nil && newest != nil && l.Created.Before(newest.Created)
			}
			if older {
				return 0, nil
			}
			return following(number, len(listed), resp), nil
		})
	})
	if err != nil || newest == nil {
		return githost.Status{}, false, err
	}
	return statusRules.Told(statusContext, rest.State(string(newest.State)), newest.Description, newest.TargetURL), true, nil
}

// SetStatus implements githost.Statuses. Gitea answers 500 where there is no such commit, and also where the status is stored
// and something that follows fails, such as a default branch that is missing.
func (h *host) SetStatus(ctx context.Context, repoURL, sha string, s githost.Status) error {
	sent := statusRules.Fit(s)
	err := h.statuses(ctx, repoURL, sha, s.Context, func(client *sdk.Client, owner, name string) error {
		_, resp, err := client.CreateStatus(owner, name, sha, sdk.CreateStatusOption{Context: sent.Context,
			State: sdk.StatusState(sent.State), Description: sent.Description, TargetURL: sent.TargetURL})
		return h.libraryError(ctx, resp, err, statusNeed)
	})
	return rest.Settle(err, sent, func() (githost.Status, bool, error) {
		return h.StatusOf(ctx, repoURL, sha, s.Context)
	})
}

// statuses is manage for requests beside polling.
func (h *host) statuses(ctx context.Context, repoURL, sha, statusContext string,
	f func(client *sdk.Client, owner, name string) error) error {
	if err := rest.CheckStatus(h.api.Host(), sha, statusContext); err != nil {
		return err
	}
	return h.manage(transport.Mark(ctx, transport.Marks{Aside: true}), repoURL, statusNeed, f)
}
