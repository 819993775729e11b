package e2e

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"code.gitea.io/sdk/gitea"
	"golang.org/x/crypto/ssh"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/gitproto"
	"github.com/tekton-sentry/sentry/pkg/githost/poller"
	"github.com/tekton-sentry/sentry/pkg/githost/sshgit"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/repo/repotest"
	"github.com/tekton-sentry/sentry/pkg/secret"
)

// TestSSH reads over the SSH of a real Gitea: sixty entries a cycle over one connection, or as many as SENTRY_SSH_ENTRIES says, each as
// git pushed it, and by a deploy key nothing but its repository.
func TestSSH(t *testing.T) {
	address := giteaSSH(t)
	t.Parallel()
	entries := soakNumber(t, "SENTRY_SSH_ENTRIES", 60) // for each of which Gitea starts two programs, in each cycle
	app, other := newRepo(t, "ssh-app", map[string]string{"a": "a"}), newRepo(t, "ssh-other", map[string]string{"a": "a"})
	key := deployKey(t, app)
	monitor := func(r *gitRepo, known string, branches ...string) config.Monitor {
		return config.Monitor{Source: config.Source{URL: fmt.Sprintf("ssh://git@%s/%s/%s.git", address, env.giteaUser, r.name), Type: config.Git, Auth: config.Auth{
			SSHKey: secret.New("${KEY}", key), KnownHosts: secret.New("${HOSTS}", known)}}, Branches: repotest.Patterns(t, branches...)}
	}
	var connections atomic.Int32
	reader := &poller.Reader{Hosts: githost.Drivers{gitproto.Driver}, Version: "e2e", Timeout: 5 * time.Minute,
		Base: &sshgit.Transport{Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			connections.Add(1)
			return new(net.Dialer).DialContext(ctx, network, address)
		}}}
	t.Cleanup(reader.Close)
	known := hostKey(t, address)
	want := make([]config.Monitor, entries)
	for i := range want {
		want[i] = monitor(app, known, "main", fmt.Sprintf("entry-%d", i))
	}
	for cycle := range 2 {
		sha := app.push("main", map[string]string{"a": fmt.Sprint(cycle)})
		for i, o := range reader.Heads(t.Context(), want) {
			if o.Err != nil || len(o.Heads) != 1 || o.Heads["main"] != repo.SHA(sha) {
				t.Fatalf("cycle %d, entry %d: %v, want main at %s", cycle, i, o, sha)
			}
		}
	}
	if got := connections.Load(); got != 1 {
		t.Errorf("%d connections for two cycles, want one", got)
	}
	stats := reader.Stats()[0]
	t.Logf("%d requests in two cycles of %d entries over one connection", stats.Requests, entries)
	if stats.Requests != 2*entries {
		t.Errorf("%d requests, want %d", stats.Requests, 2*entries)
	}
	for name, tt := range map[string]struct {
		monitor config.Monitor
		kind    githost.Kind
		text    string
	}{
		"another repository": {monitor(other, known, "main"), "", "the server says"},
		"an unknown host":    {monitor(app, "git.example "+strings.SplitN(known, " ", 2)[1], "main"), githost.Invalid, "is not in known_hosts"},
	} {
		o := reader.Heads(t.Context(), []config.Monitor{tt.monitor})[0]
		e, ok := errors.AsType[*githost.Error](o.Err)
		if !ok || tt.kind != "" && e.Kind != tt.kind || !strings.Contains(e.Error(), tt.text) {
			t.Errorf("%s: %v, want an error of the kind %q that says %q", name, o, tt.kind, tt.text)
		}
		t.Logf("%s: %v", name, o.Err)
	}
}

