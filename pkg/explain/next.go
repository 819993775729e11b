package explain

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/plan/naming"
	"github.com/tekton-sentry/sentry/pkg/plan/places"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

// forecast is what the next cycle would do for a branch, if it saw what was observed.
type forecast struct {
	run   plan.Run
	later bool // beyond what one cycle makes
	wait  bool // its unit is busy
	pause bool // its unit is paused
	crowd bool // as many runs are active as may be, or others come first
}

// foresee plans what the next cycle would do.
func (e *Explainer) foresee(existing []plan.Existing) {
	e.forecast = map[repo.Ref]forecast{}
	key := naming.Key{}
	if e.Key != nil {
		key = *e.Key
	}
	p := plan.Make(plan.Input{Config: e.Config, Snapshot: e.known, Key: key, Observed: e.Observed, Now: e.Now})
	for i, r := range p.Runs {
		p.Runs[i] = r.After(existing) // as the loop does: a run that is active has the name of none that is due
	}
	p, paused := p.Paused()
	p, frozen := places.Frozen(p, e.Now)
	p = places.Spared(p.Hold(e.active), e.Now)
	now, later := places.Bound(p.Runs, places.MaxNewRuns, nil)
	add := func(runs []plan.Run, f forecast) {
		for _, f.run = range runs {
			for _, ref := range refsOf(f.run.Trigger) {
				e.forecast[ref] = f
			}
		}
	}
	add(p.Runs, forecast{})
	add(later, forecast{later: true})
	add(p.Waiting, forecast{wait: true})
	add(paused, forecast{pause: true})
	add(frozen, forecast{})
	add(e.crowded(now), forecast{crowd: true})
}

// crowded returns the runs that have no place of global.max_runs now.
func (e *Explainer) crowded(runs []plan.Run) []plan.Run {
	most := e.Config.Global.MaxRuns
	if most == 0 {
		return nil
	}
	var queue places.Queue
	queue.Begin(most-e.activeRuns(), true)
	queue.Take(e.known, runs, func(naming.Unit) bool { return true })
	_, waiting := queue.End(e.known, true, func(naming.Unit) bool { return false })
	return waiting
}

// activeRuns returns how many runs are active, whatever their units.
func (e *Explainer) activeRuns() (n int) {
	for _, active := range e.active {
		n += len(active)
	}
	return n
}

// next says what happens next: by what the host answers now, where it was asked.
func (x *subject) next() {
	if x.has(NotWatched) {
		x.say(Statement{Kind: NothingDue}, "So nothing runs for it, whatever is pushed.")
		return
	}
	o := x.observed(x.r.Name)
	if o.Status == repo.Skipped {
		x.nextLook()
		return
	}
	if o.Err != nil {
		x.say(Statement{Kind: NotReadable}, "%s cannot be read now: %v.", x.r.Name, o.Err)
		x.nextLook()
		return
	}
	head, there := o.Heads[x.ref.Branch]
	if there {
		x.say(Statement{Kind: Head, SHA: head}, "Its head is %s now.", head.Short())
	} else {
		x.say(Statement{Kind: NoHead}, "The host does not have the %s now.", x.noun())
	}
	if f, due := x.forecast[x.ref]; due {
		x.due(f, head)
		return
	}
	b, remembered := x.known.Repositories[x.r.Name].Branch(x.ref.Branch)
	switch {
	case x.has(StateDamaged):
		x.say(Statement{Kind: NothingDue}, "Nothing runs for %s until its entry in the state is mended, or deleted to record its heads anew.", x.r.Name)
	case x.unsighted() && !x.crowded():
		x.say(Statement{Kind: WouldRecord, SHA: head}, "The next cycle records the %ss that are there, and runs nothing for them; later ones are deployed.", x.noun())
	case there && x.has(NeverSeen):
		x.say(Statement{Kind: WouldRecord, SHA: head}, "The next cycle records %s, and runs nothing (on_first_seen: %s).", head.Short(), x.Config.Global.OnFirstSeen)
	case !there && remembered:
		x.say(Statement{Kind: WouldForget}, "Two good answers without it forget it; no run follows from that.")
	case !there:
		x.say(Statement{Kind: NothingDue}, "Once it is there, it is a new %s, and is deployed.", x.noun())
	case x.has(CannotBeRead):
		x.say(Statement{Kind: NothingDue}, "The next cycle makes no run for it, as %s counts as unchanged.", x.r.Name)
	case o.Passed[x.ref.Branch] != "":
		x.say(Statement{Kind: WouldPass, SHA: head}, "The next cycle passes it over and runs nothing: %s.", x.passed(o.Passed[x.ref.Branch]))
	case remembered && b.PassedSince() != nil && head == b.PassedSince().SHA:
		x.say(Statement{Kind: NothingDue, SHA: head}, "That is what was passed over: nothing is due.")
	default:
		x.say(Statement{Kind: NothingDue, SHA: head}, "That is what was acted upon: nothing is due.")
	}
}

