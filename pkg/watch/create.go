package watch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/event"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/plan/naming"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

// nameTries bounds the search for a name that nothing else has taken.
const nameTries = 10

// create resolves the QA revisions of the runs and creates each as soon as its own are known, or cancels what it replaces.
func (c *cycle) create(ctx context.Context, runs []plan.Run) {
	if len(runs) == 0 {
		return
	}
	for _, run := range runs {
		c.due(run)
	}
	qa := newQA(runs)
	for _, i := range qa.answer(nil) { // those without a QA repository
		c.createOne(ctx, runs[i], nil)
	}
	c.ask(ctx, qa.want, func(batch map[int]repo.Observation) {
		for _, i := range qa.answer(batch) {
			c.createOne(ctx, runs[i], qa.heads(i))
		}
	})
}

func (c *cycle) createOne(ctx context.Context, run plan.Run, qa []repo.Observation) {
	run, err := run.Pin(qa)
	if err != nil {
		c.problem(run, "qa", err)
		return
	}
	if len(run.Cancel) > 0 {
		c.replace(ctx, run)
		return
	}
	call, done := outlasting(ctx)
	defer done()
	for range nameTries {
		if ctx.Err() != nil {
			return
		}
		asked := c.Now()
		if h, in := run.Group.NotOn.At(asked); in { // a window that began while the QA repositories were read
			run.Freeze = &h
			c.wait(run)
			return
		}
		made, err := c.Engine.Create(call, c.Config, run)
		kind := createKind(err)
		if err != nil && kind != plan.CannotGenerate {
			// A failed call may have created the run all the same.
			c.unsure[run.At()] = true
		}
		switch {
		case err != nil && call.Err() != nil:
			return // it was cut short: the next start looks
		case errors.Is(err, engine.ErrNameTaken):
			ours, err := c.isOurs(call, run)
			if err != nil && call.Err() == nil {
				c.problem(run, "create", err)
			}
			if err != nil {
				return
			}
			if ours {
				c.Tell(event.OtherSentry{Unit: run.Unit.Label, Name: run.Name})
				return
			}
			run = run.Next()
			c.due(run)
			continue
		case err != nil:
			c.problem(run, kind, err)
			return
		}
		c.exists(made, asked)
		return
	}
	c.problem(run, "create", fmt.Errorf("%w, and so are the %d names after it", engine.ErrNameTaken, nameTries))
}

// exists notes a run that the engine has, and that this cycle created or found when it asked.
func (c *cycle) exists(made engine.Made, asked time.Time) {
	run := made.Run
	run.Remember(&c.next, c.Now())
	c.made = append(c.made, run.Existing())
	delete(c.unsure, run.At())
	at := run.Unit.Label
	if naming.Share(at, run.Unit.Ref) != at {
		at = "" // it shares its room with other units
	}
	if at = naming.At(run.Group.Cluster, at); !slices.Contains(c.pruning, at) {
		c.pruning = append(c.pruning, at)
	}
	if made.NoRoom != nil {
		c.trouble(event.UnitFailing{Unit: run.Unit.Label, Name: run.Name, Kind: plan.NoRoom, Err: made.NoRoom, Made: true})
	}
	if made.Existed {
		c.Tell(event.RunFound{Run: run})
		return
	}
	c.report.Created = append(c.report.Created, run.Name)
	c.Tell(event.RunCreated{Run: run, Looked: c.began, Asked: asked, Made: c.Now()})
}

// due tells once of a run that is to follow.
func (c *cycle) due(run plan.Run) {
	if !c.owing[run.Name] && !c.Watcher.owing[run.Name] {
		c.Tell(event.RunDue{Run: run, Reason: c.reason})
	}
	c.owing[run.Name] = true
}

// createKind tells apart what may go away by itself from what a person has to mend, so that the one does not
// hide the other: a problem is written again only when its kind changes.
func createKind(err error) string {
	k, ok := errors.AsType[interface {
		error
		ProblemKind() string
	}](err)
	if !ok || k.ProblemKind() == "temporary" {
		return "create"
	}
	if kind := k.ProblemKind(); kind == plan.CannotGenerate || kind == engine.Unreachable {
		return kind
	}
	return "create-" + k.ProblemKind()
}

// problem notes why a unit's run was not made.
func (c *cycle) problem(run plan.Run, kind string, err error) {
	c.trouble(event.UnitFailing{Unit: run.Unit.Label, Name: run.Name, Kind: kind, Err: err})
}

// trouble notes what is wrong with a unit. An unchanged kind is not written again: an idle cycle writes nothing.
func (c *cycle) trouble(e event.UnitFailing) {
	c.report.Problems++
	if c.next.SetProblem(e.Unit, e.Kind, e.Err, c.Now()) || c.cycles == 0 {
		c.Tell(e)
	}
}
