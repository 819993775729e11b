package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSubmodules clones a QA repository with two submodules, which nobody can read without the credential.
func TestSubmodules(t *testing.T) {
	t.Parallel()
	p := newPodTrial(t, "sentry-submodules")
	modules := ""
	for _, name := range []string{"lib", "charts"} {
		module := newRepo(t, p.ns+"-"+name, map[string]string{"name": name})
		url := module.url
		if name == "charts" {
			url = "../" + module.name // beside the QA repository
		}
		modules += fmt.Sprintf("[submodule %q]\n\tpath = %[1]s\n\turl = %s\n", name, url)
		if err := os.Mkdir(filepath.Join(p.repo.dir, name), 0o755); err != nil { // or git takes it for deleted
			t.Fatal(err)
		}
		p.repo.git("update-index", "--add", "--cacheinfo", "160000,"+module.git("rev-parse", "HEAD")+","+name)
	}
	p.repo.push("main", map[string]string{".gitmodules": modules})
	const commands = `commands: ['test "$(cat lib/name)" = lib', 'test "$(cat charts/name)" = charts']`
	if said, ok := p.deploy("{}", "submodules: true\n      "+commands); !ok {
		t.Errorf("with submodules: true:\n%s\n%s", said, p.logs())
	}
	if _, ok := p.deploy("{}", commands); ok || !strings.Contains(p.logs(), "WARNING: submodules are not fetched") {
		t.Errorf("without it: succeeded %v, want a failure and a warning that says why:\n%s", ok, p.logs())
	}
}

// TestLFS clones a private QA repository with a file in Git LFS, with the key for that and without.
func TestLFS(t *testing.T) {
	t.Parallel()
	p := newPodTrial(t, "sentry-lfs")
	p.repo.git("lfs", "install", "--local")
	p.repo.git("config", "--unset", "http.extraHeader") // which Gitea does not take for LFS
	p.repo.git("remote", "set-url", "origin", strings.Replace(p.repo.url, "://", "://"+env.giteaUser+":"+env.giteaToken+"@", 1)+".git")
	p.repo.push("main", map[string]string{".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n", "model.bin": strings.Repeat("0123456789", 100)})
	const commands = `commands: ['test "$(wc -c <model.bin)" -eq 1000']`
	if said, ok := p.deploy("{}", "lfs: true\n      "+commands); !ok {
		t.Errorf("with lfs: true:\n%s\n%s", said, p.logs())
	}
	if _, ok := p.deploy("{}", commands); ok || !strings.Contains(p.logs(), "Git LFS are not fetched") {
		t.Errorf("without it: succeeded %v, want a failure and a warning that says why:\n%s", ok, p.logs())
	}

	// The same repository within another one.
	outer := newRepo(t, p.ns+"-outer", map[string]string{".gitmodules": fmt.Sprintf("[submodule \"lib\"]\n\tpath = lib\n\turl = ../%s\n", p.repo.name)})
	if err := os.Mkdir(filepath.Join(outer.dir, "lib"), 0o755); err != nil { // or git takes it for deleted
		t.Fatal(err)
	}
	outer.git("update-index", "--add", "--cacheinfo", "160000,"+p.repo.git("rev-parse", "HEAD")+",lib")
	outer.push("main", nil)
	p.repo = outer
	const inside = `commands: ['test "$(wc -c <lib/model.bin)" -eq 1000']`
	if said, ok := p.deploy("{}", "submodules: true\n      lfs: true\n      "+inside); !ok {
		t.Errorf("in a submodule with both keys:\n%s\n%s", said, p.logs())
	}
	if _, ok := p.deploy("{}", "submodules: true\n      "+inside); ok || !strings.Contains(p.logs(), "Git LFS of submodules are not fetched") {
		t.Errorf("in a submodule without lfs: succeeded %v, want a failure and a warning that says why:\n%s", ok, p.logs())
	}
}
