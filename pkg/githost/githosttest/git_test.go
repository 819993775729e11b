package githosttest_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
)

// git runs git in dir and returns what it prints.
func git(t *testing.T, dir string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com")
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func mustGit(t *testing.T, dir string, args ...string) string {
	t.Helper()
	out, err := git(t, dir, args...)
	if err != nil {
		t.Fatalf("git %q: %v\n%s", args, err, out)
	}
	return out
}

// workTree makes a repository with a work tree and one commit.
func workTree(t *testing.T, dir string) string {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	mustGit(t, dir, "init", "-q", "-b", "main")
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte("content\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	mustGit(t, dir, "add", "file")
	mustGit(t, dir, "commit", "-q", "-m", "one")
	return mustGit(t, dir, "rev-parse", "HEAD")
}

func TestGitClonesAndFetches(t *testing.T) {
	root := t.TempDir()
	sha := workTree(t, filepath.Join(root, "team", "app"))
	mustGit(t, root, "clone", "-q", "--bare", "team/app", "bare.git")
	server := httptest.NewServer(githosttest.GitHandler(root))
	defer server.Close()
	for _, path := range []string{"/team/app", "/bare.git"} {
		for version := range 3 {
			clone := filepath.Join(t.TempDir(), "clone")
			protocol := fmt.Sprintf("protocol.version=%d", version)
			mustGit(t, root, "-c", protocol, "clone", "-q", "--depth=1", server.URL+path, clone)
			if got := mustGit(t, clone, "rev-parse", "HEAD"); got != sha {
				t.Errorf("%s, version %d: HEAD is %s, want %s", path, version, got, sha)
			}
		}
	}
	// So many wanted refs that git compresses its request.
	for i := range 200 {
		mustGit(t, filepath.Join(root, "team", "app"), "update-ref", fmt.Sprintf("refs/heads/b%d", i),
			mustGit(t, filepath.Join(root, "team", "app"), "commit-tree", "HEAD^{tree}", "-m", fmt.Sprint(i)))
	}
	clone := filepath.Join(t.TempDir(), "clone")
	mustGit(t, root, "clone", "-q", "--mirror", server.URL+"/team/app", clone)
	if got := len(strings.Fields(mustGit(t, clone, "for-each-ref", "--format=x"))); got != 201 {
		t.Errorf("the mirror has %d refs, want 201", got)
	}
	if out, err := git(t, clone, "push", server.URL+"/team/app", "main:other"); err == nil {
		t.Errorf("a push went through: %s", out)
	}
}

func TestNothingOutsideOfRoot(t *testing.T) {
	dir := t.TempDir()
	workTree(t, filepath.Join(dir, "secret"))
	root := filepath.Join(dir, "root")
	workTree(t, filepath.Join(root, "app"))
	if err := os.Symlink(filepath.Join(dir, "secret"), filepath.Join(root, "link")); err != nil {
		t.Fatal(err)
	}
	handler := githosttest.GitHandler(root)
	for path, want := range map[string]int{
		"/app/info/refs?service=git-upload-pack":  200,
		"/gone/info/refs?service=git-upload-pack": 404,
		"/link/info/refs?service=git-upload-pack": 404,
		"/app/info/refs?service=git-receive-pack": 404,
		"/app/info/refs":   404,
		"/app/.git/config": 404,
		"/app/%2e%2e/%2e%2e/secret/info/refs?service=git-upload-pack": 0, // anything but 200
		"/..%2fsecret/info/refs?service=git-upload-pack":              0,
	} {
		rec := httptest.NewRecorder()
		handler.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, path, nil))
		if want == 0 && rec.Code == 200 || want != 0 && rec.Code != want {
			t.Errorf("GET %s: got %d, want %d", path, rec.Code, want)
		}
	}
}

func TestBasicAuth(t *testing.T) {
	root := t.TempDir()
	workTree(t, filepath.Join(root, "app"))
	server := httptest.NewServer(githosttest.BasicAuth("me", "t0ken", githosttest.GitHandler(root)))
	defer server.Close()
	for credential, want := range map[string]bool{"": false, "me:wrong@": false, "me:t0ken@": true} {
		url := strings.Replace(server.URL, "//", "//"+credential, 1) + "/app"
		if out, err := git(t, root, "ls-remote", url); (err == nil) != want {
			t.Errorf("ls-remote with %q: %v, want success %t\n%s", credential, err, want, out)
		}
	}
}

func TestFaults(t *testing.T) {
	healthy := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `[{"name":"main"}]`)
	})
	for _, test := range []struct {
		kind   githosttest.FaultKind
		status int
		body   string // its start
		length int    // of the body, at least; 0 = just this start
		err    bool   // reading the body fails
	}{
		{githosttest.ShortBody, 200, `[{"name"`, 0, true},
		{githosttest.Truncated, 200, `[{"name"`, 0, false},
		{githosttest.Garbage, 200, "\x00\xff<html>", 8, false},
		{githosttest.WrongJSON, 200, `[[{"name"`, 9, false},
		{githosttest.EndlessBody, 200, "[   ", 1 << 20, false},
		{githosttest.GzipBomb, 200, "[   ", 128 << 20, false},
		{githosttest.TooManyRequests, 429, "slow down", 1, false},
		{githosttest.Unauthorized, 401, "bad credential", 1, false},
		{githosttest.ServerError, 500, "oops", 1, false},
		{githosttest.RedirectTo("http://elsewhere.invalid"), 302, "<a href=\"http://elsewhere.invalid/x?y=z\"", 1, false},
	} {
		t.Run(string(test.kind), func(t *testing.T) {
			server := httptest.NewServer(githosttest.Fault(test.kind, healthy))
			defer server.Close()
			client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
			defer client.CloseIdleConnections()
			resp, err := client.Get(server.URL + "/x?y=z")
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			start := make([]byte, len(test.body))
			_, _ = io.ReadFull(resp.Body, start)
			if resp.StatusCode != test.status || !bytes.Equal(start, []byte(test.body)) {
				t.Errorf("got status %d and body %q, want %d and %q", resp.StatusCode, start, test.status, test.body)
			}
			n, err := io.CopyN(io.Discard, resp.Body, int64(max(test.length, 1<<10)))
			if errors.Is(err, io.EOF) {
				err = nil
			}
			if (err != nil) != test.err || int(n)+len(start) < test.length || test.length == 0 && n > 0 {
				t.Errorf("read %d bytes with error %v, want at least %d, and an error: %t", int(n)+len(start), err, test.length, test.err)
			}
		})
	}
}
