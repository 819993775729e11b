package watch

import (
	"context"
	"fmt"
	"slices"

	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/event"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/plan/naming"
	"github.com/tekton-sentry/sentry/pkg/plan/places"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

// inTurn returns the runs that this cycle makes, and tells of the repositories that have more than it makes.
func (c *cycle) inTurn(runs []plan.Run) []plan.Run {
	turns := map[string]int{}
	for _, r := range runs {
		turns[r.Unit.Label] = c.turns[r.Unit.Ref.Repository][r.Unit.Label]
	}
	now, later := places.Bound(runs, places.MaxNewRuns, turns)
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
			c.Tell(event.RunsDeferred{Repository: name, Runs: waiting[name], Most: places.MaxNewRuns})
		}
		c.turns[name][r.Unit.Label] = turns[r.Unit.Label]
	}
	c.report.Waiting += len(later)
	return now
}

// placed returns the runs that have a place of global.max_runs. The engine counts its active runs once, when something is due. Those
// that people make in another cluster take no place of units elsewhere.
func (c *cycle) placed(ctx context.Context, runs []plan.Run) []plan.Run {
	most := c.Config.Global.MaxRuns
	if most == 0 || len(runs) == 0 {
		return runs
	}
	if c.crowd < 0 {
		active, err := engine.Active(ctx, c.Engine, func(r plan.Existing) bool { return r.Busy(c.ours) && (r.Cluster == "" || c.ours(r)) })
		if err != nil {
			if ctx.Err() == nil {
				c.errs = append(c.errs, fmt.Errorf("count the runs that are active: %w", err))
			}
			return nil
		}
		c.crowd = active
		c.places.Begin(most-active, c.whole)
	}
	return c.places.Take(c.next, runs, c.complete)
}

// complete reports whether it is known by now what is due in a unit: it is looked at, and none of its members has yet to answer.
func (c *cycle) complete(u naming.Unit) bool {
	looked := false
	for _, i := range c.index.Of(u) {
		switch c.observed[i].Status {
		case repo.Pending:
			return false
		case repo.Skipped:
		default:
			looked = true
		}
	}
	return looked
}

// unreadable reports whether a host did not tell what is due in a unit.
func (c *cycle) unreadable(u naming.Unit) bool {
	return slices.ContainsFunc(c.index.Of(u), func(i int) bool { return c.observed[i].Err != nil })
}

// fill has the places that are left taken, now that all hosts have answered, and tells of the runs that wait for one.
func (c *cycle) fill(ctx context.Context) {
	if c.crowd < 0 || ctx.Err() != nil {
		return
	}
	now, later := c.places.End(c.next, c.whole, c.unreadable)
	c.create(ctx, now)
	c.work()
	for _, r := range later {
		r.MaxRuns = c.Config.Global.MaxRuns
		c.wait(r)
	}
}
