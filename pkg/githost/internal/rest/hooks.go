package rest

import (
	"context"
	"io"
	"net/http"
	"slices"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/transport"
)

const (
	// maxHookPages bounds the pages of a repository's webhooks. GitLab allows 100 of them, GitHub 20 of each event.
	maxHookPages = 20
	// maxHookPage bounds one in bytes.
	maxHookPage = 2 << 20
)

// HookPages reads pages, numbered from 1, until none follows. next is the number of the one after, 0 for none.
func HookPages(host string, page func(number int) (hooks []githost.Hook, next int, err error)) ([]githost.Hook, error) {
	var all []githost.Hook
	for number, pages := 1, 0; number > 0; pages++ {
		if pages == maxHookPages {
			return nil, githost.NewError(githost.TooLarge, host, "it has more than %d pages of webhooks", maxHookPages)
		}
		hooks, next, err := page(number)
		if err != nil {
			return nil, err
		}
		all = append(all, hooks...)
		number = next
	}
	return all, nil
}

// HookError makes an error of what a request about webhooks was answered; right is what it takes. nil where there is none.
func HookError(ctx context.Context, host string, resp *http.Response, err error, right string) error {
	switch {
	case resp == nil:
		return Failed(ctx, host, err)
	case resp.StatusCode == http.StatusForbidden || resp.StatusCode == http.StatusNotFound || resp.StatusCode == http.StatusUnauthorized:
		said := transport.StatusError(host, resp, nil)
		if said.Kind == githost.RateLimited {
			return said
		}
		return githost.NewError(said.Kind, host, "HTTP %d: there is no such repository, or the credential may not manage its webhooks: want %s",
			resp.StatusCode, right)
	case resp.StatusCode >= http.StatusMultipleChoices:
		return transport.StatusError(host, resp, nil)
	case err != nil:
		return Failed(ctx, host, err)
	}
	return nil
}

// WrongHook says what is wrong with a webhook, of what the hosts have in common.
func WrongHook(active, asJSON, verified bool, events, want []string) []string {
	var wrong []string
	for what, ok := range map[string]bool{"inactive": active, "content type": asJSON, "TLS not verified": verified} {
		if !ok {
			wrong = append(wrong, what)
		}
	}
	slices.Sort(wrong)
	all := slices.Contains(events, "*")
	if !all && slices.ContainsFunc(want, func(e string) bool { return !slices.Contains(events, e) }) {
		wrong = append(wrong, "events")
	}
	return wrong
}

// ForHooks returns a client like c for a library that reads all that it is sent.
func ForHooks(c *http.Client) *http.Client {
	next := *c
	next.Transport = limited{c.Transport}
	return &next
}

type limited struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (l limited) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := l.next.RoundTrip(req)
	if err == nil {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(resp.Body, maxHookPage), resp.Body}
	}
	return resp, err
}
