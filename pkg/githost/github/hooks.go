package github

import (
	"context"

	gogithub "github.com/google/go-github/v60/github"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/internal/rest"
)

// hookEvents are what a webhook tells of. A push of a new branch is a push, too; a branch may also come without one.
var hookEvents = []string{"push", "create", "delete"}

var hookNeed = rest.Need{Of: "repository", May: "manage its webhooks",
	Right: "a classic token with the scope admin:repo_hook, or a fine-grained one with the permission Webhooks: read and write, " +
		"of who has the role Admin there"}

// Hooks implements githost.Hooks.
func (h *host) Hooks(ctx context.Context, repoURL string) ([]githost.Hook, error) {
	owner, name, err := h.repository(repoURL, hookNeed)
	if err != nil {
		return nil, err
	}
	return rest.HookPages(h.name, func(number int) ([]githost.Hook, int, error) {
		listed, resp, err := h.library().Repositories.ListHooks(ctx, owner, name, &gogithub.ListOptions{Page: number, PerPage: 100})
		if err := h.libraryError(ctx, resp, err, hookNeed); err != nil {
			return nil, 0, err
		}
		hooks := make([]githost.Hook, len(listed))
		for i, l := range listed {
			c := l.GetConfig()
			hooks[i] = githost.Hook{ID: l.GetID(), Address: c.GetURL(),
				Wrong: rest.WrongHook(l.GetActive(), c.GetContentType() == "json", c.GetInsecureSSL() == "0", l.Events, hookEvents)}
		}
		return hooks, resp.NextPage, nil
	})
}

// SaveHook implements githost.Hooks.
func (h *host) SaveHook(ctx context.Context, repoURL string, id int64, address, secret string) error {
	owner, name, err := h.repository(repoURL, hookNeed)
	if err != nil {
		return err
	}
	want := &gogithub.Hook{Active: gogithub.Bool(true), Events: hookEvents, Config: &gogithub.HookConfig{
		URL: &address, Secret: &secret, ContentType: gogithub.String("json"), InsecureSSL: gogithub.String("0")}}
	var resp *gogithub.Response
	if id == 0 {
		_, resp, err = h.library().Repositories.CreateHook(ctx, owner, name, want)
	} else {
		_, resp, err = h.library().Repositories.EditHook(ctx, owner, name, id, want)
	}
	return h.libraryError(ctx, resp, err, hookNeed)
}

// DeleteHook implements githost.Hooks.
func (h *host) DeleteHook(ctx context.Context, repoURL string, id int64) error {
	owner, name, err := h.repository(repoURL, hookNeed)
	if err != nil {
		return err
	}
	resp, err := h.library().Repositories.DeleteHook(ctx, owner, name, id)
	return h.libraryError(ctx, resp, err, hookNeed)
}
