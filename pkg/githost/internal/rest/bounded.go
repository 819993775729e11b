package rest

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"sync"

	"github.com/tekton-sentry/sentry/pkg/githost"
)

const (
	// maxAnswer bounds an answer in bytes: 100,000 refs as GitHub describes them take 35 MB.
	maxAnswer = 48 << 20
	// maxValues bounds the JSON values of an answer: GitHub writes eight for a ref. The libraries make up to sixty
	// bytes of one that takes three.
	maxValues = 1_000_000
	// usualAnswer is up to what size, in bytes, answers are read side by side. Larger ones go one at a time, from
	// their first byte beyond it until they are decoded, so that a host cannot fill the memory with eight of them.
	usualAnswer = 1 << 20
	// maxRefusal is how much is read of an answer that is no success.
	maxRefusal = 64 << 10
)

// Bounded returns a client like c for a library that decodes JSON and takes whatever it is sent: answers are read
// before, and one that would take more memory than a true one does is an error.
func Bounded(c *http.Client, host string) *http.Client {
	next := *c
	next.Transport = &bounded{next: c.Transport, host: host, large: make(chan struct{}, 1)}
	return &next
}

type bounded struct {
	next  http.RoundTripper
	host  string
	large chan struct{} // full while a large answer is read or decoded
}

// RoundTrip implements http.RoundTripper.
func (b *bounded) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := b.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	text, release, err := b.read(req.Context(), resp)
	_ = resp.Body.Close()
	if err != nil {
		release()
		return nil, err
	}
	resp.Body, resp.ContentLength = &read{bytes.NewReader(text), release}, int64(len(text))
	return resp, nil
}

// read reads an answer. release has to be called once, when it is of no use any more.
func (b *bounded) read(ctx context.Context, resp *http.Response) (text []byte, release func(), err error) {
	release = func() {}
	if resp.StatusCode != http.StatusOK {
		text, err = io.ReadAll(io.LimitReader(resp.Body, maxRefusal))
		return text, release, err
	}
	var buffer bytes.Buffer
	if _, err := buffer.ReadFrom(io.LimitReader(resp.Body, usualAnswer)); err != nil {
		return nil, release, err
	}
	if buffer.Len() == usualAnswer {
		select {
		case b.large <- struct{}{}:
			release = sync.OnceFunc(func() { <-b.large })
		case <-ctx.Done():
			return nil, release, context.Cause(ctx)
		}
		if _, err := buffer.ReadFrom(io.LimitReader(resp.Body, maxAnswer+1-usualAnswer)); err != nil {
			return nil, release, err
		}
	}
	if text = buffer.Bytes(); len(text) > maxAnswer || Values(text) > maxValues {
		return nil, release, githost.NewError(githost.Invalid, b.host, "the answer is larger than that of any repository: narrow monitor.branches")
	}
	return text, release, nil
}

// Values returns how many values a JSON text holds at most: it counts what stands before each, also inside of strings.
func Values(text []byte) int {
	return 1 + bytes.Count(text, []byte(",")) + bytes.Count(text, []byte("[")) + bytes.Count(text, []byte("{"))
}

// read is the body of an answer that was read.
type read struct {
	*bytes.Reader
	release func()
}

func (r *read) Close() error {
	r.release()
	return nil
}
