package places

import (
	"cmp"
	"slices"
	"time"

	"github.com/tekton-sentry/sentry/pkg/plan"
)

// Frozen returns the plan without the runs of the units in one of whose windows now is, and those runs. As those of paused units
// they are due, at the newest commit, once it ends.
func Frozen(p plan.Plan, now time.Time) (rest plan.Plan, frozen []plan.Run) {
	rest = p
	rest.Runs = nil
	for _, r := range p.Runs {
		if h, in := r.Group.NotOn.At(now); in {
			r.Freeze = &h
			frozen = append(frozen, r)
		} else {
			rest.Runs = append(rest.Runs, r)
		}
	}
	return rest, frozen
}

// spare is how long before a window no active run is replaced: its successor, which waits for its end, may not have begun by then.
const spare = 10 * time.Minute

// Spared returns the plan, after Hold, in which nothing is cancelled soon before a window: what would replace an active run waits for its end.
func Spared(p plan.Plan, now time.Time) plan.Plan {
	spared := p
	spared.Runs, spared.Waiting = nil, slices.Clone(p.Waiting)
	for _, r := range p.Runs {
		if len(r.Cancel) > 0 && frozenSoon(r, now) {
			r.Cancel = nil
			spared.Waiting = append(spared.Waiting, r)
		} else {
			spared.Runs = append(spared.Runs, r)
		}
	}
	return spared
}

// frozenSoon reports whether a window of the run's unit begins soon. None is shorter than a minute.
func frozenSoon(r plan.Run, now time.Time) bool {
	for ahead := time.Duration(0); ahead <= spare && len(r.Group.NotOn) > 0; ahead += time.Minute {
		if _, in := r.Group.NotOn.At(now.Add(ahead)); in {
			return true
		}
	}
	return false
}

// MaxNewRuns bounds the runs that one repository gets in a cycle. To create one takes a third of a second where the
// cluster is slow, and a hundred pods that begin at once are more than most clusters have room for.
const MaxNewRuns = 30

// Bound returns the runs that are made in this cycle, at most that many of one repository, and the runs that wait for
// the next one. Who pushes hundreds of branches at once then keeps nobody else waiting, and fills the cluster bit by
// bit. A group has one run at a time, which counts for no repository.
//
// turns has the cycle in which a unit had its last turn, by label. Units whose turn was longest ago come first, since a
// run that the cluster refuses is due again in each cycle. Branches that moved come before new ones.
func Bound(runs []plan.Run, most int, turns map[string]int) (now, later []plan.Run) {
	order := slices.Clone(runs)
	slices.SortStableFunc(order, func(a, b plan.Run) int {
		return cmp.Or(cmp.Compare(turns[a.Unit.Label], turns[b.Unit.Label]), plan.FalseFirst(isNew(a), isNew(b)))
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
func isNew(r plan.Run) bool {
	return !slices.ContainsFunc(r.Trigger.Refs, func(c plan.Change) bool { return c.Old != "" })
}
