// Package serve is the one HTTP server of Sentry. What it answers is in packages beside it, each a handler for a path.
package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	// maxConnections bounds what clients hold open. The next ones wait until one of these ends.
	maxConnections = 256
	// headerTimeout is how long the head of a request may take, and readTimeout how long all of it.
	headerTimeout = 5 * time.Second
	readTimeout   = 15 * time.Second
	writeTimeout  = 30 * time.Second
	idleTimeout   = time.Minute
	// maxHeader bounds the head of a request in bytes.
	maxHeader = 16 << 10
	// endTimeout is what requests under way have to end.
	endTimeout = 5 * time.Second
)

// Listen listens at an address such as :8080.
func Listen(ctx context.Context, address string) (net.Listener, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen at %q: %w", address, err)
	}
	return l, nil
}

// Serve answers what comes in at l until ctx ends. The handlers are by the patterns of http.ServeMux.
func Serve(ctx context.Context, l net.Listener, handlers map[string]http.Handler, log *slog.Logger) error {
	mux := http.NewServeMux()
	for pattern, h := range handlers {
		mux.Handle(pattern, h)
	}
	server := &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		// What clients do wrong, such as TLS at this port, is theirs: a scanner would fill the log.
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	ended := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
		defer cancel()
		err := server.Shutdown(ending)
		if err != nil {
			_ = server.Close()
		}
		ended <- err
	})
	err := server.Serve(&bounded{Listener: l, room: make(chan struct{}, maxConnections), closed: make(chan struct{})})
	if stop() { // it ended by itself
		_ = server.Close()
		return err
	}
	if err := <-ended; err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

// bounded accepts no more connections than there is room for.
type bounded struct {
	net.Listener
	room   chan struct{}
	once   sync.Once
	closed chan struct{}
}

// Accept implements net.Listener.
func (b *bounded) Accept() (net.Conn, error) {
	select {
	case b.room <- struct{}{}:
	case <-b.closed:
		return nil, net.ErrClosed
	}
	c, err := b.Listener.Accept()
	if err != nil {
		<-b.room
		return nil, err
	}
	return &connection{Conn: c, leave: sync.OnceFunc(func() { <-b.room })}, nil
}

// Close implements net.Listener.
func (b *bounded) Close() error {
	b.once.Do(func() { close(b.closed) })
	return b.Listener.Close()
}

type connection struct {
	net.Conn
	leave func()
}

// Close implements net.Conn.
func (c *connection) Close() error {
	defer c.leave()
	return c.Conn.Close()
}
