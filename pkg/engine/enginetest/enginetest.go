// Package enginetest is what every engine promises, as tests that each engine runs in its own folder, and Fake, an
// engine for the tests of others.
package enginetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/githost/hosts"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/state"
)

// Engine is watch.Engine.
type Engine interface {
	Create(ctx context.Context, cfg *config.Config, run plan.Run) (engine.Made, error)
	Check(cfg *config.Config, run plan.Run) error
	Runs(ctx context.Context, units []string) ([]engine.Run, error)
	Cancel(ctx context.Context, name, superseded string) error
	Prune(ctx context.Context, unit string, keep int) (deleted []plan.Existing, err error)
}

// Subject is an engine without runs, and the world around it.
type Subject struct {
	Engine
	QAURL   string   // of a repository that can be cloned
	QASHA   repo.SHA // the head of its branch main
	Command string   // what a deployment does, until End
	// End lets the run come to its end, well or not; one that was cancelled does not end well. It may be over only some
	// time later.
	End func(run plan.Run, well bool)
	// EndsCancelled says that a run which is cancelled ends without help.
	EndsCancelled bool
}

// Test checks all promises. start is called for each of them.
func Test(t *testing.T, start func(t *testing.T) Subject) {
	for name, promise := range map[string]func(*trial){
		"a run is made once":                       madeOnce,
		"another trigger's name is taken":          nameTaken,
		"what cannot be generated is not tried":    cannotGenerate,
		"a list has the units that are asked for":  listed,
		"a list tells how runs ended":              outcomes,
		"a run that is over or gone is cancelled":  cancelNothing,
		"a run that is cancelled ends, and failed": cancelled,
		"the newest runs are kept":                 pruned,
		"what is kept counts for each unit":        prunedAll,
		"what is kept counts for all requests":     prunedRequests,
	} {
		t.Run(name, func(t *testing.T) { promise(&trial{Subject: start(t), T: t}) })
	}
}

type trial struct {
	Subject
	*testing.T
}

func sha(n int) repo.SHA { return repo.SHA(fmt.Sprintf("%040x", n+1)) }

// planned returns the n-th run of the unit that is a repository's branch main, for this commit.
func (t *trial) planned(repository string, n, commit int) (*config.Config, plan.Run) {
	t.Helper()
	return t.plannedOf(repository, "branches: [main], repo_type: git", "main", n, repo.Observation{Heads: map[string]repo.SHA{"main": sha(commit)}})
}

// plannedOf returns the n-th run of the unit that is a ref, which is observed. monitor is what is watched.
func (t *trial) plannedOf(repository, monitor, ref string, n int, observed repo.Observation) (*config.Config, plan.Run) {
	t.Helper()
	cfg, err := config.Parse(fmt.Appendf(nil, `repositories:
  - name: %s
    monitor: {repo_url: "https://host.example/our/app", %s}
    deploy: {qa_repo_url: %q, repo_type: git, commands: [%q]}
`, repository, monitor, t.QAURL, t.Command), hosts.Options(nil))
	if err != nil {
		t.Fatal(err)
	}
	in := plan.Input{
		Config: cfg,
		Snapshot: state.Snapshot{Epoch: "0", Repositories: map[string]state.Repository{
			repository: {Branches: state.NewBranches(map[string]state.Branch{ref: {SHA: sha(0), N: n - 1}})},
		}},
		Observed: []repo.Observation{observed},
		Now:      time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	}
	run, err := plan.Make(in).Runs[0].Pin([]repo.Observation{{Heads: map[string]repo.SHA{"main": t.QASHA}}})
	if err != nil {
		t.Fatal(err)
	}
	return cfg, run
}

func (t *trial) create(repository string, n int) plan.Run {
	t.Helper()
	return t.make(t.planned(repository, n, n))
}

func (t *trial) make(cfg *config.Config, run plan.Run) plan.Run {
	t.Helper()
	made, err := t.Create(t.Context(), cfg, run)
	if err != nil || made.Existed || made.NoRoom != nil || made.Run.Name != run.Name {
		t.Fatalf("Create(%s) = %+v, %v, want that it is made", run.Name, made, err)
	}
	return run
}

