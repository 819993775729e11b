package e2e

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"

	"github.com/tekton-sentry/sentry/pkg/pipelinerun"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

// ledger is what was pushed, and what Sentry did meanwhile.
type ledger struct {
	pushes map[repo.Ref][]push // in their order; the first is what the ref was when Sentry first saw it
	cycles []span              // that succeeded in everything, of any Sentry
	atOnce map[string]bool     // labels of the units whose runs may overlap, and names of their repositories
}

// push is one commit, pushed between two times.
type push struct {
	sha            repo.SHA
	began, arrived time.Time
}

// span is a time from and to.
type span struct{ from, to time.Time }

// ran is one PipelineRun.
type ran struct {
	name, unit         string
	trigger            plan.Trigger
	created, completed time.Time // to the second
}

func newRan(t *testing.T, pr *v1.PipelineRun) ran {
	t.Helper()
	trigger, err := pipelinerun.TriggerOf(pr)
	if err != nil {
		t.Fatal(err)
	}
	r := ran{name: pr.Name, unit: pr.Labels[pipelinerun.LabelUnit], trigger: trigger, created: pr.CreationTimestamp.Time}
	if pr.Status.CompletionTime != nil {
		r.completed = pr.Status.CompletionTime.Time
	}
	return r
}

// account compares the runs with what was pushed and returns what is wrong:
//   - a run for a commit that nobody pushed, or that was there from the start;
//   - a commit with two runs;
//   - a branch whose last commit has no run, which also accounts for the commits that it superseded;
//   - a commit without a run that was head during a whole good cycle, where no run waits for another one;
//   - and with one Sentry: a commit that ran after a newer one, or two runs of a unit at once where they must not be.
func (l *ledger) account(runs []ran) []string {
	var wrong []string
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	runs = slices.SortedStableFunc(slices.Values(runs), func(a, b ran) int {
		return cmp.Or(a.created.Compare(b.created), cmp.Compare(a.name, b.name))
	})
	of := map[repo.Ref]map[repo.SHA][]ran{}
	newest := map[repo.Ref]ranCommit{}
	for _, r := range runs {
		for _, c := range r.trigger.Refs {
			if of[c.Ref] == nil {
				of[c.Ref] = map[repo.SHA][]ran{}
			}
			of[c.Ref][c.New] = append(of[c.Ref][c.New], r)
			i := slices.IndexFunc(l.pushes[c.Ref], func(p push) bool { return p.sha == c.New })
			if i < 1 {
				say("run %s: nobody pushed %s to %s", r.name, c.New.Short(), c.Ref)
				continue
			}
			if last := newest[c.Ref]; last.index > i && last.run.created.Before(r.created) {
				say("run %s of %s, push %d of %s, was created after run %s of push %d", r.name, c.New.Short(), i, c.Ref, last.run.name, last.index)
			}
			if i >= newest[c.Ref].index {
				newest[c.Ref] = ranCommit{i, r}
			}
		}
	}
	for _, ref := range slices.SortedFunc(maps.Keys(l.pushes), repo.Ref.Compare) {
		pushes := l.pushes[ref]
		for i, p := range pushes[1:] {
			had := of[ref][p.sha]
			last := i == len(pushes)-2
			switch {
			case len(had) > 1:
				say("push %d of %s, %s, has %d runs: %s and %s", i+1, ref, p.sha.Short(), len(had), had[0].name, had[1].name)
			case len(had) == 0 && last:
				say("the last push of %s, %s, has no run", ref, p.sha.Short())
			case len(had) == 0 && l.atOnce[ref.Repository] && l.stood(p, pushes[i+2]):
				say("push %d of %s, %s, was head for a whole cycle and has no run", i+1, ref, p.sha.Short())
			}
		}
	}
	return append(wrong, l.overlaps(runs)...)
}

// ranCommit is a run of a ref's push of that index.
type ranCommit struct {
	index int
	run   ran
}

// stood reports whether a good cycle began after p had arrived and ended before the next push began.
func (l *ledger) stood(p, next push) bool {
	return slices.ContainsFunc(l.cycles, func(c span) bool { return c.from.After(p.arrived) && c.to.Before(next.began) })
}

// overlaps returns the runs that were created before an earlier one of their unit had ended. Both times are
// cut to the second, so that what it finds is true and what is shorter than a second it may miss.
func (l *ledger) overlaps(runs []ran) []string {
	var wrong []string
	active := map[string]ran{} // the run of the unit that ends last
	for _, r := range runs {
		before, ok := active[r.unit]
		if ok && !l.atOnce[r.unit] && r.created.Before(before.completed) {
			wrong = append(wrong, fmt.Sprintf("run %s of unit %s was created %s before run %s ended", r.name, r.unit, before.completed.Sub(r.created), before.name))
		}
		if !ok || r.completed.After(before.completed) {
			active[r.unit] = r
		}
	}
	return wrong
}
