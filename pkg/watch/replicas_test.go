package watch

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/engine/enginetest"
	"github.com/tekton-sentry/sentry/pkg/event"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/result"
	"github.com/tekton-sentry/sentry/pkg/state"
)

// remembering are Heads that answer with what they read first until they are told to forget, as where a host's hints lag
// behind what was pushed. They note what they are asked for.
type remembering struct {
	*world
	read  map[string]repo.Observation
	asked []string
}

func (r *remembering) Each(ctx context.Context, want []config.Monitor, answered func(map[int]repo.Observation)) {
	r.asked = nil
	for i, m := range want {
		r.asked = append(r.asked, strings.TrimSuffix(strings.TrimPrefix(m.URL, "https://"), ".example/x"))
		o, ok := r.read[m.URL]
		if o.Status = repo.Cached; !ok {
			o = r.look(m)
			r.read[m.URL] = o
		}
		o.Heads = maps.Clone(o.Heads)
		answered(map[int]repo.Observation{i: o})
	}
}

func (r *remembering) Forget(repositories []config.Monitor) {
	for _, m := range repositories {
		delete(r.read, m.URL)
	}
}

// replica returns one more Watcher on the world, with heads that it remembers and a share of its own.
func (w *world) replica(share ...string) (*Watcher, *remembering) {
	heads := &remembering{world: w, read: map[string]repo.Observation{}}
	one := w.watcher
	return &Watcher{
		Config: one.Config, Heads: heads, Store: one.Store, Engine: one.Engine, Tell: one.Tell, Now: one.Now, Word: one.Word,
		Share: func() func(config.Repository) bool {
			return func(r config.Repository) bool { return slices.Contains(share, r.Name) }
		},
	}, heads
}

func (w *world) cycleOf(watcher *Watcher, names ...string) {
	w.t.Helper()
	if _, err := watcher.RunOnce(w.t.Context(), Request{Repositories: names}); err != nil {
		w.t.Fatal(err)
	}
}

// Each replica looks at its share alone, and at what a request names. What is in no share of its is remembered all the same.
func TestSharesAreApart(t *testing.T) {
	w := newWorld(t, "repositories:"+entry("a", "")+entry("b", ""))
	for _, host := range []string{"a", "b"} {
		w.set(host, "main", "1")
	}
	first, asked := w.replica("a")
	second, others := w.replica("b")
	w.cycleOf(first)
	w.cycleOf(second)
	if got := strings.Join(asked.asked, " ") + "|" + strings.Join(others.asked, " "); got != "a|b" {
		t.Errorf("they ask %s, want a|b", got)
	}
	w.cycleOf(first, "b")
	if got := strings.Join(asked.asked, " "); got != "b" {
		t.Errorf("a request for b asks %q", got)
	}
	first.Ask(Request{Reason: "polling_interval"})
	first.Ask(Request{Repositories: []string{"b"}, Reason: "webhook"})
	if _, err := first.RunOnce(t.Context(), first.requests.Take()); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(asked.asked, " "); got != "a b" {
		t.Errorf("a look at all with a request for b asks %q, want its share and b", got)
	}
	w.set("b", "main", "2")
	w.cycleOf(first)
	w.check("the other's push", "")
	others.read = map[string]repo.Observation{}
	w.cycleOf(second)
	w.check("its own push", "b@main=2")
}

// What another replica acted upon is not compared with heads that were read before.
func TestHeadsFromBeforeAnother(t *testing.T) {
	w := newWorld(t, "repositories:"+entry("a", ""))
	w.set("a", "main", "1")
	first, _ := w.replica("a")
	w.cycleOf(first)
	w.set("a", "main", "2")
	second, _ := w.replica("a")
	w.cycleOf(second)
	w.finish()
	w.cycleOf(first)
	w.cycleOf(first)
	w.check("the heads of before", "a@main=2")
}

