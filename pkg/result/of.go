package result

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/oneline"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/plan/pinned"
)

// Bounds of what a result says of others' words.
const (
	maxWhy  = 400 // bytes of Why, and of Command
	maxLine = 200 // bytes of one line of Output
	maxWord = 40  // bytes of Word, which anybody may have made up
	// MaxLines is how many lines of Output there are at most.
	MaxLines = 10
)

// Of returns how a run that is over ended. The Outcome's tasks are deployments and their rollbacks alone. members say which
// commits they deploy, and may lack some or all of them: a Pipeline of the cluster has tasks of its own.
//
//	the deployments                                  the run
//	one failed, also where the run went on           failed, whatever its condition says
//	all else                                         succeeded, if its condition says so
//	cancelled, and the run of a newer change waits   superseded
//	cancelled                                        cancelled
//	one took too long, or all together               timed out
//	all else                                         failed
//
// What becomes of rollbacks changes nothing of that.
func Of(out engine.Outcome, run plan.Existing, members []pinned.Member) Result {
	rollbacks := map[string]engine.Task{}
	out.Tasks = slices.DeleteFunc(slices.Clone(out.Tasks), func(t engine.Task) bool {
		if t.RollbackOf != "" {
			rollbacks[t.RollbackOf] = t
		}
		return t.RollbackOf != ""
	})
	r := Result{
		Name: out.Name, Cluster: run.Cluster, Unit: run.Unit, Created: run.Created.UTC(), Reason: oneline.Of(out.Reason, maxWhy),
		Seen: run.Trigger.Seen, Manual: run.Trigger.Manual != "", Verdict: verdictOf(out),
	}
	if !out.Ended.IsZero() && !run.Created.IsZero() {
		r.Seconds = max(0, int(out.Ended.Sub(run.Created)/time.Second))
	}
	for _, c := range run.Trigger.Refs {
		r.Refs = append(r.Refs, Ref{c.Ref, c.New})
	}
	if len(r.Refs) > 0 {
		r.N, r.Word = run.Trigger.Refs[0].N, oneline.Of(run.Trigger.Manual, maxWord)
	}
	tasks := map[string]engine.Task{}
	for _, t := range out.Tasks {
		tasks[t.Name] = t
	}
	known := map[string]bool{}
	for _, m := range members {
		known[m.Task] = true
		member := Member{Task: m.Task, Ref: Ref{m.Ref, m.SHA}, QA: m.QA, Request: m.Request, Verdict: r.Verdict}
		if t, ok := tasks[m.Task]; ok {
			member.ended(t, r.Verdict, tasks)
		}
		r.Members = append(r.Members, member)
	}
	for _, t := range out.Tasks {
		if !known[t.Name] {
			member := Member{Task: t.Name}
			member.ended(t, r.Verdict, tasks)
			r.Members = append(r.Members, member)
		}
	}
	r.Why = r.why(out.Message)
	for i := range r.Members {
		m := &r.Members[i]
		if m.rolledBack(rollbacks[m.Task], r.Reason) && len(r.Members) == 1 {
			r.Why = m.Why
		}
	}
	if words := r.Rollbacks(); len(r.Members) > 1 && words != "" {
		r.Why = also(r.Why, words)
	}
	return r
}

func verdictOf(out engine.Outcome) Verdict {
	has := func(results ...engine.Result) bool {
		return slices.ContainsFunc(out.Tasks, func(t engine.Task) bool { return slices.Contains(results, t.Result) })
	}
	switch {
	case has(engine.Failed, engine.Ignored):
		return Failed
	case out.Succeeded:
		return Succeeded
	case out.Reason == "Cancelled" && out.Superseded != "":
		return Superseded
	case out.Reason == "Cancelled":
		return Cancelled
	case out.Reason == "PipelineRunTimeout", has(engine.TimedOut):
		return TimedOut
	case has(engine.Cancelled):
		return Cancelled // somebody cancelled a TaskRun
	}
	return Failed
}

// ended takes over how the member's task ended in a run of the verdict.
func (m *Member) ended(t engine.Task, run Verdict, tasks map[string]engine.Task) {
	if !t.Start.IsZero() && !t.End.IsZero() {
		m.Seconds = max(0, int(t.End.Sub(t.Start)/time.Second))
		m.Began = t.Start
	}
	switch t.Result {
	case engine.Succeeded:
		m.Verdict = Succeeded
		return
	case engine.Skipped, "":
		m.Verdict, m.Why = Skipped, skipped(t, run, tasks)
		return
	case engine.Failed, engine.Ignored:
		m.Verdict = Failed
	case engine.TimedOut:
		m.Verdict = TimedOut
	case engine.Cancelled:
		if m.Verdict = Cancelled; run == Superseded || run == TimedOut {
			m.Verdict = run
		}
	default: // it did not end in time
		if m.Verdict = run; run == Succeeded {
			m.Verdict = Failed
		}
	}
	m.Why, m.Command, m.Exit = oneline.Of(t.Message, maxWhy), oneline.Of(t.Command, maxWhy), t.Exit
	for _, line := range t.Output[max(0, len(t.Output)-MaxLines):] {
		m.Output = append(m.Output, oneline.Of(line, maxLine))
	}
}