// due says what becomes of a change that the next cycle would find.
func (x *subject) due(f forecast, head repo.SHA) {
	s := Statement{SHA: head}
	what := fmt.Sprintf("A run of %s is due, with %d deployments", x.unit.Label, len(f.run.Members))
	if len(f.run.Members) == 1 {
		what = fmt.Sprintf("A run of %s is due", x.unit.Label)
	}
	if len(f.run.LeftOut) > 0 {
		what += " and without " + list(f.run.LeftOut) + ", of which nothing is known"
	}
	behind := strings.Join(plan.Names(f.run.Behind), ", ")
	// The next cycle plans without that run, so that its own has what that one deployed too, and is left for the cycle after it.
	unknown := func(r config.Repository) bool {
		return x.news[r.Name] && x.unit.Has(&r)
	}
	switch {
	case slices.ContainsFunc(x.Config.Repositories, unknown):
		s.Kind = WouldLearn
		x.say(s, "%s. The next cycle first remembers the run that the state does not know, and the one after that makes it.", what)
	case f.pause:
		s.Kind = WouldPause
		x.say(s, "%s. It waits until the unit is resumed (sentry resume %s), and runs the newest commit then.", what, x.paused())
	case f.run.Freeze != nil:
		s.Kind = WouldFreeze
		x.say(s, "%s. It waits until %s (not_on: %s), and runs the newest commit then.", what, until(f.run.Freeze.Until), f.run.Freeze.Window)
	case f.crowd:
		s.Kind = WouldQueue
		x.say(s, "%s. It waits for a place: %d runs are active of the %d that global.max_runs allows, and others may come first by their priority or their turn.",
			what, x.activeRuns(), x.Config.Global.MaxRuns)
	case f.wait:
		s.Kind, s.Run = WouldWait, f.run.Behind[0].Name
		x.say(s, "%s. It waits for the end of %s (on_busy: %s), and runs the newest commit then.", what, behind, x.group.OnBusy)
	case f.later:
		s.Kind = WouldDefer
		x.say(s, "%s. More than %d of %s are, so that it may wait for a later cycle.", what, places.MaxNewRuns, x.r.Name)
	case len(f.run.Cancel) > 0:
		s.Kind, s.Run = WouldCancel, f.run.Cancel[0]
		x.say(s, "%s. The next cycle cancels %s (on_busy: %s), and it starts once that has ended.", what, behind, config.CancelOld)
	case x.has(NoRunMade):
		s.Kind = WouldRun
		x.say(s, "%s, and the next cycle tries again to make it.", what)
	default:
		s.Kind = WouldRun
		x.say(s, "%s: the next cycle makes it. If it does not come within two polling intervals, no 'sentry watch' is at work on this state.", what)
	}
}

// until is the time at which a window ends, for people.
func until(t time.Time) string { return t.Format("2006-01-02 15:04 MST") }

// nextLook says what comes next when it is not known what the host has.
func (x *subject) nextLook() {
	const kind = NextLook
	look := fmt.Sprintf("'sentry watch' looks at it again within %s, or sooner where its host hints at a change", span(x.Config.PollingInterval))
	if x.Config.Global.Sweep > x.Config.PollingInterval {
		look = fmt.Sprintf("'sentry watch' asks its host for hints every %s and reads it within %s in any case", span(x.Config.PollingInterval), span(x.Config.Global.Sweep))
	}
	busy := ""
	if h, in := x.group.NotOn.At(x.Now); in {
		busy = fmt.Sprintf(" A change would wait until %s (not_on: %s).", until(h.Until), h.Window)
	} else if active := x.active[x.unit.Label]; len(active) > 0 {
		switch x.group.OnBusy {
		case config.CancelOld:
			busy = fmt.Sprintf(" A change would cancel %s first (on_busy: cancel).", active[0].Name)
		case config.Queue:
			busy = fmt.Sprintf(" A change would wait for the end of %s (on_busy: queue).", active[0].Name)
		}
	}
	then := "deploys what differs from what was acted upon."
	switch {
	case x.has(StateDamaged):
		then = "and nothing runs until the entry in the state is mended, or deleted to record its heads anew."
	case x.unsighted():
		then = "records the " + x.noun() + "s that are there and runs nothing for them; later ones are deployed."
	case x.has(NeverSeen) && x.Config.Global.OnFirstSeen == config.Record:
		then = "records its heads and runs nothing for them (on_first_seen: record); later commits are deployed."
	case x.has(NeverSeen):
		then = "deploys its heads (on_first_seen: deploy)."
	case x.has(NotRemembered, Forgotten):
		then = "deploys it as a new " + x.noun() + " once it is there."
	}
	x.say(Statement{Kind: kind}, "%s, and %s%s", look, strings.TrimPrefix(then, "and "), busy)
}
