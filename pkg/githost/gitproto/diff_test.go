package gitproto_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
	"github.com/tekton-sentry/sentry/pkg/githost/gitproto"
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
	_, err := paths(t.Context(), open(t, server, "", "").(githost.Commits), server.URL+"/app", first, second)
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
				got, err := paths(t.Context(), commits, server.URL+"/app", pair[0], pair[1])
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
			_, err := paths(t.Context(), commits, server.URL+"/app", gone, second)
			if e, ok := errors.AsType[*githost.Error](err); !ok || !strings.Contains(e.Error(), "not our ref") {
				t.Errorf("Diff from a commit that is gone: %v, want what the server says", err)
			}
			if err := os.RemoveAll(filepath.Join(dir, ".git", "objects")); err != nil {
				t.Fatal(err)
			}
			if _, err := paths(t.Context(), commits, server.URL+"/app", first, second); err == nil {
				t.Error("Diff in a repository that is broken has no error")
			}
		})
	}
}

// paths returns what Diff tells of.
func paths(ctx context.Context, commits githost.Commits, url string, before, after repo.SHA) (all []string, err error) {
	err = commits.Diff(ctx, url, before, after, func(path string) bool {
		all = append(all, path)
		return true
	})
	return all, err
}

// stalling never sends the end of a large answer.
type stalling struct{ *inside }

// RoundTrip implements http.RoundTripper.
func (s stalling) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := s.inside.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	if len(body) > 64<<10 {
		body = body[:len(body)*9/10]
		resp.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body), untilDone{req.Context()}))
		return resp, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, err
}

// untilDone has nothing to read until its context ends.
type untilDone struct{ ctx context.Context }

func (u untilDone) Read([]byte) (int, error) {
	<-u.ctx.Done()
	return 0, u.ctx.Err() // as HTTP/2 has it
}

// TestSpace has one comparison at a time that keeps much, of all hosts, and others that keep little beside it. A server that
// does not go on keeps nobody else from it.
func TestSpace(t *testing.T) {
	root := t.TempDir()
	git(t, root, "init", "-q", "-b", "main", "app")
	dir := filepath.Join(root, "app")
	git(t, dir, "config", "uploadpack.allowFilter", "true")
	blob := git(t, dir, "hash-object", "-w", "--stdin")
	none := commit(t, dir, "nothing")
	small := repo.SHA(git(t, dir, "commit-tree", "-m", "small", mktree(t, dir, "100644 blob "+blob+"\ta\n")))
	var list strings.Builder
	for i := range 60_000 {
		fmt.Fprintf(&list, "100644 blob %s\tfile-%015d\n", blob, i)
	}
	large := repo.SHA(git(t, dir, "commit-tree", "-m", "large", mktree(t, dir, list.String())))
	file := filepath.Join(t.TempDir(), "message")
	if err := os.WriteFile(file, []byte(strings.Repeat("many words\n", 300_000)), 0o600); err != nil {
		t.Fatal(err)
	}
	wordy := repo.SHA(git(t, dir, "commit-tree", "-F", file, string(small)+"^{tree}"))
	for name, c := range map[string]repo.SHA{"small": small, "large": large, "wordy": wordy} {
		git(t, dir, "update-ref", "refs/heads/"+name, string(c))
	}
	synctest.Test(t, func(t *testing.T) {
		space := githost.NewSpace()
		h, err := gitproto.Open(githost.Endpoint{Account: githost.Account{Type: config.Git, Origin: "http://git.example"}, Space: space},
			&http.Client{Transport: &inside{handler: githosttest.GitHandler(root)}})
		if err != nil {
			t.Fatal(err)
		}
		compare := func(with repo.SHA) (int, error) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			differ, err := paths(ctx, h.(githost.Commits), "http://git.example/app", none, with)
			return len(differ), err
		}
		leave, err := space.Enter(t.Context(), "other.example", func(error) {})
		if err != nil {
			t.Fatal(err)
		}
		if n, err := compare(small); n != 1 || err != nil {
			t.Errorf("a small one beside a large one: %d paths, %v", n, err)
		}
		if n, err := compare(large); n != 0 || !errors.Is(err, repo.ErrUnsent) || !strings.Contains(err.Error(), "take the memory") {
			t.Errorf("a large one beside a large one: %d paths, %v, want that it is not asked", n, err)
		}
		leave()
		for range 2 {
			if n, err := compare(large); n != 60_000 || err != nil {
				t.Errorf("a large one: %d paths, %v", n, err)
			}
		}
		if texts, err := h.(githost.Commits).Messages(t.Context(), "http://git.example/app", []repo.SHA{wordy}); err != nil || len(texts[0]) == 0 {
			t.Errorf("a message of 3 MB: %q, %v", texts, err)
		}
		if n, err := compare(large); n != 60_000 || err != nil {
			t.Errorf("a large one after a large message: %d paths, %v", n, err)
		}
		slow, err := gitproto.Open(githost.Endpoint{Account: githost.Account{Type: config.Git, Origin: "http://slow.example"}, Space: space},
			&http.Client{Transport: stalling{&inside{handler: githosttest.GitHandler(root)}}})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		stalled := make(chan error)
		go func() {
			_, err := paths(t.Context(), slow.(githost.Commits), "http://slow.example/app", none, large)
			stalled <- err
		}()
		synctest.Wait()
		time.Sleep(time.Hour) // as long as nobody waits
		if n, err := compare(large); n != 60_000 || err != nil {
			t.Errorf("a large one while another server stalls: %d paths, %v", n, err)
		}
		err = <-stalled
		if e := githost.WrapError("", err); e.Kind != githost.Temporary || e.Unsent || e.Host != "slow.example" || !strings.Contains(err.Error(), "while others waited") {
			t.Errorf("the one that stalls: %v, %+v", err, e)
		}
		if took := time.Since(began); took > time.Hour+time.Second {
			t.Errorf("it took %s", took)
		}
		asked := 0
		err = h.(githost.Commits).Diff(t.Context(), "http://git.example/app", none, large, func(string) bool { asked++; return false })
		if asked != 1 || err != nil {
			t.Errorf("when one path is enough: %d paths, %v", asked, err)
		}
	})
}
