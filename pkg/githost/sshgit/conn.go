package sshgit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/sshauth"
)

const (
	dialTimeout = 10 * time.Second
	// handshakeTimeout is how long a server may take to let a user in, from when it was reached, and to take what is sent at any time.
	handshakeTimeout = 20 * time.Second
	idleTimeout      = 5 * time.Minute
	// closeTimeout is how long a server may take to confirm that a session is over.
	closeTimeout = 5 * time.Second

	// Bytes that a server may send: until it lets a user in, which takes some 4 KiB; for a session, beyond what transport.NewClient lets
	// through of an answer; and while there is none.
	maxHandshake = 256 << 10
	maxSession   = 68 << 20
	maxIdle      = 64 << 10

	// usualSessions is how many sessions of a connection OpenSSH lets be at once (MaxSessions).
	usualSessions = 10
	// A server that refuses a session is asked again after so long, and longer each time. One that just closed counts for a moment.
	firstPause = 10 * time.Millisecond
	lastPause  = 640 * time.Millisecond
)

// conn is a connection on which a user is logged in.
type conn struct {
	login *Login
	ssh   ssh.Conn
	wire  *wire
	ended chan struct{} // closed when the connection is

	mu       sync.Mutex
	retired  bool
	sessions int           // under way
	most     int           // that the server lets be under way
	news     chan struct{} // closed when one ended; nil when nobody waits
	idle     *time.Timer
}

// connect connects to the server of a login and logs in.
func (t *Transport) connect(ctx context.Context, l *Login) (*conn, error) {
	name := l.Server.HostPort()
	dial := t.Dial
	if dial == nil {
		dial = (&net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}).DialContext
	}
	raw, err := dial(ctx, "tcp", l.Server.Address())
	if err != nil {
		return nil, err
	}
	w := &wire{Conn: raw}
	w.left.Store(maxHandshake)
	ctx, cancel := githost.WithTimeout(ctx, name, handshakeTimeout)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = raw.Close() })
	known := false
	sshConn, channels, requests, err := ssh.NewClientConn(w, l.Server.Address(), &ssh.ClientConfig{
		User:              l.Server.User,
		Auth:              []ssh.AuthMethod{ssh.PublicKeys(l.Key)},
		HostKeyAlgorithms: l.Known.Algorithms(l.Server.Address()),
		HostKeyCallback: func(address string, remote net.Addr, key ssh.PublicKey) error {
			err := l.Known.Check(address, remote, key)
			known = err == nil
			return err
		},
		ClientVersion: "SSH-2.0-Sentry",
	})
	if !stop() && err == nil {
		_ = sshConn.Close()
		err = context.Cause(ctx)
	}
	if err != nil {
		_ = raw.Close()
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, l.explain(err, known)
	}
	c := &conn{login: l, ssh: sshConn, wire: w, ended: make(chan struct{}), most: usualSessions}
	w.left.Store(maxIdle)
	c.idle = time.AfterFunc(idleTimeout, c.retire)
	go ssh.DiscardRequests(requests)
	go func() {
		for channel := range channels {
			_ = channel.Reject(ssh.Prohibited, "not here")
		}
	}()
	go func() {
		_ = sshConn.Wait()
		_ = sshConn.Close()
		c.idle.Stop()
		close(c.ended)
	}()
	return c, nil
}

// explain makes an error of one of the handshake. known says that the host is the one that is meant.
func (l *Login) explain(err error, known bool) error {
	name := l.Server.HostPort()
	hostKey, untrusted := errors.AsType[*sshauth.HostKeyError](err)
	negotiation, unequal := errors.AsType[*ssh.AlgorithmNegotiationError](err)
	switch {
	case untrusted:
		return githost.NewError(githost.Invalid, name, "%w", hostKey)
	case unequal:
		return githost.NewError(githost.Invalid, name, "it offers nothing that Sentry takes: %w", negotiation)
	case errors.Is(err, errFlood):
		return githost.NewError(githost.Invalid, name, "%w", err)
	case strings.Contains(err.Error(), "overflow reading version string"):
		return githost.NewError(githost.Invalid, name, "it does not speak SSH at this port: is the port that of the Git server?")
	case known && strings.Contains(err.Error(), "unable to authenticate"):
		return l.refused()
	case errors.Is(err, net.ErrClosed):
		return githost.NewError(githost.Temporary, name, "it ends the connection, or makes no sense, before it lets the user in")
	case strings.HasPrefix(err.Error(), "ssh: ") && !errors.Is(err, io.EOF) && !isNet(err):
		return githost.NewError(githost.Invalid, name, "it does not speak SSH as it should: %w", err)
	}
	return err
}

