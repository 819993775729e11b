package plan

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/plan/naming"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/state"
)

// One row each of the table in Make's comment, and what lies between the rows. The repository is rag, on its
// own, with the branches main and dev.*.
func TestMake(t *testing.T) {
	recorded := func(r state.Repository) state.Repository {
		for name, b := range r.Branches.All() {
			b.Time = noon
			r.Branches.Set(name, b)
		}
		return r
	}
	noted := func(r state.Repository, kind, message string) state.Repository {
		r = problem(r, kind, message)
		r.Problem.Since = noon
		return r
	}
	tests := map[string]struct {
		deployFirst bool
		was         *state.Repository
		observed    repo.Observation
		runs        []string
		events      []string
		next        *state.Repository // nil = like was
	}{
		"first sight is recorded": {
			observed: heads("main", "a", "dev-x", "b"),
			events:   []string{"rag first seen > dev-x@bbbbbbb main@aaaaaaa"},
			next:     new(recorded(known(t, "main", "a", "0", "dev-x", "b", "0"))),
		},
		"first sight is deployed": {
			deployFirst: true,
			observed:    heads("main", "a", "dev-x", "b"),
			events:      []string{"rag@dev-x new branch >b", "rag@main new branch >a"},
			runs:        []string{"rag.dev-x: rag@dev-x#1 >b | rag=dev-x@b<*", "rag.main: rag@main#1 >a | rag=main@a<*"},
			next:        new(known(t)),
		},
		"first sight after failures is recorded": {
			was:      new(problem(state.Repository{Unseen: true}, "denied", "no")),
			observed: heads("main", "a"),
			events:   []string{"rag recovered > denied", "rag first seen > main@aaaaaaa"},
			next:     new(recorded(known(t, "main", "a", "0"))),
		},
		"a repository that comes back counts on": {
			was:      &state.Repository{Unseen: true, Floor: 4},
			observed: heads("main", "a"),
			events:   []string{"rag first seen > main@aaaaaaa"},
			next:     func() *state.Repository { r := recorded(known(t, "main", "a", "4")); r.Floor = 4; return &r }(),
		},
		"a run was cut off, and the head is the one before it": {
			was: func() *state.Repository {
				r := known(t, "main", "a", "3")
				b := r.Branches.Get("main")
				b.Redo = true
				r.Branches.Set("main", b)
				return &r
			}(),
			observed: heads("main", "a"),
			events:   []string{"rag@main moved a>a"},
			runs:     []string{"rag.main: rag@main#4 a>a | rag=main@a<a*"},
		},
		"first failure": {
			observed: failed("not found", "github.com: not found: 404"),
			events:   []string{"rag failing > wrapped: github.com: not found: 404"},
			next:     new(noted(state.Repository{Unseen: true}, "not found", "wrapped: github.com: not found: 404")),
		},
		"no time for one never seen": {
			observed: late("late"),
			events:   []string{"rag failing > wrapped: late"},
			next:     new(noted(state.Repository{Unseen: true}, "temporary", "wrapped: late")),
		},
		"no time for one that is known": {
			was:      new(known(t, "main", "a", "3")),
			observed: late("late"),
		},
		"no time for one that failed": {
			was:      new(problem(known(t, "main", "a", "3"), "denied", "no")),
			observed: late("late"),
		},
		"new branch": {
			was:      new(known(t, "main", "a", "3")),
			observed: heads("main", "a", "dev-x", "b"),
			events:   []string{"rag@dev-x new branch >b"},
			runs:     []string{"rag.dev-x: rag@dev-x#1 >b | rag=dev-x@b<*"},
		},
		"new branch in a repository whose branches were all forgotten": {
			was:      &state.Repository{Floor: 2},
			observed: heads("main", "a"),
			events:   []string{"rag@main new branch >a"},
			runs:     []string{"rag.main: rag@main#3 >a | rag=main@a<*"},
		},
		"unchanged": {
			was:      new(known(t, "main", "a", "3", "dev-x", "b", "0")),
			observed: heads("main", "a", "dev-x", "b"),
		},
		"moved": {
			was:      new(known(t, "main", "a", "3", "dev-x", "b", "0")),
			observed: heads("main", "c", "dev-x", "b"),
			events:   []string{"rag@main moved a>c"},
			runs:     []string{"rag.main: rag@main#4 a>c | rag=main@c<a*"},
		},
		"a head is passed over": {
			was:      new(known(t, "main", "a", "3", "dev-x", "b", "0")),
			observed: passed(heads("main", "c", "dev-x", "d"), "main"),
			events:   []string{"rag@main ignored a>c", "rag@dev-x moved b>d"},
			runs:     []string{"rag.dev-x: rag@dev-x#1 b>d | rag=dev-x@d<b*"},
			next:     new(passedOver(known(t, "main", "a", "3", "dev-x", "b", "0"))),
		},
		"a head that was passed over": {
			was:      new(passedOver(known(t, "main", "a", "3"))),
			observed: heads("main", "c"),
		},
		"the head that ran, after one was passed over": {
			was:      new(passedOver(known(t, "main", "a", "3"))),
			observed: heads("main", "a"),
		},
		"a head after one that was passed over": {
			was:      new(passedOver(known(t, "main", "a", "3"))),
			observed: heads("main", "d"),
			events:   []string{"rag@main moved a>d"},
			runs:     []string{"rag.main: rag@main#4 a>d | rag=main@d<a*"},
		},
		"a new branch is passed over": {
			was:      new(known(t, "dev-x", "b", "2")),
			observed: passed(heads("main", "c", "dev-x", "b"), "main"),
			events:   []string{"rag@main ignored >c"},
			next: func() *state.Repository {
				r := known(t, "dev-x", "b", "2", "main", "c", "0")
				b := r.Branches.Get("main")
				b.Time = noon
				r.Branches.Set("main", b)
				return &r
			}(),
		},
		"two branches moved": {
			was:      new(known(t, "main", "a", "3", "dev-x", "b", "0")),
			observed: heads("main", "c", "dev-x", "d"),
			events:   []string{"rag@dev-x moved b>d", "rag@main moved a>c"},
			runs:     []string{"rag.dev-x: rag@dev-x#1 b>d | rag=dev-x@d<b*", "rag.main: rag@main#4 a>c | rag=main@c<a*"},
		},
		"missing once": {
			was:      new(known(t, "main", "a", "3", "dev-x", "b", "2")),
			observed: heads("main", "a"),
			events:   []string{"rag@dev-x missing b>"},
			next:     new(missing(known(t, "main", "a", "3", "dev-x", "b", "2"), "dev-x")),
		},
		"missing in the same answer again": {
			was:      new(missing(known(t, "main", "a", "3", "dev-x", "b", "2"), "dev-x")),
			observed: cached(heads("main", "a")),
		},
		"missing twice": {
			was:      new(missing(known(t, "main", "a", "3", "dev-x", "b", "2"), "dev-x")),
			observed: heads("main", "a"),
			events:   []string{"rag@dev-x forgotten b>"},
			next:     new(missing(missing(known(t, "main", "a", "3", "dev-x", "b", "2"), "dev-x"), "dev-x")),
		},
		"forgotten": {
			was:      new(missing(missing(known(t, "main", "a", "3", "dev-x", "b", "2"), "dev-x"), "dev-x")),
			observed: heads("main", "a"),
			next:     func() *state.Repository { r := known(t, "main", "a", "3"); r.Floor = 2; return &r }(),
		},
		"forgotten, in the same answer": {
			was:      new(missing(missing(known(t, "main", "a", "3", "dev-x", "b", "2"), "dev-x"), "dev-x")),
			observed: cached(heads("main", "a")),
		},
		"forgotten, then back": {
			was:      new(missing(missing(known(t, "main", "a", "3", "dev-x", "b", "2"), "dev-x"), "dev-x")),
			observed: heads("main", "a", "dev-x", "b"),
			events:   []string{"rag@dev-x new branch >b"},
			runs:     []string{"rag.dev-x: rag@dev-x#3 >b | rag=dev-x@b<*"},
		},
		"forgotten, while another branch is new": {
			was:      new(missing(missing(known(t, "main", "a", "3", "dev-x", "b", "2"), "dev-x"), "dev-x")),
			observed: heads("main", "a", "dev-y", "b"),
			events:   []string{"rag@dev-y new branch >b"},
			runs:     []string{"rag.dev-y: rag@dev-y#3 >b | rag=dev-y@b<*"},
		},
		"missing twice, while a new branch has yet to run": {
			was:      new(missing(known(t, "main", "a", "3", "dev-x", "b", "2"), "dev-x")),
			observed: heads("main", "a", "dev-y", "b"),
			events:   []string{"rag@dev-y new branch >b"},
			runs:     []string{"rag.dev-y: rag@dev-y#1 >b | rag=dev-y@b<*"},
		},
		"missing, then back": {
			was:      new(missing(known(t, "main", "a", "3", "dev-x", "b", "2"), "dev-x")),
			observed: heads("main", "a", "dev-x", "b"),
			next:     new(known(t, "main", "a", "3", "dev-x", "b", "2")),
		},
		"missing, then back elsewhere": {
			was:      new(missing(known(t, "main", "a", "3", "dev-x", "b", "2"), "dev-x")),
			observed: heads("main", "a", "dev-x", "c"),
			events:   []string{"rag@dev-x moved b>c"},
			runs:     []string{"rag.dev-x: rag@dev-x#3 b>c | rag=dev-x@c<b*"},
			next:     new(known(t, "main", "a", "3", "dev-x", "b", "2")),
		},
		"a failure between two good answers does not count as missing": {
			was:      new(missing(known(t, "main", "a", "3", "dev-x", "b", "2"), "dev-x")),
			observed: failed("temporary", "down"),
			events:   []string{"rag failing > wrapped: down"},
			next:     new(noted(missing(known(t, "main", "a", "3", "dev-x", "b", "2"), "dev-x"), "temporary", "wrapped: down")),
		},
		"no longer configured": {
			was:      new(known(t, "main", "a", "3", "old", "b", "5")),
			observed: heads("main", "a"),
			next:     new(missing(missing(known(t, "main", "a", "3", "old", "b", "5"), "old"), "old")),
		},
		"failure": {
			was:      new(known(t, "main", "a", "3")),
			observed: failed("denied", "401\nBearer?\x1b[0m"),
			events:   []string{"rag failing > wrapped: 401 Bearer? [0m"},
			next:     new(noted(known(t, "main", "a", "3"), "denied", "wrapped: 401 Bearer? [0m")),
		},
		"failure without a kind": {
			was:      new(known(t, "main", "a", "3")),
			observed: repo.Observation{Err: errors.New("unknown")},
			events:   []string{"rag failing > unknown"},
			next:     new(noted(known(t, "main", "a", "3"), "temporary", "unknown")),
		},
		"an empty answer deletes nothing": {
			was:      new(missing(known(t, "main", "a", "3"), "main")),
			observed: repo.Observation{Heads: map[string]repo.SHA{}},
			events:   []string{"rag failing > " + errNoHeads.Error()},
			next:     new(noted(missing(known(t, "main", "a", "3"), "main"), "temporary", errNoHeads.Error())),
		},
		"failing on": {
			was:      new(problem(known(t, "main", "a", "3"), "denied", "no")),
			observed: failed("denied", "still no, in other words"),
		},
		"failing otherwise": {
			was:      new(problem(known(t, "main", "a", "3"), "denied", "no")),
			observed: failed("temporary", "down"),
			events:   []string{"rag failing > wrapped: down"},
			next:     new(noted(known(t, "main", "a", "3"), "temporary", "wrapped: down")),
		},
		"recovered": {
			was:      new(problem(known(t, "main", "a", "3"), "denied", "no")),
			observed: heads("main", "a"),
			events:   []string{"rag recovered > denied"},
			next:     new(known(t, "main", "a", "3")),
		},
		"recovered and moved": {
			was:      new(problem(known(t, "main", "a", "3"), "denied", "no")),
			observed: heads("main", "b"),
			events:   []string{"rag recovered > denied", "rag@main moved a>b"},
			runs:     []string{"rag.main: rag@main#4 a>b | rag=main@b<a*"},
			next:     new(known(t, "main", "a", "3")),
		},
		"no answer yet":                    {observed: pending},
		"no answer yet of a known one":     {was: new(known(t, "main", "a", "3")), observed: pending},
		"no answer yet of one that failed": {was: new(problem(known(t, "main", "a", "3"), "denied", "no")), observed: pending},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			in := Input{Config: file(watched(t, "rag", "", "main", "dev.*")), Observed: []repo.Observation{tt.observed}, Now: noon}
			if tt.deployFirst {
				in.Config.Global.OnFirstSeen = config.DeployFirst
			}
			in.Snapshot = remembered(nil)
			if tt.was != nil {
				in.Snapshot = remembered(map[string]state.Repository{"rag": *tt.was})
			}
			want := in.Snapshot.Clone()
			if tt.next != nil {
				want = remembered(map[string]state.Repository{"rag": *tt.next})
			}
			before := in.Snapshot.Clone()
			got := Make(in)
			if diff := cmp.Diff(tt.runs, describeAll(got.Runs)); diff != "" {
				t.Errorf("runs (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.events, describeEvents(got.Events)); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
			if !got.Snapshot.Equal(want) {
				t.Errorf("snapshot (-want +got):\n%s", cmp.Diff(want, got.Snapshot))
			}
			if !in.Snapshot.Equal(before) {
				t.Errorf("Make changed its input (-before +after):\n%s", cmp.Diff(before, in.Snapshot))
			}
			if _, err := state.Encode(got.Snapshot); err != nil {
				t.Errorf("the snapshot cannot be stored: %v", err)
			}
		})
	}
}

