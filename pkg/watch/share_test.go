package watch

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/instance"
	"github.com/tekton-sentry/sentry/pkg/kube"
	"github.com/tekton-sentry/sentry/pkg/kube/kubetest"
	"github.com/tekton-sentry/sentry/pkg/plan/places"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/state"
	"github.com/tekton-sentry/sentry/pkg/state/configmap"
)

// inCluster has the world's state in ConfigMaps, and returns what reads them anew, as `sentry status` does.
func (w *world) inCluster() (*kubetest.Server, func() state.Snapshot) {
	w.t.Helper()
	server, cluster := kubetest.New(w.t)
	w.watcher.Store = configmap.New(cluster, instance.Instance{})
	return server, func() state.Snapshot { return loaded(w.t, cluster) }
}

func loaded(t *testing.T, cluster *kube.Cluster) state.Snapshot {
	t.Helper()
	s, err := configmap.New(cluster, instance.Instance{}).Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// flood gives a host n branches with names of so many bytes beside main.
func (w *world) flood(host string, n, length int, digit string) {
	for i := range n {
		name := fmt.Sprintf("dev-%d-", i)
		w.set(host, name+strings.Repeat("x", length-len(name)), digit)
	}
}

// A repository with more branches than its share of the state is failing, and costs the others nothing: they are
// saved, and run.
func TestTooManyBranchesCostTheirRepository(t *testing.T) {
	for _, tt := range []struct{ branches, length int }{{20_000, 250}, {60_000, 60}} {
		t.Run(fmt.Sprint(tt.branches), func(t *testing.T) {
			w := newWorld(t, "repositories:"+entry("honest", "")+entry("many", ""))
			_, stored := w.inCluster()
			w.set("honest", "main", "1")
			w.set("many", "main", "1")
			w.flood("many", tt.branches, tt.length, "1")
			if report := w.cycle(); report.Failing != 1 || report.Problems != 0 {
				t.Errorf("first cycle: %+v, want one failing repository", report)
			}
			w.set("honest", "main", "2")
			w.cycle()
			w.check("a push beside too many branches", "honest@main=2")
			s := stored()
			if got := s.Repositories["honest"].Branches.Get("main").SHA.Short(); got != "2222222" {
				t.Errorf("the state remembers honest@main at %s, want what ran", got)
			}
			many := s.Repositories["many"]
			if p := many.Problem; p == nil || p.Kind != "too many branches" ||
				!strings.Contains(p.Message, fmt.Sprint(tt.branches+1)) || !strings.Contains(p.Message, "narrow monitor.branches") {
				t.Errorf("the problem is %+v, want one that says how many, and what to do", p)
			}
			if !many.Unseen || many.Branches.Len() > 0 {
				t.Errorf("the repository counts as seen, with %d branches", many.Branches.Len())
			}
			w.start("repositories:" + entry("honest", "") + entry("many", "")) // forgets the store of before
			if n := strings.Count(w.log.String(), "monitor.branches"); n != 1 {
				t.Errorf("the log tells of it %d times in two cycles, want once:\n%s", n, &w.log)
			}
		})
	}
}

// A known repository that grows beyond its share is as it was until it shrinks. Then what moved meanwhile runs.
func TestKnownRepositoryGrowsAndShrinks(t *testing.T) {
	w := newWorld(t, "repositories:"+entry("many", ""))
	server, stored := w.inCluster()
	w.set("many", "main", "1")
	w.set("many", "dev", "1")
	w.cycle()
	before := w.heads["https://many.example/x"]
	w.heads["https://many.example/x"] = map[string]repo.SHA{}
	w.set("many", "main", "2")
	w.flood("many", 5_000, 200, "1") // and dev is gone
	for range 4 {
		if report := w.cycle(); report.Failing != 1 {
			t.Errorf("%+v, want a failing repository", report)
		}
	}
	w.check("while there are too many", "")
	server.Writes()
	w.cycle()
	if writes := server.Writes(); len(writes) > 0 {
		t.Errorf("a problem that lasts was written again: %v", writes)
	}
	if r := stored().Repositories["many"]; r.Branches.Len() != 2 || r.Branches.Get("dev").Missing != 0 || r.Branches.Get("main").SHA.Short() != "1111111" {
		t.Errorf("remembered: %+v, want what was there before", r.Branches)
	}
	w.heads["https://many.example/x"] = before
	w.set("many", "main", "3")
	if report := w.cycle(); report.Failing != 0 {
		t.Errorf("narrowed: %+v, want no failing repository", report)
	}
	w.check("narrowed", "many@main=3")
	if r := stored().Repositories["many"]; r.Problem != nil || r.Branches.Len() != 2 {
		t.Errorf("narrowed: %+v, want no problem", r)
	}
}

// What Sentry of before stored beyond the share is kept, and comes within it by what is configured.
func TestStateFromBeforeTheShare(t *testing.T) {
	const n = 4_000
	w := newWorld(t, "repositories:"+entry("many", ""))
	server, stored := w.inCluster()
	w.set("many", "main", "1")
	w.flood("many", n, 100, "1")
	old := state.Snapshot{Epoch: "e1", Repositories: map[string]state.Repository{"many": {Branches: state.NewBranches(nil)}}}
	for branch, sha := range w.heads["https://many.example/x"] {
		old.Repositories["many"].Branches.Set(branch, state.Branch{SHA: sha, N: 1, Time: w.watcher.Now()})
	}
	text, err := state.Encode(old)
	if err != nil {
		t.Fatal(err)
	}
	server.Put("/api/v1/namespaces/test/configmaps/"+instance.Instance{}.State(), kubetest.Object{
		"metadata": kubetest.Object{"name": instance.Instance{}.State()}, "data": kubetest.Object{"state.json": string(text)},
	})
	w.set("many", "main", "2")
	w.cycle()
	if r := stored().Repositories["many"]; r.Branches.Len() != n+1 || r.Problem == nil {
		t.Fatalf("%d branches are remembered, problem %+v, want all, and one", r.Branches.Len(), r.Problem)
	}
	w.heads["https://many.example/x"] = map[string]repo.SHA{}
	w.set("many", "main", "2")
	w.set("many", "dev", "1")
	w.cycle()
	w.check("narrowed: what is known runs at once", "many@main=2")
	for range 3 {
		w.finish()
		w.cycle()
	}
	w.check("narrowed: what is new once there is room", "many@dev=1 many@main=2")
	if r := stored().Repositories["many"]; r.Problem != nil || r.Branches.Len() != 2 || r.Floor != 1 {
		t.Errorf("remembered: %d branches, floor %d, problem %+v, want two", r.Branches.Len(), r.Floor, r.Problem)
	}
}

// What keeps thousands of branches of one repository from running takes little of the state, and goes when they run.
func TestProblemOfThousandsOfUnits(t *testing.T) {
	const n = 1_000
	w := newWorld(t, "repositories:"+entry("many", ""))
	server, stored := w.inCluster()
	w.set("many", "main", "1")
	w.flood("many", n, 20, "1")
	w.cycle()
	w.flood("many", n, 20, "2")
	delete(w.heads, "https://qa.example/x")
	for range 2 {
		if report := w.cycle(); report.Problems != places.MaxNewRuns || report.Waiting != n-places.MaxNewRuns {
			t.Errorf("%+v, want %d problems, and %d runs that wait for their turn", report, places.MaxNewRuns, n-places.MaxNewRuns)
		}
	}
	s := stored()
	if p := s.Problems()["many.*"]; len(s.Problems()) != 21 || p.Kind != "qa" || !strings.Contains(p.Message, "more branches") {
		t.Errorf("%d problems are remembered, %+v for most, want 21 and one that says so", len(s.Problems()), p)
	}
	server.Writes()
	w.cycle()
	if writes := server.Writes(); len(writes) > 0 {
		t.Errorf("problems that last were written again: %v", writes)
	}
	w.set("qa", "main", "f")
	for w.cycle().Waiting > 0 {
		w.finish()
	}
	w.cycle()
	if s := stored(); len(w.engine.PipelineRuns) != n || len(s.Problems()) > 0 {
		t.Errorf("%d runs and the problems %v, want %d and none", len(w.engine.PipelineRuns), s.Problems(), n)
	}
}

// A state that is too large as a whole is an error that says why, also in the state; the runs are remembered, and the
// rest is as soon as there is room.
func TestStateThatIsTooLarge(t *testing.T) {
	config := func(n int) string {
		text := "repositories:" + entry("a", "") + entry("b", "")
		for i := range n {
			text += entry(fmt.Sprintf("full-%d", i), "")
		}
		return text
	}
	w := newWorld(t, config(0))
	_, stored := w.inCluster()
	store := w.watcher.Store
	w.set("a", "main", "1")
	w.set("b", "main", "1")
	w.cycle()

	const n = 20
	for i := range n {
		w.flood(fmt.Sprintf("full-%d", i), 1_000, 250, "1")
	}
	w.start(config(n))
	w.watcher.Store = store
	w.set("a", "main", "2")
	w.engine.Calls = nil
	for range 2 {
		_, err := w.watcher.RunOnce(t.Context(), Request{})
		if !errors.Is(err, state.ErrTooLarge) || !strings.Contains(err.Error(), "repositories are full-1") || !strings.Contains(err.Error(), "watch fewer branches") {
			t.Fatalf("RunOnce: %v, want an error that names the largest and says what to do", err)
		}
		s := stored()
		if p := s.Problems()[state.Whole]; p.Kind != "too large" || !strings.Contains(p.Message, "watch fewer branches") || !strings.Contains(p.Message, "repositories are full-1") {
			t.Errorf("the stored problem is %+v, want one that says why nothing is saved", p)
		}
		if got := s.Repositories["a"].Branches.Get("main").SHA.Short(); got != "2222222" || len(s.Repositories) != 2 {
			t.Errorf("a@main is remembered at %s among %d repositories, want what ran, and no more", got, len(s.Repositories))
		}
	}
	w.check("while the state is too large", "a@main=2")
	if len(w.called("prune")) == 0 {
		t.Error("no runs are pruned while the state is too large, though it has them")
	}
	w.set("b", "main", "2")
	w.start(config(2))
	w.watcher.Store = store
	w.cycle()
	w.check("fewer branches", "a@main=2 b@main=2")
	if s := stored(); len(s.Problems()) != 0 || s.Repositories["full-1"].Branches.Len() != 1_000 {
		t.Errorf("problems %v, %d repositories, want none, and all that is configured", s.Problems(), len(s.Repositories))
	}
}
