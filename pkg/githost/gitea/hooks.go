package gitea

import (
	"context"

	sdk "code.gitea.io/sdk/gitea"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/internal/rest"
)

// hookEvents are what a webhook tells of.
var hookEvents = []string{"push", "create", "delete"}

var hookNeed = rest.Need{Of: "repository", May: "manage its webhooks",
	Right: "a token with the scope write:repository, of an administrator of the repository"}

// Hooks implements githost.Hooks.
func (h *host) Hooks(ctx context.Context, repoURL string) ([]githost.Hook, error) {
	var hooks []githost.Hook
	err := h.manage(ctx, repoURL, hookNeed, func(client *sdk.Client, owner, name string) error {
		all, err := rest.HookPages(h.api.Host(), func(number int) ([]githost.Hook, int, error) {
			page := sdk.ListHooksOptions{ListOptions: sdk.ListOptions{Page: number, PageSize: mostListed}}
			listed, resp, err := client.ListRepoHooks(owner, name, page)
			if err := h.libraryError(ctx, resp, err, hookNeed); err != nil {
				return nil, 0, err
			}
			return hooksOf(listed), following(number, len(listed), resp), nil
		})
		hooks = all
		return err
	})
	return hooks, err
}

func hooksOf(listed []*sdk.Hook) []githost.Hook {
	hooks := make([]githost.Hook, 0, len(listed))
	for _, l := range listed {
		if l == nil {
			continue
		}
		wrong := rest.WrongHook(l.Active, l.Config["content_type"] == "json", true, l.Events, hookEvents)
		if l.BranchFilter != "" && l.BranchFilter != "*" {
			wrong = append(wrong, "branch filter")
		}
		if l.Type != string(sdk.HookTypeGitea) {
			wrong = append(wrong, "type")
		}
		hooks = append(hooks, githost.Hook{ID: l.ID, Address: l.Config["url"], Wrong: wrong})
	}
	return hooks
}

// SaveHook implements githost.Hooks. Gitea never changes the secret of a webhook that there is, so that such a one is replaced:
// first the new one is made, so that there is one whatever happens in between.
func (h *host) SaveHook(ctx context.Context, repoURL string, id int64, address, secret string) error {
	err := h.manage(ctx, repoURL, hookNeed, func(client *sdk.Client, owner, name string) error {
		_, resp, err := client.CreateRepoHook(owner, name, sdk.CreateHookOption{Type: sdk.HookTypeGitea, Active: true, Events: hookEvents,
			Config: map[string]string{"url": address, "content_type": "json", "secret": secret}})
		return h.libraryError(ctx, resp, err, hookNeed)
	})
	if err != nil || id == 0 {
		return err
	}
	return h.DeleteHook(ctx, repoURL, id)
}

// DeleteHook implements githost.Hooks.
func (h *host) DeleteHook(ctx context.Context, repoURL string, id int64) error {
	return h.manage(ctx, repoURL, hookNeed, func(client *sdk.Client, owner, name string) error {
		resp, err := client.DeleteRepoHook(owner, name, id)
		return h.libraryError(ctx, resp, err, hookNeed)
	})
}