// Remember writes into the plan's snapshot; the one that was loaded must stay what it is.
func TestMakeSharesNothingWhenRunsAreDue(t *testing.T) {
	in := Input{
		Config: file(watched(t, "rag", "", "main")), Observed: []repo.Observation{heads("main", "b")}, Now: noon,
		Snapshot: remembered(map[string]state.Repository{"rag": known(t, "main", "a", "0")}),
	}
	before := in.Snapshot.Clone()
	p := Make(in)
	p.Runs[0].Remember(&p.Snapshot, noon)
	if !in.Snapshot.Equal(before) {
		t.Errorf("Remember changed the input of Make: %+v", in.Snapshot)
	}
	if got := p.Snapshot.Repositories["rag"].Branches.Get("main").SHA; got != sha("b") {
		t.Errorf("Remember left main at %s", got)
	}
}

func TestRepositoriesThatAreNotConfigured(t *testing.T) {
	was := map[string]state.Repository{
		"rag":     known(t, "main", "a", "3"),
		"ran":     problem(known(t, "main", "a", "3", "x", "b", "5"), "denied", "no"),
		"floor":   {Unseen: true, Floor: 7},
		"never":   known(t, "main", "a", "0"),
		"failing": problem(state.Repository{Unseen: true}, "denied", "no"),
	}
	in := Input{
		Config: file(watched(t, "rag", "", "main")), Observed: []repo.Observation{heads("main", "a")}, Now: noon,
		Snapshot: remembered(was),
	}
	want := remembered(map[string]state.Repository{
		"rag":   known(t, "main", "a", "3"),
		"ran":   {Unseen: true, Floor: 5},
		"floor": {Unseen: true, Floor: 7},
	})
	got := Make(in)
	if !got.Snapshot.Equal(want) || len(got.Runs) > 0 || len(got.Events) > 0 {
		t.Errorf("snapshot (-want +got):\n%s\nruns %v, events %v, want none", cmp.Diff(want, got.Snapshot), got.Runs, got.Events)
	}
	in.Snapshot = got.Snapshot
	if again := Make(in); !again.Snapshot.Equal(want) {
		t.Errorf("the second plan changed the snapshot (-want +got):\n%s", cmp.Diff(want, again.Snapshot))
	}
	in.Config, in.Observed, in.Snapshot = file(), nil, remembered(was)
	if got := Make(in); !got.Snapshot.Equal(remembered(was)) {
		t.Errorf("an empty configuration dropped what is remembered: %+v", got.Snapshot)
	}
}

