package watch

import (
	"context"
	"log/slog"
	"time"

	"github.com/tekton-sentry/sentry/pkg/plan"
)

func (c *cycle) logCreated(run plan.Run) {
	args := []any{"unit", run.Unit.Label, "run", run.Name}
	for _, ref := range run.Trigger.Refs {
		args = append(args, slog.Group("", "repo", ref.Repository, "branch", ref.Branch, "sha", ref.New.Short()))
	}
	if len(run.LeftOut) > 0 {
		args = append(args, "left_out", run.LeftOut)
	}
	c.Log.Info("created pipeline run", args...)
}

// logEvents tells what was noticed; changes that made a run are told by the run.
func (c *cycle) logEvents() {
	for _, e := range c.events {
		args := []any{"repo", e.Ref.Repository}
		if e.Ref.Branch != "" {
			args = append(args, "branch", e.Ref.Branch)
		}
		switch e.Kind {
		case plan.FirstSeen:
			c.Log.Info("first seen: recorded, nothing runs", append(args, "branches", e.Detail)...)
		case plan.Forgotten:
			c.Log.Info("branch was deleted: forgotten", append(args, "sha", e.From.Short())...)
		case plan.Failing:
			if c.cycles == 0 {
				continue // the first cycle's summary names all that cannot be read
			}
			c.Log.Error("cannot read the repository; its branches count as unchanged", append(args, "err", e.Detail)...)
		case plan.Recovered:
			c.Log.Info("the repository can be read again", args...)
		default:
			c.Log.Debug(string(e.Kind), append(args, "sha", e.To.Short())...)
		}
	}
}

// summarize ends the cycle with one line: at info for the first cycle and for one that did something,
// because somebody who starts Sentry wants to see that it works and what does not.
func (c *cycle) summarize(ctx context.Context, start time.Time) {
	level := slog.LevelDebug
	if c.cycles == 0 || len(c.report.Created) > 0 {
		level = slog.LevelInfo
	}
	if c.cycles == 0 {
		for i, o := range c.observed {
			if o.Err != nil {
				c.Log.Warn("cannot read the repository", "repo", c.Config.Repositories[i].Name, "err", o.Err)
			}
		}
	}
	c.Watcher.cycles++
	c.Watcher.waiting = c.waiting
	c.Log.Log(ctx, level, "cycle done", "repositories", c.report.Repositories, "failing", c.report.Failing,
		"created", len(c.report.Created), "waiting", c.report.Waiting, "problems", c.report.Problems,
		"took", c.Now().Sub(start).Round(time.Millisecond))
}
