package plan

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/state"
)

// seenTags is what is remembered of a repository whose tags were looked for by these patterns.
func seenTags(r config.Repository, s state.Repository) state.Repository {
	s.Tags = r.Monitor.Branches.Tags().Memo()
	return s
}

func TestTags(t *testing.T) {
	const v1, v2 = "refs/tags/v1", "refs/tags/v2"
	rag := watched(t, "rag", "", "main", "refs/tags/v.*")
	first, second := watched(t, "rag", "", "main", v1), watched(t, "rag", "", "main", v2)
	alone := watched(t, "rag", "", "refs/tags/v.*")
	other := watched(t, "rag", "", "main", "refs/tags/v1", "refs/tags/v2")
	forgotten := known(t, "main", "a", "3", v1, "b", "7")
	b := forgotten.Branches.Get(v1)
	b.Missing = 2
	forgotten.Branches.Set(v1, b)
	none := failed("no branch", "none")
	for name, tt := range map[string]struct {
		repository config.Repository
		first      config.OnFirstSeen
		was        *state.Repository
		observed   repo.Observation
		events     []string
		runs       []string
	}{
		"at first they are recorded": {rag, config.Record, nil, heads("main", "a", v1, "b"), []string{"rag first seen > main@aaaaaaa refs/tags/v1@bbbbbbb"}, nil},
		"whatever becomes of branches": {rag, config.DeployFirst, nil, heads("main", "a", v1, "b"),
			[]string{"rag first seen > refs/tags/v1@bbbbbbb", "rag@main new branch >a"}, []string{"rag.main: rag@main#1 >a | rag=main@a<*"}},
		"in a repository that is known": {rag, config.Record, new(known(t, "main", "a", "3")), heads("main", "c", v1, "b"),
			[]string{"rag first seen > refs/tags/v1@bbbbbbb", "rag@main moved a>c"}, []string{"rag.main: rag@main#4 a>c | rag=main@c<a*"}},
		"by other patterns": {rag, config.Record, new(seenTags(first, known(t, "main", "a", "3", v1, "b", "1"))), heads("main", "a", v1, "d", v2, "c"),
			[]string{"rag first seen > refs/tags/v2@ccccccc", "rag@refs/tags/v1 moved b>d"},
			[]string{"rag.tag-v1..8b194200: rag@refs/tags/v1#2 b>d | rag=refs/tags/v1@d<b*"}},
		"a new one": {rag, config.Record, new(seenTags(rag, known(t, "main", "a", "3"))), heads("main", "a", v1, "b"),
			[]string{"rag@refs/tags/v1 new branch >b"}, []string{"rag.tag-v1..8b194200: rag@refs/tags/v1#1 >b | rag=refs/tags/v1@b<*"}},
		"one that waits for its run meanwhile": {other, config.Record, new(seenTags(rag, known(t, "main", "a", "3", v1, "b", "1"))), heads("main", "a", v1, "b", v2, "c"),
			[]string{"rag@refs/tags/v2 new branch >c"}, []string{"rag.tag-v2..87b99e4d: rag@refs/tags/v2#1 >c | rag=refs/tags/v2@c<*"}},
		"narrowed and taken back": {rag, config.Record, new(seenTags(second, forgotten)), heads("main", "a", v1, "b"),
			[]string{"rag first seen > refs/tags/v1@bbbbbbb"}, nil},
		"whatever becomes of branches, again": {rag, config.DeployFirst, new(seenTags(rag, state.Repository{Unseen: true})), heads("main", "a", v1, "b"),
			[]string{"rag first seen > refs/tags/v1@bbbbbbb", "rag@main new branch >a"}, []string{"rag.main: rag@main#1 >a | rag=main@a<*"}},
		"one that comes back": {other, config.Record, new(seenTags(rag, forgotten)), heads("main", "a", v1, "b"),
			[]string{"rag@refs/tags/v1 new branch >b"}, []string{"rag.tag-v1..8b194200: rag@refs/tags/v1#8 >b | rag=refs/tags/v1@b<*"}},
		"a moved one": {rag, config.Record, new(seenTags(rag, known(t, "main", "a", "3", v1, "b", "1"))), heads("main", "a", v1, "a"),
			[]string{"rag@refs/tags/v1 moved b>a"}, []string{"rag.tag-v1..8b194200: rag@refs/tags/v1#2 b>a | rag=refs/tags/v1@a<b*"}},
		"a deleted one": {rag, config.Record, new(seenTags(rag, known(t, "main", "a", "3", v1, "b", "1"))), heads("main", "a"),
			[]string{"rag@refs/tags/v1 missing b>"}, nil},
		"none is no problem where only they are watched": {alone, config.Record, nil, none, []string{"rag first seen >"}, nil},
		"the first one of all": {alone, config.Record, new(seenTags(alone, state.Repository{})), heads(v1, "b"),
			[]string{"rag@refs/tags/v1 new branch >b"}, []string{"rag.tag-v1..8b194200: rag@refs/tags/v1#1 >b | rag=refs/tags/v1@b<*"}},
		"the last one of all": {alone, config.Record, new(seenTags(alone, known(t, v1, "b", "1"))), none, []string{"rag@refs/tags/v1 missing b>"}, nil},
		"none, and no branch": {rag, config.Record, nil, none, []string{"rag failing > wrapped: none: check monitor.branches"}, nil},
	} {
		c := file(tt.repository)
		c.Global.OnFirstSeen = tt.first
		in := Input{Config: c, Now: noon, Observed: []repo.Observation{Watched(tt.observed, tt.repository.Monitor)}}
		if tt.was != nil {
			in.Snapshot = remembered(map[string]state.Repository{"rag": *tt.was})
		}
		got := Make(in)
		if diff := cmp.Diff(tt.events, describeEvents(got.Events)); diff != "" {
			t.Errorf("%s: events (-want +got):\n%s", name, diff)
		}
		if diff := cmp.Diff(tt.runs, describeAll(got.Runs)); diff != "" {
			t.Errorf("%s: runs (-want +got):\n%s", name, diff)
		}
		for _, r := range got.Runs {
			r.Remember(&got.Snapshot, noon)
		}
		in.Snapshot = got.Snapshot
		if again := Make(in); len(again.Runs) > 0 {
			t.Errorf("%s: the next cycle runs %v", name, describeAll(again.Runs))
		}
	}
}

