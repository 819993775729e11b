package plan

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/state"
)

// branches returns the names dev-from to dev-(to-1), each of 250 bytes that are written as 1,500: some 280 are a
// repository's share.
func branches(from, to int) []string {
	var names []string
	for i := from; i < to; i++ {
		name := fmt.Sprintf("dev-%d-", i)
		names = append(names, name+strings.Repeat("<", 250-len(name)))
	}
	return names
}

func headsOf(digit string, names ...string) map[string]repo.SHA {
	heads := make(map[string]repo.SHA)
	for _, name := range names {
		heads[name] = sha(digit)
	}
	return heads
}

func rememberedAs(n, missing int, names ...string) map[string]state.Branch {
	known := make(map[string]state.Branch)
	for _, name := range names {
		known[name] = state.Branch{SHA: sha("a"), N: n, Time: morning, Missing: int32(missing)}
	}
	return known
}

func merged[V any](all ...map[string]V) map[string]V {
	m := make(map[string]V)
	for _, one := range all {
		maps.Copy(m, one)
	}
	return m
}

// The rows of the table in Make's comment about a repository's share of the state.
func TestShare(t *testing.T) {
	const many = "500 branches match, which take more than the 440 KiB of the state that a repository may have: narrow monitor.branches"
	const beside = "240 branches, and 120 that are gone or not configured any more, take more than the 440 KiB of the state that a repository may have: " +
		"new branches wait until those are forgotten, which takes three good answers"
	failing := func(r state.Repository, message string, since time.Time) state.Repository {
		r.Problem = &state.Problem{Kind: "too many branches", Message: message, Since: since}
		if message == beside {
			r.Problem.Kind = "no room for new branches"
		}
		return r
	}
	few := state.Repository{Branches: state.NewBranches(rememberedAs(3, 0, "main", "dev")), Floor: 1}
	full := state.Repository{Branches: state.NewBranches(rememberedAs(3, 0, branches(0, 240)...))}
	gone, kept := branches(0, 120), branches(120, 240)
	tests := map[string]struct {
		was    *state.Repository
		heads  map[string]repo.SHA
		next   state.Repository
		events []string // kinds, without repetition
		runs   int
	}{
		"first sight of too many": {
			nil, headsOf("a", branches(0, 500)...),
			failing(state.Repository{Unseen: true}, many, noon), []string{"failing"}, 0,
		},
		"a known one gets too many": {
			&few, headsOf("b", append(branches(1, 500), "main")...), // dev is gone, main moved
			failing(few, many, noon), []string{"failing"}, 0,
		},
		"it still has too many": {
			new(failing(few, "of then", morning)), headsOf("b", branches(0, 500)...),
			failing(few, "of then", morning), nil, 0,
		},
		"it is narrowed": {
			new(failing(few, many, morning)), headsOf("b", "main", "dev"),
			few, []string{"recovered", "moved"}, 2,
		},
		"as many as fit": {
			&few, headsOf("a", append(branches(0, 260), "main", "dev")...),
			few, []string{"new branch"}, 260,
		},
		"others in place of many": {
			&full, merged(headsOf("a", kept...), headsOf("a", branches(240, 360)...)),
			failing(state.Repository{Branches: state.NewBranches(merged(rememberedAs(3, 0, kept...), rememberedAs(3, 1, gone...)))}, beside, noon),
			[]string{"failing", "missing"}, 0,
		},
		"others in place of many, and known ones moved": {
			new(failing(full, "of then", morning)), merged(headsOf("b", kept...), headsOf("a", branches(240, 360)...)),
			failing(state.Repository{Branches: state.NewBranches(merged(rememberedAs(3, 0, kept...), rememberedAs(3, 1, gone...)))}, beside, noon),
			[]string{"failing", "moved", "missing"}, 120,
		},
		"forgotten ones still take their room": {
			&state.Repository{Branches: state.NewBranches(merged(rememberedAs(3, 0, kept...), rememberedAs(7, 2, gone...)))},
			merged(headsOf("a", kept...), headsOf("a", branches(240, 360)...)),
			failing(state.Repository{Branches: state.NewBranches(rememberedAs(3, 0, kept...)), Floor: 7}, beside, noon),
			[]string{"failing"}, 0,
		},
		"there is room again": {
			new(failing(state.Repository{Branches: state.NewBranches(rememberedAs(3, 0, kept...)), Floor: 7}, beside, morning)),
			merged(headsOf("a", kept...), headsOf("a", branches(240, 360)...)),
			state.Repository{Branches: state.NewBranches(rememberedAs(3, 0, kept...)), Floor: 7},
			[]string{"recovered", "new branch"}, 120,
		},
		"more than the share from before there was one": {
			&state.Repository{Branches: state.NewBranches(rememberedAs(3, 0, branches(0, 800)...))}, headsOf("a", branches(0, 500)...),
			failing(state.Repository{Branches: state.NewBranches(rememberedAs(3, 0, branches(0, 800)...))}, many, noon), []string{"failing"}, 0,
		},
	}
	for name, tt := range tests {
		in := Input{Config: file(watched(t, "rag", "", "main", "dev.*")), Observed: []repo.Observation{{Heads: tt.heads}}, Now: noon, Snapshot: remembered(nil)}
		if tt.was != nil {
			in.Snapshot = remembered(map[string]state.Repository{"rag": *tt.was})
		}
		before := in.Snapshot.Clone()
		got := Make(in)
		var events []string
		for _, e := range got.Events {
			if kind := string(e.Kind); !slices.Contains(events, kind) {
				events = append(events, kind)
			}
		}
		if diff := cmp.Diff(tt.events, events); diff != "" || len(got.Runs) != tt.runs {
			t.Errorf("%s: %d runs, want %d; events (-want +got):\n%s", name, len(got.Runs), tt.runs, diff)
		}
		if want := remembered(map[string]state.Repository{"rag": tt.next}); !got.Snapshot.Equal(want) {
			next := got.Snapshot.Repositories["rag"]
			t.Errorf("%s: %d branches, floor %d, problem %+v, want %d, %d, %+v", name, next.Branches.Len(), next.Floor, next.Problem, tt.next.Branches.Len(), tt.next.Floor, tt.next.Problem)
		}
		if !in.Snapshot.Equal(before) {
			t.Errorf("%s: Make changed its input", name)
		}
	}
}