func TestProblemsOfUnits(t *testing.T) {
	long := strings.Repeat("l", 63)
	c := file(
		watched(t, "rag", "", "main"), watched(t, "down", "", "main"), watched(t, long, "", "main"),
		watched(t, "web", "site", "main"), watched(t, "api", "site", "main"), watched(t, "lone", "other", "main"), watched(t, "late", "", "main"),
	)
	observed := []repo.Observation{heads("main", "b"), failed("denied", "no"), failed("denied", "no"), heads("main", "a"), failed("denied", "no"), heads("main", "a"), pending}
	in := Input{Config: c, Observed: observed, Now: noon, Snapshot: remembered(map[string]state.Repository{})}
	for _, r := range c.Repositories {
		in.Snapshot.Repositories[r.Name] = problem(known(t, "main", "a", "0"), "denied", "no")
	}
	keep := []string{"rag.main", "down.main", "down.x..01234567", naming.UnitOf(&c.Repositories[2], "new").Label, "site", "late.main"}
	drop := []string{"rag.dev", "other", "renamed.main", "old-group", "dow.n"}
	in.Snapshot.Units = withProblem("qa", slices.Concat(keep, drop)...)
	got := Make(in)
	for _, label := range keep {
		if _, ok := got.Snapshot.Units[label]; !ok {
			t.Errorf("the problem of %s is gone; its unit has, or may have, a run to make", label)
		}
	}
	for _, label := range drop {
		if _, ok := got.Snapshot.Units[label]; ok {
			t.Errorf("the problem of %s is still there; its unit has nothing to run", label)
		}
	}
	if len(in.Snapshot.Units) != len(keep)+len(drop) {
		t.Error("Make changed its input")
	}
}

