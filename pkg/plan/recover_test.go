package plan

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tekton-sentry/sentry/pkg/plan/naming"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/state"
)

// ran returns the run of rag@main with this N and new SHA, as an engine has it.
func ran(epoch string, n int, digit string) Existing {
	c := Change{Ref: repo.Ref{Repository: "rag", Branch: "main"}, N: n, New: sha(digit)}
	return Existing{Name: "rag-main-" + naming.Key{}.RunHash(epoch, "rag.main", "", n), Unit: "rag.main", Trigger: Trigger{Refs: []Change{c}, Seen: noon}}
}

func TestRecover(t *testing.T) {
	edited := func(edit func(*Existing)) Existing {
		r := ran("e1", 2, "b")
		r.Trigger.Refs = slices.Clone(r.Trigger.Refs)
		edit(&r)
		return r
	}
	branch := func(n int, digit string) state.Branches {
		return state.NewBranches(map[string]state.Branch{"main": {SHA: sha(digit), N: n, Time: noon}})
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
		got, news := Recover(s, naming.Key{}, tt.runs, true)
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
	if got, news := Recover(s, naming.Key{}, []Existing{ran("e1", 2, "b")}, true); len(news) > 0 || got.Repositories["rag"].Branches.Len() > 0 {
		t.Errorf("Recover gives a damaged entry branches: %+v, news of %v", got, news)
	}
}

// A problem of a unit that turns out to have its run is none any more.
func TestRecoverEndsTheProblem(t *testing.T) {
	s := remembered(map[string]state.Repository{"rag": known(t, "main", "a", "1")})
	s.Units = withProblem("create", "rag.main", "other")
	got, _ := Recover(s, naming.Key{}, []Existing{ran("e1", 2, "b")}, true)
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

// A run that is cut off before the state knew it has begun all the same: its branch may go back meanwhile.
func TestReopenOfWhatIsRecovered(t *testing.T) {
	r := ran("e1", 2, "b")
	r.Trigger.Refs[0].Old = sha("a")
	s := remembered(map[string]state.Repository{"rag": {Branches: state.NewBranches(map[string]state.Branch{"main": {SHA: sha("a"), N: 1, Time: noon}})}})
	s, news := Recover(s, naming.Key{}, []Existing{r}, true)
	s, changed := Reopen(s, []Existing{r})
	p := Make(Input{Config: file(watched(t, "rag", "", "main")), Snapshot: s, Observed: []repo.Observation{heads("main", "a")}, Now: noon})
	if len(news) != 1 || !changed || len(p.Runs) != 1 {
		t.Errorf("news %v, changed %v, %d runs, want one for the commit that the branch went back to", news, changed, len(p.Runs))
	}
}

func TestReopen(t *testing.T) {
	cut := func(epoch string, n int, before, digit string) Existing {
		r := ran(epoch, n, digit)
		if before != "" {
			r.Trigger.Refs[0].Old = sha(before)
		}
		return r
	}
	main := func(b state.Branch) state.Repository {
		b.Time = noon
		return state.Repository{Branches: state.NewBranches(map[string]state.Branch{"main": b})}
	}
	at := func(n int, digit string) state.Repository { return main(state.Branch{SHA: sha(digit), N: n}) }
	redo := func(n int, digit string) state.Repository {
		return main(state.Branch{SHA: sha(digit), N: n, Redo: true})
	}
	byHand := cut("e1", 2, "a", "b")
	byHand.Trigger.Manual = "w"
	tests := map[string]struct {
		was  state.Repository
		runs []Existing
		want state.Repository
	}{
		"nothing was cut off":                {at(2, "b"), nil, at(2, "b")},
		"the last run":                       {at(2, "b"), []Existing{cut("e1", 2, "a", "b")}, redo(2, "a")},
		"once more":                          {redo(2, "a"), []Existing{cut("e1", 2, "a", "b")}, redo(2, "a")},
		"a new branch":                       {at(1, "b"), []Existing{cut("e1", 1, "", "b")}, main(state.Branch{SHA: sha("b"), N: 1, Missing: 2})},
		"a run that is not remembered":       {at(1, "a"), []Existing{cut("e1", 2, "a", "b")}, at(1, "a")},
		"a later run came to its end":        {at(3, "c"), []Existing{cut("e1", 2, "a", "b")}, at(3, "c")},
		"and it was of the same SHA":         {at(4, "b"), []Existing{cut("e1", 2, "a", "b")}, at(4, "b")},
		"two at once, in any order":          {at(3, "c"), []Existing{cut("e1", 2, "a", "b"), cut("e1", 3, "b", "c")}, redo(3, "a")},
		"the later one of two at once":       {at(3, "c"), []Existing{cut("e1", 3, "b", "c")}, redo(3, "b")},
		"from before the state's deletion":   {at(2, "b"), []Existing{cut("e0", 2, "a", "b")}, at(2, "b")},
		"asked for by hand":                  {at(2, "b"), []Existing{byHand}, at(2, "b")},
		"a repository that nothing is known": {state.Repository{Unseen: true}, []Existing{cut("e1", 2, "a", "b")}, state.Repository{Unseen: true}},
	}
	for name, tt := range tests {
		s := remembered(map[string]state.Repository{"rag": tt.was})
		before := s.Clone()
		got, changed := Reopen(s, tt.runs)
		want := remembered(map[string]state.Repository{"rag": tt.want})
		if !got.Equal(want) || changed == want.Equal(before) {
			t.Errorf("%s: Reopen = %+v, %v; want %+v", name, got, changed, want)
		}
		if !s.Equal(before) {
			t.Errorf("%s: Reopen changed the snapshot that it was given", name)
		}
		if _, err := state.Encode(got); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A group's run is one: what changed in it is due again, also where the member had come to its end.
func TestReopenOfAGroup(t *testing.T) {
	s := remembered(map[string]state.Repository{"rag": known(t, "main", "b", "4"), "web": known(t, "main", "d", "4"), "other": known(t, "main", "e", "4")})
	run := Existing{Name: "shop-" + naming.Key{}.RunHash("e1", "shop", "", 4), Unit: "shop", Trigger: Trigger{Seen: noon, Refs: []Change{
		{Ref: repo.Ref{Repository: "rag", Branch: "main"}, N: 4, Old: sha("a"), New: sha("b")},
		{Ref: repo.Ref{Repository: "web", Branch: "main"}, N: 4, Old: sha("c"), New: sha("d")},
	}}}
	got, _ := Reopen(s, []Existing{run})
	for name, want := range map[string]state.Branch{"rag": {SHA: sha("a"), Redo: true}, "web": {SHA: sha("c"), Redo: true}, "other": {SHA: sha("e")}} {
		if b := got.Repositories[name].Branches.Get("main"); b.SHA != want.SHA || b.Redo != want.Redo || b.N != 4 {
			t.Errorf("%s: %+v, want %+v", name, b, want)
		}
	}
}
