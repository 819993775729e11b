package explain

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/result"
	"github.com/tekton-sentry/sentry/pkg/state"
)

// found is the run that acted upon what is remembered of a branch.
type found struct {
	name  string
	isNew bool // the branch was new to it
	live  *engine.Run
	ended *result.Result
}

// runOf returns the run by which b was acted upon. A copy of a run says what the run says, and is younger.
func (x *subject) runOf(b state.Branch) (f found) {
	runs := x.ofRef[x.ref]
	for i := range runs {
		for _, c := range runs[i].Trigger.Refs {
			if c.Ref == x.ref && c.New == b.SHA && c.N == b.N && b.N > 0 && runs[i].Trigger.Manual == "" && x.ours(runs[i].Existing) {
				return found{runs[i].Name, c.Old == "", &runs[i], x.past[runs[i].Name]}
			}
		}
	}
	if b.N == 0 {
		return found{}
	}
	for _, p := range x.pastOf[x.ref] {
		if !p.Manual && slices.Contains(p.Refs, result.Ref{Ref: x.ref, SHA: b.SHA}) {
			return found{name: p.Name, ended: p}
		}
	}
	return found{}
}

// runs says how the branch's run went, and what later runs of its unit have to do with it.
func (x *subject) runs() {
	b, ok := x.known.Repositories[x.r.Name].Branch(x.ref.Branch)
	if !ok {
		x.later(found{}, time.Time{})
		return
	}
	run := x.runOf(b)
	switch {
	case run.live != nil && run.live.Pending:
		x.say(Statement{Kind: HeldBack, Run: run.name, Since: run.live.Created}, "The run is held back by somebody (PipelineRunPending) and does nothing until that is lifted.")
	case run.live != nil && run.live.Active:
		x.say(Statement{Kind: Active, Run: run.name, Since: run.live.Created}, "The run is active since %s.", x.ago(run.live.Created))
	case run.ended != nil:
		x.ended(run.ended)
	case run.live != nil && run.live.Succeeded && run.live.Reason == "": // on this machine
		x.say(Statement{Kind: Succeeded, Run: run.name}, "The run succeeded.")
	case run.live != nil && run.live.Reason == "":
		x.say(Statement{Kind: Failed, Run: run.name}, "The run did not succeed, and why is not known any more.")
	case run.live != nil:
		x.say(Statement{Kind: Kind(verdictOf(*run.live)), Run: run.name}, "The run %s (%s).", verdictOf(*run.live), run.live.Reason)
	}
	if b.Succeeded != "" && b.Succeeded != b.SHA {
		x.say(Statement{Kind: LastGood, SHA: b.Succeeded}, "The last commit of it whose deployment succeeded is %s.", b.Succeeded.Short())
	}
	x.later(run, b.Time)
}

// ended says how the run ended for the branch.
func (x *subject) ended(p *result.Result) {
	verdict, why := p.Verdict, p.Why
	i := slices.IndexFunc(p.Members, func(m result.Member) bool { return m.Ref.Ref == x.ref })
	if i >= 0 && p.Members[i].Verdict != "" {
		verdict, why = p.Members[i].Verdict, p.Members[i].Why
	}
	if verdict == "" {
		verdict = result.OfReason(p.Reason)
	}
	words := fmt.Sprintf("The deployment %s %s after the run began", said(verdict), span(time.Duration(p.Seconds)*time.Second))
	if why != "" {
		words += ": " + strings.TrimSuffix(why, ".")
	}
	words += "."
	if verdict != p.Verdict && p.Verdict != "" {
		words += fmt.Sprintf(" The run as a whole %s.", said(p.Verdict))
	}
	switch verdict {
	case result.Failed, result.TimedOut, result.Cancelled, result.Skipped, result.RolledBack:
		words += fmt.Sprintf(" It is not tried again by itself; the next commit runs, and 'sentry rerun %s' deploys this one again.", x.unit.Label)
	}
	x.say(Statement{Kind: Kind(verdict), Run: p.Name}, "%s", words)
}

// said is a verdict as the end of a sentence has it.
func said(v result.Verdict) string {
	switch v {
	case result.Cancelled, result.Superseded, result.Skipped, result.RolledBack:
		return "was " + string(v)
	}
	return string(v)
}

