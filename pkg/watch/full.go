package watch

import (
	"context"

	"github.com/tekton-sentry/sentry/pkg/state"
)

// failing returns why a repository counts as unchanged, "" when it does not. That may lie in its answer, or in what the
// state can hold.
func (c *cycle) failing(i int) string {
	if err := c.observed[i].Err; err != nil {
		return err.Error()
	}
	if p := c.next.Repositories[c.Config.Repositories[i].Name].Problem; p != nil {
		return p.Message
	}
	return ""
}

// rememberRuns saves what matters most of a state that is too large: the runs, which take hardly more than those before
// them, and why nothing else is saved, for `sentry status`. Where not even the runs fit, that alone. The caller returns
// the error: whether any of this is saved changes nothing about it.
func (c *cycle) rememberRuns(ctx context.Context, why error) {
	runs, _ := c.recovered(c.stored, c.made)
	for i, next := range []state.Snapshot{runs, c.stored} {
		next.SetProblem(state.Whole, "too large", why, c.Now())
		if next.Equal(c.stored) {
			c.saved = i == 0
			return
		}
		if err := c.Store.Save(ctx, next); err == nil {
			c.report.Wrote++
			c.saved = i == 0
			return
		}
	}
}
