package plan

import (
	"slices"

	"github.com/tekton-sentry/sentry/pkg/config"
)

// Hold looks at the runs that have not finished, by their unit's label as ActiveOf gives them, and returns the plan with what
// on_busy makes of it:
//
//	active runs of the unit | queue              | cancel                   | parallel
//	------------------------+--------------------+--------------------------+---------
//	none                    | run                | run                      | run
//	others                  | moved to Waiting   | once it has a place and  | run
//	                        |                    | can be made: run, Cancel |
//	                        |                    | names them               |
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
