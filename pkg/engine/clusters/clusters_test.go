package clusters_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/engine/clusters"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/plan/naming"
)

// cluster is an engine in memory, which answers or does not.
type cluster struct {
	in     string
	fails  error
	takes  map[string]time.Duration // the first words of calls that take so long, or until their caller has left
	calls  []string
	exists []string // names of runs, one a unit of that name
	mu     sync.Mutex
}

func (c *cluster) call(ctx context.Context, what string) error {
	c.mu.Lock()
	c.calls = append(c.calls, what)
	fails := c.fails
	c.mu.Unlock()
	word, _, _ := strings.Cut(what, " ")
	if c.takes[word] > 0 {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(c.takes[word]):
		}
	}
	return fails
}

func (c *cluster) Create(ctx context.Context, _ *config.Config, run plan.Run) (engine.Made, error) {
	return engine.Made{Run: run}, c.call(ctx, "create "+run.Name)
}

func (c *cluster) Check(*config.Config, plan.Run) error { return nil }

func (c *cluster) Runs(ctx context.Context, units []string) (runs []engine.Run, err error) {
	for _, name := range c.exists {
		if len(units) == 0 || slices.Contains(units, name) {
			runs = append(runs, engine.Run{Existing: plan.Existing{Cluster: c.in, Name: name, Unit: name, Active: true}})
		}
	}
	if err := c.call(ctx, "runs"); err != nil {
		return nil, err
	}
	return runs, nil
}

func (c *cluster) Active(ctx context.Context, _ func(plan.Existing) bool) (int, error) {
	return len(c.exists), c.call(ctx, "active")
}

func (c *cluster) Cancel(ctx context.Context, name, _ string) error {
	return c.call(ctx, "cancel "+name)
}

func (c *cluster) Prune(ctx context.Context, unit string, _ int) ([]plan.Existing, error) {
	return nil, c.call(ctx, "prune "+unit)
}

type world struct {
	*clusters.Engine[*cluster]
	home, prod *cluster
	now        time.Time
	beside     []func()
	told       []string
}

func newWorld() *world {
	w := &world{home: &cluster{exists: []string{"shop"}}, prod: &cluster{in: "prod", exists: []string{"pay", "shop"}}, now: time.Unix(0, 0)}
	w.Engine = clusters.New(w.home)
	w.Engine.Now = func() time.Time { return w.now }
	w.Engine.Try = func(f func()) { w.beside = append(w.beside, f) }
	w.Engine.Changed = func(cluster string, err error) {
		if err != nil {
			cluster += " is down"
		}
		w.told = append(w.told, cluster)
	}
	w.Set(map[string]*cluster{"prod": w.prod}, nil)
	return w
}

func names(runs []engine.Run) (at []string) {
	for _, r := range runs {
		at = append(at, r.At())
	}
	return at
}

// TestEachInItsCluster sends what is meant for a cluster to that one alone.
func TestEachInItsCluster(t *testing.T) {
	w := newWorld()
	for _, tt := range []struct {
		units []string
		want  []string
		asked int // of prod
	}{
		{nil, []string{"shop", "prod/pay", "prod/shop"}, 1},
		{[]string{"shop"}, []string{"shop"}, 0},
		{[]string{"prod/shop"}, []string{"prod/shop"}, 1},
		{[]string{"prod/"}, []string{"prod/pay", "prod/shop"}, 1},
		{[]string{"gone/shop"}, nil, 0},
	} {
		w.prod.calls = nil
		runs, err := w.Runs(t.Context(), tt.units)
		if got := names(runs); err != nil || !slices.Equal(got, tt.want) || len(w.prod.calls) != tt.asked {
			t.Errorf("runs of %q: %q, %v, with %d calls of prod; want %q with %d", tt.units, got, err, len(w.prod.calls), tt.want, tt.asked)
		}
	}
	w.home.calls, w.prod.calls = nil, nil
	_, _ = w.Create(t.Context(), nil, plan.Run{Name: "a", Group: config.Group{Cluster: "prod"}})
	_, _ = w.Create(t.Context(), nil, plan.Run{Name: "b"})
	_ = w.Cancel(t.Context(), "prod/a", "")
	_ = w.Cancel(t.Context(), "b", "")
	_, _ = w.Prune(t.Context(), "prod/shop", 1)
	_, _ = w.Prune(t.Context(), "", 1)
	if want := []string{"create a", "cancel a", "prune shop", "prune "}; !slices.Equal(w.prod.calls, want) {
		t.Errorf("prod was asked %q, want %q", w.prod.calls, want)
	}
	if want := []string{"create b", "cancel b", "prune "}; !slices.Equal(w.home.calls, want) {
		t.Errorf("home was asked %q, want %q", w.home.calls, want)
	}
	if _, err := w.Create(t.Context(), nil, plan.Run{Group: config.Group{Cluster: "gone"}}); err == nil {
		t.Error("a run was created in a cluster that is none")
	}
}