// idle returns an input in which nothing changed.
func idle(t testing.TB, repositories, branches int) Input {
	in := Input{Now: noon, Snapshot: remembered(map[string]state.Repository{})}
	var list []config.Repository
	for i := range repositories {
		group := ""
		if i%3 == 0 {
			group = fmt.Sprintf("group-%d", i/30)
		}
		r := watched(t, fmt.Sprintf("service-%d", i), group, "main", "dev.*")
		list = append(list, r)
		o := repo.Observation{Heads: map[string]repo.SHA{"main": sha("a")}}
		entry := known(t, "main", "a", "2")
		for j := 1; j < branches; j++ {
			name := fmt.Sprintf("dev-%d", j)
			o.Heads[name] = sha("b")
			entry.Branches.Set(name, state.Branch{SHA: sha("b"), Time: morning})
		}
		in.Observed = append(in.Observed, o)
		in.Snapshot.Repositories[r.Name] = entry
	}
	in.Config = file(list...)
	return in
}

func BenchmarkMakeIdle(b *testing.B) {
	for _, repositories := range []int{1_000, 10_000} {
		b.Run(fmt.Sprint(repositories), func(b *testing.B) {
			in := idle(b, repositories, 3)
			b.ReportAllocs()
			for b.Loop() {
				if p := Make(in); len(p.Runs) > 0 {
					b.Fatal("an idle cycle planned a run")
				}
			}
		})
	}
}

