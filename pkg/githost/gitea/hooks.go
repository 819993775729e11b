package gitea

import (
	"context"
	"net/http"
	"strings"

	sdk "code.gitea.io/sdk/gitea"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/internal/rest"
)

// hookEvents are what a webhook tells of.
var hookEvents = []string{"push", "create", "delete"}

const (
	hookRight = "a token with the scope write:repository, of an administrator of the repository"
	// hooksListed is the length of a page of webhooks, as of all pages.
	hooksListed = 50
)

func (h *host) hookClient(ctx context.Context) (*sdk.Client, error) {
	return sdk.NewClient(strings.TrimSuffix(h.api.Base.String(), "/api/v1"), sdk.SetHTTPClient(rest.ForHooks(h.plain)),
		sdk.SetBasicAuth(h.user, h.password), sdk.SetContext(ctx), sdk.SetGiteaVersion(""))
}

// Hooks implements githost.Hooks.
func (h *host) Hooks(ctx context.Context, repoURL string) ([]githost.Hook, error) {
	var hooks []githost.Hook
	err := h.manage(ctx, repoURL, func(client *sdk.Client, owner, name string) error {
		all, err := rest.HookPages(h.api.Host(), func(number int) ([]githost.Hook, int, error) {
			listed, resp, err := client.ListRepoHooks(owner, name, sdk.ListHooksOptions{ListOptions: sdk.ListOptions{Page: number, PageSize: hooksListed}})
			if err := h.hookError(ctx, resp, err); err != nil {
				return nil, 0, err
			}
			return hooksOf(listed), following(number, listed, resp), nil
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

// following returns the number of the page after one. A server may have shorter pages than were asked for, and tells by its
// links that more follow.
func following(number int, listed []*sdk.Hook, resp *sdk.Response) int {
	if strings.Contains(resp.Header.Get("Link"), `rel="next"`) || len(listed) >= hooksListed {
		return number + 1
	}
	return 0
}

// SaveHook implements githost.Hooks. Gitea never changes the secret of a webhook that there is, so that such a one is replaced:
// first the new one is made, so that there is one whatever happens in between.
func (h *host) SaveHook(ctx context.Context, repoURL string, id int64, address, secret string) error {
	err := h.manage(ctx, repoURL, func(client *sdk.Client, owner, name string) error {
		_, resp, err := client.CreateRepoHook(owner, name, sdk.CreateHookOption{Type: sdk.HookTypeGitea, Active: true, Events: hookEvents,
			Config: map[string]string{"url": address, "content_type": "json", "secret": secret}})
		return h.hookError(ctx, resp, err)
	})
	if err != nil || id == 0 {
		return err
	}
	return h.DeleteHook(ctx, repoURL, id)
}

// DeleteHook implements githost.Hooks.
func (h *host) DeleteHook(ctx context.Context, repoURL string, id int64) error {
	return h.manage(ctx, repoURL, func(client *sdk.Client, owner, name string) error {
		resp, err := client.DeleteRepoHook(owner, name, id)
		return h.hookError(ctx, resp, err)
	})
}

// manage calls f with what the library wants to know of a repository.
func (h *host) manage(ctx context.Context, repoURL string, f func(client *sdk.Client, owner, name string) error) error {
	if h.password == "" {
		return githost.NewError(githost.Denied, h.api.Host(), "there is no token: want %s", hookRight)
	}
	path, err := pathOf(repoURL)
	if err != nil {
		return githost.NewError(githost.Invalid, h.api.Host(), "%w", err)
	}
	client, err := h.hookClient(ctx)
	if err != nil {
		return rest.Failed(ctx, h.api.Host(), err)
	}
	owner, name, _ := strings.Cut(path, "/")
	return f(client, owner, name)
}

func (h *host) hookError(ctx context.Context, resp *sdk.Response, err error) error {
	var answer *http.Response
	if resp != nil {
		answer = resp.Response
	}
	return rest.HookError(ctx, h.api.Host(), answer, err, hookRight)
}
