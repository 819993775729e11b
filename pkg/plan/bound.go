package plan

import (
	"cmp"
	"slices"
)

// Bound returns the runs that are made in this cycle, at most that many of one repository, and the runs that wait for
// the next one. Who pushes hundreds of branches at once then keeps nobody else waiting, and fills the cluster bit by
// bit. A group has one run at a time, which counts for no repository.
//
// turns has the cycle in which a unit had its last turn, by label. Units whose turn was longest ago come first, since a
// run that the cluster refuses is due again in each cycle. Branches that moved come before new ones.
func Bound(runs []Run, most int, turns map[string]int) (now, later []Run) {
	order := slices.Clone(runs)
	slices.SortStableFunc(order, func(a, b Run) int {
		return cmp.Or(cmp.Compare(turns[a.Unit.Label], turns[b.Unit.Label]), compareBools(a.isNew(), b.isNew()))
	})
	count := make(map[string]int)
	waits := make(map[string]bool)
	for _, r := range order {
		if name := r.Unit.Ref.Repository; r.Unit.Group == "" {
			count[name]++
			waits[r.Unit.Label] = count[name] > most
		}
	}
	for _, r := range runs {
		if waits[r.Unit.Label] {
			later = append(later, r)
		} else {
			now = append(now, r)
		}
	}
	return now, later
}

// isNew reports whether nothing of what triggered the run was deployed before.
func (r Run) isNew() bool {
	return !slices.ContainsFunc(r.Trigger.Refs, func(c Change) bool { return c.Old != "" })
}
