// Package sshgittest has servers for tests that give Git repositories out over SSH: one in memory, which can be told to misbehave, and
// the real OpenSSH.
package sshgittest

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/crypto/ssh"
)

// Key is a key pair.
type Key struct {
	Private string // as OpenSSH writes it
	Signer  ssh.Signer
}

// NewKey makes a key.
func NewKey(t testing.TB) Key {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return KeyOf(t, private)
}

// KeyOf returns that of a private key of package crypto.
func KeyOf(t testing.TB, private any) Key {
	t.Helper()
	block, err := ssh.MarshalPrivateKey(private, "test")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return Key{string(pem.EncodeToMemory(block)), signer}
}

// Public returns the public key as authorized_keys has it.
func (k Key) Public() string {
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(k.Signer.PublicKey())))
}

// Server is a server in memory. Set its fields before Start.
type Server struct {
	Root      string                      // where the repositories are
	Host      Key                         // of the server
	Allowed   []ssh.PublicKey             // who may log in
	Old       bool                        // knows version 0 of the protocol alone
	Sessions  int                         // at once on a connection; 0 = any number, -1 = none
	Banner    string                      // before anybody logged in
	Run       func(ssh.Channel, string)   // in place of git-upload-pack, with the command
	Connected func(*ssh.ServerConn)       // is told of each login
	Wire      func(net.Conn) (ended bool) // in place of SSH
	Address   string                      // HOST:PORT, of Start
	Commands  atomic.Int32                // that ran
	Logins    atomic.Int32                // that succeeded
	Tried     atomic.Int32                // connections that came
	Bytes     [2]atomic.Int64             // that came, and that were sent
	config    *ssh.ServerConfig
	all       sync.WaitGroup
	mu        sync.Mutex
	conns     map[net.Conn]bool
}

// Start has the server listen on this machine until the test ends.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	if s.Host.Signer == nil {
		s.Host = NewKey(t)
	}
	s.config = &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		for _, allowed := range s.Allowed {
			if string(allowed.Marshal()) == string(key.Marshal()) {
				return nil, nil
			}
		}
		return nil, errors.New("unknown key")
	}, BannerCallback: func(ssh.ConnMetadata) string { return s.Banner }}
	s.config.AddHostKey(s.Host.Signer)
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.Address, s.conns = listener.Addr().String(), map[net.Conn]bool{}
	s.all.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns[conn] = true
			s.mu.Unlock()
			s.all.Go(func() { s.serve(conn) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		s.Drop()
		s.all.Wait()
	})
}

// Drop closes all connections.
func (s *Server) Drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for conn := range s.conns {
		_ = conn.Close()
	}
}

// KnownHosts returns the line of known_hosts for the server.
func (s *Server) KnownHosts() string { return KnownHosts(s.Address, s.Host) }

// KnownHosts returns the line of known_hosts for a server at HOST:PORT.
func KnownHosts(address string, key Key) string {
	host, port, _ := net.SplitHostPort(address)
	return "[" + host + "]:" + port + " " + key.Public() + "\n"
}

type counted struct {
	net.Conn
	s *Server
}

func (c counted) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.s.Bytes[0].Add(int64(n))
	return n, err
}

func (c counted) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.s.Bytes[1].Add(int64(n))
	return n, err
}

func (s *Server) serve(conn net.Conn) {
	defer func() {
		_ = conn.Close()
		s.mu.Lock()
		delete(s.conns, conn)
		s.mu.Unlock()
	}()
	s.Tried.Add(1)
	if s.Wire != nil && s.Wire(conn) {
		return
	}
	login, channels, requests, err := ssh.NewServerConn(counted{conn, s}, s.config)
	if err != nil {
		return
	}
	s.Logins.Add(1)
	if s.Connected != nil {
		s.Connected(login)
	}
	go ssh.DiscardRequests(requests)
	var sessions atomic.Int32
	var all sync.WaitGroup
	defer all.Wait()
	for channel := range channels {
		if s.Sessions != 0 && int(sessions.Load()) >= s.Sessions {
			_ = channel.Reject(ssh.Prohibited, "open failed")
			continue
		}
		sessions.Add(1)
		all.Go(func() {
			defer sessions.Add(-1)
			s.session(channel)
		})
	}
}

func (s *Server) session(opened ssh.NewChannel) {
	channel, requests, err := opened.Accept()
	if err != nil {
		return
	}
	defer channel.Close()
	protocol := ""
	for r := range requests {
		_ = r.Reply(true, nil)
		switch r.Type {
		case "env":
			var env struct{ Name, Value string }
			if ssh.Unmarshal(r.Payload, &env) == nil && env.Name == "GIT_PROTOCOL" && !s.Old {
				protocol = env.Value
			}
		case "exec":
			go ssh.DiscardRequests(requests)
			s.Commands.Add(1)
			var exec struct{ Command string }
			_ = ssh.Unmarshal(r.Payload, &exec)
			if s.Run != nil {
				s.Run(channel, exec.Command)
				return
			}
			Exit(channel, s.run(channel, exec.Command, protocol))
			return
		}
	}
}

// Exit tells how a command ended.
func Exit(channel ssh.Channel, status uint32) {
	_ = channel.CloseWrite()
	_, _ = channel.SendRequest("exit-status", false, binary.BigEndian.AppendUint32(nil, status))
}

func (s *Server) run(channel ssh.Channel, command, protocol string) uint32 {
	path, ok := strings.CutPrefix(command, "git-upload-pack '")
	path, ended := strings.CutSuffix(path, "'")
	dir := filepath.Join(s.Root, filepath.Clean("/"+path))
	if _, err := os.Stat(dir); err != nil || !ok || !ended {
		_, _ = io.WriteString(channel.Stderr(), "fatal: '"+path+"' does not appear to be a git repository\n")
		return 128
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	cmd := exec.CommandContext(ctx, "git", "-c", "safe.directory=*", "upload-pack", dir)
	cmd.Env = append(os.Environ(), "GIT_PROTOCOL="+protocol, "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL="+os.DevNull)
	cmd.Stdout, cmd.Stderr = channel, channel.Stderr()
	in, err := cmd.StdinPipe()
	if err != nil {
		return 1
	}
	go func() {
		_, _ = io.Copy(in, channel)
		_ = in.Close()
	}()
	if cmd.Run() != nil {
		return 128
	}
	return 0
}
