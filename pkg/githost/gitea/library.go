package gitea

import (
	"context"
	"net/http"
	"strings"

	sdk "code.gitea.io/sdk/gitea"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/internal/rest"
)

// library returns the library for one request, as it keeps its context in the client.
func (h *host) library(ctx context.Context, by *http.Client) (*sdk.Client, error) {
	return sdk.NewClient(strings.TrimSuffix(h.api.Base.String(), "/api/v1"), sdk.SetHTTPClient(by), sdk.SetBasicAuth(h.user, h.password),
		sdk.SetContext(ctx), sdk.SetGiteaVersion("")) // or it asks the server for it first
}

// manage calls f with what the library wants to know of a repository, for requests that need more than the right to read.
func (h *host) manage(ctx context.Context, repoURL string, need rest.Need, f func(client *sdk.Client, owner, name string) error) error {
	if err := need.Check(h.api.Host(), h.password); err != nil {
		return err
	}
	path, err := pathOf(repoURL)
	if err != nil {
		return githost.NewError(githost.Invalid, h.api.Host(), "%w", err)
	}
	client, err := h.library(ctx, rest.ForLibrary(h.plain))
	if err != nil {
		return rest.Failed(ctx, h.api.Host(), err)
	}
	owner, name, _ := strings.Cut(path, "/")
	return f(client, owner, name)
}

func (h *host) libraryError(ctx context.Context, resp *sdk.Response, err error, need rest.Need) error {
	if resp == nil {
		return need.Error(ctx, h.api.Host(), nil, nil, err)
	}
	return need.Error(ctx, h.api.Host(), resp.Response, nil, err) // the library has read the body, and keeps it to itself
}

// following returns the number of the page after one with so many items, 0 for none. A server may have shorter pages than
// were asked for, and tells by its links that more follow.
func following(number, items int, resp *sdk.Response) int {
	if strings.Contains(resp.Header.Get("Link"), `rel="next"`) || items >= mostListed {
		return number + 1
	}
	return 0
}
