package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
	"github.com/tekton-sentry/sentry/pkg/kube/kubetest"
)

// TestStop ends `sentry watch` while it creates many runs: it leaves after the one in hand with
// exit code 0, and the next one creates the others.
func TestStop(t *testing.T) {
	const due, until = 60, 20
	root := t.TempDir()
	git := exec.CommandContext(t.Context(), "sh", "-c", `git init -q -b main app && cd app &&
		git -c user.name=T -c user.email=t@example.com commit -q --allow-empty -m first`)
	git.Dir = root
	if out, err := git.CombinedOutput(); err != nil {
		t.Fatalf("make a repository: %v\n%s", err, out)
	}
	host := httptest.NewServer(githosttest.GitHandler(root))
	t.Cleanup(host.Close)
	var text strings.Builder
	text.WriteString("global: {on_first_seen: deploy}\nrepositories:\n")
	for i := range due {
		fmt.Fprintf(&text, `  - name: app%[2]d
    monitor: {repo_url: "%[1]s/app", repo_type: git, branches: [main]}
    deploy: {qa_repo_url: "%[1]s/app", repo_type: git, commands: ["true"]}
`, host.URL, i)
	}
	api, _ := kubetest.New(t)
	cluster := httptest.NewServer(api)
	t.Cleanup(cluster.Close)
	write := func(name, text string) string {
		path := filepath.Join(root, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	config := write("sentry.yaml", text.String())
	kubeconfig := write("kubeconfig", fmt.Sprintf(`{apiVersion: v1, kind: Config, current-context: c,
clusters: [{name: c, cluster: {server: %q}}], contexts: [{name: c, context: {cluster: c, namespace: test}}]}`, cluster.URL))
	const runs = "/apis/tekton.dev/v1/namespaces/test/pipelineruns"
	watch := func(more ...string) (*exec.Cmd, *bytes.Buffer) {
		cmd := exec.CommandContext(t.Context(), os.Args[0], append([]string{"watch", "-c", config}, more...)...)
		cmd.Env = append(os.Environ(), "SENTRY_TEST_MAIN=1", "KUBECONFIG="+kubeconfig, "HOME="+t.TempDir())
		var log bytes.Buffer
		cmd.Stderr = &log
		return cmd, &log
	}

	cmd, log := watch()
	var posts atomic.Int32
	api.Fault = func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPost && r.URL.Path == runs {
			if posts.Add(1) == until {
				_ = cmd.Process.Signal(syscall.SIGTERM)
			}
		}
		return false
	}
	if err := cmd.Run(); err != nil {
		t.Errorf("ended with %v, want exit status 0:\n%s", err, log)
	}
	made := api.Names(runs)
	if len(made) < until || len(made) > until+1 || int(posts.Load()) != len(made) {
		t.Errorf("%d runs after %d calls, want those of before the signal, %d or one more:\n%s", len(made), posts.Load(), until, log)
	}
	state := fmt.Sprint(api.Get("/api/v1/namespaces/test/configmaps/sentry-state")["data"])
	if n := strings.Count(state, `"n":1`); n != len(made) {
		t.Errorf("%d of %d runs are remembered:\n%s", n, len(made), state)
	}

	api.Fault = nil
	cmd, log = watch("--once")
	if err := cmd.Run(); err != nil {
		t.Errorf("the next one ended with %v:\n%s", err, log)
	}
	if n := len(api.Names(runs)); n != due || !strings.Contains(log.String(), fmt.Sprintf("[created=%d]", due-len(made))) {
		t.Errorf("%d runs in the end, want %d, of which the next one made %d:\n%s", n, due, due-len(made), log)
	}
}
