package rest

import (
	"context"
	"io"
	"net/http"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/transport"
)

// What follows is for requests about webhooks and statuses, of which the hosts' libraries read the answers whole.

// maxAnswer bounds such an answer in bytes. A page of fifty statuses is some 40 kB.
const maxAnswer = 4 << 20

// ForLibrary returns a client like c for a library that reads all that it is sent.
func ForLibrary(c *http.Client) *http.Client {
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
		}{io.LimitReader(resp.Body, maxAnswer), resp.Body}
	}
	return resp, err
}

// Need is what requests take beside the right to read, in words.
type Need struct {
	Of    string // what it is there for, such as "repository"
	May   string // what is asked for, such as "manage its webhooks"
	Right string // such as "a token with the scope api"
}

// Check returns an error where there is no token.
func (n Need) Check(host, token string) error {
	if token == "" {
		return githost.NewError(githost.Denied, host, "there is no token: want %s", n.Right)
	}
	return nil
}

// Error makes an error of what a request was answered, and of what was read of the body. nil where all is well.
func (n Need) Error(ctx context.Context, host string, resp *http.Response, body []byte, err error) error {
	switch {
	case resp == nil:
		return Failed(ctx, host, err)
	case resp.StatusCode == http.StatusForbidden || resp.StatusCode == http.StatusNotFound || resp.StatusCode == http.StatusUnauthorized:
		said := transport.StatusError(host, resp, body)
		if said.Kind == githost.RateLimited {
			return said
		}
		e := githost.NewError(said.Kind, host, "HTTP %d: there is no such %s, or the credential may not %s: want %s",
			resp.StatusCode, n.Of, n.May, n.Right)
		e.Status = resp.StatusCode
		return e
	case resp.StatusCode >= http.StatusMultipleChoices:
		return transport.StatusError(host, resp, body)
	case err != nil:
		return Failed(ctx, host, err)
	}
	return nil
}

// list calls page for the pages of a list, numbered from 1, until none follows: next is the number of the one after, 0 for none.
func list(host, of string, most int, page func(number int) (next int, err error)) error {
	number := 1
	for range most {
		next, err := page(number)
		switch {
		case err != nil:
			return err
		case next == 0:
			return nil
		case next <= number:
			return githost.NewError(githost.Invalid, host, "page %d of the %s says that page %d follows", number, of, next)
		}
		number = next
	}
	return githost.NewError(githost.TooLarge, host, "it has more than %d pages of %s", most, of)
}

// Following returns the number of the page after one with so many items, 0 for none. told is what the server says of it, 0 for
// nothing: some proxies take the header away. full is the length of a page that is full.
func Following(number, told, items, full int) int {
	if told == 0 && items >= full {
		return number + 1
	}
	return told
}
