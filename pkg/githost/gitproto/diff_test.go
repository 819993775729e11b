package gitproto_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

// TestManyFolders: a few trees that stand for a billion folders are no commit to compare, and take no memory.
func TestManyFolders(t *testing.T) {
	root := t.TempDir()
	git(t, root, "init", "-q", "-b", "main", "app")
	dir := filepath.Join(root, "app")
	git(t, dir, "config", "uploadpack.allowFilter", "true")
	first := commit(t, dir, "first")
	writeFiles(t, dir, map[string]string{"f": "x"})
	git(t, dir, "add", "-A")
	tree := strings.TrimSpace(git(t, dir, "write-tree"))
	for range 3 {
		var list strings.Builder
		for i := range 1000 {
			fmt.Fprintf(&list, "040000 tree %s\td%d\n", tree, i)
		}
		tree = mktree(t, dir, list.String())
	}
	second := repo.SHA(strings.TrimSpace(git(t, dir, "commit-tree", "-m", "bomb", tree)))
	git(t, dir, "update-ref", "refs/heads/main", string(second))
	server := serve(t, githosttest.GitHandler(root))
	_, err := open(t, server, "", "").(githost.Commits).Diff(t.Context(), server.URL+"/app", first, second)
	if e, ok := errors.AsType[*githost.Error](err); !ok || e.Kind != githost.TooLarge {
		t.Errorf("%v, want that it is too large", err)
	}
}

// mktree makes a tree of what git ls-tree would print.
func mktree(t *testing.T, dir, list string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", "-C", dir, "mktree")
	cmd.Stdin = strings.NewReader(list)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// TestDiff compares commits as git diff does: with names of either size, from and to nothing, and with what is no file.
func TestDiff(t *testing.T) {
	for _, format := range []string{"sha1", "sha256"} {
		t.Run(format, func(t *testing.T) {
			root := t.TempDir()
			git(t, root, "init", "-q", "-b", "main", "--object-format="+format, "app")
			dir := filepath.Join(root, "app")
			git(t, dir, "config", "uploadpack.allowFilter", "true")
			none := commit(t, dir, "nothing")
			writeFiles(t, dir, map[string]string{"a.txt": "a", "d/b.txt": "b", "d/e/f/c.txt": "c", "x/y": "y", "z": "z"})
			git(t, dir, "add", "-A")
			first := commit(t, dir, "first")
			git(t, dir, "mv", "d/b.txt", "d/renamed.txt")
			git(t, dir, "rm", "-q", "-r", "x", "z")
			writeFiles(t, dir, map[string]string{"x": "a file now", "z/a": "a folder now"})
			git(t, dir, "add", "-A")
			git(t, dir, "update-index", "--chmod=+x", "a.txt")
			git(t, dir, "update-index", "--add", "--cacheinfo", "160000,"+strings.Repeat("1", len(first))+",lib/module")
			second := commit(t, dir, "second")
			server := serve(t, githosttest.GitHandler(root))
			commits := open(t, server, "", "").(githost.Commits)
			for _, pair := range [][2]repo.SHA{{first, second}, {second, first}, {none, second}, {second, none}, {first, first}} {
				got, err := commits.Diff(t.Context(), server.URL+"/app", pair[0], pair[1])
				for i := range got {
					got[i] = strings.TrimSuffix(got[i], "/")
				}
				slices.Sort(got)
				want := strings.Fields(git(t, dir, "diff", "--name-only", "--no-renames", string(pair[0]), string(pair[1])))
				slices.Sort(want)
				if err != nil || !slices.Equal(got, want) {
					t.Errorf("Diff(%s, %s) = %q, %v, want %q", pair[0].Short(), pair[1].Short(), got, err, want)
				}
			}
			gone := repo.SHA(strings.Repeat("1", len(first)))
			_, err := commits.Diff(t.Context(), server.URL+"/app", gone, second)
			if e, ok := errors.AsType[*githost.Error](err); !ok || !strings.Contains(e.Error(), "not our ref") {
				t.Errorf("Diff from a commit that is gone: %v, want what the server says", err)
			}
			if err := os.RemoveAll(filepath.Join(dir, ".git", "objects")); err != nil {
				t.Fatal(err)
			}
			if _, err := commits.Diff(t.Context(), server.URL+"/app", first, second); err == nil {
				t.Error("Diff in a repository that is broken has no error")
			}
		})
	}
}