func (t *trial) runs(units ...string) []engine.Run {
	t.Helper()
	runs, err := t.Runs(t.Context(), units)
	if err != nil {
		t.Fatal(err)
	}
	return runs
}

func (t *trial) names(units ...string) []string {
	t.Helper()
	return plan.Names(engine.Existing(t.runs(units...)))
}

// active checks how many runs have not ended.
func (t *trial) active(want int) {
	t.Helper()
	all, err := engine.Active(t.Context(), t.Engine, func(r plan.Existing) bool { return r.Active && r.Name != "" && r.Unit != "" })
	none, errNone := engine.Active(t.Context(), t.Engine, func(plan.Existing) bool { return false })
	if err = errors.Join(err, errNone); all != want || none != 0 || err != nil {
		t.Errorf("%d runs are active, and %d of those that nobody wants, %v, want %d and 0", all, none, err, want)
	}
}

// over returns the run once it has ended.
func (t *trial) over(name string) engine.Run {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		runs := t.runs()
		i := slices.IndexFunc(runs, func(r engine.Run) bool { return r.Name == name })
		if i < 0 {
			t.Fatalf("the list has no run %s", name)
		}
		if !runs[i].Active {
			return runs[i]
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("the run %s does not end", name)
		}
	}
}

func (t *trial) ended(run plan.Run, well bool) {
	t.Helper()
	t.End(run, well)
	if r := t.over(run.Name); r.Succeeded != well || r.Failed() == well || r.Reason == "" {
		t.Errorf("the run %s ended succeeded=%v failed=%v for the reason %q, want that it ended well: %v", r.Name, r.Succeeded, r.Failed(), r.Reason, well)
	}
}

func madeOnce(t *trial) {
	run := t.create("app", 1)
	for range 2 {
		cfg, again := t.planned("app", 1, 1)
		again.Trigger.Seen = again.Trigger.Seen.Add(time.Hour) // of another attempt
		if made, err := t.Create(t.Context(), cfg, again); err != nil || !made.Existed || made.Run.Name != run.Name {
			t.Errorf("Create again = %+v, %v, want that it existed", made, err)
		}
		runs := t.runs()
		if len(runs) != 1 || runs[0].Name != run.Name || runs[0].Unit != run.Unit.Label || !runs[0].Trigger.Equal(run.Trigger) || !runs[0].Active || runs[0].Failed() {
			t.Errorf("the list is %+v, want the one run, active", runs)
		}
	}
	t.active(1)
	t.ended(run, true)
	t.active(0)
	cfg, again := t.planned("app", 1, 1)
	if made, err := t.Create(t.Context(), cfg, again); err != nil || !made.Existed {
		t.Errorf("Create after its end = %+v, %v, want that it existed", made, err)
	}
}

func nameTaken(t *trial) {
	run := t.create("app", 1)
	cfg, other := t.planned("app", 1, 2)
	if _, err := t.Create(t.Context(), cfg, other); other.Name != run.Name || !errors.Is(err, engine.ErrNameTaken) {
		t.Errorf("Create(%s) for another commit under the name %s: %v, want that it is taken", other.Name, run.Name, err)
	}
	if runs := t.runs(); len(runs) != 1 || !runs[0].Trigger.Equal(run.Trigger) {
		t.Errorf("the list is %+v, want the first run alone", runs)
	}
	t.ended(run, true)
}

func cannotGenerate(t *trial) {
	cfg, run := t.planned("app", state.MaxNumber+1, 1)
	_, err := t.Create(t.Context(), cfg, run)
	for what, err := range map[string]error{"Create": err, "Check": t.Check(cfg, run)} {
		kind, ok := errors.AsType[interface {
			error
			ProblemKind() string
		}](err)
		if !ok || kind.ProblemKind() != plan.CannotGenerate {
			t.Errorf("%s of a run that cannot be remembered: %v, want an error of the kind %s", what, err, plan.CannotGenerate)
		}
	}
	if names := t.names(); len(names) > 0 {
		t.Errorf("there are the runs %v, want none", names)
	}
	if cfg, run := t.planned("app", 1, 1); t.Check(cfg, run) != nil || len(t.names()) > 0 {
		t.Errorf("Check of a run that can be made: %v, %v, want nothing", t.Check(cfg, run), t.names())
	}
}

