package explain

import (
	"fmt"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/state"
)

// memory says what is remembered of the repository and of the branch.
func (x *subject) memory() {
	if p := x.known.Units[state.Whole].Problem; p != nil {
		x.say(Statement{Kind: StateFull, Since: p.Since}, "The state has been too large to be saved since %s: %s. Runs are remembered all the same; first sights and all else wait until there is room.",
			x.ago(p.Since), p.Message)
	}
	entry, known := x.known.Repositories[x.r.Name]
	if entry.Damaged != nil {
		x.say(Statement{Kind: StateDamaged}, "What is remembered of %s is damaged: %s.", x.r.Name, entry.Problem.Message)
		return
	}
	if entry.Problem != nil {
		x.failing(*entry.Problem)
	}
	if !known || entry.Unseen {
		x.say(Statement{Kind: NeverSeen}, "No look at %s has succeeded yet, so nothing is remembered of it and nothing ran.", x.r.Name)
		return
	}
	b, ok := entry.Branches.Lookup(x.ref.Branch)
	switch {
	case !ok && x.has(NotWatched):
		return
	case !ok:
		x.say(Statement{Kind: NotRemembered}, "Nothing is remembered of %s: no good answer of the host had it, or its first run could not be made yet.", x.ref)
		return
	case b.Forgotten():
		x.say(Statement{Kind: Forgotten, SHA: b.SHA}, "%s is forgotten: two good answers of the host in a row did not have it. No run follows from that.", x.ref)
		return
	}
	x.remembered(entry, b)
	if p := b.PassedSince(); p != nil {
		x.say(Statement{Kind: PassedOver, SHA: p.SHA, Since: p.Time}, "Its head %s was passed over at %s: %s, so it runs nothing. The next commit that is not passed over goes on from %s.",
			p.SHA.Short(), x.ago(p.Time), x.passed(p.Why), b.SHA.Short())
	}
	if b.Redo {
		x.say(Statement{Kind: CutOff}, "A later run was cut off when Sentry ended on this machine, so it is due at whatever head it has.")
	}
	if b.Missing > 0 {
		x.say(Statement{Kind: MissingOnce}, "The last good answer of the host did not have it. A second one in a row forgets it; no run follows from that.")
	}
}

// failing says what keeps the repository from being read.
func (x *subject) failing(p state.Problem) {
	what, then := "cannot be read", ""
	switch githost.Kind(p.Kind) {
	case githost.Temporary:
		then = "That goes away by itself, or does not: Sentry tries in each cycle, and less often while the host fails (its circuit breaker; the log has that)."
	case githost.RateLimited:
		then = "The host's limit is used up. Sentry asks again once the host grants more, which its log tells."
	case githost.Denied:
		then = "Its credential (monitor.auth) is missing, wrong, expired or lacks a right. Sentry tries again, and takes a new one without a restart."
	case githost.NotFound:
		then = "It is not there, or its credential (monitor.auth) may not see it: check monitor.repo_url."
	case githost.NoBranch:
		then = "It answers, and has no branch that monitor.branches matches."
	default:
		switch p.Kind {
		case "no room for new branches":
			what, then = "has no room for new branches", "Those that are remembered go on; new ones wait until branches that are gone are forgotten."
		case "too many branches":
			what, then = "is not followed", "Nothing of it runs until monitor.branches is narrowed."
		}
	}
	x.say(Statement{Kind: CannotBeRead, Since: p.Since}, "%s %s since %s, and it began with: %s. Its branches count as unchanged meanwhile. %s", x.r.Name, what, x.ago(p.Since), p.Message, then)
}

