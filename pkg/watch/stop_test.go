package watch

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/state"
)

// oneServer answers for all repositories at once, so that their runs are due at once.
type oneServer struct{ *world }

func (s oneServer) Each(ctx context.Context, want []config.Monitor, answered func(map[int]repo.Observation)) {
	all := map[int]repo.Observation{}
	s.world.Each(ctx, want, func(batch map[int]repo.Observation) { maps.Copy(all, batch) })
	answered(all)
}

// Of hundreds of runs that are due, none is begun after the signal, and those that were made are
// remembered.
func TestStopBetweenTwoCreations(t *testing.T) {
	t.Run("of one server", func(t *testing.T) { stopBetween(t, func(w *world) Heads { return oneServer{w} }) })
	t.Run("of many servers", func(t *testing.T) { stopBetween(t, func(w *world) Heads { return w }) })
}

func stopBetween(t *testing.T, hosts func(*world) Heads) {
	const due, until = 300, 100
	var yaml strings.Builder
	yaml.WriteString("repositories:")
	for i := range due {
		yaml.WriteString(entry(fmt.Sprintf("r%03d", i), ""))
	}
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, yaml.String())
		w.watcher.Heads = hosts(w)
		push := func(digit string) {
			for i := range due {
				w.set(fmt.Sprintf("r%03d", i), "main", digit)
			}
		}
		push("1")
		w.cycle()
		push("2")
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		w.onCreate(func(string) error {
			if len(w.engine.PipelineRuns) == until-1 {
				cancel() // while this one is being created
			}
			return nil
		})
		start := time.Now()
		w.watcher.Run(ctx)
		if elapsed := time.Since(start); elapsed > 0 {
			t.Errorf("Run ended %s after the signal, want at once", elapsed)
		}
		made := slices.Sorted(slices.Values(w.engine.Names()))
		if len(made) != until {
			t.Errorf("%d runs are there, want the %d that were begun before the signal", len(made), until)
		}
		if told := slices.Sorted(slices.Values(w.created)); !slices.Equal(told, made) {
			t.Errorf("told of %d runs, want of all %d", len(told), len(made))
		}
		s, _ := w.store.Load(t.Context())
		remembered := 0
		for _, r := range s.Repositories {
			remembered += r.Branches.Get("main").N
		}
		if remembered != until || len(s.Problems()) > 0 {
			t.Errorf("%d runs are remembered, and problems %v, want %d and none", remembered, s.Problems(), until)
		}
		w.engine.Around = nil
		w.start(yaml.String())
		if report := w.cycle(); len(report.Created) != due-until || len(w.engine.PipelineRuns) != due {
			t.Errorf("the next start made %d runs, %d in all, want %d of %d", len(report.Created), len(w.engine.PipelineRuns), due-until, due)
		}
		if n := strings.Count(w.triggers(), "=2"); n != due {
			t.Errorf("%d commits were deployed, want each of the %d once", n, due)
		}
	})
}

// hangAt has one of the calls of the engine or the store have no answer. One that creates b's run is done before.
func (w *world) hangAt(where string) {
	methods := map[string]string{"creating": "create b-", "listing": "runs", "pruning": "prune"}
	if methods[where] != "" {
		w.engine.Around = func(ctx context.Context, call string, do func() error) error {
			hangs := strings.HasPrefix(call, methods[where])
			if !hangs || where == "creating" {
				if err := do(); err != nil || !hangs {
					return err
				}
			}
			<-ctx.Done()
			return ctx.Err()
		}
	}
	w.watcher.Store = hung{w.store, where}
}

// hung is a store some of whose calls have no answer.
type hung struct {
	*memory
	where string
}

func (h hung) at(ctx context.Context, where string) error {
	if h.where != where {
		return nil
	}
	<-ctx.Done()
	return ctx.Err()
}

func (h hung) Load(ctx context.Context) (state.Snapshot, error) {
	if err := h.at(ctx, "loading"); err != nil {
		return state.Snapshot{}, err
	}
	return h.memory.Load(ctx)
}

func (h hung) Save(ctx context.Context, s state.Snapshot) error {
	if err := h.at(ctx, "saving"); err != nil {
		return err
	}
	return h.memory.Save(ctx, s)
}

// Wherever the signal comes, the cycle ends in time, and leaves behind nothing that is not so.
func TestStopInTheMiddle(t *testing.T) {
	yaml := "repositories:" + entry("a", "") + entry("b", "")
	for where, most := range map[string]time.Duration{
		"reading a": 0, "reading qa": 0, "loading": 0, "listing": 0, "pruning": 0,
		"creating": shutdownGrace, "saving": shutdownGrace,
	} {
		t.Run(where, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, yaml)
				w.set("a", "main", "1")
				w.set("b", "main", "1")
				w.cycle()
				w.set("a", "main", "2")
				w.set("b", "main", "2")
				w.hangAt(where)
				if host, ok := strings.CutPrefix(where, "reading "); ok {
					w.hold["https://"+host+".example/x"] = make(chan struct{})
				}
				w.log.Reset()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				ended := make(chan struct{})
				go func() { w.watcher.Run(ctx); close(ended) }()
				synctest.Wait() // until it hangs
				cancel()
				start := time.Now()
				<-ended
				if elapsed := time.Since(start); elapsed > most {
					t.Errorf("Run ended %s after the signal, want at most %s", elapsed, most)
				}
				// A write that had no answer is the only trouble that is not of the signal's
				// making.
				if trouble := strings.Contains(w.log.String(), "ERROR") || strings.Contains(w.log.String(), "WARN"); trouble != (where == "saving") {
					t.Errorf("the log tells of trouble: %t\n%s", trouble, &w.log)
				}
				s, _ := w.store.Load(t.Context())
				if len(s.Problems()) > 0 || s.Repositories["a"].Problem != nil {
					t.Errorf("what the signal cut short is remembered as a problem: %+v", s)
				}
				clear(w.hold)
				w.engine.Around = nil
				w.start(yaml)
				w.cycle()
				w.check("after the next start", "a@main=2 b@main=2")
			})
		})
	}
}

// A call that hangs does not take the time in which the cycle is remembered.
func TestStopRemembersBesideACallThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "repositories:"+entry("a", "")+entry("b", ""))
		for _, digit := range []string{"1", "2"} {
			w.set("a", "main", digit)
			w.set("b", "main", digit)
			if digit == "1" {
				w.cycle()
			}
		}
		w.hangAt("creating")
		slow := make(chan struct{})
		w.hold["https://b.example/x"] = slow
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		ended := make(chan struct{})
		go func() { w.watcher.Run(ctx); close(ended) }()
		synctest.Wait()
		close(slow) // a's run is there, and now b's is being created
		synctest.Wait()
		cancel()
		<-ended
		s, _ := w.store.Load(t.Context())
		if a, b := s.Repositories["a"].Branches.Get("main").N, s.Repositories["b"].Branches.Get("main").N; a != 1 || b != 0 {
			t.Errorf("runs %d of a and %d of b are remembered, want a's, and b's is not known to be there", a, b)
		}
	})
}
