package gitproto_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/gitproto"
	"github.com/tekton-sentry/sentry/pkg/githost/poller"
	"github.com/tekton-sentry/sentry/pkg/githost/sshgit"
	"github.com/tekton-sentry/sentry/pkg/githost/sshgit/sshgittest"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/repo/repotest"
	"github.com/tekton-sentry/sentry/pkg/secret"
)

// over reads over SSH, and counts connections.
type over struct {
	*poller.Reader
	connections atomic.Int32
}

func newOver(t *testing.T) *over {
	t.Helper()
	o := &over{}
	o.Reader = &poller.Reader{Hosts: githost.Drivers{gitproto.Driver}, Version: "test", Timeout: 10 * time.Minute,
		Base: &sshgit.Transport{Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			o.connections.Add(1)
			return new(net.Dialer).DialContext(ctx, network, address)
		}}}
	t.Cleanup(o.Close)
	return o
}

// watched is main and dev of a repository over SSH.
func watched(t testing.TB, url string, key sshgittest.Key, knownHosts string) config.Monitor {
	t.Helper()
	return config.Monitor{Source: config.Source{URL: url, Type: config.Git, Auth: config.Auth{
		SSHKey: secret.New("${KEY}", key.Private), KnownHosts: secret.New("${HOSTS}", knownHosts)}}, Branches: repotest.Patterns(t, "main", "dev")}
}

// errorOf returns the error of a repository's only look.
func errorOf(t *testing.T, r *poller.Reader, m config.Monitor) *githost.Error {
	t.Helper()
	o := r.Heads(t.Context(), []config.Monitor{m})[0]
	e, ok := errors.AsType[*githost.Error](o.Err)
	if !ok {
		t.Fatalf("%s: %v, want an error", m.URL, o)
	}
	return e
}

func inMemory(t *testing.T, set func(*sshgittest.Server)) (s *sshgittest.Server, key sshgittest.Key, sha repo.SHA) {
	t.Helper()
	key = sshgittest.NewKey(t)
	s = &sshgittest.Server{Root: t.TempDir(), Allowed: []ssh.PublicKey{key.Signer.PublicKey()}}
	sha = gitRepository(t, filepath.Join(s.Root, "app.git"))
	if set != nil {
		set(s)
	}
	s.Start(t)
	return s, key, sha
}

// The repositories of a real server are read over one connection, cycle after cycle, whatever it knows of the protocol. `make bench`
// reads three hundred so.
func TestOpenSSH(t *testing.T) {
	const n = 40
	root, key := t.TempDir(), sshgittest.NewKey(t)
	app := newRepository(t, filepath.Join(root, "app.git"))
	app.git("", "update-ref", "refs/heads/other", app.commit("one"))
	names := newRepository(t, filepath.Join(root, "names.git"), "--object-format=sha256")
	names.git("", "update-ref", "refs/heads/main", names.commit("one"))
	for i := range n {
		if err := os.Symlink("app.git", filepath.Join(root, fmt.Sprintf("app-%d.git", i))); err != nil {
			t.Fatal(err)
		}
	}
	for version, more := range map[string][]string{"version 2": {"AcceptEnv GIT_PROTOCOL"}, "version 0": nil} {
		t.Run(version, func(t *testing.T) {
			server := sshgittest.NewOpenSSH(t, []string{key.Public()}, more...)
			hosts := sshgittest.KnownHosts(server.Address, server.Host)
			r := newOver(t)
			want := []config.Monitor{watched(t, server.URL(root+"/names.git"), key, hosts)}
			for i := range n {
				want = append(want, watched(t, server.URL(fmt.Sprintf("%s/app-%d.git", root, i)), key, hosts))
			}
			for cycle := range 2 {
				app.git("", "update-ref", "refs/heads/main", app.commit(fmt.Sprint(version, cycle)))
				before := r.requests()
				for i, o := range r.Heads(t.Context(), want) {
					sha := app.branches()["main"]
					if i == 0 {
						sha = names.branches()["main"]
					}
					if o.Err != nil || len(o.Heads) != 1 || string(o.Heads["main"]) != sha {
						t.Fatalf("cycle %d: %s: %v, want main at %s alone", cycle, want[i].URL, o, sha)
					}
				}
				// The kind of names is learnt once.
				if got, most := r.requests()-before, len(want)+1-cycle; got > most {
					t.Errorf("cycle %d: %d requests for %d repositories, want %d", cycle, got, len(want), most)
				}
			}
			if got := r.connections.Load(); got != 1 {
				t.Errorf("%d connections, want one", got)
			}
			e := errorOf(t, r.Reader, watched(t, server.URL(root+"/none.git"), key, hosts))
			if e.Kind != githost.NotFound || !strings.Contains(e.Error(), "does not appear to be a git repository") {
				t.Errorf("a repository that there is not: %v", e)
			}
		})
	}
}

