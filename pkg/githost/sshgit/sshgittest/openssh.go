package sshgittest

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// OpenSSH is a real server, which runs git as whoever runs the test.
type OpenSSH struct {
	Address string // HOST:PORT
	User    string
	Host    Key
	PID     int
}

// NewOpenSSH starts a server of these users' public keys until the test ends, with more lines of sshd_config.
func NewOpenSSH(t testing.TB, authorized []string, more ...string) *OpenSSH {
	t.Helper()
	_, here, _, _ := runtime.Caller(0)
	found, err := exec.CommandContext(t.Context(), filepath.Join(filepath.Dir(here), "programs.sh")).CombinedOutput()
	if err != nil {
		t.Fatalf("sshd of OpenSSH, which this test asks: %v\n%s", err, found)
	}
	lines := strings.Split(strings.TrimSpace(string(found)), "\n")
	who, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	if who.Uid == "0" { // sshd wants it to be there
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s := &OpenSSH{User: who.Username, Host: NewKey(t)}
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	key, keys := write("host_key", s.Host.Private), write("authorized_keys", strings.Join(authorized, "\n")+"\n")
	for range 5 { // another program may take the port in between
		s.Address = free(t)
		_, port, _ := net.SplitHostPort(s.Address)
		config := write("sshd_config", strings.Join(append([]string{
			"ListenAddress 127.0.0.1:" + port, "HostKey " + key, "AuthorizedKeysFile " + keys, "StrictModes no", "UsePAM no", "PidFile none",
			"PasswordAuthentication no", "KbdInteractiveAuthentication no", "PermitRootLogin prohibit-password", "LogLevel VERBOSE",
		}, more...), "\n")+"\n")
		if s.start(t, lines[len(lines)-1], config) {
			return s
		}
	}
	t.Fatal("sshd found no port")
	return nil
}

// start reports whether sshd came up.
func (s *OpenSSH) start(t testing.TB, program, config string) bool {
	t.Helper()
	var log bytes.Buffer
	cmd := exec.CommandContext(t.Context(), program, "-D", "-e", "-f", config)
	cmd.Stderr = &log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	deadline := time.After(20 * time.Second)
	for {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", s.Address)
		if err == nil {
			_ = conn.Close()
			break
		}
		select {
		case <-ended:
			if strings.Contains(log.String(), "in use") {
				return false
			}
			t.Fatalf("sshd ended:\n%s", log.String())
		case <-deadline:
			t.Fatal("sshd did not come up")
		case <-time.After(10 * time.Millisecond):
		}
	}
	s.PID = cmd.Process.Pid
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-ended
		if t.Failed() {
			t.Logf("sshd said:\n%s", log.String())
		}
	})
	return true
}

// URL returns the address of a repository by its path on this machine.
func (s *OpenSSH) URL(path string) string {
	return fmt.Sprintf("ssh://%s@%s%s", s.User, s.Address, path)
}

func free(t testing.TB) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}
