// Package gitea reads branch heads from Gitea and Forgejo by their REST API. It asks for refs by their
// beginning: the server answers from Git itself, all at once and in small, where its list of branches
// takes a look at each commit and a request for every 50. There are no ETags.
//
// Access tokens are sent in Gitea's own way, "token". Passwords are not supported: Gitea takes four times as
// long to check one. The user name is not used. Without a token public repositories are read.
package gitea

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"

	sdk "code.gitea.io/sdk/gitea"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/internal/rest"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

type host struct {
	api    rest.API
	client *http.Client
	token  string
}

// Open is the githost.Open of Gitea. The API is <origin>/api/v1; for a Gitea below a path, api_url says
// which: https://host/path, with or without /api/v1.
func Open(e githost.Endpoint, client *http.Client) (githost.Host, error) {
	api, err := rest.ParseAPI(e, "/api/v1")
	if err != nil {
		return nil, err
	}
	token, err := rest.Token(e)
	if err != nil {
		return nil, err
	}
	whole := *client
	whole.Transport = wholeBodies{client.Transport}
	return &host{api: api, client: &whole, token: token}, nil
}

// Heads implements githost.Host.
func (h *host) Heads(ctx context.Context, want []githost.Wanted) []repo.Observation {
	// The library keeps its context in the client, so each batch has a client.
	client, err := sdk.NewClient(strings.TrimSuffix(h.api.Base.String(), "/api/v1"),
		sdk.SetHTTPClient(h.client), sdk.SetToken(h.token), sdk.SetContext(ctx),
		sdk.SetGiteaVersion("")) // or it asks the server for it first
	return rest.Each(ctx, h.api.Host(), want, func(ctx context.Context, w githost.Wanted) repo.Observation {
		if err != nil {
			return repo.Observation{Err: rest.Failed(ctx, h.api.Host(), err)}
		}
		return h.read(ctx, client, w)
	})
}

func (h *host) read(ctx context.Context, client *sdk.Client, w githost.Wanted) repo.Observation {
	owner, name, err := rest.OwnerAndName(w.URL, h.api.Mount)
	if err != nil {
		return repo.Observation{Err: githost.NewError(githost.Invalid, h.api.Host(), "%w", err)}
	}
	var heads []rest.Head
	for _, prefix := range rest.Prefixes(w.Patterns) {
		some, err := h.matching(ctx, client, owner, name, prefix)
		if err != nil {
			return repo.Observation{Err: err}
		}
		heads = append(heads, some...)
	}
	if len(heads) == 0 {
		// Gitea answers 404 to a beginning that no ref has, as it does for a repository that is not there.
		if _, resp, err := client.GetRepo(owner, name); resp == nil || resp.StatusCode != http.StatusOK {
			return repo.Observation{Err: h.failed(ctx, resp, err)}
		}
	}
	return githost.CollectHeads(h.api.Host(), w.Patterns, rest.Pairs(heads))
}

// matching returns the branches that begin with prefix, none when the server knows no such branch or no
// such repository.
func (h *host) matching(ctx context.Context, client *sdk.Client, owner, name, prefix string) ([]rest.Head, error) {
	refs, resp, err := client.GetRepoRefs(owner, name, "heads/"+prefix)
	switch {
	case resp != nil && resp.StatusCode == http.StatusNotFound:
		return nil, nil
	case err != nil:
		return nil, h.failed(ctx, resp, err)
	}
	heads := make([]rest.Head, 0, len(refs))
	for _, ref := range refs {
		if ref == nil || ref.Object == nil {
			return nil, h.failed(ctx, resp, nil)
		}
		if branch, ok := strings.CutPrefix(ref.Ref, "refs/heads/"); ok {
			heads = append(heads, rest.Head{Branch: branch, Name: ref.Object.SHA})
		}
	}
	return heads, nil
}

// failed makes an *Error of what the library gave. Its errors have no types; but an answer is there only
// after it was read whole, so what fails after a 200 is the answer's content.
func (h *host) failed(ctx context.Context, resp *sdk.Response, err error) *githost.Error {
	switch {
	case resp == nil:
		return rest.Failed(ctx, h.api.Host(), err)
	case resp.StatusCode == http.StatusOK:
		return githost.NewError(githost.Invalid, h.api.Host(), "the answer is not what a Gitea says about refs: is this the right type of host?")
	}
	var body []byte
	if err != nil && strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") {
		body, _ = json.Marshal(map[string]string{"message": err.Error()}) // what the library made of the answer
	}
	return githost.StatusError(h.api.Host(), resp.Response, body)
}

// wholeBodies reads an answer to its end before anybody sees it, so that an answer cut short is an error
// of the request.
type wholeBodies struct{ next http.RoundTripper }

func (t wholeBodies) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}
