package watch

import (
	"context"
	"log/slog"
	"slices"
	"strings"
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
	if n := run.Trigger.Waiting; n > 0 {
		c.Log.Info("one run does not hold all changes; the others wait for the unit's next run",
			"unit", run.Unit.Label, "run", run.Name, "changes", len(run.Trigger.Refs), "waiting", n)
	}
}

// logWaiting names the runs that the new one waits for, and when the first of them began.
func (c *cycle) logWaiting(run plan.Run) {
	since := run.Behind[0].Created
	for _, r := range run.Behind {
		if r.Created.Before(since) {
			since = r.Created
		}
	}
	c.Log.Info("a change waits for the unit's active run", "unit", run.Unit.Label, "run", run.Name,
		"active", strings.Join(plan.Names(run.Behind), ", "), "since", since)
}

// logEvents tells what was noticed; changes that made a run are told by the run.
func (c *cycle) logEvents() {
	var failing, recovered groups
	var seen []plan.Event
	for _, e := range c.events {
		args := []any{"repo", e.Ref.Repository}
		if e.Ref.Branch != "" {
			args = append(args, "branch", e.Ref.Branch)
		}
		switch e.Kind {
		case plan.FirstSeen:
			seen = append(seen, e)
		case plan.Forgotten:
			c.Log.Info("branch was deleted: forgotten", append(args, "sha", e.From.Short())...)
		case plan.Failing:
			if c.cycles == 0 {
				continue // the first cycle's summary names all that cannot be read
			}
			failing.add(e.Ref.Repository, e.Detail)
		case plan.Recovered:
			recovered.add(e.Ref.Repository, "")
		default:
			c.Log.Debug(string(e.Kind), append(args, "sha", e.To.Short())...)
		}
	}
	c.logFirstSeen(seen)
	failing.log(c.Log.Error, "cannot read the repository; its branches count as unchanged", "cannot read the repositories; their branches count as unchanged")
	recovered.log(c.Log.Info, "the repository can be read again", "the repositories can be read again")
}

// logFirstSeen has a line for each repository, or one for many, as at the first start: the others are for debugging then.
func (c *cycle) logFirstSeen(seen []plan.Event) {
	const few, message = 20, "first seen: recorded, nothing runs"
	write := c.Log.Info
	if len(seen) > few {
		c.Log.Info(message, "repositories", len(seen))
		write = c.Log.Debug
	}
	for _, e := range seen {
		write(message, "repo", e.Ref.Repository, "branches", e.Detail)
	}
}

// groups are repositories by what is wrong with them, so that a host that is down is not told of 500 times.
type groups struct {
	order []string // of the errors
	repos map[string][]string
}

func (g *groups) add(repository, err string) {
	if g.repos == nil {
		g.repos = map[string][]string{}
	}
	if g.repos[err] == nil {
		g.order = append(g.order, err)
	}
	g.repos[err] = append(g.repos[err], repository)
}

// log writes a line for each repository of a small group, and one for a large one, which names the first ten.
func (g *groups) log(write func(string, ...any), one, many string) {
	const few, named = 3, 10
	for _, err := range g.order {
		var args []any
		if err != "" {
			args = []any{"err", err}
		}
		repos := slices.Sorted(slices.Values(g.repos[err])) // the hosts answer in any order
		if len(repos) > few {
			text := strings.Join(repos[:min(named, len(repos))], ", ")
			if len(repos) > named {
				text += ", …"
			}
			write(many, append([]any{"repositories", len(repos), "repo", text}, args...)...)
			continue
		}
		for _, r := range repos {
			write(one, append([]any{"repo", r}, args...)...)
		}
	}
}

// summarize ends the cycle with one line: at info for the first cycle and for one that did something,
// because somebody who starts Sentry wants to see that it works and what does not.
func (c *cycle) summarize(ctx context.Context, start time.Time) {
	if c.report.Stopped {
		c.Log.Info("stopped before the cycle was done; the next start does the rest", "created", len(c.report.Created))
		return
	}
	level := slog.LevelDebug
	if c.cycles == 0 || len(c.report.Created) > 0 {
		level = slog.LevelInfo
	}
	if c.cycles == 0 {
		var failing groups
		for i := range c.observed {
			name := c.Config.Repositories[i].Name
			if why := c.failing(i); why != "" && !c.Watcher.damaged[name] { // of which logDamaged tells
				failing.add(name, why)
			}
		}
		failing.log(c.Log.Warn, "cannot read the repository", "cannot read the repositories")
	}
	c.Watcher.cycles++
	c.Watcher.waiting = c.waiting
	c.Log.Log(ctx, level, "cycle done", "repositories", c.report.Repositories, "failing", c.report.Failing,
		"created", len(c.report.Created), "waiting", c.report.Waiting, "problems", c.report.Problems,
		"took", c.Now().Sub(start).Round(time.Millisecond))
}
