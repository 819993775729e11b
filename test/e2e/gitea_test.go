package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"code.gitea.io/sdk/gitea"
)

// gitRepo is a repository on the real Gitea with a clone on this machine.
type gitRepo struct {
	t    *testing.T
	dir  string
	url  string
	name string
}

// giteaClient returns a client of the real Gitea.
func giteaClient(t *testing.T) *gitea.Client {
	t.Helper()
	client, err := gitea.NewClient(env.giteaURL, gitea.SetToken(env.giteaToken), gitea.SetGiteaVersion(""), gitea.SetContext(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// newRepo makes a private repository with one commit on main. What an earlier test left under the name goes.
func newRepo(t *testing.T, name string, files map[string]string) *gitRepo {
	t.Helper()
	client := giteaClient(t)
	_, _ = client.DeleteRepo(env.giteaUser, name)
	if _, _, err := client.CreateRepo(gitea.CreateRepoOption{Name: name, Private: true, DefaultBranch: "main"}); err != nil {
		t.Fatalf("create repository %s: %v", name, err)
	}
	r := &gitRepo{t: t, dir: t.TempDir(), name: name, url: strings.TrimSuffix(env.giteaURL, "/") + "/" + env.giteaUser + "/" + name}
	r.git("init", "--quiet", "--initial-branch=main")
	r.git("remote", "add", "origin", r.url)
	r.git("config", "user.name", "E2E")
	r.git("config", "user.email", "e2e@example.com")
	r.git("config", "http.extraHeader", "Authorization: token "+env.giteaToken)
	r.push("main", files)
	return r
}

func (r *gitRepo) git(args ...string) string {
	r.t.Helper()
	return strings.TrimSpace(run(r.t, "", "git", append([]string{"-C", r.dir}, args...)...))
}

// push commits the files on top of what the clone has, pushes it to branch, and returns the SHA.
func (r *gitRepo) push(branch string, files map[string]string) string {
	r.t.Helper()
	for name, content := range files {
		path := filepath.Join(r.dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			r.t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o755); err != nil {
			r.t.Fatal(err)
		}
	}
	r.git("add", "--all")
	r.git("commit", "--quiet", "--allow-empty", "-m", "to "+branch)
	r.git("push", "--quiet", "--force", "origin", "HEAD:refs/heads/"+branch)
	return r.git("rev-parse", "HEAD")
}
