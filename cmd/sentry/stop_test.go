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
	"time"

	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
	"github.com/tekton-sentry/sentry/pkg/kube/kubetest"
)

// TestStop ends `sentry watch` while it creates many runs: it leaves after the one in hand, and the
// next one creates the others. With --once that is a failure, as not all was done.
func TestStop(t *testing.T) {
	for name, tt := range map[string]struct {
		args []string
		exit int
		said string
	}{
		"watch": {nil, 0, "stopped"},
		"once":  {[]string{"--once"}, 1, "interrupted before the cycle was done"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			cmd, log := s.watch(t, tt.args...)
			var posts atomic.Int32
			s.api.Fault = func(_ http.ResponseWriter, r *http.Request) bool {
				if r.Method != http.MethodPost || r.URL.Path != runsPath {
					return false
				}
				switch n := posts.Add(1); {
				case n == until:
					_ = cmd.Process.Signal(syscall.SIGTERM)
				case n > until:
					time.Sleep(20 * time.Millisecond) // the server is slow now: a signal takes a moment to arrive
				}
				return false
			}
			if err := cmd.Run(); cmd.ProcessState.ExitCode() != tt.exit || !strings.Contains(log.String(), tt.said) {
				t.Errorf("ended with %v, want exit status %d and %q:\n%s", err, tt.exit, tt.said, log)
			}
			made := s.api.Names(runsPath)
			if len(made) < until || len(made) > due/2 || int(posts.Load()) != len(made) {
				t.Errorf("%d runs after %d calls, want those of before the signal, %d and hardly more:\n%s", len(made), posts.Load(), until, log)
			}
			state := fmt.Sprint(s.api.Get("/api/v1/namespaces/test/configmaps/sentry-state")["data"])
			if n := strings.Count(state, `"n":1`); n != len(made) {
				t.Errorf("%d of %d runs are remembered:\n%s", n, len(made), state)
			}

			s.api.Fault = nil
			cmd, log = s.watch(t, "--once")
			if err := cmd.Run(); err != nil {
				t.Errorf("the next one ended with %v:\n%s", err, log)
			}
			if n := len(s.api.Names(runsPath)); n != due || !strings.Contains(log.String(), fmt.Sprintf("[created=%d]", due-len(made))) {
				t.Errorf("%d runs in the end, want %d, of which the next one made %d:\n%s", n, due, due-len(made), log)
			}
		})
	}
}

const (
	due, until = 60, 20 // runs that are due, and the one at which the signal comes
	runsPath   = "/apis/tekton.dev/v1/namespaces/test/pipelineruns"
)

// site is a Git host, an API server and a configuration, in which so many runs are due at first sight.
type site struct {
	api                *kubetest.Server
	config, kubeconfig string
}

func newSite(t *testing.T) *site {
	t.Helper()
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
	return &site{api, write("sentry.yaml", text.String()), write("kubeconfig", fmt.Sprintf(`{apiVersion: v1, kind: Config, current-context: c,
clusters: [{name: c, cluster: {server: %q}}], contexts: [{name: c, context: {cluster: c, namespace: test}}]}`, cluster.URL))}
}

// watch returns the real program, to be run, and what it logs.
func (s *site) watch(t *testing.T, more ...string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], append([]string{"watch", "-c", s.config}, more...)...)
	cmd.Env = append(os.Environ(), "SENTRY_TEST_MAIN=1", "KUBECONFIG="+s.kubeconfig, "HOME="+t.TempDir())
	var log bytes.Buffer
	cmd.Stderr = &log
	return cmd, &log
}
