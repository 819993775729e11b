package gitlab

import (
	"context"
	"strings"

	gogitlab "gitlab.com/gitlab-org/api/client-go"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/internal/rest"
)

// repository returns how a project is named in requests that need more than the right to read, and what they have in common.
func (h *host) repository(ctx context.Context, repoURL string, need rest.Need) (string, []gogitlab.RequestOptionFunc, error) {
	if err := need.Check(h.api.Host(), h.token); err != nil {
		return "", nil, err
	}
	parts, err := rest.Project(repoURL, h.api.Mount)
	if err != nil {
		return "", nil, githost.NewError(githost.Invalid, h.api.Host(), "%w", err)
	}
	return strings.Join(parts, "/"), []gogitlab.RequestOptionFunc{gogitlab.WithContext(ctx),
		gogitlab.WithHeaders(map[string]string{"Authorization": "Bearer " + h.token})}, nil
}

func (h *host) libraryError(ctx context.Context, resp *gogitlab.Response, err error, need rest.Need) error {
	if resp == nil {
		return need.Error(ctx, h.api.Host(), nil, nil, err)
	}
	return need.Error(ctx, h.api.Host(), resp.Response, bodyOf(err), err)
}

// following returns the number of the page after one with so many items, 0 for none.
func following(number, items int, resp *gogitlab.Response) int {
	if _, told := resp.Header["X-Next-Page"]; !told && items >= perPage {
		return number + 1 // some proxy took the header away
	}
	return int(resp.NextPage)
}