// TestDown asks a cluster that does not answer no more, but beside, and lists the others meanwhile.
func TestDown(t *testing.T) {
	w := newWorld()
	w.prod.fails = errors.New("no answer")
	runs, err := w.Runs(t.Context(), nil)
	unlisted, ok := errors.AsType[engine.Unlisted](err)
	if !slices.Equal(names(runs), []string{"shop"}) || !ok || unlisted["prod"] == nil || len(unlisted) != 1 {
		t.Fatalf("with prod down: %q, %v", names(runs), err)
	}
	w.prod.calls = nil
	_, err = w.Create(t.Context(), nil, plan.Run{Name: "a", Group: config.Group{Cluster: "prod"}})
	if down, ok := errors.AsType[*engine.DownError](err); !ok || down.ProblemKind() != engine.Unreachable {
		t.Errorf("create in a cluster that is down: %v", err)
	}
	if n, err := w.Active(t.Context(), func(plan.Existing) bool { return true }); n != 1 || err != nil {
		t.Errorf("active: %d, %v, want those that answer", n, err)
	}
	if _, err := w.Prune(t.Context(), "", 1); err != nil {
		t.Errorf("prune: %v, want what can be", err)
	}
	if len(w.prod.calls) > 0 {
		t.Errorf("a cluster that is down was asked %q", w.prod.calls)
	}
	w.now = w.now.Add(time.Minute)
	w.prod.fails = nil
	if _, err := w.Runs(t.Context(), []string{"prod/shop"}); err == nil {
		t.Error("the caller waited for a cluster that was down")
	}
	if _, err := w.Runs(t.Context(), []string{"prod/shop"}); err == nil || len(w.beside) != 1 {
		t.Errorf("it is tried %d times at once, want once", len(w.beside))
	}
	w.beside[0]()
	if runs, err := w.Runs(t.Context(), nil); err != nil || len(runs) != 3 {
		t.Errorf("once it answers: %q, %v", names(runs), err)
	}
	if want := []string{"prod is down", "prod"}; !slices.Equal(w.told, want) {
		t.Errorf("told %q, want %q", w.told, want)
	}
}

// TestGivenUp takes no cluster for down since the caller has left, or since a name is taken.
func TestGivenUp(t *testing.T) {
	w := newWorld()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w.prod.fails = errors.New("no answer")
	_, _ = w.Create(ctx, nil, plan.Run{Group: config.Group{Cluster: "prod"}})
	w.prod.fails = engine.ErrNameTaken
	_, err := w.Create(t.Context(), nil, plan.Run{Group: config.Group{Cluster: "prod"}})
	if !errors.Is(err, engine.ErrNameTaken) || w.Down("prod") != nil {
		t.Errorf("got %v, and prod is %v", err, w.Down("prod"))
	}
}

// TestReplaced forgets that a cluster was down once it is reached in another way, and keeps what it knows of one that is the same.
func TestReplaced(t *testing.T) {
	w := newWorld()
	w.prod.fails = errors.New("the token has expired")
	_, _ = w.Runs(t.Context(), nil)
	w.Set(map[string]*cluster{"prod": w.prod}, nil)
	if w.Down("prod") == nil {
		t.Error("the same cluster counts as one that answers")
	}
	renewed := &cluster{in: "prod"}
	w.Set(map[string]*cluster{"prod": renewed}, nil)
	if _, err := w.Runs(t.Context(), nil); err != nil {
		t.Errorf("with a new token: %v", err)
	}
	w.Set(nil, map[string]error{"prod": errors.New("has an exec plug-in")})
	_, err := w.Runs(t.Context(), nil)
	if unlisted, ok := errors.AsType[engine.Unlisted](err); !ok || unlisted["prod"] == nil {
		t.Errorf("without a way to it: %v", err)
	}
	if _, _, err := w.Of(naming.At("prod", "x")); err == nil {
		t.Error("there is an engine of a cluster that cannot be reached")
	}
}

func every(plan.Existing) bool { return true }

