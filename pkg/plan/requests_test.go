package plan

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/state"
)

// open is an answer with requests to main: what each is called, its head, and "fork" or "own".
func open(args ...string) repo.Observation {
	if len(args) == 0 {
		return failed("no branch", "nothing open matches")
	}
	o := repo.Observation{Heads: map[string]repo.SHA{}, Requests: map[string]repo.Request{}}
	for i := 0; i < len(args); i += 3 {
		o.Heads[args[i]], o.Requests[args[i]] = sha(args[i+1]), repo.Request{Target: "main", Own: args[i+2] == "own"}
	}
	return o
}

// looked is what is remembered of a repository whose requests to main were looked for, without those of forks.
func looked(s state.Repository) state.Repository {
	s.Tags = "requests to main"
	return s
}

// TestRequests: those that are open at first are recorded, as on_first_seen says; later ones run, as those that are pushed to.
func TestRequests(t *testing.T) {
	const r7, r8 = "refs/pull/7/head", "refs/pull/8/head"
	own, all := watched(t, "rag", "", "requests to main"), watched(t, "rag", "", "requests to main from anyone")
	new7, new8 := "rag.request-7..7b14becf: rag@refs/pull/7/head#1 >a | rag=refs/pull/7/head@a<*", "rag.request-8..783ec422: rag@refs/pull/8/head#1 >b | rag=refs/pull/8/head@b<*"
	for name, tt := range map[string]struct {
		repository config.Repository
		first      config.OnFirstSeen
		was        *state.Repository
		observed   repo.Observation
		runs       []string
	}{
		"at first they are recorded":       {own, config.Record, nil, open(r7, "a", "own"), nil},
		"unless the file says otherwise":   {own, config.DeployFirst, nil, open(r7, "a", "own"), []string{new7}},
		"in a repository that is known":    {own, config.Record, new(known(t, "main", "a", "3")), open(r7, "a", "own"), nil},
		"a later one":                      {own, config.Record, new(looked(known(t, r7, "a", "0"))), open(r7, "a", "own", r8, "b", "own"), []string{new8}},
		"the first one of all":             {own, config.Record, new(looked(state.Repository{})), open(r7, "a", "own"), []string{new7}},
		"one that is pushed to":            {own, config.Record, new(looked(known(t, r7, "b", "2"))), open(r7, "a", "own"), []string{"rag.request-7..7b14becf: rag@refs/pull/7/head#3 b>a | rag=refs/pull/7/head@a<b*"}},
		"none is no problem":               {own, config.Record, nil, open(), nil},
		"forks from now on":                {all, config.Record, new(looked(known(t, r7, "a", "1"))), open(r7, "a", "own", r8, "b", "fork"), nil},
		"one that waits for its run":       {all, config.Record, new(looked(known(t, r7, "a", "1"))), open(r7, "a", "own", r8, "b", "own"), []string{new8}},
		"what cannot be read changes none": {own, config.Record, new(looked(known(t, r7, "a", "1"))), failed("temporary", "it lists 0 open requests and says that there are 1"), nil},
	} {
		c := file(tt.repository)
		c.Global.OnFirstSeen = tt.first
		in := Input{Config: c, Now: noon, Observed: []repo.Observation{Watched(tt.observed, tt.repository.Monitor)}}
		if tt.was != nil {
			in.Snapshot = remembered(map[string]state.Repository{"rag": *tt.was})
		}
		got := Make(in)
		if diff := cmp.Diff(tt.runs, describeAll(got.Runs)); diff != "" {
			t.Errorf("%s: runs (-want +got):\n%s", name, diff)
		}
		for _, r := range got.Runs {
			if want := tt.observed.Requests[r.Members[0].Branch]; r.Members[0].Request != want {
				t.Errorf("%s: the run has %+v, want %+v", name, r.Members[0].Request, want)
			}
			r.Remember(&got.Snapshot, noon)
		}
		in.Snapshot = got.Snapshot
		if again := Make(in); len(again.Runs) > 0 {
			t.Errorf("%s: the next cycle runs %v", name, describeAll(again.Runs))
		}
	}
}