func listed(t *trial) {
	a, b := t.create("a", 1), t.create("b", 1)
	for _, tt := range []struct{ units, want []string }{
		{nil, []string{a.Name, b.Name}}, {[]string{"a.main"}, []string{a.Name}},
		{[]string{"b.main", "other"}, []string{b.Name}}, {[]string{"other"}, nil},
	} {
		if got := t.names(tt.units...); !slices.Equal(slices.Sorted(slices.Values(got)), tt.want) {
			t.Errorf("the runs of %v are %v, want %v", tt.units, got, tt.want)
		}
	}
	t.ended(a, true)
	t.ended(b, true)
}

func outcomes(t *trial) {
	for i, well := range []bool{true, false} {
		t.ended(t.create("app", i+1), well)
	}
}

func cancelNothing(t *trial) {
	run := t.create("app", 1)
	t.ended(run, true)
	for _, name := range []string{run.Name, "no-such-run"} {
		if err := t.Cancel(t.Context(), name, ""); err != nil {
			t.Errorf("Cancel(%s): %v, want no error", name, err)
		}
	}
	if r := t.over(run.Name); !r.Succeeded {
		t.Errorf("a run that was over is %s once it is cancelled", r.Reason)
	}
}

func cancelled(t *trial) {
	run := t.create("app", 1)
	for range 2 {
		if err := t.Cancel(t.Context(), run.Name, "newer"); err != nil {
			t.Errorf("Cancel: %v", err)
		}
	}
	if !t.EndsCancelled {
		t.End(run, true)
	}
	if r := t.over(run.Name); !r.Failed() {
		t.Errorf("a run that was cancelled reads %s, want that it failed", r.Reason)
	}
}

// pruned promises that neither the newest failed run nor an active one is ever deleted.
func pruned(t *trial) {
	var names []string
	for i, well := range []bool{false, false, true, true, true} {
		run := t.create("app", i+1)
		t.ended(run, well)
		names = append(names, run.Name)
	}
	active := t.create("app", 6)
	for again := range 2 { // the second time there is nothing to do
		deleted, err := t.Prune(t.Context(), "app.main", 2)
		if err != nil {
			t.Fatal(err)
		}
		if again == 0 && (len(deleted) != 2 || deleted[0].Unit != "app.main") || again > 0 && len(deleted) > 0 {
			t.Errorf("it deleted %v, want the first and the third of %v, once", plan.Names(deleted), names)
		}
		want := []string{names[1], names[3], names[4], active.Name}
		slices.Sort(want)
		if got := slices.Sorted(slices.Values(t.names())); !slices.Equal(got, want) {
			t.Errorf("left are %v of %v, want %v", got, names, want)
		}
	}
	t.ended(active, true)
}

func prunedAll(t *trial) {
	var want []string
	for _, unit := range []string{"a", "b"} {
		for n := range 2 {
			run := t.create(unit, n+1)
			t.ended(run, true)
			if n == 1 {
				want = append(want, run.Name)
			}
		}
	}
	if _, err := t.Prune(t.Context(), "", 1); err != nil {
		t.Fatal(err)
	}
	if got := t.names(); !slices.Equal(got, want) {
		t.Errorf("left are %v, want the newest of each unit, %v", got, want)
	}
}

// prunedRequests promises that whoever opens many requests has no more runs kept than a branch has, and that a branch's are no fewer for it.
func prunedRequests(t *trial) {
	branch := t.create("app", 1)
	t.ended(branch, true)
	want := []string{branch.Name}
	for number := range 4 {
		name, _ := repo.RequestName(repo.Pulls, int64(number+1))
		run := t.make(t.plannedOf("app", "pull_requests: {}, repo_type: gitea", name, 2, repo.Observation{
			Heads: map[string]repo.SHA{name: sha(number + 1)}, Requests: map[string]repo.Request{name: {Target: "main", Own: true}},
		}))
		well := number > 1
		t.ended(run, well)
		if number > 0 { // the newest two, and the newest failed one
			want = append(want, run.Name)
		}
	}
	if _, err := t.Prune(t.Context(), "", 2); err != nil {
		t.Fatal(err)
	}
	slices.Sort(want)
	if got := slices.Sorted(slices.Values(t.names())); !slices.Equal(got, want) {
		t.Errorf("left are %v, want %v", got, want)
	}
}
