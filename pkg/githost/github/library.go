package github

import (
	"context"
	"io"

	gogithub "github.com/google/go-github/v60/github"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/internal/rest"
)

// library returns the client for all but heads, new for each call: see page.
func (h *host) library() *gogithub.Client {
	client := gogithub.NewClient(rest.ForLibrary(h.client)).WithAuthToken(h.token)
	client.BaseURL = h.base
	return client
}

// repository returns how a repository is named in requests that need more than the right to read.
func (h *host) repository(repoURL string, need rest.Need) (owner, name string, err error) {
	if err := need.Check(h.name, h.token); err != nil {
		return "", "", err
	}
	if owner, name, err = rest.OwnerAndName(repoURL, ""); err != nil {
		return "", "", githost.NewError(githost.Invalid, h.name, "%w", err)
	}
	return owner, name, nil
}

func (h *host) libraryError(ctx context.Context, resp *gogithub.Response, err error, need rest.Need) error {
	if resp == nil {
		return need.Error(ctx, h.name, nil, nil, err)
	}
	var body []byte
	if err != nil {
		body, _ = io.ReadAll(resp.Body) // the library has read it, and put it back
	}
	return need.Error(ctx, h.name, resp.Response, body, err)
}
