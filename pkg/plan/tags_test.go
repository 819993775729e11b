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
	s.Tags = r.Monitor.Branches.Tags().Digest()
	return s
}

func TestTags(t *testing.T) {
	const v1, v2 = "refs/tags/v1", "refs/tags/v2"
	rag := watched(t, "rag", "", "main", "refs/tags/v.*")
	alone := watched(t, "rag", "", "refs/tags/v.*")
	other := watched(t, "rag", "", "main", "refs/tags/v1", "refs/tags/v2")
	forgotten := known(t, "main", "a", "3", v1, "b", "7")
	b := forgotten.Branches[v1]
	b.Missing = 2
	forgotten.Branches[v1] = b
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
		"by other patterns": {other, config.Record, new(seenTags(rag, known(t, "main", "a", "3", v1, "b", "1"))), heads("main", "a", v1, "d", v2, "c"),
			[]string{"rag first seen > refs/tags/v2@ccccccc", "rag@refs/tags/v1 moved b>d"},
			[]string{"rag.tag-v1..8b194200: rag@refs/tags/v1#2 b>d | rag=refs/tags/v1@d<b*"}},
		"a new one": {rag, config.Record, new(seenTags(rag, known(t, "main", "a", "3"))), heads("main", "a", v1, "b"),
			[]string{"rag@refs/tags/v1 new branch >b"}, []string{"rag.tag-v1..8b194200: rag@refs/tags/v1#1 >b | rag=refs/tags/v1@b<*"}},
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