// later names the newest run of the unit that has ended, where it is not the branch's own and says something of the
// branch. since is when the branch was acted upon or recorded; zero when it is not known.
func (x *subject) later(run found, since time.Time) {
	ended := x.ofUnit[x.unit.Label]
	if len(ended) == 0 || ended[0].Name == run.name {
		return
	}
	p := ended[0]
	known := !since.IsZero() && !p.Created.Before(since)
	s := Statement{Run: p.Name, Since: p.Created}
	if p.Manual && known {
		s.Kind = RunByHand
		x.say(s, "Somebody asked for the run %s, %s; what is remembered does not move by it.", p.Name, x.ago(p.Created))
	}
	if p.Manual || len(p.Members) == 0 || x.r.Group == "" {
		return
	}
	mine := func(m result.Member) bool { return m.Repository == x.r.Name }
	i := slices.IndexFunc(p.Members, func(m result.Member) bool { return m.Ref.Ref == x.ref })
	switch {
	case i >= 0 && known:
		s.Kind, s.SHA = DeployedAlong, p.Members[i].SHA
		x.say(s, "The run %s of its group deployed it at %s as well, %s: another member had changed. That deployment %s.", p.Name, s.SHA.Short(), x.ago(p.Created), said(p.Members[i].Verdict))
	case slices.ContainsFunc(p.Members, mine), since.IsZero() && x.known.Repositories[x.r.Name].Branches.Len() > 0:
	case x.group.Deploy == config.Changed && known:
		s.Kind = NotAlong
		x.say(s, "The run %s of its group was without %s, which had not changed (deploy: changed).", p.Name, x.r.Name)
	case known:
		s.Kind = NotAlong
		x.say(s, "The run %s of its group was without %s: it was no member then, or had no room.", p.Name, x.r.Name)
	case x.group.Deploy == config.All:
		s.Kind = NotAlong
		x.say(s, "The run %s of its group was made without %s, of which nothing was known then, %s.", p.Name, x.r.Name, x.ago(p.Created))
	}
}

// paused returns the name with which all is resumed that holds the unit: its own, or that of its repository, whose resumption is
// that of all its branches.
func (x *subject) paused() string {
	if x.known.Units[x.unit.Label].Paused == nil || x.pausedTwice() {
		return x.r.Name
	}
	return x.unit.Label
}

// pausedTwice reports whether the branch is paused by itself and with its repository.
func (x *subject) pausedTwice() bool {
	return x.r.Group == "" && x.known.Units[x.unit.Label].Paused != nil && x.known.Units[state.AllOf(x.r.Name)].Paused != nil
}

// unitProblem says what keeps the unit's run from being made, and which runs stand before the next one.
func (x *subject) unitProblem() {
	if pause := x.known.PausedAt(x.unit.Label, x.unit.Ref.Repository); pause != nil {
		by, reason := "", ""
		if pause.By != "" {
			by = " by " + pause.By
		}
		if pause.Reason != "" {
			reason = ": " + strings.TrimSuffix(pause.Reason, ".")
		}
		x.say(Statement{Kind: Paused, Since: pause.Since}, "%s was paused %s%s%s. Nothing runs in it until it is resumed: sentry resume %s.",
			x.unit.Label, x.ago(pause.Since), by, reason, x.paused())
	}
	if all := x.known.Units[state.AllOf(x.r.Name)].Paused; all != nil && x.pausedTwice() {
		x.say(Statement{Kind: Paused, Since: all.Since}, "%s is paused as a whole, too, %s: sentry resume %[1]s ends both.", x.r.Name, x.ago(all.Since))
	}
	if h, in := x.group.NotOn.At(x.Now); in {
		x.say(Statement{Kind: Frozen, Since: h.Since}, "Nothing of %s is started until %s, by not_on: %s. A run that is asked for by hand is.", x.unit.Label, until(h.Until), h.Window)
	}
	p := x.known.Units[x.unit.Label].Problem
	if more := state.More(x.unit.Label); p == nil && more != "" {
		p = x.known.Units[more].Problem
	}
	if p != nil {
		s := Statement{Kind: NoRunMade, Since: p.Since}
		words := "No run was made for a change of %s since %s: %s. It is tried again in each cycle."
		switch p.Kind {
		case plan.NoRoom:
			s.Kind, words = LeftOut, "A run of %s was made without some of its members, %s: %s."
		case "held":
			s.Kind, words = BehindSomebody, "A change of %s waits, since %s: %s."
		}
		x.say(s, words, x.unit.Label, x.ago(p.Since), strings.TrimSuffix(p.Message, "."))
	}
	for _, r := range x.active[x.unit.Label] {
		if x.has(Active) && x.said[slices.IndexFunc(x.said, func(s Statement) bool { return s.Kind == Active })].Run == r.Name {
			continue
		}
		x.say(Statement{Kind: Busy, Run: r.Name, Since: r.Created}, "The run %s of %s is active since %s.", r.Name, x.unit.Label, x.ago(r.Created))
		return
	}
}

// verdictOf returns how a run ended by what a list tells of it.
func verdictOf(r engine.Run) result.Verdict {
	if r.Succeeded {
		return result.Succeeded
	}
	return result.OfReason(r.Reason)
}

// refsOf returns the branches that triggered a planned run.
func refsOf(t plan.Trigger) []repo.Ref {
	refs := make([]repo.Ref, len(t.Refs))
	for i, c := range t.Refs {
		refs[i] = c.Ref
	}
	return refs
}
