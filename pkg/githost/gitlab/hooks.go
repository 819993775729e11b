package gitlab

import (
	"context"
	"strings"

	gogitlab "gitlab.com/gitlab-org/api/client-go"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/internal/rest"
)

const hookRight = "a token with the scope api, of who has the role Maintainer or Owner there"

// Hooks implements githost.Hooks.
func (h *host) Hooks(ctx context.Context, repoURL string) ([]githost.Hook, error) {
	project, with, err := h.hookOf(ctx, repoURL)
	if err != nil {
		return nil, err
	}
	return rest.HookPages(h.api.Host(), func(number int) ([]githost.Hook, int, error) {
		listed, resp, err := h.hooks.Projects.ListProjectHooks(project,
			&gogitlab.ListProjectHooksOptions{ListOptions: gogitlab.ListOptions{Page: int64(number), PerPage: perPage}}, with...)
		if err := h.hookError(ctx, resp, err); err != nil {
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
		next := int(resp.NextPage)
		if _, told := resp.Header["X-Next-Page"]; !told && len(listed) >= perPage {
			next = number + 1 // some proxy took the header away
		}
		return hooks, next, nil
	})
}

// SaveHook implements githost.Hooks.
func (h *host) SaveHook(ctx context.Context, repoURL string, id int64, address, secret string) error {
	project, with, err := h.hookOf(ctx, repoURL)
	if err != nil {
		return err
	}
	yes, all := true, ""
	want := gogitlab.AddProjectHookOptions{URL: &address, Token: &secret, PushEvents: &yes, TagPushEvents: &yes,
		PushEventsBranchFilter: &all, EnableSSLVerification: &yes}
	var resp *gogitlab.Response
	if id == 0 {
		_, resp, err = h.hooks.Projects.AddProjectHook(project, &want, with...)
	} else {
		_, resp, err = h.hooks.Projects.EditProjectHook(project, id, &gogitlab.EditProjectHookOptions{URL: want.URL, Token: want.Token,
			PushEvents: &yes, TagPushEvents: &yes, PushEventsBranchFilter: &all, EnableSSLVerification: &yes}, with...)
	}
	return h.hookError(ctx, resp, err)
}

// DeleteHook implements githost.Hooks.
func (h *host) DeleteHook(ctx context.Context, repoURL string, id int64) error {
	project, with, err := h.hookOf(ctx, repoURL)
	if err != nil {
		return err
	}
	resp, err := h.hooks.Projects.DeleteProjectHook(project, id, with...)
	return h.hookError(ctx, resp, err)
}

// hookOf returns how a project is named in requests, and what they have in common.
func (h *host) hookOf(ctx context.Context, repoURL string) (string, []gogitlab.RequestOptionFunc, error) {
	if h.token == "" {
		return "", nil, githost.NewError(githost.Denied, h.api.Host(), "there is no token: want %s", hookRight)
	}
	parts, err := rest.Project(repoURL, h.api.Mount)
	if err != nil {
		return "", nil, githost.NewError(githost.Invalid, h.api.Host(), "%w", err)
	}
	return strings.Join(parts, "/"), []gogitlab.RequestOptionFunc{gogitlab.WithContext(ctx),
		gogitlab.WithHeaders(map[string]string{"Authorization": "Bearer " + h.token})}, nil
}

func (h *host) hookError(ctx context.Context, resp *gogitlab.Response, err error) error {
	if resp == nil {
		return rest.HookError(ctx, h.api.Host(), nil, err, hookRight)
	}
	return rest.HookError(ctx, h.api.Host(), resp.Response, err, hookRight)
}
