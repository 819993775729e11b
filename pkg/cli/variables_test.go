package cli

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestVariables(t *testing.T) {
	t.Setenv("ONLY_ENV", "from the environment")
	t.Setenv("BOTH", "from the environment")
	dir := t.TempDir()
	// As a kubelet mounts a Secret: links to a folder that is replaced as a whole.
	if err := os.Mkdir(filepath.Join(dir, "..2026"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "..2026", "BOTH"), "from the file")
	for link, to := range map[string]string{"..data": "..2026", "BOTH": "..data/BOTH", "GONE": "..data/GONE", "not-a-variable": "/"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	v := variables{dir: dir}
	for _, want := range []bool{true, false} {
		if changed, err := v.read(); changed != want || err != nil {
			t.Fatalf("changed %v, %v, want %v", changed, err, want)
		}
	}
	for name, want := range map[string]string{"BOTH": "from the file", "ONLY_ENV": "from the environment", "GONE": ""} {
		if got, ok := v.lookup(name); got != want || ok != (want != "") {
			t.Errorf("%s is %q, %v, want %q", name, got, ok, want)
		}
	}
	if env := v.environ(); env[len(env)-1] != "BOTH=from the file" || !slices.Contains(env, "ONLY_ENV=from the environment") {
		t.Errorf("the environment for commands ends with %q", env[len(env)-1])
	}
	write(t, filepath.Join(dir, "..2026", "BOTH"), "changed")
	if changed, err := v.read(); !changed || err != nil {
		t.Errorf("after a change: %v, %v", changed, err)
	}
}

func TestVariablesThatCannotBeRead(t *testing.T) {
	for name, tt := range map[string]struct {
		make func(path string) error
		want string
	}{
		"too large": {func(path string) error { return os.WriteFile(path, make([]byte, 64<<10+1), 0o600) }, "A is larger than 64 KiB"},
		"a pipe":    {func(path string) error { return syscall.Mkfifo(path, 0o600) }, "A is no regular file"},
		"a folder":  {func(path string) error { return os.Mkdir(path, 0o700) }, "A is no regular file"},
		"no folder": {func(path string) error { return os.Remove(filepath.Dir(path)) }, "no such file or directory"},
	} {
		dir := filepath.Join(t.TempDir(), "env")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		v := variables{dir: dir, values: map[string]string{"B": "kept"}}
		if err := tt.make(filepath.Join(dir, "A")); err != nil {
			t.Fatal(err)
		}
		if changed, err := v.read(); changed || err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: changed %v, error %v, want %q", name, changed, err, tt.want)
		}
		if got, _ := v.lookup("B"); got != "kept" {
			t.Errorf("%s: what was read before is %q now", name, got)
		}
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