// remembered says how the commit came to be acted upon.
func (x *subject) remembered(entry state.Repository, b state.Branch) {
	s := Statement{SHA: b.SHA, Since: b.Time}
	at := fmt.Sprintf("%s was acted upon at %s, %s", x.ref, b.SHA.Short(), x.ago(b.Time))
	run := x.runOf(b)
	switch {
	case run.name != "" && x.news[x.r.Name] && x.Snapshot.Repositories[x.r.Name].Branches.Get(x.ref.Branch).N < b.N:
		s.Kind, s.Run = NotYetLearned, run.name
		x.say(s, "The run %s deploys %s at %s, and the state does not know that yet: Sentry learns it when it starts, before it makes another run, or within an hour.", run.name, x.ref, b.SHA.Short())
	case run.name != "":
		s.Kind, s.Run = ActedUpon, run.name
		as := ""
		if run.isNew {
			as = " as a new " + x.noun()
		}
		x.say(s, "%s%s, by the run %s.", at, as, run.name)
	case b.N == 0 && x.noun() != "branch":
		s.Kind = Recorded
		x.say(s, "%s was recorded at %s when %ss of %s were looked for the first time, %s. Nothing ran for that.", x.ref, b.SHA.Short(), x.noun(), x.r.Name, x.ago(b.Time))
	case b.N == 0:
		s.Kind = Recorded
		x.say(s, "%s was recorded at %s when %s was seen for the first time, %s. Nothing ran for that (on_first_seen: %s).", x.ref, b.SHA.Short(), x.r.Name, x.ago(b.Time), config.Record)
	case x.begun(b) != "":
		s.Kind, s.Run = RunGone, x.begun(b)
		x.say(s, "%s, by the run %s, which has not ended: it works still, or was cut off when Sentry ended, and is deployed again by the next start then.", at, s.Run)
	case x.noun() != "branch": // one that is recorded has the number of those that were forgotten
		s.Kind = RunOrRecord
		x.say(s, "%s: it was recorded when %ss of %s were looked for, or by a run of which nothing is left.", at, x.noun(), x.r.Name)
	case b.N > entry.Floor:
		s.Kind = RunGone
		x.say(s, "%s, by a run that is not there any more, and of which the history has nothing.", at)
	default:
		s.Kind = RunOrRecord
		x.say(s, "%s: it was recorded when %s was seen, or by a run of which nothing is left.", at, x.r.Name)
	}
}

// passed says why a head runs nothing.
func (x *subject) passed(why repo.Pass) string {
	switch {
	case why == repo.Untouched && x.r.Monitor.Paths == nil:
		return "nothing changed that monitor.paths matched"
	case why == repo.Untouched:
		return fmt.Sprintf("nothing changed since what ran last that monitor.paths of %s match (%s)", x.r.Name, x.r.Monitor.Paths)
	}
	if x.r.Monitor.Ignore == nil {
		return "its message matched monitor.ignore"
	}
	return fmt.Sprintf("its message matches %q, which is monitor.ignore of %s", x.r.Monitor.Ignore, x.r.Name)
}

// begun returns the run of this machine that acted upon b and has not ended, or "".
func (x *subject) begun(b state.Branch) string {
	for _, r := range x.Begun {
		for _, c := range r.Trigger.Refs {
			if c.Ref == x.ref && c.New == b.SHA && c.N == b.N {
				return r.Name
			}
		}
	}
	return ""
}

// ago says when something was, and how long ago that is.
func (x *subject) ago(t time.Time) string {
	if t.IsZero() {
		return "an unknown time"
	}
	return fmt.Sprintf("%s (%s ago)", t.UTC().Format("2006-01-02 15:04:05 UTC"), span(x.Now.Sub(t)))
}

// span is a duration as people say it, in its two largest parts.
func span(d time.Duration) string {
	s := max(0, int(d.Seconds()))
	parts := []struct {
		size int
		unit string
	}{{86400, "d"}, {3600, "h"}, {60, "m"}, {1, "s"}}
	for i, p := range parts[:3] {
		if n := s / p.size; n > 0 {
			if rest := s % p.size / parts[i+1].size; rest > 0 {
				return fmt.Sprintf("%d%s%d%s", n, p.unit, rest, parts[i+1].unit)
			}
			return fmt.Sprintf("%d%s", n, p.unit)
		}
	}
	return fmt.Sprintf("%ds", s)
}