// A member that watches tags alone is deployed at the highest version while another one changes.
func TestUnchangedMemberOfTags(t *testing.T) {
	web, db := watched(t, "web", "site", "main"), watched(t, "db", "site", "refs/tags/v.*")
	dbState := seenTags(db, known(t, "refs/tags/v1.9", "1", "0", "refs/tags/v1.10", "2", "0", "refs/tags/v1.10-rc1", "3", "0"))
	p := Make(Input{Config: file(web, db), Now: noon, Snapshot: remembered(map[string]state.Repository{"web": known(t, "main", "a", "1"), "db": dbState}),
		Observed: []repo.Observation{heads("main", "b"), heads("refs/tags/v1.9", "1", "refs/tags/v1.10", "2", "refs/tags/v1.10-rc1", "3")}})
	want := []string{"site: web@main#2 a>b | web=main@b<a* db=refs/tags/v1.10@2<2"}
	if diff := cmp.Diff(want, describeAll(p.Runs)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// answers plays what a host answers, one cycle after the other, and returns what runs and what is remembered.
func answers(t *testing.T, r config.Repository, was state.Repository, all ...repo.Observation) (runs []string, last state.Repository) {
	t.Helper()
	s := remembered(map[string]state.Repository{"rag": was})
	for _, o := range all {
		p := Make(Input{Config: file(r), Now: noon, Snapshot: s, Observed: []repo.Observation{Watched(o, r.Monitor)}})
		runs = append(runs, describeAll(p.Runs)...)
		s = p.Snapshot.Fork()
		for _, run := range p.Runs {
			run.Remember(&s, noon)
		}
	}
	return runs, s.Repositories["rag"]
}

// TestTagsThatAreBack: tags that were all lost at once are recorded when they are back, at numbers that no run has. One that was deleted is new, and one that comes later.
func TestTagsThatAreBack(t *testing.T) {
	const v1, v2, v3 = "refs/tags/v1", "refs/tags/v2", "refs/tags/v3"
	rag, alone := watched(t, "rag", "", "main", "refs/tags/v.*"), watched(t, "rag", "", "refs/tags/v.*")
	none, main := failed("no branch", "none"), heads("main", "a")
	tagged := func(r config.Repository, entries ...string) state.Repository {
		s := seenTags(r, known(t, entries...))
		s.Tagged = s.HasTags()
		return s
	}
	both := tagged(alone, v1, "b", "1", v2, "c", "4")
	for name, tt := range map[string]struct {
		repository config.Repository
		was        state.Repository
		answers    []repo.Observation
		runs       []string
	}{
		"all, and forgotten":         {alone, both, []repo.Observation{none, none, heads(v1, "b", v2, "d")}, nil},
		"all, and more forgotten":    {alone, both, []repo.Observation{none, none, none, none, heads(v1, "b", v2, "d")}, nil},
		"all, beside branches":       {rag, tagged(rag, "main", "a", "9", v1, "b", "1", v2, "c", "4"), []repo.Observation{main, main, main, heads("main", "a", v1, "b")}, nil},
		"all, and a later one":       {alone, both, []repo.Observation{none, none, heads(v1, "b"), heads(v1, "b", v3, "d")}, []string{"rag.tag-v3..d04af9d3: rag@refs/tags/v3#5 >d | rag=refs/tags/v3@d<*"}},
		"all, and one moved later":   {alone, both, []repo.Observation{none, none, heads(v1, "b"), heads(v1, "d")}, []string{"rag.tag-v1..8b194200: rag@refs/tags/v1#5 b>d | rag=refs/tags/v1@d<b*"}},
		"the only one was deleted":   {alone, tagged(alone, v1, "b", "1"), []repo.Observation{none, none, none, heads(v1, "b")}, []string{"rag.tag-v1..8b194200: rag@refs/tags/v1#2 >b | rag=refs/tags/v1@b<*"}},
		"one of several was deleted": {alone, both, []repo.Observation{heads(v2, "c"), heads(v2, "c"), heads(v1, "d", v2, "c")}, []string{"rag.tag-v1..8b194200: rag@refs/tags/v1#2 >d | rag=refs/tags/v1@d<*"}},
		"not watched any more": {watched(t, "rag", "", "main", "refs/tags/x.*"), tagged(rag, "main", "a", "9", v1, "b", "1", v2, "c", "4"),
			[]repo.Observation{main, main, main, heads("main", "a", "refs/tags/x1", "b")}, []string{"rag.tag-x1..37a02447: rag@refs/tags/x1#5 >b | rag=refs/tags/x1@b<*"}},
	} {
		if runs, _ := answers(t, tt.repository, tt.was, tt.answers...); !cmp.Equal(tt.runs, runs) {
			t.Errorf("%s: runs (-want +got):\n%s", name, cmp.Diff(tt.runs, runs))
		}
	}
}

// TestAfterAnOlderSentry: one that knows neither tags nor heads that were passed over keeps what the state has of them, forgets the tags as branches that
// nobody watches, and goes on from the branches. What this one makes of that loses nothing and runs nothing twice.
func TestAfterAnOlderSentry(t *testing.T) {
	const v1, v2 = "refs/tags/v1", "refs/tags/v2"
	rag, untagged := watched(t, "rag", "", "main", "refs/tags/v.*"), watched(t, "rag", "", "main")
	// The older one has a file without tags, and does with its answers what this one does, but for Tags and Tagged.
	older := func(was state.Repository, all ...repo.Observation) ([]string, state.Repository) {
		known := was
		known.Branches = was.Branches.Clone()
		for name, b := range known.Branches.All() {
			b.Passed = nil
			known.Branches.Set(name, b)
		}
		runs, now := answers(t, untagged, known, all...)
		now.Tags, now.Tagged = was.Tags, was.Tagged
		for name, b := range now.Branches.All() {
			b.Passed = was.Branches.Get(name).Passed
			now.Branches.Set(name, b)
		}
		return runs, now
	}
	main := heads("main", "a")
	for cycles := range 4 {
		for _, tags := range []string{"several", "one"} {
			was := known(t, "main", "a", "9", v1, "b", "1", v2, "c", "4")
			at := heads("main", "a", v1, "b", v2, "c")
			if tags == "one" {
				was, at = known(t, "main", "a", "9", v1, "b", "1"), heads("main", "a", v1, "b")
			}
			was = seenTags(rag, was)
			was.Tagged = true
			all := []repo.Observation{main, main, main}[:cycles]
			_, was = older(was, all...)
			runs, now := answers(t, rag, was, at, heads("main", "a", v1, "d"))
			want := []string{"rag.tag-v1..8b194200: rag@refs/tags/v1#2 b>d | rag=refs/tags/v1@d<b*"}
			if cycles > 0 && tags == "several" { // it has the number of the highest that was forgotten
				want[0] = "rag.tag-v1..8b194200: rag@refs/tags/v1#5 b>d | rag=refs/tags/v1@d<b*"
			}
			if !cmp.Equal(want, runs) || !now.Tagged {
				t.Errorf("%s, after %d cycles of the older one: runs (-want +got):\n%s", tags, cycles, cmp.Diff(want, runs))
			}
		}
	}

	// b was passed over since a ran. The older Sentry runs it, and what comes after it.
	passed := known(t, "main", "a", "3")
	passed.Branches.Set("main", passed.Branches.Get("main").PassedOver(sha("b"), repo.Ignored, noon))
	for name, pushed := range map[string][]string{"b": {"b"}, "c": {"b", "c"}, "a": {"b", "a"}} { // and to b again
		var all []repo.Observation
		for _, p := range pushed {
			all = append(all, heads("main", p))
		}
		ran, was := older(passed, all...)
		runs, _ := answers(t, untagged, was, heads("main", name), heads("main", "b"), heads("main", "b"))
		want := 1 // back to b
		if name == "b" {
			want = 0
		}
		if len(ran) != len(pushed) || len(runs) != want {
			t.Errorf("at %s the older one ran %v and this one %v, want %d", name, ran, runs, want)
		}
		if b := was.Branches.Get("main"); b.Base() != b.SHA {
			t.Errorf("at %s what changed is compared with %s, want what ran last", name, b.Base().Short())
		}
	}
}

// A new tag whose run was cut off is due again, also when it is the only one.
func TestTagThatWasCutOff(t *testing.T) {
	const v1 = "refs/tags/v1"
	rag := watched(t, "rag", "", "main", "refs/tags/v.*")
	in := Input{Config: file(rag), Now: noon, Snapshot: remembered(map[string]state.Repository{"rag": seenTags(rag, known(t, "main", "a", "3"))}),
		Observed: []repo.Observation{heads("main", "a", v1, "b")}}
	p := Make(in)
	p.Runs[0].Remember(&p.Snapshot, noon)
	made := p.Runs[0].Existing()
	made.Signature = ""
	next, changed := Reopen(p.Snapshot, []Existing{made})
	if in.Snapshot = next; !changed {
		t.Fatal("nothing is open")
	}
	want := []string{"rag.tag-v1..8b194200: rag@refs/tags/v1#2 >b | rag=refs/tags/v1@b<*"}
	if diff := cmp.Diff(want, describeAll(Make(in).Runs)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