func isNet(err error) bool {
	_, ok := errors.AsType[net.Error](err)
	return ok || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

// refused says that the server does not let the login in. The status is that by which a Gate knows a credential that is refused.
func (l *Login) refused() *githost.Error {
	e := githost.NewError(githost.Denied, l.Server.HostPort(), "the key %s was refused for the user %s: is it a deploy key of the repository, and the user the right one?",
		l.Key.Fingerprint(), l.Server.User)
	if at, ended := l.Key.Ended(time.Now()); ended {
		e = githost.NewError(githost.Denied, l.Server.HostPort(), "the certificate of the key %s ended at %s: put a new one into auth.ssh_certificate",
			l.Key.Fingerprint(), at.UTC().Format(time.RFC3339))
	}
	e.Status = http.StatusUnauthorized
	return e
}

// isOver reports whether no more sessions can be opened.
func (c *conn) isOver() bool {
	select {
	case <-c.ended:
		return true
	default:
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.retired
}

// retire closes the connection once no session is under way.
func (c *conn) retire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.retired = true
	if c.sessions == 0 {
		_ = c.wire.Close()
	}
}

// enter takes a place for a session, when there is one.
func (c *conn) enter(ctx context.Context) error {
	for {
		c.mu.Lock()
		if c.sessions < c.most {
			c.idle.Stop()
			if c.sessions++; c.sessions == 1 {
				c.wire.left.Store(0)
			}
			c.wire.left.Add(maxSession)
			c.mu.Unlock()
			return nil
		}
		if c.news == nil {
			c.news = make(chan struct{})
		}
		news := c.news
		c.mu.Unlock()
		select {
		case <-news:
		case <-c.ended:
			return io.ErrUnexpectedEOF
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// leave gives the place back.
func (c *conn) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sessions--; c.sessions == 0 {
		// What a server refused once, such as while it was busy, it may take later: one more is tried in each cycle.
		c.most = min(usualSessions, c.most+1)
		c.wire.left.Store(maxIdle)
		c.idle.Reset(idleTimeout)
		if c.retired {
			_ = c.wire.Close()
		}
	}
	if c.news != nil {
		close(c.news)
		c.news = nil
	}
}

// lower notes that the server refused a session, and reports whether others are under way, whose end makes room.
func (c *conn) lower() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.most = max(1, min(c.most, c.sessions-1))
	return c.sessions > 1
}

// open opens a session, for which it took a place. Where the server has no room for it, it waits.
func (c *conn) open(ctx context.Context) (ssh.Channel, <-chan *ssh.Request, error) {
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		if err := c.enter(ctx); err != nil {
			return nil, nil, err
		}
		channel, requests, err := c.channel(ctx)
		if err == nil {
			return channel, requests, nil
		}
		refused, ok := errors.AsType[*ssh.OpenChannelError](err)
		others := ok && c.lower()
		c.leave()
		if !ok {
			return nil, nil, err
		}
		if !others && pause == lastPause {
			return nil, nil, githost.NewError(githost.Temporary, c.login.Server.HostPort(), "it lets the user in and refuses a session: %s",
				cmp.Or(refused.Message, refused.Reason.String()))
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, nil, context.Cause(ctx)
		}
	}
}

// channel opens one. A server that says nothing to that is given up.
func (c *conn) channel(ctx context.Context) (ssh.Channel, <-chan *ssh.Request, error) {
	type opened struct {
		channel  ssh.Channel
		requests <-chan *ssh.Request
		err      error
	}
	done := make(chan opened, 1)
	go func() {
		channel, requests, err := c.ssh.OpenChannel("session", nil)
		done <- opened{channel, requests, err}
	}()
	select {
	case o := <-done:
		return o.channel, o.requests, o.err
	case <-ctx.Done():
		c.retire()
		go func() {
			if o := <-done; o.err == nil {
				_ = o.channel.Close()
				ssh.DiscardRequests(o.requests)
			}
		}()
		return nil, nil, context.Cause(ctx)
	}
}

// errFlood ends a connection whose other end sends more than it has to say.
var errFlood = errors.New("it sends without an end what nobody asked for")

// wire bounds what comes over a connection, and for how long what is sent may lie.
type wire struct {
	net.Conn
	left atomic.Int64 // bytes that may come
}

func (w *wire) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	if w.left.Add(int64(-n)) < 0 {
		_ = w.Close()
		return 0, errFlood
	}
	return n, err
}

func (w *wire) Write(p []byte) (int, error) {
	if err := w.SetWriteDeadline(time.Now().Add(handshakeTimeout)); err != nil {
		return 0, fmt.Errorf("write: %w", err)
	}
	return w.Conn.Write(p)
}
