package plan

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/config/discover"
	"github.com/tekton-sentry/sentry/pkg/plan/naming"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/state"
)

const (
	theOne   = "111111111111"
	theOther = "222222222222"
)

// found makes of a repository one that was found.
func found(r config.Repository, id string) config.Repository {
	r.ID = id
	return r
}

// by has a configuration follow from the list of a number. files are those of whoever wrote the list.
func by(c *config.Config, number int64, files string) *config.Config {
	c.Files, c.Found = "files", &discover.Found{Number: number, For: files}
	return c
}

// of notes whose memory an entry is.
func of(r state.Repository, id string) state.Repository {
	r.Of = id
	return r
}

// What was found comes and goes by the newest list alone: a replica with an older one, or with other files, takes nothing up and forgets
// nothing. What is known it goes on with.
func TestWhatWasFoundComesAndGoes(t *testing.T) {
	recorded := func(r state.Repository) state.Repository {
		for name, b := range r.Branches.All() {
			b.Time = noon
			r.Branches.Set(name, b)
		}
		return r
	}
	const last = 5 // the number of the list that decided last
	for name, tt := range map[string]struct {
		number int64
		files  string
		// The file has rag, which was found, and another one that stands in it.
		was  map[string]state.Repository
		runs []string
		next map[string]state.Repository // nil = like was
	}{
		"one comes":                          {number: 5, files: "files", next: map[string]state.Repository{"rag": of(recorded(known(t, "main", "b", "0")), theOne)}},
		"one comes by a newer list":          {number: 6, files: "files", next: map[string]state.Repository{"rag": of(recorded(known(t, "main", "b", "0")), theOne)}},
		"one comes by an older list":         {number: 4, files: "files"},
		"one comes by other files":           {number: 5, files: "others"},
		"one comes, and no list can be read": {number: 0, files: ""},
		"one goes": {number: 5, files: "files", was: map[string]state.Repository{"rag": of(known(t, "main", "b", "0"), theOne), "gone": of(known(t, "main", "a", "3"), theOther)},
			next: map[string]state.Repository{"rag": of(known(t, "main", "b", "0"), theOne), "gone": {Unseen: true, Floor: 3}}},
		"one is not in an older list":       {number: 4, files: "files", was: map[string]state.Repository{"rag": of(known(t, "main", "b", "0"), theOne), "gone": of(known(t, "main", "a", "3"), theOther)}},
		"one is not there by other files":   {number: 5, files: "others", was: map[string]state.Repository{"rag": of(known(t, "main", "b", "0"), theOne), "gone": of(known(t, "main", "a", "3"), theOther)}},
		"no list can be read":               {number: 0, files: "", was: map[string]state.Repository{"rag": of(known(t, "main", "b", "0"), theOne), "gone": known(t, "main", "a", "0")}},
		"only a run says that one is there": {number: 4, files: "files", was: map[string]state.Repository{"rag": of(known(t, "main", "b", "0"), theOne), "gone": known(t, "main", "a", "1")}},
		"what is known goes on by an older list": {number: 4, files: "files", was: map[string]state.Repository{"rag": of(known(t, "main", "a", "2"), theOne)},
			runs: []string{"rag.main: rag@main#3 a>b | rag=main@b<a*"}},
		"an older Sentry knew it": {number: 5, files: "files", was: map[string]state.Repository{"rag": known(t, "main", "b", "2")},
			next: map[string]state.Repository{"rag": of(known(t, "main", "b", "2"), theOne)}},
		"an older Sentry knew it, by an older list": {number: 4, files: "files", was: map[string]state.Repository{"rag": known(t, "main", "b", "2")}},

		"another one has the name": {number: 5, files: "files", was: map[string]state.Repository{"rag": of(known(t, "main", "a", "3", "dev-x", "a", "7"), theOther)},
			next: map[string]state.Repository{"rag": func() state.Repository {
				r := of(recorded(known(t, "main", "b", "7")), theOne)
				r.Floor = 7
				return r
			}()}},
		"another one has the name by an older list": {number: 4, files: "files", was: map[string]state.Repository{"rag": of(known(t, "main", "a", "3"), theOther)}},
		"another one has the name of what nobody can read": {number: 5, files: "files", was: map[string]state.Repository{
			"rag": {Of: theOther, Damaged: []byte(`{"branches":7}`), Problem: &state.Problem{Kind: state.Unreadable, Message: "no", Since: morning}}}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, answer := range []string{"once", "as before"} {
				in := Input{Config: by(file(found(watched(t, "rag", "", "main"), theOne)), tt.number, tt.files), Observed: []repo.Observation{heads("main", "b")}, Now: noon, Snapshot: remembered(tt.was)}
				if answer == "as before" {
					in.Observed[0] = cached(in.Observed[0])
				}
				in.Snapshot.Found = last
				before, want := in.Snapshot.Clone(), in.Snapshot.Clone()
				if tt.next != nil {
					want.Repositories = tt.next
				}
				got := Make(in)
				if diff := cmp.Diff(tt.runs, describeAll(got.Runs)); diff != "" {
					t.Errorf("runs (-want +got):\n%s", diff)
				}
				if !got.Snapshot.Equal(want) {
					t.Errorf("snapshot (-want +got):\n%s", cmp.Diff(want, got.Snapshot))
				}
				if !in.Snapshot.Equal(before) {
					t.Errorf("Make changed its input (-before +after):\n%s", cmp.Diff(before, in.Snapshot))
				}
				if again := Make(Input{Config: in.Config, Observed: in.Observed, Now: noon, Snapshot: got.Snapshot}); len(got.Runs) == 0 && !again.Snapshot.Equal(got.Snapshot) {
					t.Errorf("the second plan changes it (-first +second):\n%s", cmp.Diff(got.Snapshot, again.Snapshot))
				}
			}
		})
	}
}