// rolledBack takes over how the member's rollback ended, in a run that ended for the reason. It reports whether there is
// something to say of it.
func (m *Member) rolledBack(t engine.Task, reason string) bool {
	var words string
	switch t.Result {
	case engine.Succeeded:
		m.Rollback, words = Succeeded, "rolled back"
	case engine.TimedOut:
		m.Rollback, words = TimedOut, "the rollback took too long"
	case engine.Cancelled:
		m.Rollback, words = Cancelled, "the rollback was cancelled"
	case "", engine.Skipped:
		if t.Result == "" || reason != "Cancelled" || m.Verdict != Failed && m.Verdict != TimedOut {
			return false
		}
		words = "not rolled back, as the run was cancelled"
	default:
		m.Rollback, words = Failed, "the rollback failed: "+t.Message
	}
	if m.Verdict == Succeeded {
		m.Verdict, m.Why = RolledBack, "another deployment failed"
	}
	m.Why = also(m.Why, words)
	return true
}

// Rollbacks says what became of the rollbacks of the run's deployments; "" where none began.
func (r Result) Rollbacks() string {
	var back, not []string
	for _, m := range r.Members {
		switch m.Rollback {
		case "":
		case Succeeded:
			back = append(back, m.Task)
		default:
			not = append(not, m.Task)
		}
	}
	var words []string
	if len(back) > 0 {
		words = append(words, "rolled back: "+strings.Join(back, ","))
	}
	if len(not) > 0 {
		words = append(words, "rollback failed: "+strings.Join(not, ","))
	}
	return strings.Join(words, "; ")
}

// also returns both, of which the latter has its room: the former is cut where both are too long.
func also(why, words string) string {
	words = oneline.Of(words, maxWhy/2)
	return strings.TrimPrefix(oneline.Of(why, maxWhy-len(words)-len("; "))+"; "+words, "; ")
}

// skipped says why a task did not begin.
func skipped(t engine.Task, run Verdict, tasks map[string]engine.Task) string {
	// What it waits for may have been skipped itself: the first of the chain is the cause.
	for range len(tasks) {
		i := slices.IndexFunc(t.After, func(name string) bool {
			before, ok := tasks[name]
			return ok && before.Result != engine.Succeeded && before.Result != engine.Ignored
		})
		if i < 0 {
			break
		}
		t = tasks[t.After[i]]
		switch t.Result {
		case engine.Failed:
			return t.Name + ", for which it waits, failed"
		case engine.TimedOut:
			return t.Name + ", for which it waits, took too long"
		case engine.Cancelled:
			return t.Name + ", for which it waits, was cancelled"
		}
	}
	switch run {
	case Failed:
		for _, other := range tasks {
			if other.Result == engine.Failed {
				return "the run ended before its turn, as another deployment failed"
			}
		}
	case Cancelled, Superseded:
		return "the run was cancelled before its turn"
	case TimedOut:
		return "the time of the run was over before its turn"
	}
	return oneline.Of(t.Message, maxWhy)
}

// why returns the words of the first member that ended as the run did, or that has some, or those of the run.
func (r Result) why(message string) string {
	switch r.Verdict {
	case Succeeded:
		return ""
	case Superseded:
		return "a newer change replaces it"
	}
	for _, wanted := range []Verdict{r.Verdict, Failed, TimedOut, Cancelled} {
		for _, m := range r.Members {
			if m.Verdict != wanted || m.Why == "" {
				continue
			}
			if len(r.Members) == 1 {
				return m.Why
			}
			return oneline.Of(fmt.Sprintf("%s: %s", m.Task, m.Why), maxWhy)
		}
	}
	return oneline.Of(message, maxWhy)
}

// Redacted returns the result with what hide leaves of each text that comes from a deployment.
func (r Result) Redacted(hide func(string) string) Result {
	r.Why = hide(r.Why)
	r.Members = slices.Clone(r.Members)
	for i, m := range r.Members {
		m.Why, m.Command, m.Output = hide(m.Why), hide(m.Command), slices.Clone(m.Output)
		for j := range m.Output {
			m.Output[j] = hide(m.Output[j])
		}
		r.Members[i] = m
	}
	return r
}

// Tasks returns the names of the members of the verdict.
func (r Result) Tasks(v Verdict) []string {
	var names []string
	for _, m := range r.Members {
		if m.Verdict == v {
			names = append(names, m.Task)
		}
	}
	return names
}
