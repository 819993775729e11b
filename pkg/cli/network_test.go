package cli

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
)

// One setting serves all who speak to servers: the poller, the clone, the commands and webhooks.
func TestPrivateNetwork(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{"app", "qa"} {
		commit := exec.Command("sh", "-c", "git init -q -b main "+name+" && cd "+name+" && git commit -q --allow-empty -m first")
		commit.Dir = root
		commit.Env = append(os.Environ(), "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@b", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@b")
		if out, err := commit.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	hooks := make(chan string, 10)
	handler := http.NewServeMux()
	handler.Handle("/", githosttest.GitHandler(root))
	handler.HandleFunc("POST /hook", func(_ http.ResponseWriter, req *http.Request) { hooks <- req.Host })
	there := githosttest.NewPrivateNetwork(t, handler, "ada", "s3cret@:/pw")
	t.Setenv("CORP_PROXY", there.Authorized)
	t.Setenv("TMPDIR", t.TempDir())
	const repositories = `repositories:
  - name: app
    monitor: {repo_url: https://git.example/app, repo_type: git, branches: [main]}
    deploy:
      qa_repo_url: https://git.example/qa
      repo_type: git
      commands:
        - git ls-remote https://git.example/app
        - echo "${CORP_PROXY-hidden}"
    webhook_url: https://git.example/hook
`
	ca := "  ca: |\n    " + strings.ReplaceAll(strings.TrimSpace(there.CA), "\n", "\n    ") + "\n"
	const proxy = "  proxy: {https_proxy: \"${CORP_PROXY}\"}\n"
	for name, tt := range map[string]struct {
		global string
		code   int
		want   []string
	}{
		"both":     {ca + proxy, 0, []string{"\trefs/heads/main", "hidden", "Succeeded"}},
		"no CA":    {proxy, 1, []string{"put the authority's certificate into global.ca"}},
		"no proxy": {ca, 1, []string{"git.example"}},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "sentry.yaml")
			write(t, file, repositories+"global:\n  on_first_seen: deploy\n"+tt.global)
			out := &lines{}
			code := Main(t.Context(), []string{
				"watch", "--local", "--once", "--config", file, "--state", filepath.Join(t.TempDir(), "state.json"),
			}, Streams{Out: out, Err: out})
			text := out.String()
			if code != tt.code || !containsAll(text, tt.want) {
				t.Errorf("exit code %d, want %d, and output with %q:\n%s", code, tt.code, tt.want, text)
			}
			if strings.Contains(text, "s3cret") {
				t.Errorf("the proxy's password is in\n%s", text)
			}
		})
	}
	select {
	case host := <-hooks:
		if host != "git.example" || len(hooks) > 0 {
			t.Errorf("the webhook was told at %s, and %d more times", host, len(hooks))
		}
	default:
		t.Error("the webhook was not told")
	}
	got := slices.Compact(slices.Sorted(slices.Values(there.Asked())))
	if want := "[CONNECT git.example:443]"; fmt.Sprint(got) != want {
		t.Errorf("the proxy was asked %q, want %s", got, want)
	}
}

func containsAll(text string, want []string) bool {
	return !slices.ContainsFunc(want, func(s string) bool { return !strings.Contains(text, s) })
}
