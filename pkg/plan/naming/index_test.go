package naming

import (
	"slices"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

// TestIndex finds the repositories of a unit that a look at each of them finds.
func TestIndex(t *testing.T) {
	all := []config.Repository{{Name: "a"}, {Name: "b", Group: "g"}, {Name: "g"}, {Name: "c", Group: "g"}, {Name: "d", Group: "h"}}
	index := NewIndex(all)
	for _, u := range []Unit{UnitOf(&all[0], "main"), UnitOf(&all[1], "main"), UnitOf(&all[2], "main"), UnitOf(&all[4], "x"), {Group: "gone"}, {Ref: repo.Ref{Repository: "gone"}}} {
		var want []int
		for i := range all {
			if u.Has(&all[i]) {
				want = append(want, i)
			}
		}
		if got := index.Of(u); !slices.Equal(got, want) {
			t.Errorf("of %+v: %v, want %v", u, got, want)
		}
	}
}
