package sshgit

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/tekton-sentry/sentry/pkg/secret"
)

// maxSaid bounds what is kept of what a server says in place of an answer, in bytes.
const maxSaid = 2 << 10

// session is one run of git-upload-pack.
type session struct {
	conn    *conn
	channel ssh.Channel
	out     *io.PipeReader
	body    *bufio.Reader
	stop    func() bool // what the end of the context does
	closing sync.Once

	closed chan struct{} // when the server closed the session
	// Until closed, of the goroutines that hear them:
	failed bool // the program ended with another status than 0
	said   strings.Builder
	heard  sync.WaitGroup
}

// ask runs a command on the server, and returns its output once it began.
func (c *conn) ask(req *http.Request, command string, body []byte) (*http.Response, error) {
	ctx := req.Context()
	channel, requests, err := c.open(ctx)
	if err != nil {
		return nil, err
	}
	out, in := io.Pipe()
	s := &session{conn: c, channel: channel, out: out, body: bufio.NewReaderSize(out, 512), closed: make(chan struct{})}
	s.stop = context.AfterFunc(ctx, func() { _ = in.CloseWithError(context.Cause(ctx)) })
	s.heard.Go(func() { s.hear(requests) })
	s.heard.Go(func() { s.listen(channel.Stderr()) })
	go func() {
		s.heard.Wait()
		close(s.closed)
	}()
	go func() {
		_, err := io.Copy(in, channel)
		_ = in.CloseWithError(err)
	}()
	go send(channel, command, body)
	if _, err := s.body.Peek(1); err != nil && !errors.Is(err, io.EOF) {
		_ = s.Close()
		return nil, err
	} else if err != nil {
		if refusal := s.end(ctx); !isRefusal(refusal) {
			_ = s.Close()
			return nil, io.ErrUnexpectedEOF
		}
	}
	return &http.Response{Status: "200 OK", StatusCode: http.StatusOK, Header: http.Header{}, Body: s, ContentLength: -1, Request: req}, nil
}

func isRefusal(err error) bool {
	_, ok := errors.AsType[Refusal](err)
	return ok
}

// send has the program started and gives it the body. What is wrong with that shows in the answer. No reply is asked for: each
// would be a round trip.
func send(channel ssh.Channel, command string, body []byte) {
	_, _ = channel.SendRequest("env", false, ssh.Marshal(struct{ Name, Value string }{"GIT_PROTOCOL", "version=2"}))
	_, _ = channel.SendRequest("exec", false, ssh.Marshal(struct{ Command string }{command}))
	_, _ = channel.Write(body)
	_ = channel.CloseWrite()
}

// hear takes what the server tells of the session.
func (s *session) hear(requests <-chan *ssh.Request) {
	for r := range requests {
		switch r.Type {
		case "exit-status":
			s.failed = len(r.Payload) < 4 || binary.BigEndian.Uint32(r.Payload) != 0
		case "exit-signal":
			s.failed = true
		}
		if r.WantReply {
			_ = r.Reply(false, nil)
		}
	}
}

// listen keeps the start of what the program says beside its answer.
func (s *session) listen(stderr io.Reader) {
	_, _ = io.CopyN(&s.said, stderr, maxSaid)
	_, _ = io.Copy(io.Discard, stderr)
}

// Read implements io.Reader. At the end it tells what the server said, where that is why there is no more.
func (s *session) Read(p []byte) (int, error) {
	n, err := s.body.Read(p)
	if errors.Is(err, io.EOF) {
		err = s.end(context.Background())
	}
	return n, err
}

// end returns io.EOF, or why the program ended.
func (s *session) end(ctx context.Context) error {
	timer := time.NewTimer(closeTimeout)
	defer timer.Stop()
	select {
	case <-s.closed:
	case <-timer.C:
		return io.EOF
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if said := strings.TrimSpace(s.said.String()); s.failed && said != "" {
		return Refusal(secret.Redact(said, s.conn.login.Secrets...))
	}
	return io.EOF
}

// Close implements io.Closer. The place of the session is free once the server closed it too: it counts until then.
func (s *session) Close() error {
	s.closing.Do(func() {
		s.stop()
		_ = s.out.Close()
		go func() {
			defer s.conn.leave()
			_ = s.channel.Close()
			timer := time.NewTimer(closeTimeout)
			defer timer.Stop()
			select {
			case <-s.closed:
			case <-timer.C:
				s.conn.retire()
			}
		}()
	})
	return nil
}
