package gitproto_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
	"github.com/tekton-sentry/sentry/pkg/githost/gitproto"
	"github.com/tekton-sentry/sentry/pkg/githost/poller"
	"github.com/tekton-sentry/sentry/pkg/githost/sshgit"
	"github.com/tekton-sentry/sentry/pkg/githost/sshgit/sshgittest"
	"github.com/tekton-sentry/sentry/pkg/githost/transport"
)

// serveRoot is the variable that makes this program a server of the repositories below a directory, until its input ends: what a
// server costs is not to be counted as ours.
const serveRoot = "SENTRY_BENCH_ROOT"

func serveHTTPS(root string) {
	s := httptest.NewUnstartedServer(githosttest.GitHandler(root))
	s.EnableHTTP2 = true
	s.StartTLS()
	fmt.Println(s.URL)
	_, _ = io.Copy(io.Discard, os.Stdin)
	s.Close()
}

// counting counts what goes over a connection.
type counting struct {
	net.Conn
	bytes *atomic.Int64
}

func (c counting) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.bytes.Add(int64(n))
	return n, err
}

func (c counting) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.bytes.Add(int64(n))
	return n, err
}

func cpu(who int) time.Duration {
	var usage syscall.Rusage
	_ = syscall.Getrusage(who, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// BenchmarkOverSSH reads 300 repositories of a real OpenSSH and of a server over HTTPS, one cycle an iteration after a first one, and
// compares with `git ls-remote`.
func BenchmarkOverSSH(b *testing.B) {
	const n, few = 300, 20 // few are enough of what costs each repository the same
	root, key := b.TempDir(), sshgittest.NewKey(b)
	app := newRepository(b, filepath.Join(root, "app.git"))
	for _, branch := range []string{"main", "dev", "other"} {
		app.git("", "update-ref", "refs/heads/"+branch, app.commit(branch))
	}
	for i := range n {
		if err := os.Symlink("app.git", filepath.Join(root, fmt.Sprintf("app-%d.git", i))); err != nil {
			b.Fatal(err)
		}
	}
	var bytes, connections atomic.Int64
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		connections.Add(1)
		c, err := new(net.Dialer).DialContext(ctx, network, address)
		return counting{c, &bytes}, err
	}
	cycles := func(b *testing.B, base http.RoundTripper, want []config.Monitor) {
		r := &poller.Reader{Hosts: githost.Drivers{gitproto.Driver}, Version: "test", Timeout: 10 * time.Minute, Base: base}
		defer r.Close()
		read := func() {
			for i, o := range r.Heads(b.Context(), want) {
				if len(o.Heads) != 2 {
					b.Fatalf("%s: %v", want[i].URL, o)
				}
			}
		}
		connections.Store(0)
		read()
		bytes.Store(0)
		requests, began := r.Stats()[0].Requests, cpu(syscall.RUSAGE_SELF)
		for b.Loop() {
			read()
		}
		all := float64(b.N * n)
		b.ReportMetric(float64((cpu(syscall.RUSAGE_SELF)-began).Microseconds())/all, "cpu-µs/repo")
		b.ReportMetric(float64(bytes.Load())/all, "B/repo")
		b.ReportMetric(float64(r.Stats()[0].Requests-requests)/all, "requests/repo")
		b.ReportMetric(float64(connections.Load()), "connections")
	}
	lsRemote := func(b *testing.B, env []string, address func(i int) string) {
		began, i := cpu(syscall.RUSAGE_CHILDREN), 0
		for b.Loop() {
			for range few {
				cmd := exec.Command("git", "ls-remote", address(i%n), "refs/heads/main", "refs/heads/dev")
				cmd.Env = append(append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL="+os.DevNull), env...)
				if out, err := cmd.CombinedOutput(); err != nil || strings.Count(string(out), "refs/heads/") != 2 {
					b.Fatalf("%v\n%s", err, out)
				}
				i++
			}
		}
		b.ReportMetric(float64((cpu(syscall.RUSAGE_CHILDREN)-began).Microseconds())/float64(i), "cpu-µs/repo")
	}

	server := sshgittest.NewOpenSSH(b, []string{key.Public()}, "AcceptEnv GIT_PROTOCOL")
	known := sshgittest.KnownHosts(server.Address, server.Host)
	overSSH := func(i int) string { return server.URL(fmt.Sprintf("%s/app-%d.git", root, i)) }
	b.Run("ssh/sentry", func(b *testing.B) {
		var want []config.Monitor
		for i := range n {
			want = append(want, watched(b, overSSH(i), key, known))
		}
		cycles(b, &sshgit.Transport{Dial: dial}, want)
	})
	b.Run("ssh/ls-remote", func(b *testing.B) {
		keyFile, hostsFile := filepath.Join(root, "key"), filepath.Join(root, "known_hosts")
		if err := os.WriteFile(keyFile, []byte(key.Private), 0o600); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(hostsFile, []byte(known), 0o600); err != nil {
			b.Fatal(err)
		}
		lsRemote(b, []string{"GIT_SSH_COMMAND=ssh -F /dev/null -i " + keyFile + " -o UserKnownHostsFile=" + hostsFile}, overSSH)
	})

	cmd := exec.Command(os.Args[0])
	cmd.Env, cmd.Stderr = append(os.Environ(), serveRoot+"="+root), os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	defer func() {
		_ = in.Close()
		_ = cmd.Wait()
	}()
	url, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	overHTTPS := func(i int) string { return fmt.Sprintf("%s/app-%d.git", strings.TrimSpace(url), i) }
	b.Run("https/sentry", func(b *testing.B) {
		base := transport.NewTransport()
		base.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} //nolint:gosec // the server is ours
		base.DialContext = dial
		var want []config.Monitor
		for i := range n {
			m := watched(b, overHTTPS(i), key, known)
			m.Auth = config.Auth{}
			want = append(want, m)
		}
		cycles(b, base, want)
	})
	b.Run("https/ls-remote", func(b *testing.B) { lsRemote(b, []string{"GIT_SSL_NO_VERIFY=1"}, overHTTPS) })
}
