package gitlab

import (
	"context"

	gogitlab "gitlab.com/gitlab-org/api/client-go"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/internal/rest"
)

var hookNeed = rest.Need{Of: "repository", May: "manage its webhooks",
	Right: "a token with the scope api, of who has the role Maintainer or Owner there"}

// Hooks implements githost.Hooks.
func (h *host) Hooks(ctx context.Context, repoURL string) ([]githost.Hook, error) {
	project, with, err := h.repository(ctx, repoURL, hookNeed)
	if err != nil {
		return nil, err
	}
	return rest.HookPages(h.api.Host(), func(number int) ([]githost.Hook, int, error) {
		listed, resp, err := h.library.Projects.ListProjectHooks(project,
			&gogitlab.ListProjectHooksOptions{ListOptions: gogitlab.ListOptions{Page: int64(number), PerPage: perPage}}, with...)
		if err := h.libraryError(ctx, resp, err, hookNeed); err != nil {
			return nil, 0, err
		}
		hooks := make([]githost.Hook, len(listed))
		for i, l := range listed {
			wrong := rest.WrongHook(true, true, l.EnableSSLVerification, nil, nil)
			if !l.PushEvents || !l.TagPushEvents || l.PushEventsBranchFilter != "" {
				wrong = append(wrong, "events")
			}
			hooks[i] = githost.Hook{ID: l.ID, Address: l.URL, Wrong: wrong}
		}
		return hooks, following(number, len(listed), resp), nil
	})
}

// SaveHook implements githost.Hooks.
func (h *host) SaveHook(ctx context.Context, repoURL string, id int64, address, secret string) error {
	project, with, err := h.repository(ctx, repoURL, hookNeed)
	if err != nil {
		return err
	}
	yes, all := true, ""
	want := gogitlab.AddProjectHookOptions{URL: &address, Token: &secret, PushEvents: &yes, TagPushEvents: &yes,
		PushEventsBranchFilter: &all, EnableSSLVerification: &yes}
	var resp *gogitlab.Response
	if id == 0 {
		_, resp, err = h.library.Projects.AddProjectHook(project, &want, with...)
	} else {
		_, resp, err = h.library.Projects.EditProjectHook(project, id, &gogitlab.EditProjectHookOptions{URL: want.URL, Token: want.Token,
			PushEvents: &yes, TagPushEvents: &yes, PushEventsBranchFilter: &all, EnableSSLVerification: &yes}, with...)
	}
	return h.libraryError(ctx, resp, err, hookNeed)
}

// DeleteHook implements githost.Hooks.
func (h *host) DeleteHook(ctx context.Context, repoURL string, id int64) error {
	project, with, err := h.repository(ctx, repoURL, hookNeed)
	if err != nil {
		return err
	}
	resp, err := h.library.Projects.DeleteProjectHook(project, id, with...)
	return h.libraryError(ctx, resp, err, hookNeed)
}
