// Package places shares out the places that global.max_runs allows among the runs that are due. It is pure.
//
// The hosts answer one after the other, so that not all that is due is known at once. What waited before and was not answered yet
// has its place kept in its turn: else the host that answers first would have all of them, in each cycle.
package places

import (
	"cmp"
	"container/heap"
	"maps"
	"slices"
	"time"

	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/plan/naming"
	"github.com/tekton-sentry/sentry/pkg/state"
)

// Queue are the units that wait for a place, from one cycle to the next. The zero Queue is empty.
type Queue struct {
	waiting  map[string]turn   // by label
	given    map[string]string // by label, the run that a unit was given a place for last, and which was not made if it is due again
	kept     map[string]turn   // those of waiting that were not answered yet in this cycle
	granted  map[string]string // what is given in this cycle
	promised map[string]turn   // by label, those of this cycle that replace an active run, and have its place once that has ended
	cycle    int               // how many there were
	taken    map[string]int    // places that a repository or a group got in this cycle
	free     int
	rest     []plan.Run // that have no place
}

// turn is what decides who comes first.
type turn struct {
	unit     naming.Unit
	priority int
	promised bool      // the run that it replaces was cancelled
	unread   bool      // it could not be read when everything was looked at last
	again    bool      // it had a place, and its run was not made
	last     time.Time // when its repository, or one of its group, was acted upon last
	since    int       // the cycle since which it waits
}

// Begin begins a cycle with so many free places, which may be less than none. whole is whether everything is looked at: else what could
// not be read has no place kept, as it is not known whether it can be by now.
func (q *Queue) Begin(free int, whole bool) {
	q.free, q.rest, q.taken, q.kept = free, nil, map[string]int{}, maps.Clone(q.waiting)
	q.granted, q.promised = map[string]string{}, map[string]turn{}
	if !whole {
		maps.DeleteFunc(q.kept, func(_ string, t turn) bool { return t.unread })
	}
	q.cycle++
}

// Take returns the runs that have a place, and those that are to cancel the runs that they replace: they have the place of these
// in a later cycle, whatever becomes due meanwhile. The others are kept until End. answered reports whether it is known by now what is
// due in a unit.
func (q *Queue) Take(s state.Snapshot, runs []plan.Run, answered func(naming.Unit) bool) []plan.Run {
	maps.DeleteFunc(q.kept, func(_ string, t turn) bool { return answered(t.unit) })
	runs, q.rest = slices.Concat(q.rest, runs), nil
	return q.share(s, runs)
}

// End returns the runs that have a place now that all hosts have answered, and those that wait for a later cycle. whole is whether
// everything was looked at: else what waits elsewhere keeps its turn. unread reports whether a unit could not be read: others have
// its place meanwhile, and it is where it was in the line once it can be read again.
func (q *Queue) End(s state.Snapshot, whole bool, unread func(naming.Unit) bool) (now, later []plan.Run) {
	if whole {
		clear(q.kept)
	}
	runs := q.rest
	q.rest = nil
	now = q.share(s, runs)
	waiting, last := map[string]turn{}, map[string]time.Time{}
	for label, t := range q.waiting {
		t.unread = unread(t.unit) || t.unread && !whole
		if _, has := q.granted[label]; !has && t.unread {
			waiting[label] = t
		}
	}
	maps.Copy(waiting, q.kept)
	for _, r := range q.rest {
		waiting[r.Unit.Label] = q.turnOf(s, r, last)
	}
	maps.Copy(waiting, q.promised)
	q.waiting = waiting
	q.turnOver(whole)
	return now, q.rest
}

// turnOver keeps what was given until the next cycle. Who could not use a place and let others go first has its turn as before.
func (q *Queue) turnOver(whole bool) {
	given := map[string]string{}
	if !whole {
		maps.Copy(given, q.given)
	}
	maps.Copy(given, q.granted)
	for _, r := range q.rest {
		delete(given, r.Unit.Label)
		if len(q.granted) == 0 && q.given[r.Unit.Label] == r.Name {
			given[r.Unit.Label] = r.Name
		}
	}
	q.given = given
}

