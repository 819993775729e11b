package gitproto_test

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if root := os.Getenv(serveRoot); root != "" {
		serveHTTPS(root)
		return
	}
	goleak.VerifyTestMain(m)
}

// repository is a real, bare Git repository.
type repository struct {
	t   testing.TB
	dir string
}

func newRepository(t testing.TB, dir string, args ...string) *repository {
	t.Helper()
	r := &repository{t: t, dir: dir}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	r.git("", append([]string{"init", "-q", "--bare", "-b", "main"}, args...)...)
	return r
}

// git runs git in the repository and returns what it prints.
func (r *repository) git(stdin string, args ...string) string {
	r.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = r.dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL="+os.DevNull,
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_AUTHOR_DATE=1700000000 +0000",
		"GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com", "GIT_COMMITTER_DATE=1700000000 +0000")
	cmd.Stdin = strings.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		r.t.Fatalf("git %q: %v\n%s", args, err, stderr.String())
	}
	return strings.TrimSpace(string(out))
}

// commit makes a commit with an empty tree and returns its name.
func (r *repository) commit(message string) string {
	r.t.Helper()
	tree := r.git("", "hash-object", "-t", "tree", "-w", "--stdin")
	return r.git("", "commit-tree", tree, "-m", message)
}

// pack replaces all refs, by their full names, in one write.
func (r *repository) pack(refs map[string]string) {
	r.t.Helper()
	var b strings.Builder
	b.WriteString("# pack-refs with: peeled fully-peeled sorted \n")
	for _, ref := range slices.Sorted(maps.Keys(refs)) {
		fmt.Fprintf(&b, "%s %s\n", refs[ref], ref)
	}
	if err := os.WriteFile(filepath.Join(r.dir, "packed-refs"), []byte(b.String()), 0o644); err != nil {
		r.t.Fatal(err)
	}
}

// branches returns what git says the branches are.
func (r *repository) branches() map[string]string {
	r.t.Helper()
	branches := make(map[string]string)
	for line := range strings.Lines(r.git("", "for-each-ref", "--format=%(objectname) %(refname)", "refs/heads/")) {
		name, ref, _ := strings.Cut(strings.TrimSpace(line), " ")
		branches[strings.TrimPrefix(ref, "refs/heads/")] = name
	}
	return branches
}
