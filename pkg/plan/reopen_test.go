package plan

import (
	"testing"

	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/state"
)

// A run that is cut off before the state knew it has begun all the same: its branch may go back meanwhile.
func TestReopenOfWhatIsRecovered(t *testing.T) {
	r := ran("e1", 2, "b")
	r.Trigger.Refs[0].Old = sha("a")
	s := remembered(map[string]state.Repository{"rag": {Branches: map[string]state.Branch{"main": {SHA: sha("a"), N: 1, Time: noon}}}})
	s, news := Recover(s, Key{}, []Existing{r})
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
		return state.Repository{Branches: map[string]state.Branch{"main": b}}
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
	run := Existing{Name: "shop-" + Key{}.nameHash("e1", "shop", "", 4), Unit: "shop", Trigger: Trigger{Seen: noon, Refs: []Change{
		{Ref: repo.Ref{Repository: "rag", Branch: "main"}, N: 4, Old: sha("a"), New: sha("b")},
		{Ref: repo.Ref{Repository: "web", Branch: "main"}, N: 4, Old: sha("c"), New: sha("d")},
	}}}
	got, _ := Reopen(s, []Existing{run})
	for name, want := range map[string]state.Branch{"rag": {SHA: sha("a"), Redo: true}, "web": {SHA: sha("c"), Redo: true}, "other": {SHA: sha("e")}} {
		if b := got.Repositories[name].Branches["main"]; b.SHA != want.SHA || b.Redo != want.Redo || b.N != 4 {
			t.Errorf("%s: %+v, want %+v", name, b, want)
		}
	}
}
