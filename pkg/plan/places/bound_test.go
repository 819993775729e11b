package places

import (
	"fmt"
	"slices"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/plan/naming"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

// due returns a run of one branch, written as repository.branch, of a group, written without a dot, or of a new
// branch, written with a + at its end.
func due(text string) plan.Run {
	var r plan.Run
	var branch string
	if _, err := fmt.Sscanf(text, "%1s.%s", &r.Unit.Ref.Repository, &branch); err != nil {
		r.Unit = naming.Unit{Group: text, Label: text}
		return r
	}
	change := plan.Change{Old: "1", New: "2"}
	if n := len(branch) - 1; branch[n] == '+' {
		branch, change.Old = branch[:n], ""
	}
	r.Unit.Ref.Branch = branch
	change.Ref = repo.Ref{Repository: r.Unit.Ref.Repository, Branch: branch}
	r.Unit.Label, r.Trigger.Refs = naming.RefLabel(change.Ref), []plan.Change{change}
	return r
}

func TestBound(t *testing.T) {
	for name, tt := range map[string]struct {
		runs  []string
		turns map[string]int
		now   []string
		later []string
	}{
		"all have room":         {[]string{"a.x", "a.y", "b.x"}, nil, []string{"a.x", "a.y", "b.x"}, nil},
		"each repository":       {[]string{"a.x", "a.y", "a.z", "b.x", "b.y", "b.z"}, nil, []string{"a.x", "a.y", "b.x", "b.y"}, []string{"a.z", "b.z"}},
		"groups do not count":   {[]string{"shop", "a.x", "a.y", "zoo", "a.z"}, nil, []string{"shop", "a.x", "a.y", "zoo"}, []string{"a.z"}},
		"new branches are last": {[]string{"a.x+", "a.y+", "a.z"}, nil, []string{"a.x", "a.z"}, []string{"a.y"}},
		"turns":                 {[]string{"a.x", "a.y", "a.z"}, map[string]int{"a.x": 7, "a.y": 6, "a.z": 5}, []string{"a.y", "a.z"}, []string{"a.x"}},
		"a turn before a move":  {[]string{"a.x", "a.y", "a.z+"}, map[string]int{"a.x": 7, "a.y": 7}, []string{"a.x", "a.z"}, []string{"a.y"}},
	} {
		var runs []plan.Run
		for _, text := range tt.runs {
			runs = append(runs, due(text))
		}
		now, later := Bound(runs, 2, tt.turns)
		if got := labels(now); !slices.Equal(got, tt.now) {
			t.Errorf("%s: of %v %v are made, want %v", name, tt.runs, got, tt.now)
		}
		if got := labels(later); !slices.Equal(got, tt.later) {
			t.Errorf("%s: of %v %v wait, want %v", name, tt.runs, got, tt.later)
		}
	}
}

func labels(runs []plan.Run) []string {
	var all []string
	for _, r := range runs {
		all = append(all, r.Unit.Label)
	}
	return all
}
