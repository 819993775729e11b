package pipelinerun

import (
	"io"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/secret"
)

// git runs git in dir, as nobody in particular, and returns what it prints.
func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@b", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@b")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// commit writes text to a file in the repository's work tree and returns the commit.
func commit(t *testing.T, dir, text string) repo.SHA {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	git(t, dir, "add", "file")
	git(t, dir, "commit", "-q", "-m", text)
	return repo.SHA(git(t, dir, "rev-parse", "HEAD"))
}

// qaServer serves a new repository at /qa/pipelines.git by git's own http-backend, and asks for the password
// when there is one. It returns its URL and the work tree that it serves.
func qaServer(t *testing.T, password string, initArgs ...string) (url, dir string) {
	t.Helper()
	root := t.TempDir()
	dir = filepath.Join(root, "qa", "pipelines.git")
	git(t, root, append([]string{"init", "-q", "-b", "main", dir}, initArgs...)...)
	server := httptest.NewServer(guarded(password, gitBackend(t, root)))
	t.Cleanup(server.Close)
	return server.URL + "/qa/pipelines.git", dir
}

// gitBackend is git's own server of the repositories below root.
func gitBackend(t *testing.T, root string) http.Handler {
	t.Helper()
	backend := &cgi.Handler{
		Path:       filepath.Join(git(t, root, "--exec-path"), "git-http-backend"),
		Env:        []string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_NOSYSTEM=1"},
		InheritEnv: []string{"PATH"},
		Stderr:     io.Discard,
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p := r.Header.Get("Git-Protocol"); p != "" {
			h := *backend
			h.Env = append(h.Env[:len(h.Env):len(h.Env)], "GIT_PROTOCOL="+p)
			h.ServeHTTP(w, r)
			return
		}
		backend.ServeHTTP(w, r)
	})
}