// share gives free places to those whose turn it is: first to who was promised one. Who had one and could not use it is last, as it may be so for ever; of the others
// those of the highest priority are first; of those one whose repository or group got fewer in this cycle; of those the one that was acted
// upon longest ago; of its branches one that waits for longer. Who replaces an active run needs no more room than that leaves. Nobody is passed by.
func (q *Queue) share(s state.Snapshot, runs []plan.Run) (now []plan.Run) {
	for _, r := range runs {
		delete(q.kept, r.Unit.Label)
	}
	if q.free <= 0 && !slices.ContainsFunc(runs, func(r plan.Run) bool { return len(r.Cancel) > 0 }) {
		q.rest = runs
		return nil
	}
	line, last := newLine(q.taken), map[string]time.Time{}
	for i := range runs {
		line.add(candidate{q.turnOf(s, runs[i], last), &runs[i]})
	}
	for _, t := range q.kept {
		line.add(candidate{turn: t})
	}
	line.begin()
	kept, placed := map[string]int{}, map[string]bool{} // places that are kept for a repository or a group; labels of those that have one
	for free := q.free; len(line.owners) > 0 && free+line.first().leaves() > 0; {
		c := line.next()
		switch {
		case c.run == nil:
			kept[c.owner()]++
			free--
			continue
		case c.leaves() > 0:
			c.promised = true
			q.promised[c.unit.Label] = c.turn
		default:
			q.free--
			free--
			q.granted[c.unit.Label] = c.run.Name
		}
		placed[c.unit.Label] = true
		now = append(now, *c.run)
	}
	for owner, n := range kept {
		q.taken[owner] -= n
	}
	for _, r := range runs {
		if !placed[r.Unit.Label] {
			q.rest = append(q.rest, r)
		}
	}
	return now
}

// owner is what has its turn as one: a group, or a repository with all of its branches.
func (t turn) owner() string { return cmp.Or(t.unit.Group, t.unit.Ref.Repository) }

// turnOf returns the turn of a run. last has when repositories were acted upon, of those that were looked at.
func (q *Queue) turnOf(s state.Snapshot, r plan.Run, last map[string]time.Time) turn {
	t := turn{unit: r.Unit, priority: r.Group.Priority, again: q.given[r.Unit.Label] == r.Name, since: q.cycle}
	if before, waits := q.waiting[r.Unit.Label]; waits {
		t.promised, t.since = before.promised, before.since
	}
	for _, m := range r.Members {
		at, known := last[m.Repository.Name]
		if !known {
			for _, b := range s.Repositories[m.Repository.Name].Branches.All() {
				if b.Time.After(at) {
					at = b.Time
				}
			}
			last[m.Repository.Name] = at
		}
		if at.After(t.last) {
			t.last = at
		}
	}
	return t
}

// candidate is who may have a place.
type candidate struct {
	turn
	run *plan.Run // nil of one that is kept
}

// leaves returns how many places it leaves that it has now.
func (c candidate) leaves() int {
	if c.run == nil {
		return 0
	}
	return len(c.run.Cancel)
}

// before compares two of one owner.
func (c candidate) before(o candidate) int {
	return cmp.Or(c.ahead(o), c.last.Compare(o.last), cmp.Compare(c.since, o.since), cmp.Compare(c.unit.Label, o.unit.Label))
}

// ahead compares by what counts more than whose turn it is.
func (c candidate) ahead(o candidate) int {
	return cmp.Or(plan.FalseFirst(!c.promised, !o.promised), plan.FalseFirst(c.again, o.again), cmp.Compare(o.priority, c.priority))
}

// line are the candidates in their order, which changes as their owners get places.
type line struct {
	taken  map[string]int
	of     map[string]*owner
	owners []*owner // a heap
}

// owner has its candidates, the first one first.
type owner struct {
	name       string
	candidates []candidate
}

func newLine(taken map[string]int) *line { return &line{taken: taken, of: map[string]*owner{}} }

func (l *line) add(c candidate) {
	name := c.owner()
	if l.of[name] == nil {
		l.of[name] = &owner{name: name}
		l.owners = append(l.owners, l.of[name])
	}
	l.of[name].candidates = append(l.of[name].candidates, c)
}

func (l *line) begin() {
	for _, o := range l.owners {
		slices.SortFunc(o.candidates, candidate.before)
	}
	heap.Init(l)
}

// first returns who comes next.
func (l *line) first() candidate { return l.owners[0].candidates[0] }

// next takes who comes next out of the line, and counts a place for its owner.
func (l *line) next() candidate {
	o := l.owners[0]
	c := o.candidates[0]
	l.taken[o.name]++
	if o.candidates = o.candidates[1:]; len(o.candidates) == 0 {
		heap.Pop(l)
	} else {
		heap.Fix(l, 0)
	}
	return c
}

// Len implements heap.Interface.
func (l *line) Len() int { return len(l.owners) }

// Less implements heap.Interface.
func (l *line) Less(i, j int) bool {
	a, b := l.owners[i].candidates[0], l.owners[j].candidates[0]
	return cmp.Or(a.ahead(b), cmp.Compare(l.taken[a.owner()], l.taken[b.owner()]), a.before(b)) < 0
}

// Swap implements heap.Interface.
func (l *line) Swap(i, j int) { l.owners[i], l.owners[j] = l.owners[j], l.owners[i] }

// Push implements heap.Interface.
func (l *line) Push(o any) { l.owners = append(l.owners, o.(*owner)) }

// Pop implements heap.Interface.
func (l *line) Pop() any {
	o := l.owners[len(l.owners)-1]
	l.owners = l.owners[:len(l.owners)-1]
	return o
}
