package plan

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/plan/naming"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/state"
)

// world is a random history: people push, branches come and go, hosts fail, Sentry crashes, the file is
// edited. Its methods check after each step what must hold in every history.
type world struct {
	t     *testing.T
	seed  uint64
	rand  *rand.Rand
	all   []config.Repository // that there can be
	in    []config.Repository // that are configured
	now   time.Time
	heads map[repo.Ref]repo.SHA
	past  []repo.SHA
	// touched counts what people did to a ref: between two counts one run is enough.
	touched map[repo.Ref]int

	stored  state.Snapshot
	cluster map[string]Trigger // all runs that there ever were
	units   map[string]string  // the labels of their units
	done    map[string]bool    // those that are remembered
	ran     map[string]string  // ref and how often it was touched -> the run that was created for it
	calm    bool               // nothing fails any more
}

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{
		t: t, seed: seed, rand: rand.New(rand.NewPCG(seed, 1)), now: noon,
		heads: map[repo.Ref]repo.SHA{}, touched: map[repo.Ref]int{}, stored: state.Snapshot{Epoch: "e"},
		cluster: map[string]Trigger{}, units: map[string]string{}, done: map[string]bool{}, ran: map[string]string{},
	}
	w.all = []config.Repository{
		watched(t, "solo", "", ".*"), watched(t, "web", "site", "main", ".*"), watched(t, "rag", "", "main", "dev.*"),
		watched(t, "api", "site", ".*"), watched(t, "db", "other", ".*"),
	}
	w.in = slices.Clone(w.all)
	for _, r := range w.all {
		w.push(repo.Ref{Repository: r.Name, Branch: "main"})
	}
	return w
}

func (w *world) fail(format string, args ...any) {
	w.t.Helper()
	w.t.Fatalf("seed %d, %s: %s", w.seed, w.now.Format(time.TimeOnly), fmt.Sprintf(format, args...))
}

// chance is true in percent of 100 cases, and never when the world is calm.
func (w *world) chance(percent int) bool { return w.rand.IntN(100) < percent && !w.calm }

func (w *world) push(ref repo.Ref) {
	to := repo.SHA(fmt.Sprintf("%040x", len(w.past)+1))
	if len(w.past) > 0 && w.rand.IntN(3) == 0 {
		to = w.past[w.rand.IntN(len(w.past))] // back to a commit of before
	}
	w.past = append(w.past, to)
	w.heads[ref] = to
	w.touched[ref]++
}

// people do something, or nothing.
func (w *world) people() {
	for w.chance(60) {
		ref := repo.Ref{Repository: w.all[w.rand.IntN(len(w.all))].Name, Branch: []string{"main", "dev-1", "dev-2"}[w.rand.IntN(3)]}
		if ref.Branch != "main" && w.chance(40) {
			delete(w.heads, ref)
			w.touched[ref]++
		} else {
			w.push(ref)
		}
	}
	if w.chance(20) {
		w.rand.Shuffle(len(w.in), func(i, j int) { w.in[i], w.in[j] = w.in[j], w.in[i] })
	}
	if w.chance(5) && len(w.in) > 2 {
		w.in = slices.Delete(w.in, 0, 1)
	}
	if w.chance(5) {
		w.in = slices.Clone(w.all)
	}
}

func (w *world) observe() Input {
	w.now = w.now.Add(time.Minute)
	in := Input{Config: file(w.in...), Snapshot: w.stored, Now: w.now}
	for _, r := range w.in {
		o := repo.Observation{Heads: map[string]repo.SHA{}}
		for ref, sha := range w.heads {
			if ref.Repository == r.Name {
				o.Heads[ref.Branch] = sha
			}
		}
		switch {
		case w.chance(15):
			o = failed("temporary", "down")
		case w.chance(5):
			o = pending
		}
		in.Observed = append(in.Observed, o)
	}
	return in
}

// cycle is what watch does, with its accidents.
func (w *world) cycle() {
	existing := w.existing()
	w.stored, _ = Recover(w.stored, naming.Key{}, existing, true) // what watch does after calls that failed
	in := w.observe()
	p := Make(in)
	w.sameInOtherOrder(in, p)
	active := map[string][]Existing{}
	for _, r := range p.Runs {
		if w.chance(20) {
			active[r.Unit.Label] = []Existing{{Name: "another"}}
		}
	}
	p = p.Hold(active)
	for i, r := range p.Runs {
		p.Runs[i] = r.After(existing)
	}
	var remembered []string
	for _, r := range p.Runs {
		if w.chance(10) {
			continue // the engine is down
		}
		if _, taken := w.cluster[r.Name]; !taken && w.chance(3) {
			w.cluster[r.Name] = Trigger{Manual: "somebody else's"}
		}
		r = w.create(r)
		if w.chance(10) {
			continue // the answer is lost
		}
		r.Remember(&p.Snapshot, w.now)
		remembered = append(remembered, r.Name)
	}
	if w.chance(15) {
		return // a crash before the state is written
	}
	w.checkAdvance(in, p.Snapshot)
	data, err := state.Encode(p.Snapshot)
	if err != nil {
		w.fail("the snapshot cannot be stored: %v", err)
	}
	if w.stored, err = state.Decode(data); err != nil {
		w.fail("the snapshot cannot be read: %v", err)
	}
	for _, name := range remembered {
		w.done[name] = true
	}
}

