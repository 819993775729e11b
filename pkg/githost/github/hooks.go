package github

import (
	"context"
	"errors"

	gogithub "github.com/google/go-github/v60/github"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/internal/rest"
)

// hookEvents are what a webhook tells of. A push of a new branch is a push, too; a branch may also come without one.
var hookEvents = []string{"push", "create", "delete"}

const hookRight = "a classic token with the scope admin:repo_hook, or a fine-grained one with the permission Webhooks: read and write, of who has the role Admin there"

func (h *host) hookClient() *gogithub.Client {
	client := gogithub.NewClient(rest.ForHooks(h.client)).WithAuthToken(h.token)
	client.BaseURL = h.base
	return client
}

// Hooks implements githost.Hooks.
func (h *host) Hooks(ctx context.Context, repoURL string) ([]githost.Hook, error) {
	owner, name, err := h.hookOf(repoURL)
	if err != nil {
		return nil, err
	}
	return rest.HookPages(h.name, func(number int) ([]githost.Hook, int, error) {
		listed, resp, err := h.hookClient().Repositories.ListHooks(ctx, owner, name, &gogithub.ListOptions{Page: number, PerPage: 100})
		if err := h.hookError(ctx, resp, err); err != nil {
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
	owner, name, err := h.hookOf(repoURL)
	if err != nil {
		return err
	}
	want := &gogithub.Hook{Active: gogithub.Bool(true), Events: hookEvents, Config: &gogithub.HookConfig{
		URL: &address, Secret: &secret, ContentType: gogithub.String("json"), InsecureSSL: gogithub.String("0")}}
	var resp *gogithub.Response
	if id == 0 {
		_, resp, err = h.hookClient().Repositories.CreateHook(ctx, owner, name, want)
	} else {
		_, resp, err = h.hookClient().Repositories.EditHook(ctx, owner, name, id, want)
	}
	return h.hookError(ctx, resp, err)
}

// DeleteHook implements githost.Hooks.
func (h *host) DeleteHook(ctx context.Context, repoURL string, id int64) error {
	owner, name, err := h.hookOf(repoURL)
	if err != nil {
		return err
	}
	resp, err := h.hookClient().Repositories.DeleteHook(ctx, owner, name, id)
	return h.hookError(ctx, resp, err)
}

func (h *host) hookOf(repoURL string) (owner, name string, err error) {
	if h.token == "" {
		return "", "", githost.NewError(githost.Denied, h.name, "there is no token: want %s", hookRight)
	}
	if owner, name, err = rest.OwnerAndName(repoURL, ""); err != nil {
		return "", "", githost.NewError(githost.Invalid, h.name, "%w", err)
	}
	return owner, name, nil
}

func (h *host) hookError(ctx context.Context, resp *gogithub.Response, err error) error {
	if resp == nil {
		if limit, ok := errors.AsType[*gogithub.RateLimitError](err); ok && limit.Response != nil {
			return rest.HookError(ctx, h.name, limit.Response, err, hookRight)
		}
		return rest.HookError(ctx, h.name, nil, err, hookRight)
	}
	return rest.HookError(ctx, h.name, resp.Response, err, hookRight)
}
