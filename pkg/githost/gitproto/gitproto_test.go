package gitproto_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
)

func TestHeadsAreWhatGitSays(t *testing.T) {
	root := t.TempDir()
	r := newRepository(t, filepath.Join(root, "team/app.git"))
	one, two := r.commit("one"), r.commit("two")
	refs := map[string]string{
		"refs/heads/main": one, "refs/heads/main2": two, "refs/heads/dev-x": two, "refs/heads/dev/y": one,
		"refs/heads/a$(reboot)'\"": one, "refs/heads/ü": two, "refs/tags/main": two, "refs/pull/1/head": two,
	}
	r.pack(refs)
	every(t, root, func(t *testing.T, s *server) {
		h := open(t, s, "", "")
		url := s.URL + "/team/app.git"
		for _, test := range []struct {
			entries []string
			want    map[string]string
		}{
			{[]string{"main"}, map[string]string{"main": one}},
			{[]string{"main", "main"}, map[string]string{"main": one}},
			{[]string{"dev.*"}, map[string]string{"dev-x": two, "dev/y": one}},
			{[]string{"main", "dev.*", "gone"}, map[string]string{"main": one, "dev-x": two, "dev/y": one}},
			{[]string{"main|ü"}, map[string]string{"main": one, "ü": two}},
			{[]string{`a\$\(reboot\).*`}, map[string]string{"a$(reboot)'\"": one}},
			{[]string{".*"}, r.branches()},
		} {
			if diff := cmp.Diff(test.want, heads(t, h, wanted(t, url, test.entries...))); diff != "" {
				t.Errorf("branches %q: (-want +got)\n%s", test.entries, diff)
			}
		}
		for _, entries := range [][]string{{"gone"}, {"mai"}, {"x.*"}} {
			e := failure(t, h, wanted(t, url, entries...))
			if e.Kind != githost.NoBranch || !strings.Contains(e.Error(), entries[0]) {
				t.Errorf("branches %q: got error %v, want no branch, naming the pattern", entries, e)
			}
		}
	})
}

func TestManyRefs(t *testing.T) {
	root := t.TempDir()
	for _, n := range []int{1, 3_000, 100_000} {
		r := newRepository(t, filepath.Join(root, fmt.Sprint(n)))
		sha := r.commit("one")
		refs := map[string]string{"refs/heads/main": sha}
		for i := 1; i < n; i++ {
			refs[fmt.Sprintf("refs/heads/topic/%06d", i)] = sha
		}
		r.pack(refs)
	}
	every(t, root, func(t *testing.T, s *server) {
		h := open(t, s, "", "")
		for _, n := range []int{1, 3_000, 100_000} {
			url := fmt.Sprintf("%s/%d", s.URL, n)
			pattern, want := ".*", n
			if n == 100_000 {
				pattern, want = "topic/.9.*", 10_000
				o := h.Heads(t.Context(), []githost.Wanted{wanted(t, url, ".*")})[0]
				if e, ok := errors.AsType[*githost.Error](o.Err); !ok || e.Kind != githost.TooLarge {
					t.Errorf("repository of %d branches: got %v, want an error of kind %q", n, o.Err, githost.TooLarge)
				}
			}
			if got := heads(t, h, wanted(t, url, pattern)); len(got) != want {
				t.Errorf("repository of %d branches: got %d of %s, want %d", n, len(got), pattern, want)
			}
			if got := heads(t, h, wanted(t, url, "main")); len(got) != 1 {
				t.Errorf("repository of %d branches: got %d heads of main, want 1", n, len(got))
			}
		}
	})
}

// TestFollowsEveryMove creates, moves, rewinds and deletes branches at random, and compares with git after
// each step.
func TestFollowsEveryMove(t *testing.T) {
	root := t.TempDir()
	r := newRepository(t, filepath.Join(root, "app.git"))
	commits := []string{r.commit("one"), r.commit("two"), r.commit("three")}
	random := rand.New(rand.NewPCG(1, 2))
	newer, old := serve(t, githosttest.GitHandler(root)), serve(t, older("", githosttest.GitHandler(root)))
	hosts := map[*server]githost.Host{newer: open(t, newer, "", ""), old: open(t, old, "", "")}
	dev := regexp.MustCompile(`^(?:main|dev-.*)$`)
	for step := range 25 {
		var changes strings.Builder
		for _, branch := range []string{"main", "dev-1", "dev-2", "dev-2/x", "other", "x/dev-1"} {
			_, has := r.branches()[branch]
			_, parent := r.branches()["dev-2"]
			_, child := r.branches()["dev-2/x"]
			switch n := random.IntN(4); {
			case n == 0 && has:
				fmt.Fprintf(&changes, "delete refs/heads/%s\n", branch)
			case n == 1 && branch == "dev-2/x" && parent, n == 1 && branch == "dev-2" && (child || !has):
				// Git keeps no branch below another one.
			case n == 1:
				fmt.Fprintf(&changes, "update refs/heads/%s %s\n", branch, commits[random.IntN(len(commits))])
			}
		}
		r.git(changes.String(), "update-ref", "--stdin")
		want := r.branches()
		maps.DeleteFunc(want, func(branch, _ string) bool { return !dev.MatchString(branch) })
		for s, h := range hosts {
			w := wanted(t, s.URL+"/app.git", "main", "dev-.*")
			if len(want) == 0 {
				if e := failure(t, h, w); e.Kind != githost.NoBranch {
					t.Fatalf("step %d, %q: got %v, want no branch", step, changes.String(), e)
				}
				continue
			}
			if diff := cmp.Diff(want, heads(t, h, w)); diff != "" {
				t.Fatalf("step %d, %q: (-want +got)\n%s", step, changes.String(), diff)
			}
		}
	}
}

func TestEmptyRepositoryHasNoBranch(t *testing.T) {
	root := t.TempDir()
	newRepository(t, filepath.Join(root, "empty.git"))
	every(t, root, func(t *testing.T, s *server) {
		if e := failure(t, open(t, s, "", ""), wanted(t, s.URL+"/empty.git", "main")); e.Kind != githost.NoBranch {
			t.Errorf("got %v, want no branch", e)
		}
	})
}

func TestSHA256Repository(t *testing.T) {
	root := t.TempDir()
	r := newRepository(t, filepath.Join(root, "app.git"), "--object-format=sha256")
	sha := r.commit("one")
	r.pack(map[string]string{"refs/heads/main": sha})
	every(t, root, func(t *testing.T, s *server) {
		h := open(t, s, "", "")
		for cycle := range 2 {
			s.asked()
			if got := heads(t, h, wanted(t, s.URL+"/app.git", "main")); got["main"] != sha {
				t.Errorf("got %v, want main at %s", got, sha)
			}
			if asked := s.asked(); cycle == 1 && len(asked) != 1 {
				t.Errorf("the second cycle asked %q, want one request", asked)
			}
		}
	})
}
