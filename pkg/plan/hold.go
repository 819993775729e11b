package plan

import (
	"cmp"
	"slices"

	"github.com/tekton-sentry/sentry/pkg/config"
)

// Hold looks at the runs that have not finished, by their unit's label as ActiveOf gives them, and returns the plan with what
// on_busy makes of it:
//
//	active runs of the unit | queue              | cancel                   | parallel
//	------------------------+--------------------+--------------------------+---------
//	none                    | run                | run                      | run
//	others                  | moved to Waiting   | run, Cancel names them   | run
//	a part of what was due  | moved to Waiting   | moved to Waiting         | run
//	this run itself         | run                | run                      | run
//
// A run that is active itself was created before and not remembered: creating it again finds it. What waits for a
// place is not newer than the part that has one, and would be deployed instead of it if it cancelled it.
func (p Plan) Hold(active map[string][]Existing) Plan {
	held := p
	held.Runs, held.Waiting = nil, slices.Clone(p.Waiting)
	for _, r := range p.Runs {
		busy := active[r.Unit.Label]
		switch {
		case len(busy) == 0, slices.Contains(Names(busy), r.Name), r.Group.OnBusy == config.StartAtOnce:
			held.Runs = append(held.Runs, r)
		case r.Group.OnBusy == config.CancelOld && !slices.ContainsFunc(busy, func(e Existing) bool { return e.Trigger.Waiting > 0 }):
			r.Cancel, r.Behind = slices.Sorted(slices.Values(Names(busy))), busy
			held.Runs = append(held.Runs, r)
		default:
			r.Behind = busy
			held.Waiting = append(held.Waiting, r)
		}
	}
	return held
}

// MaxNewRuns bounds the runs that one repository gets in a cycle. To create one takes a third of a second where the
// cluster is slow, and a hundred pods that begin at once are more than most clusters have room for.
const MaxNewRuns = 30

// Paused returns the plan without the runs of the units that are paused, and those runs. Their refs do not advance, so that
// they are due, at the newest commit, once the unit is resumed.
func (p Plan) Paused() (rest Plan, paused []Run) {
	rest = p
	rest.Runs = nil
	for _, r := range p.Runs {
		if r.Pause = p.Snapshot.PausedAt(r.Unit.Label, r.Unit.Ref.Repository); r.Pause != nil {
			paused = append(paused, r)
		} else {
			rest.Runs = append(rest.Runs, r)
		}
	}
	return rest, paused
}

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
