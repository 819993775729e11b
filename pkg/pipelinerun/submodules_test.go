package pipelinerun

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/secret"
)

// submodule adds one to the index of a repository.
func submodule(t *testing.T, dir, name, url string, sha repo.SHA) {
	t.Helper()
	git(t, dir, "config", "-f", ".gitmodules", "submodule."+name+".path", name)
	git(t, dir, "config", "-f", ".gitmodules", "submodule."+name+".url", url)
	git(t, dir, "add", ".gitmodules")
	git(t, dir, "update-index", "--add", "--cacheinfo", "160000,"+string(sha)+","+name)
}

// cloneWith runs the clone step with these settings, with a token for the QA server.
func cloneWith(t *testing.T, sh []string, url string, sha repo.SHA, set func(*config.Deploy)) (result, string) {
	t.Helper()
	m := testMember("rag")
	m.Repository.Deploy.URL, m.QASHA = url, sha
	m.Repository.Deploy.Auth = config.Auth{Username: secret.New("bob", "bob"), Token: secret.New("${T}", "s3cret")}
	set(m.Repository.Deploy)
	step, _ := stepsOf(t, m)
	dir := t.TempDir()
	return run(t, process(t, sh, step, dir, "SENTRY_GIT_TOKEN=s3cret")), dir + "/repo/"
}

func TestCloneOfSubmodules(t *testing.T) {
	url, qa := qaServer(t, "bob:s3cret")
	private := filepath.Join(filepath.Dir(qa), "lib.git")
	git(t, filepath.Dir(qa), "init", "-q", "-b", "main", private)
	elsewhere, public := qaServer(t, "")
	elsewhereGuarded, hidden := qaServer(t, "bob:s3cret") // on another host, which would take the token
	inner := commit(t, public, "inner")
	submodule(t, private, "inner", elsewhere, inner)
	pinned := commit(t, private, "pinned")
	commit(t, private, "newer")
	submodule(t, qa, "lib", "../lib.git", pinned)
	submodule(t, qa, "public", elsewhere, inner)
	good := commit(t, qa, "good")
	submodule(t, qa, "guarded", elsewhereGuarded, commit(t, hidden, "hidden"))
	bad := commit(t, qa, "bad")
	git(t, qa, "rm", "-q", "--cached", "guarded")
	submodule(t, qa, "guarded", "ext::sh -c touch% /tmp/sentry-submodule-ran", inner)
	worse := commit(t, qa, "worse")

	with := func(d *config.Deploy) { d.Submodules = true }
	for _, sh := range shells(t) {
		got, dir := cloneWith(t, sh, url, good, with)
		for file, want := range map[string]string{"file": "good", "lib/file": "pinned", "lib/inner/file": "inner", "public/file": "inner"} {
			if text, err := os.ReadFile(dir + file); string(text) != want || got.code != 0 || got.stderr != "" {
				t.Errorf("%v: %s holds %q, %v, want %q; %+v", sh, file, text, err, want, got)
			}
		}
		got, dir = cloneWith(t, sh, url, good, func(*config.Deploy) {})
		_, err := os.Stat(dir + "lib/file")
		if err == nil || got.code != 0 || !strings.Contains(got.stderr, "WARNING: submodules are not fetched (deploy.submodules)") {
			t.Errorf("%v: without the key: %+v, want a warning and no submodules", sh, got)
		}
		if got, _ = cloneWith(t, sh, url, bad, with); got.code == 0 || !strings.Contains(got.stderr, "terminal prompts disabled") {
			t.Errorf("%v: a private one elsewhere: %+v, want that it has no credential", sh, got)
		}
		if got, _ = cloneWith(t, sh, url, worse, with); got.code == 0 || !strings.Contains(got.stderr, "transport 'ext' not allowed") {
			t.Errorf("%v: one that is a program: %+v, want that it is refused", sh, got)
		}
	}
}

func TestCloneWarnsOfLFS(t *testing.T) {
	url, qa := qaServer(t, "")
	if err := os.Mkdir(qa+"/models", 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"models/.gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n", "models/a.txt": "no pointer"} {
		if err := os.WriteFile(filepath.Join(qa, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		git(t, qa, "add", name)
	}
	without := commit(t, qa, "without")
	if err := os.WriteFile(qa+"/models/b.bin", []byte("version https://git-lfs.github.com/spec/v1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	git(t, qa, "add", "models/b.bin")
	with := commit(t, qa, "with")
	for _, sh := range shells(t) {
		for sha, warns := range map[repo.SHA]bool{without: false, with: true} {
			got, _ := cloneWith(t, sh, url, sha, func(*config.Deploy) {})
			if got.code != 0 || strings.Contains(got.stderr, "WARNING: files in Git LFS are not fetched (deploy.lfs)") != warns {
				t.Errorf("%v: %+v, want a warning: %v", sh, got, warns)
			}
		}
	}
}

func TestDepthOfTheClone(t *testing.T) {
	url, qa := qaServer(t, "")
	commit(t, qa, "1")
	git(t, qa, "tag", "v1")
	commit(t, qa, "2")
	sha := commit(t, qa, "3")
	for depth, want := range map[int]string{1: "1", 2: "2", 3: "3", 0: "3"} {
		got, dir := cloneWith(t, []string{"sh"}, url, sha, func(d *config.Deploy) { d.Depth = depth })
		if n := git(t, dir, "rev-list", "--count", "HEAD"); n != want || got.code != 0 {
			t.Errorf("depth %d: %s commits, want %s; %+v", depth, n, want, got)
		}
		if tags := git(t, dir, "tag"); (tags == "v1") != (depth == 0) {
			t.Errorf("depth %d: the tags are %q", depth, tags)
		}
	}
}
