package plan

import (
	"cmp"
	"slices"
	"strings"

	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/state"
)

// Existing is a run that an engine has.
type Existing struct {
	Name    string
	Unit    string  // label of the unit that it says it belongs to
	Trigger Trigger // why it says it exists; without Refs where it does not say so
	Active  bool    // it has not finished
}

// ActiveOf returns the names of the runs that have not finished, by their unit's label, in the order of
// runs: those of people too, such as reruns, for they deploy as well.
func ActiveOf(runs []Existing) map[string][]string {
	active := make(map[string][]string)
	for _, r := range runs {
		if r.Active {
			active[r.Unit] = append(active[r.Unit], r.Name)
		}
	}
	return active
}

// Recover returns s with what it should remember of the runs, and the repositories of which that is news:
// a run whose N is above what s knows of its ref was created by a Sentry that died, or was cut off, before
// it could write. s itself stays as it is.
//
// Without it a change back to the SHA that s remembers would look like no change at all, while the cluster
// deploys another commit.
//
// Only a run of which OwnName holds counts: neither a copy that a person made under another name nor a
// run from before the state was deleted says anything about s.
func Recover(s state.Snapshot, runs []Existing) (state.Snapshot, map[string]bool) {
	runs = slices.DeleteFunc(slices.Clone(runs), func(r Existing) bool { return r.Trigger.Manual != "" || !r.OwnName(s.Epoch) })
	slices.SortFunc(runs, func(a, b Existing) int {
		return cmp.Or(cmp.Compare(a.number(), b.number()), cmp.Compare(a.Name, b.Name))
	})
	var news map[string]bool
	for _, r := range runs {
		for _, c := range r.Trigger.Refs {
			if c.N <= counted(s, c.Ref) {
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

// OwnName reports whether the run has the name that follows from its unit and its trigger under this
// epoch, and all that the state can hold: then a Sentry on this state made it.
func (r Existing) OwnName(epoch string) bool {
	for _, c := range r.Trigger.Refs {
		_, err := repo.ParseSHA(string(c.New))
		if c.N != r.number() || c.N < 0 || c.N > maxNumber || c.Repository == "" || err != nil || repo.CheckBranch(c.Branch) != nil {
			return false
		}
	}
	return len(r.Trigger.Refs) > 0 && strings.HasSuffix(r.Name, "-"+nameHash(epoch, r.Unit, r.Trigger.Manual, r.number()))
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
		if e.Unit == r.Unit.Label && e.OwnName(r.epoch) {
			last = max(last, e.number())
		}
	}
	if last < r.Trigger.Refs[0].N {
		return r
	}
	return r.numbered(last + 1)
}
