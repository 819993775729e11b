package gitproto_test

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A tag gives the commit that it is of, whether it is annotated, of another tag or just a name, and the server speaks whatever
// version. The tags are in the one request that the branches take.
func TestTagsOfRealGit(t *testing.T) {
	root := t.TempDir()
	r := newRepository(t, filepath.Join(root, "app.git"))
	one, two := r.commit("one"), r.commit("two")
	r.git("", "update-ref", "refs/heads/main", one)
	r.git("", "update-ref", "refs/heads/v1", two)
	r.git("", "tag", "v1", one)
	r.git("", "tag", "-a", "-m", "two", "v2", two)
	r.git("", "tag", "-a", "-m", "of a tag", "v3", "v2")
	r.git("", "tag", "-a", "-m", "not wanted", "other", one)
	every(t, root, func(t *testing.T, s *server) {
		h := open(t, s, "", "")
		for _, c := range []struct {
			entries []string
			want    map[string]string
		}{
			{[]string{"main", "refs/tags/v.*"}, map[string]string{"main": one, "refs/tags/v1": one, "refs/tags/v2": two, "refs/tags/v3": two}},
			{[]string{"main", "v1", "refs/tags/v1"}, map[string]string{"main": one, "v1": two, "refs/tags/v1": one}},
			{[]string{"refs/tags/v2"}, map[string]string{"refs/tags/v2": two}},
			{[]string{"refs/tags/v3", "refs/tags/v1"}, map[string]string{"refs/tags/v1": one, "refs/tags/v3": two}},
			{[]string{"v.*"}, map[string]string{"v1": two}},
		} {
			if diff := cmp.Diff(c.want, heads(t, h, wanted(t, s.URL+"/app.git", c.entries...))); diff != "" {
				t.Errorf("%v (-want +got):\n%s", c.entries, diff)
			}
			s.asked()
			heads(t, h, wanted(t, s.URL+"/app.git", c.entries...))
			if asked := s.asked(); len(asked) != 1 {
				t.Errorf("%v: asked %v, want one request", c.entries, asked)
			}
		}
	})
}
