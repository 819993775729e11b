package kube

import (
	"context"
	"io"
	"net/http"
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