// TestClosedRequests: a request is forgotten after two good answers without it, and by no bad one. Opened again it is a new one, with a number that no run had.
func TestClosedRequests(t *testing.T) {
	const r7 = "refs/pull/7/head"
	rag := watched(t, "rag", "", "requests to main")
	was := looked(known(t, r7, "a", "4"))
	down := failed("temporary", "the answer was cut short")
	runs, last := answers(t, rag, was, open(), down, down, open(r7, "a", "own"))
	if b, ok := last.Branch(r7); len(runs) > 0 || !ok || b.Missing != 0 {
		t.Errorf("missing once: %v runs, and %+v is remembered", runs, b)
	}
	runs, last = answers(t, rag, was, open(), open())
	if _, ok := last.Branch(r7); ok || len(runs) > 0 {
		t.Errorf("closed: %v runs, and it is remembered: %v", runs, ok)
	}
	runs, _ = answers(t, rag, was, open(), open(), open(), open(r7, "a", "own"))
	want := []string{"rag.request-7..7b14becf: rag@refs/pull/7/head#5 >a | rag=refs/pull/7/head@a<*"}
	if diff := cmp.Diff(want, runs); diff != "" {
		t.Errorf("opened again (-want +got):\n%s", diff)
	}
}

// TestUntrusted: all that is not surely of the repository itself is a fork's.
func TestUntrusted(t *testing.T) {
	r := watched(t, "rag", "", "requests to main from anyone")
	exposed := r
	exposed.Monitor.Exposed = true
	unwatched := watched(t, "rag", "", "requests to main")
	unwatched.Monitor.Exposed = true
	for _, tt := range []struct {
		m    Member
		want bool
	}{
		{Member{Repository: &r, Branch: "refs/pull/7/head"}, true},
		{Member{Repository: &r, Branch: "refs/merge-requests/7/head", Request: repo.Request{Target: "main"}}, true},
		{Member{Repository: &r, Branch: "refs/pull/7/head", Request: repo.Request{Own: true}}, false},
		{Member{Repository: &exposed, Branch: "refs/pull/7/head"}, false},
		{Member{Repository: &unwatched, Branch: "refs/pull/7/head"}, true}, // the setting means nothing there
		{Member{Repository: &r, Branch: "main"}, false},
	} {
		if got := tt.m.Untrusted(); got != tt.want {
			t.Errorf("%s of %+v is untrusted: %v, want %v", tt.m.Branch, tt.m.Request, got, tt.want)
		}
	}
}

// TestTriggerRequests: a request runs by hand when it is named, with what the host says of it; all of everything has none.
func TestTriggerRequests(t *testing.T) {
	web, rag := watched(t, "web", "", "main"), watched(t, "rag", "", "requests to main from anyone")
	in := Input{Config: file(web, rag), Now: noon, Observed: []repo.Observation{heads("main", "a"), open("refs/pull/7/head", "b", "own")}}
	runs, err := Manual(in, nil, "", "w")
	if err != nil || len(runs) != 1 || runs[0].Members[0].Branch != "main" {
		t.Errorf("everything is %v, %v, want web", describeAll(runs), err)
	}
	runs, err = Manual(in, []string{"rag@refs/pull/7/head"}, "", "w")
	if err != nil || len(runs) != 1 || !runs[0].Members[0].Request.Own {
		t.Errorf("the request is %v, %v, want it of the repository itself", describeAll(runs), err)
	}
	if _, err = Manual(in, []string{"rag"}, "", "w"); err == nil {
		err = errors.New("nothing is wrong")
	}
	if want := "rag watches requests, of which none is the first: name one, as in rag@refs/pull/7/head"; err.Error() != want {
		t.Errorf("the repository alone: %v, want %s", err, want)
	}
}
