package e2e

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"code.gitea.io/sdk/gitea"

	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
)

// TestPrivateNetwork polls, clones and runs commands where Gitea has a certificate of a private authority, and a name that
// only a proxy knows, which asks for a password.
func TestPrivateNetwork(t *testing.T) {
	t.Parallel()
	p := newPodTrial(t, "sentry-network")
	public := false
	// The commands have no credential.
	if _, _, err := giteaClient(t).EditRepo(env.giteaUser, p.repo.name, gitea.EditRepoOption{Private: &public}); err != nil {
		t.Fatal(err)
	}
	to, err := url.Parse(env.giteaURL)
	if err != nil {
		t.Fatal(err)
	}
	network := githosttest.NewPrivateNetwork(t, httputil.NewSingleHostReverseProxy(to), "ada", "s3cr3t-of-the-proxy")
	proxy := serveToPods(t, to.Host, network)
	authorized := "http://ada:s3cr3t-of-the-proxy@" + proxy
	if err := os.Setenv("CORP_PROXY", authorized); err != nil {
		t.Fatal(err)
	}
	kubectl(t, "-n", p.ns, "patch", "secret", "sentry-credentials", "--type=merge", "-p", fmt.Sprintf(`{"stringData":{"CORP_PROXY":%q}}`, authorized))

	repository := "https://git.example/" + env.giteaUser + "/" + p.repo.name
	file := filepath.Join(t.TempDir(), "sentry.yaml")
	write(t, file, fmt.Sprintf(`
repositories:
  - name: web
    monitor: {repo_url: %[1]q, branches: [main], repo_type: gitea, auth: {username: "${GITEA_USERNAME}", token: "${GITEA_TOKEN}"}}
    deploy:
      qa_repo_url: %[1]q
      repo_type: gitea
      auth: {username: "${GITEA_USERNAME}", token: "${GITEA_TOKEN}"}
      commands: [git ls-remote --exit-code %[1]s refs/heads/main, kubectl version]
global:
  image: %[2]s
  git_image: %[3]s
  proxy: {https_proxy: "${CORP_PROXY}"}
  ca: |
    %[4]s
`, repository, env.deployImage, env.gitImage, strings.ReplaceAll(network.CA, "\n", "\n    ")))
	run(t, "", env.sentry, "watch", "--once", "-c", file, "-n", p.ns) // the first sight
	p.repo.push("main", map[string]string{"pushed": time.Now().String()})
	polled := len(network.Asked())
	run(t, "", env.sentry, "watch", "--once", "-c", file, "-n", p.ns)
	names := kubectl(t, "-n", p.ns, "get", "pipelineruns", "-o", "name")
	if strings.Count(names, "\n") != 1 {
		t.Fatalf("the runs are %q, want one for the push", names)
	}
	awaitEnd(t, p.ns, strings.TrimPrefix(strings.TrimSpace(names), "pipelinerun.tekton.dev/"))
	text := kubectl(t, "-n", p.ns, "get", "pipelineruns,taskruns", "-o", "yaml")
	if reason := kubectl(t, "-n", p.ns, "get", "pipelineruns", "-o", "jsonpath={.items[0].status.conditions[0].reason}"); reason != "Succeeded" {
		t.Errorf("the run ended as %s:\n%s", reason, p.logs())
	}
	if strings.Contains(text, "s3cr3t-of-the-proxy") || strings.Contains(p.logs(), "s3cr3t-of-the-proxy") {
		t.Error("the password of the proxy is in a run or in its logs")
	}
	if asked := network.Asked(); polled == 0 || len(asked) < polled+3 {
		t.Errorf("the proxy let through %q, want what the poller, the clone and a command asked for", asked)
	}
}

// serveToPods serves h at an address of this machine that pods reach, as they reach the host, and returns it.
func serveToPods(t *testing.T, host string, h http.Handler) (address string) {
	t.Helper()
	toward, err := new(net.Dialer).DialContext(t.Context(), "udp", host)
	if err != nil {
		t.Fatal(err)
	}
	_ = toward.Close()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", net.JoinHostPort(toward.LocalAddr().(*net.UDPAddr).IP.String(), "0"))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(h)
	_ = server.Listener.Close()
	server.Listener = listener
	server.Start()
	t.Cleanup(server.Close)
	return listener.Addr().String()
}
