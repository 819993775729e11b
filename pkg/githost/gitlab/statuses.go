package gitlab

import (
	"context"
	"errors"

	gogitlab "gitlab.com/gitlab-org/api/client-go"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/internal/rest"
	"github.com/tekton-sentry/sentry/pkg/githost/transport"
)

var statusNeed = rest.Need{Of: "repository or commit, or no branch has the commit any more", May: "set its statuses",
	Right: "a token with the scope api, of who has the role Developer there, and may push or merge to the branch where that is protected"}

// statusRules are GitLab's: https://docs.gitlab.com/api/commits/#set-the-pipeline-status-of-a-commit.
var statusRules = rest.StatusRules{Description: 255, TargetURL: 255}

// states are GitLab's names. It has none for an error, and one that is canceled is neither good nor the commit's fault.
var states = map[githost.CommitState]gogitlab.BuildStateValue{
	githost.Pending: gogitlab.Pending, githost.Success: gogitlab.Success, githost.Failure: gogitlab.Failed, githost.Errored: gogitlab.Canceled,
}

// stateOf returns a state by GitLab's name, "" for those of which there is none here.
func stateOf(name string) githost.CommitState {
	if name == string(gogitlab.Running) {
		return githost.Pending
	}
	for state, its := range states {
		if name == string(its) {
			return state
		}
	}
	return ""
}

// StatusOf implements githost.Statuses.
func (h *host) StatusOf(ctx context.Context, repoURL, sha, statusContext string) (githost.Status, bool, error) {
	newest, err := h.newest(ctx, repoURL, sha, statusContext)
	if err != nil || newest == nil {
		return githost.Status{}, false, err
	}
	return statusRules.Told(statusContext, stateOf(newest.Status), newest.Description, newest.TargetURL), true, nil
}

// newest returns the newest status of a context, nil where there is none. GitLab lists those of one name, and of each pipeline only
// the last, which is among them. The newest has the highest ID; an order can be asked for since 17.8 only.
func (h *host) newest(ctx context.Context, repoURL, sha, statusContext string) (*gogitlab.CommitStatus, error) {
	project, with, err := h.statusesOf(ctx, repoURL, sha, statusContext)
	if err != nil {
		return nil, err
	}
	var newest *gogitlab.CommitStatus
	name := statusRules.Context(statusContext)
	err = rest.StatusPages(h.api.Host(), func(number int) (int, error) {
		page := gogitlab.ListOptions{Page: int64(number), PerPage: perPage}
		listed, resp, err := h.library.Commits.GetCommitStatuses(project, sha,
			&gogitlab.GetCommitStatusesOptions{Name: &name, ListOptions: page}, with...)
		if err := h.libraryError(ctx, resp, err, statusNeed); err != nil {
			return 0, err
		}
		for _, l := range listed {
			if l != nil && l.Name == name && (newest == nil || l.ID > newest.ID) {
				newest = l
			}
		}
		return following(number, len(listed), resp), nil
	})
	return newest, err
}

// SetStatus implements githost.Statuses. To GitLab a status is a job of a pipeline. One that is pending stays so for ever
// unless it is ended in its own pipeline, while without that GitLab takes the newest one of the commit; and what is pending
// does not become pending again, but is a 400 "Cannot transition status". So what there is is read before, where that can be read. A
// pending one whose texts are others, as of an earlier run, becomes one that is running: that one can, once.
func (h *host) SetStatus(ctx context.Context, repoURL, sha string, s githost.Status) error {
	project, with, err := h.statusesOf(ctx, repoURL, sha, s.Context)
	if err != nil {
		return err
	}
	there, err := h.newest(ctx, repoURL, sha, s.Context)
	if e, is := errors.AsType[*githost.Error](err); is && e.Kind == githost.TooLarge {
		there = nil
	} else if err != nil {
		return err
	}
	sent := statusRules.Fit(s)
	want := &gogitlab.SetCommitStatusOptions{State: states[s.State], Name: &sent.Context, Description: &sent.Description}
	if sent.TargetURL != "" {
		want.TargetURL = &sent.TargetURL
	}
	if there != nil && stateOf(there.Status) == githost.Pending {
		same := there.Description == sent.Description && there.TargetURL == sent.TargetURL
		if s.State == githost.Pending && (same || there.Status == string(gogitlab.Running)) {
			return nil
		}
		if s.State == githost.Pending {
			want.State = gogitlab.Running
		}
		want.PipelineID = &there.PipelineID
	}
	_, resp, err := h.library.Commits.SetCommitStatus(project, sha, want, with...)
	return rest.Settle(h.libraryError(ctx, resp, err, statusNeed), sent, func() (githost.Status, bool, error) {
		return h.StatusOf(ctx, repoURL, sha, s.Context)
	})
}

// statusesOf returns how a project is named in requests beside polling, and what they have in common.
func (h *host) statusesOf(ctx context.Context, repoURL, sha, statusContext string) (string, []gogitlab.RequestOptionFunc, error) {
	if err := rest.CheckStatus(h.api.Host(), sha, statusContext); err != nil {
		return "", nil, err
	}
	return h.repository(transport.Mark(ctx, transport.Marks{Aside: true}), repoURL, statusNeed)
}