// A file without anything that was found forgets what it does not have, as ever.
func TestFileAloneDecides(t *testing.T) {
	in := Input{Config: file(watched(t, "rag", "", "main")), Observed: []repo.Observation{heads("main", "a")}, Now: noon, Snapshot: remembered(map[string]state.Repository{
		"rag": known(t, "main", "a", "0"), "gone": known(t, "main", "a", "0"),
	})}
	for _, list := range []*discover.Found{nil, {}} {
		in.Config.Found = list
		if got := Make(in); len(got.Snapshot.Repositories) != 1 {
			t.Errorf("%d repositories are remembered, want one", len(got.Snapshot.Repositories))
		}
	}
	in.Snapshot.Found = 5
	if got := Make(in); len(got.Snapshot.Repositories) != 2 {
		t.Errorf("%d repositories are remembered where a list decided that is not known, want both", len(got.Snapshot.Repositories))
	}
}

// Until something was found of each owner nothing is forgotten: it may be what is to be found, as one that stood in the file before.
func TestNothingFoundYet(t *testing.T) {
	owner := func(name string) config.Discovery {
		return config.Discovery{Source: config.Source{URL: "https://git.example"}, Wanted: discover.Wanted{Owner: name}}
	}
	in := Input{Config: by(file(watched(t, "rag", "", "main")), 5, "files"), Observed: []repo.Observation{heads("main", "a")}, Now: noon, Snapshot: remembered(map[string]state.Repository{
		"rag": known(t, "main", "a", "0"), "moved": known(t, "main", "a", "0"),
	})}
	in.Config.Discover = []config.Discovery{owner("team"), owner("other")}
	for _, o := range in.Config.Discover {
		if got := Make(in); len(got.Snapshot.Repositories) != 2 {
			t.Errorf("before anything of %s was found %d repositories are remembered, want both", o.Owner, len(got.Snapshot.Repositories))
		}
		in.Config.Found.Lists = append(in.Config.Found.Lists, discover.List{Question: o.Question(), Repositories: []discover.Repository{{ID: "1"}}})
	}
	if got := Make(in); len(got.Snapshot.Repositories) != 1 {
		t.Errorf("then %d are remembered, want one", len(got.Snapshot.Repositories))
	}
}

