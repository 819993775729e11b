package transport

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"time"

	"github.com/tekton-sentry/sentry/pkg/githost"
)

const (
	// maxAttempts is how often a request is sent at most.
	maxAttempts = 3
	// firstBackoff is the upper bound of the wait after the first attempt; it doubles with each.
	firstBackoff = 500 * time.Millisecond
	// maxWait is the longest wait that a server may ask for within a request. A longer one is the
	// caller's to honour.
	maxWait = 10 * time.Second
)

// Marks are what a Host says of its requests, which have them in their context.
type Marks struct {
	// Resource is what the server counts the request as, apart from others: "core" and "graphql" are GitHub's names, as
	// they stand in X-RateLimit-Resource. When it is used up, requests of other resources go on. "" = all that there is.
	Resource string
	// Apart is for a server that does not say which resource a limit is of: one that a request is told is of its Resource alone.
	Apart    bool
	ReadOnly bool // a POST may be sent again, such as ls-refs; a GET may without
	ForMany  bool // the request is for many repositories, so that what becomes of it is never the affair of a single one
	// Aside is for requests beside the rounds, such as one that sets a status. They draw on the budget as all others do, and
	// wait with them. But what becomes of one says nothing about the repositories that are read: it ends no round, speaks
	// neither for nor against the host and its credential, and a limit that it is told keeps only others aside waiting,
	// unless the host says that the budget itself is used up.
	Aside bool
}

type marksKey struct{}

// Mark returns a context for requests with these marks alone.
func Mark(ctx context.Context, m Marks) context.Context { return context.WithValue(ctx, marksKey{}, m) }

// ReadOnly returns a context for requests that may be sent again, with all other marks that ctx has.
func ReadOnly(ctx context.Context) context.Context {
	m := marksIn(ctx)
	m.ReadOnly = true
	return Mark(ctx, m)
}

// ForMany returns a context for requests that are for many repositories, counted as a resource, with all other marks that ctx has.
func ForMany(ctx context.Context, resource string) context.Context {
	m := marksIn(ctx)
	m.Resource, m.ForMany = resource, true
	return Mark(ctx, m)
}

func marksOf(req *http.Request) Marks { return marksIn(req.Context()) }

func marksIn(ctx context.Context) Marks {
	m, _ := ctx.Value(marksKey{}).(Marks)
	return m
}

// client is the RoundTripper of a Host's client. It names us to the server, bounds what is answered, and retries.
//
// It sends a read again, three times in all, when the connection fails, on 502, 503 and 504, and on 429 and 403 whose
// Retry-After is at most ten seconds. It waits with exponential backoff and full jitter, and never beyond the context's
// deadline. A request that timed out is not sent again: a server that hangs would hang again.
type client struct {
	next  http.RoundTripper
	names []string // User-Agent, one
}

func (c *client) RoundTrip(req *http.Request) (*http.Response, error) {
	for attempt := 1; ; attempt++ {
		resp, err := c.send(req)
		if attempt == maxAttempts || !repeatable(req) {
			return resp, err
		}
		wait, again := pause(resp, err, attempt)
		if !again || !fits(req.Context(), wait) {
			return resp, err
		}
		next := req.Clone(req.Context())
		if req.GetBody != nil {
			body, bodyErr := req.GetBody()
			if bodyErr != nil {
				return resp, err
			}
			next.Body = body
		}
		if resp != nil {
			discard(resp)
		}
		if err := sleep(req.Context(), wait, nil); err != nil {
			return nil, err
		}
		req = next
	}
}

// repeatable reports whether a request may be sent again.
func repeatable(req *http.Request) bool {
	switch req.Method {
	case http.MethodGet, http.MethodHead:
		return req.Body == nil || req.GetBody != nil
	case http.MethodPost:
		return marksOf(req).ReadOnly && req.GetBody != nil
	}
	return false
}

// pause returns how long to wait before the next attempt, and whether there should be one.
func pause(resp *http.Response, err error, attempt int) (time.Duration, bool) {
	backoff := rand.N(firstBackoff << (attempt - 1))
	if err != nil {
		var timeout net.Error
		if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout() {
			return 0, false
		}
		e := githost.WrapError("", err)
		return backoff, e.Kind == githost.Temporary && !e.Unsent
	}
	now := time.Now()
	until, told := parseWait(resp.Header.Get("Retry-After"), now)
	asked := max(0, until.Sub(now))
	switch resp.StatusCode {
	case http.StatusTooManyRequests, http.StatusForbidden:
		return asked + backoff, told && asked <= maxWait
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return asked + backoff, asked <= maxWait
	}
	return 0, false
}

// fits reports whether a wait ends before the context does.
func fits(ctx context.Context, wait time.Duration) bool {
	deadline, ok := ctx.Deadline()
	return ctx.Err() == nil && (!ok || time.Now().Add(wait).Before(deadline))
}

// discard ends an answer that nobody reads. A short rest is read, so that the connection can be used again.
func discard(resp *http.Response) {
	if n := resp.ContentLength; n >= 0 && n <= 64<<10 {
		_, _ = io.CopyN(io.Discard, resp.Body, n)
	}
	_ = resp.Body.Close()
}

// sleep waits for so long, for news, or for the end of the context, of which it returns the cause.
func sleep(ctx context.Context, d time.Duration, news <-chan struct{}) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-news:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