func (o *over) requests() int {
	n := 0
	for _, s := range o.Stats() {
		n += s.Requests
	}
	return n
}

// A path after a colon is another one than after a slash.
func TestPathsOverSSH(t *testing.T) {
	var asked atomic.Value
	s, key, _ := inMemory(t, func(s *sshgittest.Server) {
		s.Run = func(c ssh.Channel, command string) {
			asked.Store(command)
			_, _ = io.WriteString(c.Stderr(), "ERROR: Repository not found.\n")
			sshgittest.Exit(c, 1)
		}
	})
	for path, want := range map[string]string{
		"/srv/git/a.git":  "git-upload-pack '/srv/git/a.git'",
		"/~ada/a.git":     "git-upload-pack '~ada/a.git'",
		"/o/My%20P/a!b'c": `git-upload-pack '/o/My P/a'\!'b'\''c'`,
	} {
		e := errorOf(t, newOver(t).Reader, watched(t, "ssh://git@"+s.Address+path, key, s.KnownHosts()))
		if got := asked.Load(); got != want || e.Kind != githost.NotFound {
			t.Errorf("%s: the server ran %s, %v, want %s", path, got, e, want)
		}
	}
}

// No host is believed that is not known, and what is said of it is how to know it.
func TestHostKeys(t *testing.T) {
	s, key, sha := inMemory(t, nil)
	authority, stranger := sshgittest.NewKey(t), sshgittest.NewKey(t)
	host, port, _ := net.SplitHostPort(s.Address)
	name, public := "["+host+"]:"+port, s.Host.Public()
	certified, _, certifiedSHA := inMemory(t, func(s *sshgittest.Server) {
		s.Allowed = []ssh.PublicKey{key.Signer.PublicKey()}
		s.Host = certify(t, sshgittest.NewKey(t), authority, ssh.HostCert, "127.0.0.1", time.Now().Add(time.Hour))
	})
	expired, _, _ := inMemory(t, func(s *sshgittest.Server) {
		s.Allowed = []ssh.PublicKey{key.Signer.PublicKey()}
		s.Host = certify(t, sshgittest.NewKey(t), authority, ssh.HostCert, "127.0.0.1", time.Now().Add(-time.Hour))
	})
	read := func(s *sshgittest.Server, known string) (repo.Observation, *githost.Error) {
		o := newOver(t).Heads(t.Context(), []config.Monitor{watched(t, "ssh://git@"+s.Address+"/app.git", key, known)})[0]
		e, _ := errors.AsType[*githost.Error](o.Err)
		return o, e
	}
	for name, known := range map[string]string{
		"as it is":          name + " " + public,
		"hashed":            knownhosts.HashHostname(name) + " " + public,
		"a pattern":         "[127.0.*]:" + port + " " + public,
		"several names":     "git.example," + name + " " + public,
		"beside others":     "git.example " + stranger.Public() + "\n# more\n\n" + name + " " + public + "\r\n",
		"one of two":        name + " " + stranger.Public() + "\n" + name + " " + public,
		"beside an rsa key": name + " " + rsaKey(t).Public() + "\n" + name + " " + public,
	} {
		if o, _ := read(s, known); o.Heads["main"] != sha {
			t.Errorf("known hosts %s: %v, want the heads", name, o.Err)
		}
	}
	if o, _ := read(certified, "@cert-authority [127.0.0.1]:* "+authority.Public()); o.Heads["main"] != certifiedSHA {
		t.Errorf("a host with a certificate: %v, want the heads", o.Err)
	}
	for _, tt := range []struct {
		name, known, want string
		server            *sshgittest.Server
	}{
		{"unknown", "git.example " + public, "its host key " + ssh.FingerprintSHA256(s.Host.Signer.PublicKey()) + " is not in known_hosts", s},
		{"another port", host + " " + public, "is not in known_hosts", s},
		{"left out", "[127.0.*]:" + port + ",!" + name + " " + public, "is not in known_hosts", s},
		{"changed", name + " " + stranger.Public(), "known is " + ssh.FingerprintSHA256(stranger.Signer.PublicKey()) + ". Somebody may be in between", s},
		{"of another type", name + " " + rsaKey(t).Public(), "its host key is not the one in known_hosts", s},
		{"revoked", name + " " + public + "\n@revoked * " + public, "is @revoked in known_hosts", s},
		{"of another authority", "@cert-authority * " + stranger.Public(), "its host certificate is not accepted", certified},
		{"expired", "@cert-authority * " + authority.Public(), "its host certificate is not accepted", expired},
	} {
		before := tt.server.Logins.Load()
		o, e := read(tt.server, tt.known)
		if e == nil || e.Kind != githost.Invalid || !strings.Contains(e.Error(), tt.want) || len(e.Error()) > 400 {
			t.Errorf("%s: %v, want an error of the kind %q that says %q", tt.name, o, githost.Invalid, tt.want)
		}
		if tt.server.Logins.Load() != before {
			t.Errorf("%s: logged in to a host that is not known", tt.name)
		}
	}
	// What is said can be put into known_hosts as it stands.
	_, e := read(s, "git.example "+public)
	_, line, _ := strings.Cut(e.Error(), "add: ")
	if o, _ := read(s, line); o.Heads["main"] != sha {
		t.Errorf("known_hosts is what was said, %q: %v, want the heads", line, o.Err)
	}
}

