package plan

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/state"
)

// ran returns the run of rag@main with this N and new SHA, as an engine has it.
func ran(epoch string, n int, digit string) Existing {
	c := Change{Ref: repo.Ref{Repository: "rag", Branch: "main"}, N: n, New: sha(digit)}
	return Existing{Name: "rag-main-" + Key{}.nameHash(epoch, "rag.main", "", n), Unit: "rag.main", Trigger: Trigger{Refs: []Change{c}, Seen: noon}}
}

func TestRecover(t *testing.T) {
	edited := func(edit func(*Existing)) Existing {
		r := ran("e1", 2, "b")
		r.Trigger.Refs = slices.Clone(r.Trigger.Refs)
		edit(&r)
		return r
	}
	branch := func(n int, digit string) map[string]state.Branch {
		return map[string]state.Branch{"main": {SHA: sha(digit), N: n, Time: noon}}
	}
	was := state.Repository{Branches: branch(1, "a")}
	tests := map[string]struct {
		was  state.Repository
		runs []Existing
		want state.Repository
		news bool
	}{
		"nothing there":                    {was, nil, was, false},
		"what is remembered":               {was, []Existing{ran("e1", 1, "a")}, was, false},
		"older than what is remembered":    {state.Repository{Branches: branch(5, "a")}, []Existing{ran("e1", 4, "b")}, state.Repository{Branches: branch(5, "a")}, false},
		"created, not remembered":          {was, []Existing{ran("e1", 2, "b")}, state.Repository{Branches: branch(2, "b")}, true},
		"several, in no order":             {was, []Existing{ran("e1", 3, "c"), ran("e1", 4, "d"), ran("e1", 2, "b")}, state.Repository{Branches: branch(4, "d")}, true},
		"a branch that was forgotten":      {state.Repository{Floor: 2}, []Existing{ran("e1", 2, "b")}, state.Repository{Floor: 2}, false},
		"a branch that came back":          {state.Repository{Floor: 2}, []Existing{ran("e1", 3, "b")}, state.Repository{Floor: 2, Branches: branch(3, "b")}, true},
		"a first deployment":               {state.Repository{Unseen: true}, []Existing{ran("e1", 1, "b")}, state.Repository{Branches: branch(1, "b")}, true},
		"from before the state's deletion": {was, []Existing{ran("e0", 2, "b")}, was, false},
		"a copy under another name":        {was, []Existing{edited(func(r *Existing) { r.Name += "-rerun" })}, was, false},
		"of another unit":                  {was, []Existing{edited(func(r *Existing) { r.Unit = "rag.dev" })}, was, false},
		"another n than its name's":        {was, []Existing{edited(func(r *Existing) { r.Trigger.Refs[0].N = 9 })}, was, false},
		"no trigger":                       {was, []Existing{edited(func(r *Existing) { r.Trigger = Trigger{} })}, was, false},
		"asked for by hand":                {was, []Existing{edited(func(r *Existing) { r.Trigger.Manual = "w" })}, was, false},
		"no SHA":                           {was, []Existing{edited(func(r *Existing) { r.Trigger.Refs[0].New = "b" })}, was, false},
		"no branch name":                   {was, []Existing{edited(func(r *Existing) { r.Trigger.Refs[0].Branch = "a..b" })}, was, false},
		"no repository":                    {was, []Existing{edited(func(r *Existing) { r.Trigger.Refs[0].Repository = "" })}, was, false},
		"an n that nothing can be after":   {was, []Existing{ran("e1", 999_000_001, "b")}, was, false},
	}
	for name, tt := range tests {
		s := remembered(map[string]state.Repository{"rag": tt.was})
		before := s.Clone()
		got, news := Recover(s, Key{}, tt.runs)
		if want := remembered(map[string]state.Repository{"rag": tt.want}); !got.Equal(want) || !maps.Equal(news, map[string]bool{"rag": true}) && tt.news || len(news) > 0 && !tt.news {
			t.Errorf("%s: Recover(%+v) = %+v, news of %v, want %+v, news %t", name, tt.runs, got, news, want, tt.news)
		}
		if !s.Equal(before) {
			t.Errorf("%s: Recover changed its argument to %+v", name, s)
		}
	}
}

// What is remembered of a repository and cannot be read is left as it is.
func TestRecoverOfADamagedEntry(t *testing.T) {
	s := remembered(map[string]state.Repository{"rag": {Damaged: []byte(`"?"`)}})
	if got, news := Recover(s, Key{}, []Existing{ran("e1", 2, "b")}); len(news) > 0 || len(got.Repositories["rag"].Branches) > 0 {
		t.Errorf("Recover gives a damaged entry branches: %+v, news of %v", got, news)
	}
}

// A problem of a unit that turns out to have its run is none any more.
func TestRecoverEndsTheProblem(t *testing.T) {
	s := remembered(map[string]state.Repository{"rag": known(t, "main", "a", "1")})
	s.Units = ailing("create", "rag.main", "other")
	got, _ := Recover(s, Key{}, []Existing{ran("e1", 2, "b")})
	if names := slices.Collect(maps.Keys(got.Units)); !slices.Equal(names, []string{"other"}) {
		t.Errorf("problems of %v are left, want only other's", names)
	}
}

func TestAfter(t *testing.T) {
	r := one(t, "e1", "main", "1", "a", "b") // number 2
	for _, tt := range []struct {
		runs []Existing
		want int
	}{
		{nil, 2},
		{[]Existing{ran("e1", 1, "a")}, 2},
		{[]Existing{ran("e1", 2, "c")}, 3},
		{[]Existing{ran("e1", 7, "c"), ran("e1", 3, "c"), ran("e0", 20, "c")}, 8},
	} {
		got := r.After(tt.runs)
		if n := got.Trigger.Refs[0].N; n != tt.want || got.Name != one(t, "e1", "main", string(rune('0'+tt.want-1)), "a", "b").Name {
			t.Errorf("after %+v: n = %d, name %s, want n = %d and its name", tt.runs, n, got.Name, tt.want)
		}
	}
}

func TestActiveOf(t *testing.T) {
	runs := []Existing{
		{Name: "b", Unit: "u", Active: true},
		{Name: "c", Unit: "u"},
		{Name: "a", Unit: "u", Active: true},
		{Name: "d", Unit: "v", Active: true},
		{Name: "held-back", Unit: "w", Active: true, Pending: true},
		{Name: "held-back-by-us", Unit: "x", Active: true, Pending: true},
	}
	got := ActiveOf(runs, func(r Existing) bool { return r.Unit == "x" })
	names := map[string][]string{}
	for unit, active := range got {
		names[unit] = Names(active)
	}
	if diff := cmp.Diff(map[string][]string{"u": {"b", "a"}, "v": {"d"}, "x": {"held-back-by-us"}}, names); diff != "" {
		t.Errorf("active (-want +got):\n%s", diff)
	}
}
