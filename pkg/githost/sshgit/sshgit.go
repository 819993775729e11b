// Package sshgit carries requests for what Git repositories have over SSH, as an http.RoundTripper: so one budget, one breaker and the
// same bounds stand before all servers, however they are reached. A request is a session on the one connection that a login has: it
// runs git-upload-pack, to which the body goes. The answer's body is what that prints.
package sshgit

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/giturl"
	"github.com/tekton-sentry/sentry/pkg/sshauth"
)

// Scheme is that of the URLs of requests.
const Scheme = "ssh"

// Login is a user of a server, and what it takes to be let in. Requests with the same one share a connection.
type Login struct {
	Server giturl.SSH // without a path
	Key    *sshauth.Key
	Known  *sshauth.KnownHosts
	// Secrets are the lines of the key, which no error has, whatever the server says.
	Secrets []string
}

type loginKey struct{}

// NewRequest returns a request for the repository at a path of the login's server.
func NewRequest(ctx context.Context, l *Login, path string, body []byte) (*http.Request, error) {
	req, err := http.NewRequestWithContext(context.WithValue(ctx, loginKey{}, l), http.MethodPost, "", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.URL = &url.URL{Scheme: Scheme, Host: l.Server.HostPort(), Path: path}
	return req, nil
}

// Refusal is what a server says in place of an answer.
type Refusal string

func (r Refusal) Error() string { return "the server says: " + string(r) }

// Transport keeps one connection for each Login, until nobody used it for five minutes. The zero one is ready for use, by several
// goroutines.
type Transport struct {
	// Dial connects; nil = over the network.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	mu      sync.Mutex
	servers map[*Login]*server
}

// server is where the connection of a login is.
type server struct {
	turn chan struct{} // of capacity one, full while somebody looks for the connection, or makes it
	conn *conn         // of who has the turn; nil = none yet
}

// RoundTrip implements http.RoundTripper. A request that a kept connection was too old for goes once more, on a new one.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	login, ok := req.Context().Value(loginKey{}).(*Login)
	if !ok {
		return nil, errors.New("a request over SSH that names no login, which is a fault of Sentry: please report it")
	}
	var body []byte
	if req.Body != nil {
		var err error
		body, err = io.ReadAll(req.Body)
		_ = req.Body.Close()
		if err != nil {
			return nil, err
		}
	}
	for {
		c, kept, err := t.connection(req.Context(), login)
		if err != nil {
			return nil, err
		}
		resp, err := c.ask(req, command(req.URL.Path), body)
		if err != nil && kept && c.isOver() && req.Context().Err() == nil {
			continue
		}
		return resp, err
	}
}

// command is what runs on the server. Quotes are as git writes them, since some servers take the path out of them by themselves.
func command(path string) string {
	return "git-upload-pack '" + strings.NewReplacer("'", `'\''`, "!", `'\!'`).Replace(path) + "'"
}

// connection returns that of a login. kept says that it was there already.
func (t *Transport) connection(ctx context.Context, l *Login) (c *conn, kept bool, err error) {
	t.mu.Lock()
	if t.servers == nil {
		t.servers = make(map[*Login]*server)
	}
	s := t.servers[l]
	if s == nil {
		s = &server{turn: make(chan struct{}, 1)}
		t.servers[l] = s
	}
	t.mu.Unlock()
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return nil, false, githost.NotAsked(githost.WrapError(l.Server.HostPort(), context.Cause(ctx)))
	}
	if s.conn != nil && !s.conn.isOver() {
		return s.conn, true, nil
	}
	s.conn, err = t.connect(ctx, l)
	return s.conn, false, err
}

// CloseIdleConnections closes the connections, those in use once they are not. The Transport can be used again.
func (t *Transport) CloseIdleConnections() {
	t.mu.Lock()
	servers := t.servers
	t.servers = nil
	t.mu.Unlock()
	for _, s := range servers {
		select {
		case s.turn <- struct{}{}:
			s.retire()
		default: // somebody logs in, which may take its time
			go func() {
				s.turn <- struct{}{}
				s.retire()
			}()
		}
	}
}

// retire closes the connection once it is not in use. It is called by who has the turn, and gives it back.
func (s *server) retire() {
	if s.conn != nil {
		s.conn.retire()
	}
	<-s.turn
}
