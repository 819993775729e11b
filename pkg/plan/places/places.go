// Package places shares out the places that global.max_runs allows among the runs that are due. It is pure.
//
// The hosts answer one after the other, so that not all that is due is known at once. What waited before and was not answered yet
// has its place kept in its turn: else the host that answers first would have all of them, in each cycle.
package places

import (
	"cmp"
	"slices"
	"time"

	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/plan/naming"
	"github.com/tekton-sentry/sentry/pkg/state"
)

// Queue are the units that wait for a place, from one cycle to the next. The zero Queue is empty.
type Queue struct {
	waiting map[string]turn   // by label
	given   map[string]string // by label, the run that a unit was given a place for last, and which was not made if it is due again
	kept    map[string]turn   // those of them that were not answered yet in this cycle
	taken   map[string]int    // places that a repository or a group got in this cycle
	free    int
	rest    []plan.Run // that have no place
}

// turn is what decides who comes first.
type turn struct {
	unit     naming.Unit
	priority int
	again    bool      // it had a place, and its run was not made
	last     time.Time // when its repository, or one of its group, was acted upon last
}

// Begin begins a cycle with so many free places, which may be less than none.
func (q *Queue) Begin(free int) {
	q.free, q.rest, q.taken, q.kept = free, nil, map[string]int{}, map[string]turn{}
	if q.given == nil {
		q.given = map[string]string{}
	}
	for label, t := range q.waiting {
		q.kept[label] = t
	}
}

// Take returns the runs that have a place. The others are kept until End. answered reports whether it is known by now what is
// due in a unit.
func (q *Queue) Take(s state.Snapshot, runs []plan.Run, answered func(naming.Unit) bool) []plan.Run {
	for label, t := range q.kept {
		if answered(t.unit) {
			delete(q.kept, label)
		}
	}
	runs, q.rest = slices.Concat(q.rest, runs), nil
	return q.share(s, runs)
}

// End returns the runs that have a place now that all hosts have answered, and those that wait for a later cycle. whole is whether
// everything was looked at: else what waits elsewhere keeps its turn.
func (q *Queue) End(s state.Snapshot, whole bool) (now, later []plan.Run) {
	if whole {
		clear(q.kept)
	}
	runs := q.rest
	q.rest = nil
	now = q.share(s, runs)
	q.waiting = q.kept
	for _, r := range q.rest {
		q.waiting[r.Unit.Label] = q.turnOf(s, r)
	}
	return now, q.rest
}

// share gives free places to those whose turn it is: who had one and could not use it is last, as it may be so for ever; of the others those of the highest priority; of those one whose repository or group got fewer
// in this cycle; of those the one that was acted upon longest ago.
func (q *Queue) share(s state.Snapshot, runs []plan.Run) (now []plan.Run) {
	type candidate struct {
		turn
		run *plan.Run // nil of one that is kept
	}
	var candidates []candidate
	for i := range runs {
		delete(q.kept, runs[i].Unit.Label)
		candidates = append(candidates, candidate{q.turnOf(s, runs[i]), &runs[i]})
	}
	for _, t := range q.kept {
		candidates = append(candidates, candidate{turn: t})
	}
	before := func(a, b candidate) int {
		return cmp.Or(plan.FalseFirst(a.again, b.again), cmp.Compare(b.priority, a.priority), cmp.Compare(q.taken[a.owner()], q.taken[b.owner()]), a.last.Compare(b.last),
			cmp.Compare(a.unit.Label, b.unit.Label))
	}
	kept := map[string]int{} // places that are kept for a repository or a group
	for free := q.free; free > 0 && len(candidates) > 0; free-- {
		first := slices.MinFunc(candidates, before)
		i := slices.IndexFunc(candidates, func(c candidate) bool { return c.unit.Label == first.unit.Label })
		candidates = slices.Delete(candidates, i, i+1)
		q.taken[first.owner()]++
		if first.run == nil {
			kept[first.owner()]++
			continue
		}
		q.free--
		q.given[first.unit.Label] = first.run.Name
		now = append(now, *first.run)
	}
	for owner, n := range kept {
		q.taken[owner] -= n
	}
	for _, c := range candidates {
		if c.run != nil {
			q.rest = append(q.rest, *c.run)
		}
	}
	return now
}

// owner is what has its turn as one: a group, or a repository with all of its branches.
func (t turn) owner() string { return cmp.Or(t.unit.Group, t.unit.Ref.Repository) }

func (q *Queue) turnOf(s state.Snapshot, r plan.Run) turn {
	t := turn{unit: r.Unit, priority: r.Group.Priority, again: q.given[r.Unit.Label] == r.Name}
	for _, m := range r.Members {
		for _, b := range s.Repositories[m.Repository.Name].Branches {
			if b.Time.After(t.last) {
				t.last = b.Time
			}
		}
	}
	return t
}