// In a group nothing is deployed by what is remembered of another repository, nor without one that is to be taken up soon.
func TestMemberThatIsNotTakenUpYet(t *testing.T) {
	for name, entry := range map[string]*state.Repository{"new": nil, "another one": new(of(known(t, "main", "a", "3"), theOther))} {
		in := Input{
			Config:   by(file(watched(t, "rag", "site", "main"), found(watched(t, "web", "site", "main"), theOne)), 4, "files"),
			Observed: []repo.Observation{heads("main", "b"), heads("main", "c")}, Now: noon,
			Snapshot: remembered(map[string]state.Repository{"rag": known(t, "main", "a", "0")}),
		}
		in.Snapshot.Found = 5
		if entry != nil {
			in.Snapshot.Repositories["web"] = *entry
		}
		if got := describeAll(Make(in).Runs); len(got) > 0 {
			t.Errorf("%s: by an older list %q run", name, got)
		}
		by(in.Config, 5, "files")
		got := describeAll(Make(in).Runs)
		if len(got) != 1 || !strings.Contains(got[0], "web=main@c<") || strings.Contains(got[0], "web@main") {
			t.Errorf("%s: by the newest list %q run, want rag, and web along at its head", name, got)
		}
	}
}

// A run says whose it is, which is signed, and what it says is remembered of that one alone: another one that has the name by now only
// gets no number of it.
func TestRecoverOfAnotherOne(t *testing.T) {
	in := Input{Config: by(file(found(watched(t, "rag", "", "main"), theOne)), 5, "files"), Observed: []repo.Observation{heads("main", "b")}, Now: noon,
		Key: naming.Key{Secret: strings.Repeat("k", 32)}, Snapshot: remembered(map[string]state.Repository{"rag": of(known(t, "main", "a", "2"), theOne)})}
	in.Snapshot.Found = 5
	run := Make(in).Runs[0].Existing()
	for name, tt := range map[string]struct{ was, want state.Repository }{
		"the same":         {of(known(t, "main", "a", "2"), theOne), of(known(t, "main", "b", "3"), theOne)},
		"nobody knows":     {known(t, "main", "a", "2"), of(known(t, "main", "b", "3"), theOne)},
		"another one":      {of(known(t, "main", "c", "2"), theOther), func() state.Repository { r := of(known(t, "main", "c", "2"), theOther); r.Floor = 3; return r }()},
		"another one, new": {state.Repository{Unseen: true, Floor: 2, Of: theOther}, state.Repository{Unseen: true, Floor: 3, Of: theOther}},
	} {
		s := remembered(map[string]state.Repository{"rag": tt.was})
		got, _ := Recover(s, in.Key, []Existing{run}, true)
		for n, b := range tt.want.Branches.All() {
			if b.N == 3 {
				b.Time = noon
				tt.want.Branches.Set(n, b)
			}
		}
		if want := remembered(map[string]state.Repository{"rag": tt.want}); !got.Equal(want) {
			t.Errorf("%s (-want +got):\n%s", name, cmp.Diff(want, got))
		}
		if again, news := Recover(got, in.Key, []Existing{run}, true); !again.Equal(got) || len(news) > 0 {
			t.Errorf("%s: it is news again", name)
		}
	}
	// Who must not decide what was found learns nothing of what the state forgot meanwhile, perhaps by a newer list.
	for name, was := range map[string]state.Repository{"forgotten": {Unseen: true, Floor: 2}, "never known": {}} {
		s := remembered(map[string]state.Repository{"rag": was})
		if name == "never known" {
			delete(s.Repositories, "rag")
		}
		if got, news := Recover(s, in.Key, []Existing{run}, false); !got.Equal(s) || len(news) > 0 {
			t.Errorf("%s: by an older list it is known (-want +got):\n%s", name, cmp.Diff(s, got))
		}
	}
	for _, forged := range []string{"", theOther, strings.Repeat("1", 1000)} {
		r := run
		r.Trigger.Refs = slices.Clone(r.Trigger.Refs)
		r.Trigger.Refs[0].Of = forged
		if r.Ours(in.Key, "e1") || strings.Contains(forged, "111") && r.Ours(naming.Key{}, "e1") {
			t.Errorf("a run that says it is %.20q's counts as ours", forged)
		}
	}
}
