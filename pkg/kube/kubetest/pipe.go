package kubetest

import (
	"context"
	"net"
	"net/http"
	"sync"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/kube"
)

// NewPiped is New without a network, whose waits testing/synctest cannot see: for tests on fake time.
func NewPiped(t testing.TB) (*Server, *kube.Cluster) {
	t.Helper()
	s := &Server{objects: map[string]Object{}}
	p := &pipes{dialled: make(chan net.Conn), closed: make(chan struct{})}
	web := &http.Server{Handler: s}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = web.Serve(p) // ends with the test
	}()
	t.Cleanup(func() {
		_ = web.Close()
		<-served
	})
	return s, connect(t, "http://piped", p.dial)
}

// pipes is a net.Listener for connections within the process.
type pipes struct {
	dialled chan net.Conn
	close   sync.Once
	closed  chan struct{}
}

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.dialled <- server:
		return client, nil
	case <-p.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Accept implements net.Listener.
func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.dialled:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (p *pipes) Close() error {
	p.close.Do(func() { close(p.closed) })
	return nil
}

// Addr implements net.Listener.
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "piped"} }