func rsaKey(t *testing.T) sshgittest.Key {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return sshgittest.KeyOf(t, private)
}

// certify returns the key with the certificate of an authority.
func certify(t *testing.T, key, authority sshgittest.Key, kind uint32, principal string, until time.Time) sshgittest.Key {
	t.Helper()
	c := &ssh.Certificate{Key: key.Signer.PublicKey(), CertType: kind, ValidPrincipals: []string{principal}, ValidBefore: uint64(until.Unix())}
	if err := c.SignCert(rand.Reader, authority.Signer); err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewCertSigner(c, key.Signer)
	if err != nil {
		t.Fatal(err)
	}
	return sshgittest.Key{Private: key.Private, Signer: signer}
}

// A key is refused three times, and not offered again until it is another one.
func TestKeyIsRefused(t *testing.T) {
	s, key, sha := inMemory(t, nil)
	stranger := sshgittest.NewKey(t)
	r := newOver(t)
	var want []config.Monitor
	for i := range 20 {
		want = append(want, watched(t, fmt.Sprintf("ssh://git@%s/app-%d.git", s.Address, i), stranger, s.KnownHosts()))
	}
	for range 3 {
		for _, o := range r.Heads(t.Context(), want) {
			e, _ := errors.AsType[*githost.Error](o.Err)
			if e == nil || e.Kind != githost.Denied || !strings.Contains(e.Error(), "the key "+ssh.FingerprintSHA256(stranger.Signer.PublicKey())+" was refused for the user git") {
				t.Fatalf("%v, want that the key was refused, and which", o)
			}
		}
	}
	if got := r.connections.Load(); got != 3 {
		t.Errorf("%d connections with a key that is refused, want 3", got)
	}
	if e := r.Stats()[0]; !e.Revoked {
		t.Errorf("%+v, want that the credential is not sent again", e)
	}
	good := watched(t, "ssh://git@"+s.Address+"/app.git", key, s.KnownHosts())
	if o := r.Heads(t.Context(), []config.Monitor{good})[0]; o.Heads["main"] != sha {
		t.Errorf("another key: %v, want the heads", o.Err)
	}
}

