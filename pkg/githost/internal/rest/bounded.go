package rest

import (
	"bytes"
	"errors"
	"io"
	"net/http"

	"github.com/tekton-sentry/sentry/pkg/githost/internal/jsonstream"
)

// maxRefusal is how much is read of an answer that is no success.
const maxRefusal = 16 << 10

// Bounded returns a client like c for a library that reads whatever it is sent of an answer that is no success.
func Bounded(c *http.Client) *http.Client {
	next := *c
	next.Transport = bounded{c.Transport}
	return &next
}

type bounded struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := b.next.RoundTrip(req)
	if err != nil || resp.StatusCode == http.StatusOK {
		return resp, err
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxRefusal))
	_ = resp.Body.Close()
	if err != nil {
		return nil, err
	}
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
	return resp, nil
}

// Stream is what a library is given to copy a good answer to, so that it does not decode it: that would hold all of
// it. It reads the answer as it comes.
type Stream func(*jsonstream.Reader) error

// ReadFrom implements io.ReaderFrom, which io.Copy prefers.
func (s Stream) ReadFrom(body io.Reader) (int64, error) {
	err := s(jsonstream.New(body))
	if c, ok := body.(io.Closer); ok && err != nil {
		_ = c.Close() // or the library reads the rest
	}
	return 0, err
}

// Write implements io.Writer.
func (s Stream) Write([]byte) (int, error) { return 0, errors.ErrUnsupported }
