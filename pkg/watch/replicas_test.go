package watch

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/repo"
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
}