func BenchmarkMakeAllChanged(b *testing.B) {
	in := idle(b, 1_000, 3)
	for i := range in.Observed {
		in.Observed[i].Heads["main"] = sha("c")
	}
	b.ReportAllocs()
	for b.Loop() {
		if p := Make(in); len(p.Runs) == 0 {
			b.Fatal("no run was planned")
		}
	}
}

// A pattern may match hundreds of branches: the event names a few.
func TestFirstSightNamesAFew(t *testing.T) {
	for n, want := range map[int]string{
		6: "b-0@aaaaaaa b-1@aaaaaaa b-2@aaaaaaa b-3@aaaaaaa b-4@aaaaaaa b-5@aaaaaaa",
		7: "b-0@aaaaaaa b-1@aaaaaaa b-2@aaaaaaa b-3@aaaaaaa b-4@aaaaaaa and 2 more",
	} {
		var refs []string
		for i := range n {
			refs = append(refs, fmt.Sprintf("b-%d", i), "a")
		}
		p := Make(Input{Config: file(watched(t, "rag", "", "b.*")), Observed: []repo.Observation{heads(refs...)}, Now: noon})
		if len(p.Events) != 1 || p.Events[0].Kind != FirstSeen || p.Events[0].Detail != want || p.Snapshot.Repositories["rag"].Branches.Len() != n {
			t.Errorf("%d branches: %+v, want all recorded, and one event that says %q", n, p.Events, want)
		}
	}
}

// passed has the heads of these branches passed over.
func passed(o repo.Observation, branches ...string) repo.Observation {
	o.Passed = map[string]repo.Pass{}
	for _, b := range branches {
		o.Passed[b] = repo.Ignored
	}
	return o
}

// passedOver has main's head passed over at noon.
func passedOver(r state.Repository) state.Repository {
	r.Branches.Set("main", r.Branches.Get("main").PassedOver(repo.SHA(strings.Repeat("c", 40)), repo.Ignored, noon))
	return r
}