// existing returns all runs as an engine does.
func (w *world) existing() (runs []Existing) {
	for name, trigger := range w.cluster {
		runs = append(runs, Existing{Name: name, Unit: w.units[name], Trigger: trigger})
	}
	return runs
}

// create is what an engine does, and watch when the name is taken.
func (w *world) create(r Run) Run {
	for {
		old, exists := w.cluster[r.Name]
		switch {
		case exists && old.Equal(r.Trigger):
			if w.done[r.Name] {
				w.fail("a change got the name of a run that was remembered: %s", describe(r))
			}
			return r
		case exists && old.Manual == "":
			w.fail("%s has the name of another trigger's run: %+v", describe(r), old)
		case exists:
			r = r.Next()
			continue
		}
		w.cluster[r.Name], w.units[r.Name] = r.Trigger, r.Unit.Label
		if r.Unit.Group == "" {
			c := r.Trigger.Refs[0]
			key := fmt.Sprintf("%s#%d", c.Ref, w.touched[c.Ref])
			if other, twice := w.ran[key]; twice {
				w.fail("%s ran already, as %s", describe(r), other)
			}
			w.ran[key] = r.Name
		}
		return r
	}
}

// sameInOtherOrder checks that a restart with the file in another order plans the same names and state.
func (w *world) sameInOtherOrder(in Input, p Plan) {
	other := in
	other.Config, other.Observed = file(), nil
	for _, i := range w.rand.Perm(len(w.in)) {
		other.Config.Repositories = append(other.Config.Repositories, in.Config.Repositories[i])
		other.Observed = append(other.Observed, in.Observed[i])
	}
	other.Config.Groups = in.Config.Groups
	other.Now = in.Now.Add(time.Second)
	q := Make(other)
	names := func(p Plan) (names []string) {
		for _, r := range p.Runs {
			names = append(names, r.Name)
		}
		return slices.Sorted(slices.Values(names))
	}
	if !slices.Equal(names(p), names(q)) {
		w.fail("the same changes are named %v and, with the file in another order, %v", names(p), names(q))
	}
}

// checkAdvance checks that nothing is remembered as acted upon that did not run.
func (w *world) checkAdvance(in Input, next state.Snapshot) {
	for name, entry := range next.Repositories {
		was, known := in.Snapshot.Repositories[name]
		for branch, b := range entry.Branches.All() {
			old, _ := was.Branch(branch)
			if b.Forgotten() || b.SHA == old.SHA || !known || was.Unseen {
				continue
			}
			ref := repo.Ref{Repository: name, Branch: branch}
			ran := slices.ContainsFunc(slices.Collect(maps.Values(w.cluster)), func(t Trigger) bool {
				return slices.Contains(t.Refs, Change{Ref: ref, N: b.N, Old: old.SHA, New: b.SHA})
			})
			if !ran {
				w.fail("%s went from %s to %s, and no run was made", ref, old.SHA, b.SHA)
			}
		}
	}
}

// checkQuiet checks that all is remembered and that an idle cycle writes nothing.
func (w *world) checkQuiet() {
	in := w.observe()
	p := Make(in)
	if len(p.Runs)+len(p.Waiting)+len(p.Events) > 0 || !p.Snapshot.Equal(w.stored) {
		w.fail("an idle cycle has runs %v, events %v, snapshot\n%+v, want\n%+v", describeAll(p.Runs), describeEvents(p.Events), p.Snapshot, w.stored)
	}
	for i, r := range w.in {
		entry := w.stored.Repositories[r.Name]
		got := map[string]repo.SHA{}
		for branch, b := range entry.Branches.All() {
			got[branch] = b.SHA
		}
		if !maps.Equal(got, in.Observed[i].Heads) || entry.Problem != nil || entry.Unseen {
			w.fail("%s: remembered %+v, want the heads %v", r.Name, entry, in.Observed[i].Heads)
		}
	}
}

// Whatever happens, no change is lost, none runs twice, and no name is used for two changes.
func TestAnyHistory(t *testing.T) {
	for seed := range uint64(100) {
		w := newWorld(t, seed)
		for range 60 {
			w.people()
			w.cycle()
		}
		w.calm = true
		for range 4 {
			w.cycle()
		}
		w.checkQuiet()
	}
}
