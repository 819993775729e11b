package watch

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/event"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/plan/naming"
	"github.com/tekton-sentry/sentry/pkg/plan/places"
)

// free returns the plan without what a pause or a window holds back.
func (c *cycle) free(p plan.Plan) plan.Plan {
	p, paused := p.Paused()
	p, frozen := places.Frozen(p, c.Now())
	for _, r := range slices.Concat(paused, frozen) {
		c.wait(r)
	}
	return p
}

// hold returns those of a cluster's runs whose unit is not busy, and those that replace what keeps it busy. list has the runs of these units
// and of others, but for those of unlisted clusters.
func (c *cycle) hold(ctx context.Context, p plan.Plan, list []engine.Run, unlisted engine.Unlisted) []plan.Run {
	if len(p.Runs) == 0 {
		return nil
	}
	cluster := p.Runs[0].Group.Cluster
	why := unlisted[cluster]
	if why == nil {
		why = c.unlisted[cluster] // it is not known yet what else there is
	}
	if why != nil {
		for _, r := range p.Runs {
			c.due(r)
			c.problem(r, engine.Unreachable, why)
		}
		return nil
	}
	for _, r := range p.Runs {
		if was := c.next.Units[r.Unit.Label].Problem; was != nil && was.Kind == engine.Unreachable {
			c.forget(r.Unit.Label)
		}
	}
	list = slices.DeleteFunc(slices.Clone(list), func(r engine.Run) bool { return r.Cluster != cluster })
	existing := engine.Existing(list)
	if p.Runs = c.current(p.Runs, existing); len(p.Runs) == 0 {
		return nil
	}
	c.hearEnds(ctx, p.Runs, list)
	p.Runs = c.succeeded(p.Runs)
	p = places.Spared(p.Hold(plan.ActiveOf(existing, c.ours)), c.Now())
	for _, r := range p.Waiting {
		c.wait(r)
		c.blame(r)
	}
	return p.Runs
}

// replace cancels the runs that r replaces, unless it cannot be made. It starts when they have ended, in a later cycle: two must
// not deploy at once.
func (c *cycle) replace(ctx context.Context, r plan.Run) {
	if err := c.Engine.Check(c.Config, r); err != nil {
		c.problem(r, plan.CannotGenerate, err)
		return
	}
	defer c.wait(r)
	call, done := outlasting(ctx)
	defer done()
	for _, name := range r.Cancel {
		if ctx.Err() != nil {
			return
		}
		c.Tell(event.RunCancelled{Unit: r.Unit.Label, Name: name, For: r.Name, Err: c.Engine.Cancel(call, naming.At(r.Group.Cluster, name), r.Name)})
	}
}

// wait notes a run that waits for its unit, and tells it once.
func (c *cycle) wait(r plan.Run) {
	c.due(r)
	c.report.Waiting++
	c.waiting[r.Name] = true
	if !c.Watcher.waiting[r.Name] {
		c.Tell(event.RunWaiting{Run: r})
	}
}

// held is the kind of the problem on a unit whose changes wait for a run that was started or is held back by hand.
const held = "held"

// blame notes in the state when a change waits for a run that no `sentry watch` made, such as a rerun by hand. Nothing
// says when that one ends, and whoever may create runs could keep a unit waiting by it.
func (c *cycle) blame(run plan.Run) {
	label := run.Unit.Label
	old := c.next.Units[label].Problem
	known := old != nil
	for _, e := range run.Behind {
		if c.ours(e) && !e.Pending {
			continue
		}
		if known && old.Kind == held && !strings.Contains(old.Message, " "+e.Name+",") {
			c.forget(label) // of another run than this one
		}
		err := fmt.Errorf("a change waits for the run %s, which was started or is held back by hand: wait for its end, or cancel it", e.Name)
		if c.next.SetProblem(label, held, err, c.Now()) {
			c.Tell(event.UnitHeld{Unit: label, Name: e.Name})
		}
		return
	}
	if known && old.Kind == held {
		c.forget(label)
	}
}

// forget takes the problem of a unit away.
func (c *cycle) forget(unit string) {
	c.next = c.next.Fork()
	c.next.DropProblem(unit)
}
