package watch

import (
	"github.com/tekton-sentry/sentry/pkg/event"
	"github.com/tekton-sentry/sentry/pkg/plan"
)

// inTurn returns the runs that this cycle makes, and tells of the repositories that have more than it makes.
func (c *cycle) inTurn(runs []plan.Run) []plan.Run {
	turns := map[string]int{}
	for _, r := range runs {
		turns[r.Unit.Label] = c.turns[r.Unit.Ref.Repository][r.Unit.Label]
	}
	now, later := plan.Bound(runs, plan.MaxNewRuns, turns)
	waiting := map[string]int{}
	for _, r := range later {
		waiting[r.Unit.Ref.Repository]++
	}
	for _, r := range now {
		turns[r.Unit.Label] = c.cycles + 1
	}
	for _, r := range runs {
		delete(c.turns, r.Unit.Ref.Repository)
	}
	for _, r := range runs {
		name := r.Unit.Ref.Repository
		if waiting[name] == 0 {
			continue
		}
		if c.turns[name] == nil {
			c.turns[name] = map[string]int{}
			c.Tell(event.RunsDeferred{Repository: name, Runs: waiting[name], Most: plan.MaxNewRuns})
		}
		c.turns[name][r.Unit.Label] = turns[r.Unit.Label]
	}
	c.report.Waiting += len(later)
	return now
}
