package plan

import (
	"cmp"
	"slices"
	"time"

	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/state"
)

// Existing is a run that an engine has.
type Existing struct {
	Name    string
	Unit    string  // label of the unit that it says it belongs to
	Trigger Trigger // why it says it exists; without Refs where it does not say so
	// Signature is what it says proves that a Sentry made it; see Run.Signature.
	Signature string
	Created   time.Time // zero where the engine does not know
	Active    bool      // it has not finished
	Pending   bool      // it is held back, and does nothing until somebody lets it go
}

// ActiveOf returns the runs that have not finished, by their unit's label, in the order of
// runs: those of people too, such as reruns, for they deploy as well. Whoever may create runs could keep a
// unit from ever running by one that is held back, so such a run counts only where it is ours.
func ActiveOf(runs []Existing, ours func(Existing) bool) map[string][]Existing {
	active := make(map[string][]Existing)
	for _, r := range runs {
		if r.Active && (!r.Pending || ours(r)) {
			active[r.Unit] = append(active[r.Unit], r)
		}
	}
	return active
}

// Names returns the names of runs, in their order.
func Names(runs []Existing) []string {
	names := make([]string, len(runs))
	for i, r := range runs {
		names[i] = r.Name
	}
	return names
}

// Recover returns s with what it should remember of the runs, and the repositories of which that is news:
// a run whose N is above what s knows of its ref was created by a Sentry that died, or was cut off, before
// it could write. s itself stays as it is.
//
// Without it a change back to the SHA that s remembers would look like no change at all, while the cluster
// deploys another commit.
//
// Only a run that is Ours counts: neither one that somebody else made, nor a copy under another name, nor a run
// from before the state was deleted says anything about s.
func Recover(s state.Snapshot, k Key, runs []Existing) (state.Snapshot, map[string]bool) {
	runs = slices.DeleteFunc(slices.Clone(runs), func(r Existing) bool { return r.Trigger.Manual != "" || !r.Ours(k, s.Epoch) })
	slices.SortFunc(runs, func(a, b Existing) int {
		return cmp.Or(cmp.Compare(a.number(), b.number()), cmp.Compare(a.Name, b.Name))
	})
	var news map[string]bool
	for _, r := range runs {
		for _, c := range r.Trigger.Refs {
			if c.N <= counted(s, c.Ref) || s.Repositories[c.Repository].Damaged != nil {
				continue
			}
			if news == nil {
				s, news = s.Fork(), make(map[string]bool)
			}
			Run{Unit: Unit{Label: r.Unit}, Trigger: Trigger{Refs: []Change{c}}}.Remember(&s, r.Trigger.Seen)
			news[c.Repository] = true
		}
	}
	return s, news
}

// counted returns the N of the ref's last run that s knows of.
func counted(s state.Snapshot, ref repo.Ref) int {
	r := s.Repositories[ref.Repository]
	if b, ok := r.Branches[ref.Branch]; ok {
		return b.N
	}
	return r.Floor
}

// maxNumber bounds what an annotation may raise N to.
const maxNumber = state.MaxNumber

func (r Existing) number() int {
	if len(r.Trigger.Refs) == 0 {
		return 0
	}
	return r.Trigger.Refs[0].N
}

// After returns the run with an N above those of its unit's runs, which may be above what the state knows:
// the members that they were made for may have left the unit since.
func (r Run) After(runs []Existing) Run {
	last := 0
	for _, e := range runs {
		if e.Unit == r.Unit.Label && e.Ours(r.key.get(), r.epoch) {
			last = max(last, e.number())
		}
	}
	if last < r.Trigger.Refs[0].N {
		return r
	}
	return r.numbered(last + 1)
}
