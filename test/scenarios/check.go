package scenarios

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tekton-sentry/sentry/pkg/engine"
)

// Check says everything in which the outcome differs from what the case wants, or nil. Times are compared
// by their second, as Kubernetes keeps them: a task ran from its start until just before its end, so that
// one which starts in the second in which another ends does not overlap it.
func (c Case) Check(out engine.Outcome) error {
	var errs []error
	differs := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !out.Done || out.Succeeded != c.Want.Succeeded || !slices.Contains(c.Want.Reasons, out.Reason) {
		differs("got done=%v succeeded=%v %s (%s), want done=true succeeded=%v %s",
			out.Done, out.Succeeded, out.Reason, out.Message, c.Want.Succeeded, strings.Join(c.Want.Reasons, " or "))
	}
	tasks := map[string]engine.Task{}
	for _, t := range out.Tasks {
		tasks[t.Name] = t
	}
	var ran []engine.Task
	for i, m := range c.Members {
		t, ok := tasks[m.Name]
		if want := c.Want.Results[i]; !ok || t.Result != want {
			differs("%s: got %q (%s), want %s", m.Name, t.Result, t.Message, want)
		}
		if hasRun(t) {
			ran = append(ran, t)
		} else if ok && t.Result != engine.Skipped {
			differs("%s: ran from %v to %v, want a start and a later end", m.Name, t.Start, t.End)
		}
	}
	if n, at := mostRunning(ran); c.Want.MaxRunning > 0 && n > c.Want.MaxRunning {
		differs("got %d members running at %v, want at most %d: %s", n, at, c.Want.MaxRunning, spans(ran))
	}
	named := func(names []string) []engine.Task {
		var some []engine.Task
		for _, name := range names {
			if t := tasks[name]; hasRun(t) {
				some = append(some, t)
			} else {
				differs("%s: did not run", name)
			}
		}
		return some
	}
	if some := named(c.Want.Overlap); len(some) > 0 {
		if n, _ := mostRunning(some); n < len(some) {
			differs("got at most %d of %v running at once, want all: %s", n, c.Want.Overlap, spans(some))
		}
	}
	some := named(c.Want.Order)
	for i := 1; i < len(some); i++ {
		if second(some[i].Start).Before(second(some[i-1].End)) {
			differs("got %s started before %s had ended, want one after the other: %s", some[i].Name, some[i-1].Name, spans(some))
		}
	}
	for _, t := range out.Tasks {
		want := engine.Skipped
		if slices.Contains(c.Want.RolledBack, t.RollbackOf) {
			want = engine.Succeeded
		}
		if t.RollbackOf != "" && t.Result != want {
			differs("the rollback of %s: got %q (%s), want %s", t.RollbackOf, t.Result, t.Message, want)
		}
	}
	for _, name := range c.Want.RolledBack {
		if !slices.ContainsFunc(out.Tasks, func(t engine.Task) bool { return t.RollbackOf == name }) {
			differs("%s: has no rollback", name)
		}
	}
	if len(errs) > 0 {
		return fmt.Errorf("case %s: %w", c.Name, errors.Join(errs...))
	}
	return nil
}

func second(t time.Time) time.Time { return t.Truncate(time.Second) }

func hasRun(t engine.Task) bool {
	return !t.Start.IsZero() && !t.End.IsZero() && !t.End.Before(t.Start)
}

// mostRunning returns how many of the tasks ran at the same moment at most, and such a moment: it can only
// be one at which a task starts.
func mostRunning(tasks []engine.Task) (int, time.Time) {
	most, moment := 0, time.Time{}
	for _, t := range tasks {
		at, n := second(t.Start), 0
		for _, o := range tasks {
			if !second(o.Start).After(at) && second(o.End).After(at) {
				n++
			}
		}
		if n > most {
			most, moment = n, at
		}
	}
	return most, moment
}

// spans shows when the tasks ran.
func spans(tasks []engine.Task) string {
	var all []string
	for _, t := range tasks {
		all = append(all, fmt.Sprintf("%s %s to %s", t.Name, t.Start.Format(time.TimeOnly), t.End.Format(time.TimeOnly)))
	}
	return strings.Join(all, ", ")
}