// guarded asks for USER:PASSWORD, where that is not "".
func guarded(password string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, pass, _ := r.BasicAuth(); password != "" && user+":"+pass != password {
			w.Header().Set("WWW-Authenticate", `Basic realm="qa"`)
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// cloneStep runs the clone step of a member whose QA repository is there.
func cloneStep(t *testing.T, sh []string, url string, sha repo.SHA, auth config.Auth, env ...string) (result, string) {
	t.Helper()
	m := testMember("rag")
	m.Repository.Deploy.URL, m.Repository.Deploy.Auth, m.QASHA = url, auth, sha
	step, _ := stepsOf(t, m)
	dir := t.TempDir()
	return run(t, process(t, sh, step, dir, env...)), dir
}

func TestCloneChecksOutThePinnedCommit(t *testing.T) {
	url, qa := qaServer(t, "")
	old := commit(t, qa, "old")
	commit(t, qa, "new")
	for _, sh := range shells(t) {
		got, dir := cloneStep(t, sh, url, old, config.Auth{})
		want := result{"Cloning " + url + " at " + string(old[:7]) + " (main)\n", "", 0}
		if got != want {
			t.Errorf("%v:\n got %+v\nwant %+v", sh, got, want)
		}
		if text, err := os.ReadFile(dir + "/repo/file"); string(text) != "old" {
			t.Errorf("%v: the file reads %q, %v, want \"old\"", sh, text, err)
		}
		// The deploy step's git, as another user.
		cmd := exec.Command("git", "log", "--format=%s %H")
		cmd.Dir = dir + "/repo"
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir + "/home", "GIT_TEST_ASSUME_DIFFERENT_OWNER=1"}
		if got := run(t, cmd); got.stdout != "old "+string(old)+"\n" || got.code != 0 {
			t.Errorf("%v: git log: %+v, want the commit", sh, got)
		}
	}
}

func TestCloneOfASHA256Repository(t *testing.T) {
	url, qa := qaServer(t, "", "--object-format=sha256")
	sha := commit(t, qa, "text")
	if got, _ := cloneStep(t, []string{"sh"}, url, sha, config.Auth{}); got.code != 0 || len(sha) != 64 {
		t.Errorf("clone of %s: %+v, want success", sha, got)
	}
}

// Servers of protocol v0 give only what a ref points to.
func TestCloneFallsBackToTheBranch(t *testing.T) {
	url, qa := qaServer(t, "")
	older := commit(t, qa, "older")
	newest := commit(t, qa, "newest")
	tests := []struct {
		name    string
		sha     repo.SHA
		code    int
		content string
		stderr  string
	}{
		{"tip", newest, 0, "newest", ""},
		{"older", older, 0, "older", ""},
		{"gone", repo.SHA(strings.Repeat("ab", 20)), 1, "", "commit " + strings.Repeat("ab", 20) + " is not on branch main of " + url + " any more"},
	}
	for i, sh := range shells(t) {
		for _, protocol := range []string{"0", "2"} {
			for _, tt := range tests {
				if i > 0 && protocol == "2" {
					continue // git is the same for every shell
				}
				m := testMember("rag")
				m.Repository.Deploy.URL, m.QASHA = url, tt.sha
				step, _ := stepsOf(t, m)
				dir := t.TempDir()
				if err := os.MkdirAll(dir+"/home", 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(dir+"/home/.gitconfig", []byte("[protocol]\nversion = "+protocol+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
				got := run(t, process(t, sh, step, dir))
				content, _ := os.ReadFile(dir + "/repo/file")
				if got.code != tt.code || string(content) != tt.content || !strings.Contains(got.stderr, tt.stderr) {
					t.Errorf("%v, protocol %s, %s: %+v, file %q; want code %d, file %q, stderr with %q",
						sh, protocol, tt.name, got, content, tt.code, tt.content, tt.stderr)
				}
			}
		}
	}
}

func TestCredentialsReachOnlyTheQAServer(t *testing.T) {
	url, qa := qaServer(t, "bob:s3cret'$(x)")
	sha := commit(t, qa, "private")
	byVariable := config.Auth{Username: secret.New("${U}", "bob"), Token: secret.New("${T}", "s3cret'$(x)")}
	literal := config.Auth{Username: secret.New("bob", "bob"), Token: byVariable.Token}
	token := "SENTRY_GIT_TOKEN=s3cret'$(x)"

	// Another origin that answers with a redirect to the private one, and one that asks for a password itself.
	redirect := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, strings.TrimSuffix(url, "/qa/pipelines.git")+r.URL.RequestURI(), http.StatusFound)
	}))
	defer redirect.Close()
	// What a person's desktop would ask for a password with.
	askpass := filepath.Join(t.TempDir(), "askpass")
	if err := os.WriteFile(askpass, []byte("#!/bin/sh\ncase $1 in User*) echo bob ;; *) echo \"s3cret'\\$(x)\" ;; esac\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		url  string
		auth config.Auth
		env  []string
		code int
	}{
		{"user name and token from the Secret", url, byVariable, []string{"SENTRY_GIT_USERNAME=bob", token}, 0},
		{"user name from the file", url, literal, []string{token}, 0},
		{"wrong token", url, literal, []string{"SENTRY_GIT_TOKEN=no"}, 128},
		{"no token", url, config.Auth{}, nil, 128},
		{"nobody else is asked", url, config.Auth{}, []string{"SSH_ASKPASS=" + askpass}, 128},
		{"not after a redirect to another origin", redirect.URL + "/qa/pipelines.git", literal, []string{token}, 128},
	}
	for _, sh := range shells(t) {
		for _, tt := range tests {
			got, dir := cloneStep(t, sh, tt.url, sha, tt.auth, tt.env...)
			if got.code != tt.code {
				t.Errorf("%v, %s: %+v, want code %d", sh, tt.name, got, tt.code)
			}
			if tt.auth == (config.Auth{}) && !strings.Contains(got.stderr, "terminal prompts disabled") {
				t.Errorf("%v, %s: %+v, want no prompt", sh, tt.name, got)
			}
			if strings.Contains(got.stdout+got.stderr, "s3cret") {
				t.Errorf("%v, %s: the token is in %+v", sh, tt.name, got)
			}
			if out, err := exec.Command("grep", "-rl", "s3cret", dir).CombinedOutput(); err == nil {
				t.Errorf("%v, %s: the token is in %s", sh, tt.name, out)
			}
		}
	}
}