// A group goes on without the changes of a member that has too many branches; that member deploys as it was.
func TestShareOfAMember(t *testing.T) {
	in := Input{
		Config:   file(watched(t, "web", "site", "main", "dev.*"), watched(t, "api", "site", "main")),
		Observed: []repo.Observation{{Heads: headsOf("b", append(branches(0, 500), "main")...)}, heads("main", "b")}, Now: noon,
		Snapshot: remembered(map[string]state.Repository{"web": known(t, "main", "a", "3"), "api": known(t, "main", "a", "2")}),
	}
	got := describeAll(Make(in).Runs)
	if want := []string{"site: api@main#4 a>b | web=main@a<a api=main@b<a*"}; !slices.Equal(got, want) {
		t.Errorf("runs %q, want %q", got, want)
	}
}

// Branches that come and go as fast as they like never take more than the share, and once they stay, all are followed.
func TestShareUnderChurn(t *testing.T) {
	for seed := range uint64(5) {
		r := rand.New(rand.NewPCG(seed, 1))
		c, s, next := file(watched(t, "rag", "", "main", "dev.*")), remembered(nil), 0
		live := headsOf("a", "main")
		cycle := func(i int) Plan {
			p := Make(Input{Config: c, Snapshot: s, Observed: []repo.Observation{{Heads: live}}, Now: noon.Add(time.Duration(i) * time.Minute)})
			for _, run := range p.Runs {
				if r.IntN(4) > 0 || i > 30 { // some fail to be made
					run.Remember(&p.Snapshot, noon)
				}
			}
			s = p.Snapshot
			if text, err := json.Marshal(s.Repositories["rag"]); err != nil || len(text) > state.MaxRepository {
				t.Fatalf("seed %d, cycle %d: %d bytes, %v, want at most %d", seed, i, len(text), err, state.MaxRepository)
			}
			return p
		}
		for i := range 30 {
			live = maps.Clone(live)
			for _, branch := range slices.Sorted(maps.Keys(live)) {
				if branch != "main" && r.IntN(3) == 0 {
					delete(live, branch)
				}
			}
			for range r.IntN(1 + 275 - len(live)) {
				live[branches(next, next+1)[0]] = sha("b")
				next++
			}
			live["main"] = sha(fmt.Sprint(1 + i%2))
			cycle(i)
		}
		for i := range 6 {
			cycle(31 + i)
		}
		if p := cycle(40); len(p.Runs)+len(p.Events) > 0 || s.Repositories["rag"].Problem != nil || s.Repositories["rag"].Branches.Len() != len(live) {
			t.Errorf("seed %d: calm, and yet %d runs, events %v, %d of %d branches are remembered", seed, len(p.Runs), describeEvents(p.Events), s.Repositories["rag"].Branches.Len(), len(live))
		}
	}
}