// TestCloneOverSSH deploys an application from a QA repository, both over SSH alone, as a user that the image does not know. No command
// sees a key.
func TestCloneOverSSH(t *testing.T) {
	address := giteaSSH(t)
	t.Parallel()
	p := newPodTrial(t, "sentry-clone-ssh")
	qa := newRepo(t, p.ns+"-qa", map[string]string{"whose": "QA"})
	keys := map[string]string{"APP_KEY": deployKey(t, p.repo), "QA_KEY": deployKey(t, qa), "KNOWN_HOSTS": hostKey(t, address)}
	for name, value := range keys {
		if err := os.Setenv(name, value); err != nil {
			t.Fatal(err)
		}
		if patch, err := json.Marshal(map[string]any{"stringData": map[string]string{name: value}}); err != nil {
			t.Fatal(err)
		} else {
			kubectl(t, "-n", p.ns, "patch", "secret", "sentry-credentials", "--type=merge", "-p", string(patch))
		}
	}
	deploy := func(key string, commands ...string) (string, bool) {
		t.Helper()
		file := filepath.Join(t.TempDir(), "sentry.yaml")
		write(t, file, fmt.Sprintf(`
repositories:
  - name: web
    monitor: {repo_url: "ssh://git@%[1]s/%[2]s/%[3]s.git", branches: [main], auth: {ssh_key: "${APP_KEY}", known_hosts: "${KNOWN_HOSTS}"}}
    deploy:
      qa_repo_url: "ssh://git@%[1]s/%[2]s/%[4]s.git"
      auth: {ssh_key: "${%[5]s}", known_hosts: "${KNOWN_HOSTS}"}
      checkout: true
      commands: [%[6]s]
      pod: {run_as_user: 23456, run_as_group: 23456, fs_group: 23456}
global: {image: %[7]s, git_image: %[8]s}
`, address, env.giteaUser, p.repo.name, qa.name, key, "'"+strings.Join(commands, "', '")+"'", env.deployImage, env.gitImage))
		out, err := command(t.Context(), "", env.sentry, "trigger", "web", "--follow", "-c", file, "-n", p.ns)
		return fmt.Sprint(out, err), err == nil
	}
	said, ok := deploy("QA_KEY",
		`test "$(cat whose) $(cat "$SENTRY_APP_DIR/README")" = "QA an application"`,
		`test "$(git -C "$SENTRY_APP_DIR" rev-parse HEAD)" = "$SENTRY_SHA"`,
		`test "$(id -u)" = 23456`,
		`! env | grep -e "PRIVATE[ ]KEY" -e SSH_KEY`,
		`test -z "$(ls "$SENTRY_DIR/ssh")"`,
		`! grep -r "PRIVATE[ ]KEY" "$SENTRY_DIR"`)
	if !ok {
		t.Errorf("over SSH:\n%s\n%s", said, p.logs())
	}
	if said, ok := deploy("APP_KEY", "true"); ok || !strings.Contains(said, "clone") {
		t.Errorf("with the key of another repository: succeeded %v, want a failure of the clone:\n%s", ok, said)
	}
	logs, objects := p.logs(), kubectl(t, "-n", p.ns, "get", "pipelineruns,taskruns,pods", "-o", "yaml")
	for name, value := range keys {
		if line := strings.Split(value, "\n")[1:]; name != "KNOWN_HOSTS" && (strings.Contains(logs, line[0]) || strings.Contains(objects, line[0])) {
			t.Errorf("a log or an object holds %s", name)
		}
	}
}

// giteaSSH returns where Gitea listens for SSH.
func giteaSSH(t *testing.T) string {
	t.Helper()
	address := os.Getenv("SENTRY_E2E_GITEA_SSH")
	if address == "" {
		t.Fatal("SENTRY_E2E_GITEA_SSH, where Gitea listens for SSH, is not set: a cluster of before has none; make cluster-down cluster-up")
	}
	return address
}

// deployKey gives a repository a key that may read it, and returns its private half.
func deployKey(t *testing.T, r *gitRepo) string {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "e2e")
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := giteaClient(t).CreateDeployKey(env.giteaUser, r.name,
		gitea.CreateKeyOption{Title: "e2e", Key: string(ssh.MarshalAuthorizedKey(key)), ReadOnly: true}); err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(block))
}

// hostKey returns the line of known_hosts for a server, as ssh-keyscan does: the server is the test's own.
func hostKey(t *testing.T, address string) (line string) {
	t.Helper()
	_, err := ssh.Dial("tcp", address, &ssh.ClientConfig{User: "git", HostKeyCallback: func(_ string, _ net.Addr, key ssh.PublicKey) error {
		host, port, _ := net.SplitHostPort(address)
		line = fmt.Sprintf("[%s]:%s %s", host, port, ssh.MarshalAuthorizedKey(key))
		return errors.New("enough")
	}})
	if line == "" {
		t.Fatalf("the host key of %s: %v", address, err)
	}
	return line
}