// TestNoneHoldsTheLoop bounds what the loop waits for a cluster that goes on and on, and asks several at once.
func TestNoneHoldsTheLoop(t *testing.T) {
	for name, ask := range map[string]func(ctx context.Context, w *world) error{
		"runs": func(ctx context.Context, w *world) error {
			_, err := w.Runs(ctx, []string{"prod/shop", "test/shop", "far/shop"})
			return err
		},
		"all": func(ctx context.Context, w *world) error {
			w.Patience = 5 * time.Second
			_, err := w.Runs(ctx, nil)
			return err
		},
		"active": func(ctx context.Context, w *world) error { _, err := w.Active(ctx, every); return err },
		"prune":  func(ctx context.Context, w *world) error { _, err := w.Prune(ctx, "", 1); return err },
		"create": func(ctx context.Context, w *world) error {
			_, err := w.Create(ctx, nil, plan.Run{Name: "a", Group: config.Group{Cluster: "prod"}})
			return err
		},
		"cancel": func(ctx context.Context, w *world) error { return w.Cancel(ctx, "prod/a", "") },
		"read": func(ctx context.Context, w *world) error {
			return w.Read(ctx, "prod", func(ctx context.Context, c *cluster) error { return c.call(ctx, "runs") })
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld()
			w.Now = time.Now
			engines := map[string]*cluster{}
			for _, in := range []string{"prod", "test", "far"} {
				hour := time.Hour
				engines[in] = &cluster{in: in, takes: map[string]time.Duration{"runs": hour, "active": hour, "prune": hour, "create": hour, "cancel": hour}}
			}
			w.Set(engines, nil)
			began := time.Now()
			err := ask(t.Context(), w)
			if took := time.Since(began); took > 30*time.Second || (err == nil) != (name == "active") {
				t.Errorf("%s: took %s and gave %v", name, took, err)
			}
			if n, err := w.Active(t.Context(), every); name == "active" && (n != 1 || err != nil || time.Since(began) > 10*time.Second) {
				t.Errorf("a second count: %d, %v after %s, want those at home at once", n, err, time.Since(began))
			}
			time.Sleep(time.Hour) // what goes on beside ends by itself
		})
	}
}

// TestListedBeside has the runs of a cluster that has many, or is far away, once they are there, and nobody waits for them.
func TestListedBeside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.Patience, w.Now = 5*time.Second, time.Now
		w.prod.takes = map[string]time.Duration{"runs": time.Minute}
		for i := range 3 {
			began := time.Now()
			runs, err := w.Runs(t.Context(), []string{"shop", "prod/"})
			want := []string{"shop"}
			if i == 2 {
				want = []string{"shop", "prod/pay", "prod/shop"}
			}
			if !slices.Equal(names(runs), want) || (err == nil) != (i == 2) || time.Since(began) > 5*time.Second {
				t.Errorf("look %d: %q, %v after %s, want %q", i, names(runs), err, time.Since(began), want)
			}
			time.Sleep(40 * time.Second)
		}
		if len(w.prod.calls) != 1 || w.Down("prod") != nil || len(w.told) > 0 {
			t.Errorf("prod was asked %q, is %v, and was told of as %q", w.prod.calls, w.Down("prod"), w.told)
		}
	})
}

// TestWrites leaves a run that cannot be made, such as by a webhook that hangs, to its unit.
func TestWrites(t *testing.T) {
	w := newWorld()
	w.prod.fails = errors.New("the webhook does not answer")
	_, err := w.Create(t.Context(), nil, plan.Run{Name: "a", Group: config.Group{Cluster: "prod"}})
	if err == nil || w.Cancel(t.Context(), "prod/a", "") == nil || w.Down("prod") != nil {
		t.Errorf("create gave %v, and prod is %v", err, w.Down("prod"))
	}
	w.prod.fails = fmt.Errorf("list: %w", notSent{errors.New("left alone")})
	if _, err := w.Runs(t.Context(), []string{"prod/shop"}); err == nil || w.Down("prod") != nil {
		t.Errorf("runs gave %v, and prod is %v", err, w.Down("prod"))
	}
}

type notSent struct{ error }

func (notSent) NotSent() {}

type denied struct{ error }

func (denied) ProblemKind() string { return "denied" }

// TestTried tries a cluster by what it did not answer, more and more seldom, and takes one for down that refuses what it is asked.
func TestTried(t *testing.T) {
	w := newWorld()
	w.prod.fails = denied{errors.New("the token has expired")}
	_, _ = w.Runs(t.Context(), []string{"prod/shop"})
	if w.Down("prod") == nil {
		t.Fatal("a cluster that refuses to tell its runs counts as one that answers")
	}
	tried := func(over time.Duration) (times int) {
		for end := w.now.Add(over); w.now.Before(end); w.now = w.now.Add(time.Second) {
			_, _ = w.Runs(t.Context(), []string{"prod/shop"})
			for _, f := range w.beside {
				f()
			}
			times += len(w.beside)
			w.beside = nil
		}
		return times
	}
	if first, later := tried(10*time.Minute), tried(10*time.Minute); first > 9 || first < 7 || later != 5 {
		t.Errorf("tried %d and %d times in ten minutes each, want 8 and 5", first, later)
	}
	w.prod.fails = nil
	tried(3 * time.Minute)
	w.prod.fails = errors.New("no answer")
	if again := tried(2 * time.Minute); again > 1 {
		t.Errorf("tried %d times right after it came back for a moment", again)
	}
	if want := []string{"prod is down", "prod", "prod is down"}; !slices.Equal(w.told, want) {
		t.Errorf("told %q, want %q", w.told, want)
	}
}
