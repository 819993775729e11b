package reading

import (
	"context"
	"errors"
	"maps"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/result"
	"github.com/tekton-sentry/sentry/pkg/state"
)

// Where nothing differs the same pointer comes back, and the history is read only when it can have changed.
func TestKnown(t *testing.T) {
	clock := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	snapshot := state.Snapshot{Epoch: "e", Repositories: map[string]state.Repository{"a": {}}}
	runs := []engine.Run{{Existing: plan.Existing{Name: "a-1", Active: true}}}
	var past []result.Result
	histories, configs := 0, 0
	r := New(Sources{
		Now:    func() time.Time { return clock },
		Config: func() *config.Config { configs++; return &config.Config{Hash: "1"} },
		State:  func(context.Context) (state.Snapshot, error) { return snapshot, nil },
		Runs: func(context.Context) ([]engine.Run, []plan.Existing, error) {
			return append([]engine.Run{}, runs...), nil, nil
		},
		History: func(context.Context) ([]result.Result, error) {
			histories++
			return append([]result.Result{}, past...), nil
		},
	})
	look := func(after time.Duration, isNew bool, wantHistories int, what string) {
		t.Helper()
		before := r.last
		clock = clock.Add(after)
		k, err := r.Known(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if (k != before) != isNew || histories != wantHistories {
			t.Errorf("%s: new is %t, want %t; the history was read %d times, want %d", what, k != before, isNew, histories, wantHistories)
		}
	}
	look(0, true, 1, "the first look")
	look(5*time.Second, false, 2, "a moment later")
	look(2*time.Minute, false, 2, "when all has settled")
	runs[0].Active = false
	look(5*time.Second, true, 3, "a run has ended")
	past = []result.Result{{Name: "a-1", Verdict: result.Failed}}
	look(5*time.Second, true, 4, "the history has it")
	look(2*time.Minute, false, 4, "nothing else")
	snapshot = state.Snapshot{Epoch: "e", Repositories: map[string]state.Repository{"a": {}}}
	look(5*time.Second, false, 4, "the state was written as it was")
	snapshot = state.Snapshot{Epoch: "e", Repositories: map[string]state.Repository{"a": {Branches: state.NewBranches(map[string]state.Branch{"main": {SHA: repo.SHA("b")}})}}}
	look(5*time.Second, true, 4, "the state has changed")
	look(old, true, 5, "it is old")
	if configs > 6 {
		t.Errorf("the configuration was read %d times", configs)
	}
}

// What the loop loads and saves is there for the page, and what it failed to is not.
func TestLatest(t *testing.T) {
	var l Latest
	if _, err := l.State(t.Context()); !errors.Is(err, ErrNotYet) {
		t.Errorf("of nothing: %v", err)
	}
	s := &kept{}
	store := l.Store(s)
	if err := store.Save(t.Context(), state.Snapshot{Epoch: "a"}); err != nil {
		t.Fatal(err)
	}
	s.err = state.ErrConflict
	_ = store.Save(t.Context(), state.Snapshot{Epoch: "b"})
	if got, err := l.State(t.Context()); got.Epoch != "a" || err != nil {
		t.Errorf("got %q, %v; want a", got.Epoch, err)
	}
}

// kept is a store in memory.
type kept struct {
	snapshot state.Snapshot
	err      error
}

func (k *kept) Load(context.Context) (state.Snapshot, error) { return k.snapshot, k.err }

func (k *kept) Save(_ context.Context, s state.Snapshot) error {
	if k.err == nil {
		k.snapshot = s
	}
	return k.err
}

// A run is looked at once, and not followed.
func TestOutcome(t *testing.T) {
	r := New(Sources{Now: time.Now, Follow: func(ctx context.Context, name string, progress func(engine.Outcome)) (engine.Outcome, error) {
		progress(engine.Outcome{Name: name})
		<-ctx.Done()
		return engine.Outcome{}, ctx.Err()
	}})
	if out, err := r.Outcome(t.Context(), "a"); out.Name != "a" || err != nil {
		t.Errorf("got %v, %v", out, err)
	}
	if _, err := New(Sources{}).Outcome(t.Context(), "a"); err == nil {
		t.Error("a run is known that nobody can follow")
	}
}

// However many look at a run, it is asked about once in a few seconds; and at few runs at a time.
func TestOutcomeIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked, now, most := map[string]int{}, 0, 0
		var mu sync.Mutex
		r := New(Sources{Now: time.Now, Follow: func(_ context.Context, name string, progress func(engine.Outcome)) (engine.Outcome, error) {
			mu.Lock()
			asked[name]++
			now++
			most = max(most, now)
			mu.Unlock()
			time.Sleep(time.Second)
			mu.Lock()
			now--
			mu.Unlock()
			progress(engine.Outcome{Name: name})
			return engine.Outcome{Name: name}, nil
		}})
		look := func() {
			var visitors sync.WaitGroup
			for i := range 200 {
				name := string(rune('a' + i%8))
				visitors.Go(func() {
					if out, err := r.Outcome(t.Context(), name); out.Name != name || err != nil {
						t.Errorf("got %v, %v", out, err)
					}
				})
			}
			visitors.Wait()
		}
		look()
		for name, n := range asked {
			if n > maxAsking { // those that came in the same moment
				t.Errorf("%s was asked about %d times", name, n)
			}
		}
		if most > maxAsking {
			t.Errorf("%d runs were asked about at once, want %d at most", most, maxAsking)
		}
		before := maps.Clone(asked)
		look()
		if !maps.Equal(asked, before) {
			t.Errorf("asked %v times, and a moment later %v", before, asked)
		}
		time.Sleep(live)
		if look(); maps.Equal(asked, before) {
			t.Errorf("asked %v times, and no more after %s", asked, live)
		}
	})
}

// A list that takes long is made less often.
func TestLongList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lists := 0
		r := New(Sources{
			Now:    time.Now,
			Config: func() *config.Config { return &config.Config{} },
			State:  func(context.Context) (state.Snapshot, error) { return state.Snapshot{}, nil },
			Runs: func(context.Context) ([]engine.Run, []plan.Existing, error) {
				lists++
				time.Sleep(6 * time.Second)
				return nil, nil, nil
			},
			History: func(context.Context) ([]result.Result, error) { return nil, nil },
		})
		for range 120 { // ten minutes
			if _, err := r.Known(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(5 * time.Second)
		}
		if lists < 9 || lists > 12 {
			t.Errorf("%d lists in some ten minutes, want one a minute", lists)
		}
	})
}