// A server of certificates lets a key in by the word of its authority.
func TestCertificateOfAUser(t *testing.T) {
	authority, key := sshgittest.NewKey(t), sshgittest.NewKey(t)
	root := t.TempDir()
	sha := gitRepository(t, filepath.Join(root, "app.git"))
	path := filepath.Join(root, "authority.pub")
	if err := os.WriteFile(path, []byte(authority.Public()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	server := sshgittest.NewOpenSSH(t, nil, "TrustedUserCAKeys "+path)
	read := func(until time.Time) repo.Observation {
		m := watched(t, server.URL(root+"/app.git"), key, sshgittest.KnownHosts(server.Address, server.Host))
		certified := certify(t, key, authority, ssh.UserCert, server.User, until)
		m.Auth.SSHCertificate = secret.New("${CERTIFICATE}", certified.Public()+"\n")
		return newOver(t).Heads(t.Context(), []config.Monitor{m})[0]
	}
	if o := read(time.Now().Add(time.Hour)); o.Heads["main"] != sha {
		t.Errorf("a certificate that is valid: %v, want the heads", o.Err)
	}
	ended := time.Now().Add(-time.Hour)
	if o := read(ended); o.Err == nil || !strings.Contains(o.Err.Error(), "ended at "+ended.UTC().Format(time.RFC3339)) {
		t.Errorf("one that has ended: %v, want that it has", o.Err)
	}
}

// A server with fewer sessions than are asked for is waited for.
func TestFewSessions(t *testing.T) {
	for _, most := range []int{1, 3} {
		s, key, sha := inMemory(t, func(s *sshgittest.Server) { s.Sessions = most })
		r := newOver(t)
		var want []config.Monitor
		for i := range 30 {
			if err := os.Symlink("app.git", filepath.Join(s.Root, fmt.Sprintf("app-%d.git", i))); err != nil {
				t.Fatal(err)
			}
			want = append(want, watched(t, fmt.Sprintf("ssh://git@%s/app-%d.git", s.Address, i), key, s.KnownHosts()))
		}
		for _, o := range r.Heads(t.Context(), want) {
			if o.Heads["main"] != sha {
				t.Fatalf("%d sessions at once: %v, want the heads", most, o.Err)
			}
		}
		if got := r.connections.Load(); got != 1 {
			t.Errorf("%d sessions at once: %d connections, want one", most, got)
		}
	}
	s, key, _ := inMemory(t, func(s *sshgittest.Server) {
		s.Sessions = -1
	})
	if e := errorOf(t, newOver(t).Reader, watched(t, "ssh://git@"+s.Address+"/app.git", key, s.KnownHosts())); e.Kind != githost.Temporary ||
		!strings.Contains(e.Error(), "refuses a session: open failed") {
		t.Errorf("no session at all: %v", e)
	}
}

// A connection that was closed between two cycles is made anew, and costs no error.
func TestConnectionIsGone(t *testing.T) {
	s, key, sha := inMemory(t, nil)
	r := newOver(t)
	want := []config.Monitor{watched(t, "ssh://git@"+s.Address+"/app.git", key, s.KnownHosts())}
	for i := range 3 {
		if o := r.Heads(t.Context(), want)[0]; o.Heads["main"] != sha {
			t.Fatalf("cycle %d: %v, want the heads", i, o.Err)
		}
		s.Drop()
	}
	if got := r.connections.Load(); got != 3 {
		t.Errorf("%d connections, want 3", got)
	}
}

// Whatever a server does, it is bounded, and costs other servers nothing.
func TestHostileOverSSH(t *testing.T) {
	good, key, sha := inMemory(t, nil)
	garbage := make([]byte, 1<<16)
	_, _ = rand.Read(garbage)
	forever := func(w io.Writer, text []byte) {
		for {
			if _, err := w.Write(text); err != nil {
				return
			}
		}
	}
	wire := func(f func(net.Conn)) func(*sshgittest.Server) {
		return func(s *sshgittest.Server) { s.Wire = func(c net.Conn) bool { f(c); return true } }
	}
	run := func(f func(ssh.Channel)) func(*sshgittest.Server) {
		return func(s *sshgittest.Server) { s.Run = func(c ssh.Channel, _ string) { f(c) } }
	}
	for name, tt := range map[string]struct {
		set     func(*sshgittest.Server)
		kind    githost.Kind // "" = of any, or none
		text    string
		timeout time.Duration
	}{
		"closes at once":       {wire(func(net.Conn) {}), githost.Temporary, "cut short|reset", 0},
		"says nothing":         {wire(func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }), githost.Temporary, "no answer", time.Second},
		"HTTP":                 {wire(func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n"+strings.Repeat("x", 300)) }), githost.Invalid, "does not speak SSH at this port", 0},
		"endless lines":        {wire(func(c net.Conn) { forever(c, []byte("hello\r\n")) }), githost.Invalid, "does not speak SSH at this port", 0},
		"garbage":              {wire(func(c net.Conn) { _, _ = c.Write(append([]byte("SSH-2.0-x\r\n"), garbage...)) }), "", "", 0},
		"slow":                 {wire(func(c net.Conn) { slowly(c) }), githost.Temporary, "no answer", time.Second},
		"a flood of banners":   {func(s *sshgittest.Server) { s.Banner = strings.Repeat("x", 200<<10) }, "", "", 0},
		"a banner of 1 MiB":    {func(s *sshgittest.Server) { s.Banner = strings.Repeat(strings.Repeat("x", 30<<10)+"\n", 40) }, githost.Invalid, "", 0},
		"answers with text":    {run(func(c ssh.Channel) { _, _ = io.WriteString(c, "Welcome!\n"); sshgittest.Exit(c, 0) }), githost.Invalid, "not the Git protocol", 0},
		"answers nothing":      {run(func(c ssh.Channel) { sshgittest.Exit(c, 0) }), githost.Temporary, "cut short", 0},
		"an endless answer":    {run(func(c ssh.Channel) { forever(c, []byte("003d"+strings.Repeat("1", 40)+" refs/heads/x.......\n")) }), githost.Invalid, "", 0},
		"endless on stderr":    {run(func(c ssh.Channel) { forever(c.Stderr(), garbage) }), githost.Temporary, "", 20 * time.Second},
		"hangs":                {run(func(c ssh.Channel) { untilClosed(c) }), githost.Temporary, "no answer", time.Second},
		"repeats the key":      {run(func(c ssh.Channel) { _, _ = io.WriteString(c.Stderr(), "denied: "+key.Private); sshgittest.Exit(c, 1) }), githost.Denied, "denied", 0},
		"an end in the middle": {run(func(c ssh.Channel) { _, _ = io.WriteString(c, "000eversion 2\n0013ls-refs=x") }), githost.Temporary, "cut short", 0},
		"global requests":      {func(s *sshgittest.Server) { s.Connected = func(c *ssh.ServerConn) { go pester(c, garbage[:30<<10]) } }, "", "", 20 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bad, _, _ := inMemory(t, func(s *sshgittest.Server) {
				s.Allowed = []ssh.PublicKey{key.Signer.PublicKey()}
				tt.set(s)
			})
			r := newOver(t)
			if tt.timeout > 0 {
				r.Timeout = tt.timeout
			}
			began := time.Now()
			answers := r.Heads(t.Context(), []config.Monitor{watched(t, "ssh://git@"+bad.Address+"/app.git", key, bad.KnownHosts()),
				watched(t, "ssh://git@"+good.Address+"/app.git", key, good.KnownHosts())})
			if answers[1].Heads["main"] != sha {
				t.Errorf("the other server: %v, want its heads", answers[1].Err)
			}
			e, _ := errors.AsType[*githost.Error](answers[0].Err)
			if tt.kind != "" && (e == nil || e.Kind != tt.kind) || e != nil && !regexp.MustCompile(tt.text).MatchString(e.Error()) {
				t.Fatalf("%v, want an error of the kind %q that says %q", answers[0], tt.kind, tt.text)
			}
			for _, line := range strings.Split(key.Private, "\n")[1:3] {
				if e != nil && strings.Contains(e.Error(), line[:16]) {
					t.Errorf("the error has the key in it: %v", e)
				}
			}
			t.Logf("after %s: %v", time.Since(began).Round(time.Millisecond), e)
		})
	}
}

// untilClosed says nothing.
func untilClosed(c ssh.Channel) {
	for {
		if _, err := c.SendRequest("x", true, nil); err != nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// slowly says one byte after the other, without an end.
func slowly(c net.Conn) {
	for {
		if _, err := c.Write([]byte("x")); err != nil {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// pester asks without an end.
func pester(c *ssh.ServerConn, text []byte) {
	for {
		if _, _, err := c.SendRequest("hello", false, text); err != nil {
			return
		}
	}
}