// A replica that does not know its share looks at nothing by itself, and does not say that it looked at everything. What it looks at
// first once it does is its first look.
func TestShareThatIsNotKnown(t *testing.T) {
	w := newWorld(t, "repositories:"+entry("a", "")+entry("b", ""))
	w.set("a", "main", "1")
	one, heads := w.replica("a")
	known, share := false, one.Share
	one.Share = func() func(config.Repository) bool {
		if !known {
			return nil
		}
		return share()
	}
	var done []event.CycleDone
	one.Tell = func(e event.Event) {
		if e, ok := e.(event.CycleDone); ok {
			done = append(done, e)
		}
	}
	w.cycleOf(one)
	w.cycleOf(one, "a")
	known = true
	w.cycleOf(one)
	if got := fmt.Sprint(done[0].Whole, done[1].Whole, done[2].Whole, done[0].First, done[2].First, done[0].Repositories, done[1].Repositories); got != "false false true false true 0 1" {
		t.Errorf("whole, first and repositories are %s", got)
	}
	if got := strings.Join(heads.asked, " "); got != "a" {
		t.Errorf("it asks %q", got)
	}
}

// One replica hears how runs end, and another one plans what comes next before that is remembered: from the history, or from the run
// itself where the history is not written yet. It does so once, and an idle cycle does nothing of it.
func TestEndsThatAnotherReplicaHears(t *testing.T) {
	for _, where := range []string{"in the history", "on its way there", "on its way to a young history", "in the history alone"} {
		t.Run(where, func(t *testing.T) {
			written := strings.HasPrefix(where, "in")
			w := newWorld(t, "repositories:"+entry("a", ""))
			w.set("a", "main", "7")
			two, heads := w.replica("a")
			var past []result.Result
			reads, looks := 0, 0
			two.Past = func(context.Context) ([]result.Result, error) {
				reads++
				return past, nil
			}
			var end result.Result
			two.Result = func(_ context.Context, r engine.Run) (result.Result, error) {
				looks++
				if r.Name != end.Name {
					return result.Result{}, fmt.Errorf("asked how %s ended", r.Name)
				}
				return end, nil
			}
			deploy := func(digit, want string) {
				t.Helper()
				w.set("a", "main", digit)
				clear(heads.read)
				w.cycleOf(two)
				if got := w.told(); got != want {
					t.Errorf("the commands of %s are told %q of before, want %q", digit, got, want)
				}
				w.finish()
			}
			w.cycleOf(two)
			deploy("1", "7 '")
			end = endOf(result.Succeeded, "1", 0)
			run := w.engine.PipelineRuns[0]
			end.Name, end.Created = run.Name, run.CreationTimestamp.Time
			if written {
				past = append(past, end)
			}
			if where == "on its way to a young history" { // which has a run that began later alone
				past = append(past, result.Result{Name: "other", Unit: "b.main", Created: end.Created.Add(time.Hour), Verdict: result.Succeeded})
			}
			if where == "in the history alone" { // somebody deletes the run
				w.engine.Delete(func(*v1.PipelineRun) bool { return true })
			}
			for range 3 {
				w.cycleOf(two)
			}
			if reads != 1 || looks != 0 {
				t.Errorf("idle cycles read %d times, and %d runs", reads-1, looks)
			}
			deploy("2", "1 1")
			if got := w.remembered(); got != "2 1" {
				t.Errorf("%q is remembered", got)
			}
			if reads != 2 || written != (looks == 0) || looks > 1 {
				t.Errorf("the history was read %d times, and %d runs, want once more, and the one run unless the history has it", reads, looks)
			}
		})
	}
}

// Who hears of ends from now on learns of those before, without asking a host.
func TestRecall(t *testing.T) {
	w := newWorld(t, "repositories:"+entry("a", ""))
	w.set("a", "main", "1")
	one, heads := w.replica("a")
	var past []result.Result
	one.Past = func(context.Context) ([]result.Result, error) { return past, nil }
	w.cycleOf(one)
	past = []result.Result{endOf(result.Succeeded, "1", 0)}
	one.Recall()
	if _, err := one.RunOnce(t.Context(), one.requests.Take()); err != nil {
		t.Fatal(err)
	}
	if got := w.remembered(); got != "1 1" || len(heads.asked) > 0 {
		t.Errorf("%q is remembered, and %q asked", got, heads.asked)
	}
}

