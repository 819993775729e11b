package kube

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// impatient gives up what is read, but for watches, when it does not come within a time: an API server that cannot be reached often shows by
// silence alone.
type impatient struct {
	next   http.RoundTripper
	within time.Duration
}

// RoundTrip implements http.RoundTripper.
func (t impatient) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method != http.MethodGet || req.URL.Query().Get("watch") != "" {
		return t.next.RoundTrip(req)
	}
	ctx, cancel := context.WithTimeout(req.Context(), t.within)
	resp, err := t.next.RoundTrip(req.WithContext(ctx))
	if err != nil {
		cancel()
		return nil, err
	}
	resp.Body = bounded{resp.Body, cancel}
	return resp, nil
}

// bounded is a body whose time ends.
type bounded struct {
	io.ReadCloser
	cancel func()
}

// Close implements io.Closer.
func (b bounded) Close() error {
	defer b.cancel()
	return b.ReadCloser.Close()
}

// maxAnswer bounds an answer that is held as a whole, in bytes: fifty runs of the largest kind have half of it.
const maxAnswer = 32 << 20

// limited cuts off what a server answers, but for watches and logs, which are read as they come.
type limited struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (t limited) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.next.RoundTrip(req)
	if err == nil && req.URL.Query().Get("watch") == "" && !strings.HasSuffix(req.URL.Path, "/log") {
		resp.Body = &cut{resp.Body, maxAnswer}
	}
	return resp, err
}

// cut is a body that fails behind so many bytes.
type cut struct {
	io.ReadCloser
	left int
}

// Read implements io.Reader.
func (c *cut) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	if c.left -= n; c.left < 0 {
		return 0, fmt.Errorf("the answer has more than %d MiB", maxAnswer>>20)
	}
	return n, err
}
