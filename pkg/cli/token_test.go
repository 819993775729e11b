package cli

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestTokenIsReplaced: a revoked token is refused, and the next one is used without a restart.
func TestTokenIsReplaced(t *testing.T) {
	host := newGitHub()
	refused := make(chan struct{}, 1)
	good := make(chan struct{}, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		to := refused
		if strings.Contains(r.Header.Get("Authorization"), "hush1") {
			to = good
		}
		select {
		case to <- struct{}{}:
		default:
		}
		host.ServeHTTP(w, r)
	}))
	defer server.Close()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "GITHUB_TOKEN"), "revoked-hush2")
	file := filepath.Join(t.TempDir(), "sentry.yaml")
	source := fmt.Sprintf("repo_type: github, auth: {token: \"${GITHUB_TOKEN}\"}, api_url: %s", server.URL)
	write(t, file, fmt.Sprintf(`repositories:
  - name: app
    monitor: {repo_url: %[1]s/team/app, branches: [main], %[2]s}
    deploy: {qa_repo_url: %[1]s/team/qa, qa_repo_branch: main, %[2]s, commands: ["true"]}
`, server.URL, source))
	ctx, stop := context.WithCancel(t.Context())
	out := &lines{}
	code := make(chan int)
	go func() {
		code <- Main(ctx, []string{
			"watch", "--local", "--interval", "1s", "--config", file, "--env-dir", dir, "--state", filepath.Join(t.TempDir(), "state.json"),
		}, Streams{Out: out, Err: out})
	}()
	<-refused
	write(t, filepath.Join(dir, "GITHUB_TOKEN"), "hush1")
	<-good
	stop()
	if got := <-code; got != exitDone {
		t.Errorf("exit code %d, want 0", got)
	}
	if text := out.String(); !strings.Contains(text, "variables changed") || strings.Contains(text, "hush") {
		t.Errorf("log:\n%s\nwant that variables changed, and no token", text)
	}
	for _, r := range host.Requests() {
		if r.Status == http.StatusUnauthorized && strings.Contains(r.Authorization, "hush1") {
			t.Errorf("the new token was refused: %+v", r)
		}
	}
}

// lines is a buffer that several may write to.
type lines struct {
	mu sync.Mutex
	bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Buffer.Write(p)
}