// What one replica cannot use, another one may not have seen yet, or have seen mended: it leaves what that one says, until it takes a
// configuration up itself.
func TestRefusalOfAnotherReplica(t *testing.T) {
	w := newWorld(t, "repositories:"+entry("a", "")+entry("b", ""))
	for _, host := range []string{"a", "b"} {
		w.set(host, "main", "1")
	}
	first, _ := w.replica("a")
	second, heads := w.replica("b")
	step := func(what string, watcher *Watcher, want string) {
		t.Helper()
		w.cycleOf(watcher)
		s, err := w.store.Load(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if p := s.Units[state.Configuration].Problem; p != nil {
			got = p.Message
		}
		if got != want {
			t.Errorf("%s: the state has %q, want %q", what, got, want)
		}
	}
	step("the first starts", first, "")
	step("the second starts", second, "")
	first.Refuse("line 1 is wrong")
	step("the first refuses", first, "line 1 is wrong")
	step("the second has not seen it", second, "line 1 is wrong")
	first.Refuse("")
	w.set("b", "main", "2")
	w.store.before = func() { // the state is written meanwhile
		clear(heads.read)
		w.cycleOf(second)
	}
	step("the first can use it", first, "")
	first.Refuse("line 2 is wrong")
	step("the first refuses again", first, "line 2 is wrong")
	second.Apply(second.Config)
	step("the second takes one up", second, "")

	// Each has a reason of its own.
	first.Refuse("line 3 is wrong")
	step("the first refuses", first, "line 3 is wrong")
	second.Refuse("line 4 is wrong")
	step("the second has another reason", second, "line 3 is wrong")
	writes := w.store.writes
	for range 3 {
		step("the first waits", first, "line 3 is wrong")
		step("the second waits", second, "line 3 is wrong")
	}
	if w.store.writes != writes {
		t.Errorf("%d writes in idle cycles, want none", w.store.writes-writes)
	}
	first.Refuse("line 5 is wrong")
	step("the first has yet another", first, "line 5 is wrong")
	first.Refuse("")
	step("the first can use it", first, "")
	step("the second cannot", second, "line 4 is wrong")
	second.Refuse("")
	step("the second can use it, too", second, "")
}

// slowStore is a client of a store that several write, each call of which takes a while. It counts conflicts.
type slowStore struct {
	*memory
	mu        *sync.Mutex
	rand      *rand.Rand
	loaded    string
	conflicts *int
}

func (s *slowStore) pause() {
	time.Sleep(5*time.Millisecond + time.Duration(s.rand.Int64N(int64(20*time.Millisecond))))
}

func (s *slowStore) Load(ctx context.Context) (state.Snapshot, error) {
	s.pause()
	s.mu.Lock()
	defer s.mu.Unlock()
	snapshot, err := s.memory.Load(ctx)
	s.loaded = s.memory.loaded
	return snapshot, err
}

func (s *slowStore) Save(ctx context.Context, next state.Snapshot) error {
	s.pause()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.memory.loaded = s.loaded
	err := s.memory.Save(ctx, next)
	if errors.Is(err, state.ErrConflict) {
		*s.conflicts++
	}
	s.loaded = s.memory.loaded
	return err
}

// Five replicas that all have something to write, one cycle after the other, as in a storm of webhooks, get through.
func TestFiveWriters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const replicas, cycles = 5, 40
		yaml := "repositories:"
		for i := range replicas {
			yaml += entry(fmt.Sprintf("r%d", i), "")
		}
		w := newWorld(t, yaml)
		var mu sync.Mutex
		conflicts, failed := 0, 0
		all := make([]*Watcher, replicas)
		for i := range all {
			name, random := fmt.Sprintf("r%d", i), rand.New(rand.NewPCG(1, uint64(i)))
			w.set(name, "main", "1")
			all[i], _ = w.replica(name)
			all[i].Heads, all[i].Engine, all[i].Now = w, &enginetest.Fake{}, time.Now
			all[i].Store = &slowStore{memory: w.store, mu: &mu, rand: random, conflicts: &conflicts}
			all[i].Word = func() string { return fmt.Sprintf("%08x", random.Uint32()) }
			all[i].Tell = func(event.Event) {}
			w.cycleOf(all[i])
		}
		var work sync.WaitGroup
		for i, one := range all {
			work.Go(func() {
				for n := range cycles {
					w.set(fmt.Sprintf("r%d", i), fmt.Sprintf("dev-%d", n), "1")
					if _, err := one.RunOnce(t.Context(), Request{}); err != nil {
						mu.Lock()
						failed++
						mu.Unlock()
					}
				}
			})
		}
		work.Wait()
		t.Logf("%d cycles that write, %d conflicts, %d gave up", replicas*cycles, conflicts, failed)
		if conflicts < cycles || failed > 0 {
			t.Errorf("of %d cycles that write %d gave up, after %d conflicts", replicas*cycles, failed, conflicts)
		}
	})
}
