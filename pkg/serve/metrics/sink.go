package metrics

import (
	"cmp"
	"context"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/tekton-sentry/sentry/pkg/event"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/result"
)

// The values of the label result of looks at a repository.
const (
	inTime   = "in_time"
	late     = "late"
	failed   = "failed"
	notAsked = "not_asked"
	overdue  = "overdue"
	missed   = "missed"
)

var polled = []string{inTime, late, failed, notAsked, overdue, missed}

// verdicts are those of runs, as labels.
var verdicts = []string{word(string(result.Succeeded)), word(string(result.Failed)), word(string(result.Cancelled)), word(string(result.TimedOut)), word(string(result.Superseded))}

// word makes one word of what is written with blanks for people.
func word(text string) string { return strings.ReplaceAll(text, " ", "_") }

// Sink counts events. It is an event.Sink.
func (m *Metrics) Sink(_ context.Context, events []event.Event) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range events {
		switch e := e.(type) {
		case event.RunCreated:
			m.created.Inc()
			m.expect(e.Run)
			if e.Run.Trigger.Manual == "" {
				m.lag.Observe(max(0, time.Since(e.Run.Trigger.Seen).Seconds()))
			}
		case event.RunEnded:
			m.end(e.Result)
		case event.Noticed:
			m.notice(e.Events)
		case event.CycleDone:
			m.cycle(e)
		case event.CycleFailed:
			m.cycleErrors.Inc()
		}
	}
}

// notice counts changes. One that waits is seen in each cycle, and counts once.
func (m *Metrics) notice(events []plan.Event) {
	for _, e := range events {
		switch e.Kind {
		case plan.Moved, plan.NewBranch:
			if !m.waited.has(e) && !m.moved.has(e) {
				m.changes.Inc()
			}
			m.moved[e.Ref] = e.To
		case plan.Ignored, plan.Untouched:
			m.passed.WithLabelValues(string(e.Kind)).Inc()
		}
	}
}

// heads are branches and where they moved to.
type heads map[repo.Ref]repo.SHA

func (h heads) has(e plan.Event) bool {
	sha, ok := h[e.Ref]
	return ok && sha == e.To
}

func (m *Metrics) cycle(e event.CycleDone) {
	if e.Stopped {
		return
	}
	if !e.Whole {
		m.cycles.WithLabelValues("some").Observe(e.Duration.Seconds())
		return
	}
	m.waited, m.moved = m.moved, heads{} // what waits was seen again
	m.cycles.WithLabelValues("all").Observe(e.Duration.Seconds())
	m.began.Observe(e.Late.Seconds())
	m.ended.Observe((e.Late + e.Duration).Seconds())
	m.interval.Set(e.Every.Seconds())
	m.waiting.Set(float64(e.Waiting))
	m.notMade.Set(float64(e.Problems))

	m.share.Set(float64(e.Repositories) / float64(max(1, m.all)))

	broken := e.Failing - e.NotAsked - e.Overdue
	read := e.Repositories - e.Failing
	for status, n := range map[string]int{"ok": read, failed: broken, notAsked: e.NotAsked, overdue: e.Overdue} {
		m.repositories.WithLabelValues(status).Set(float64(n))
	}
	when := inTime
	if e.Every > 0 && e.Late+e.Duration > e.Every {
		when = late
	}
	for is, n := range map[string]int{when: read, failed: broken, notAsked: e.NotAsked, overdue: e.Overdue, missed: e.Repositories * m.missing(e.Every)} {
		m.polls.WithLabelValues(is).Add(float64(n))
	}
	m.lastCycle.Set(timestamp(m.cycleDone))
}

// missing returns how many cycles there should have been between the last one and the one that ended now. A cycle that
// failed, hung or took too long is told by that alone.
func (m *Metrics) missing(every time.Duration) int {
	before, longest := m.cycleDone, max(m.every, every)
	m.cycleDone, m.every = time.Now(), every
	if before.IsZero() || longest <= 0 {
		return 0
	}
	return max(0, int(math.Round(float64(m.cycleDone.Sub(before))/float64(longest)))-1)
}

// expect begins the series of a run's unit.
func (m *Metrics) expect(run plan.Run) {
	var ref repo.Ref
	if len(run.Trigger.Refs) > 0 {
		ref = run.Trigger.Refs[0].Ref
	}
	m.begin(m.units.label(run.Unit.Label, ref))
}

// begin begins the series of a unit at zero: of a counter that comes with its first value, no rate shows that.
func (m *Metrics) begin(label string) {
	if m.begun[label] {
		return
	}
	m.begun[label], m.fresh[label] = true, nil
	for _, v := range slices.Concat(verdicts, []string{word(string(result.Skipped)), word(string(result.RolledBack))}) {
		m.deployments.WithLabelValues(label, v)
	}
	m.durations.WithLabelValues(label)
}

// maxFresh bounds what is counted of one unit once its zero was scraped. Where nobody scrapes, what comes after is counted at once.
const maxFresh = 20

// refOf returns the branch that triggered a run, perhaps beside others.
func refOf(r result.Result) repo.Ref {
	if len(r.Refs) == 0 {
		return repo.Ref{}
	}
	return r.Refs[0].Ref
}

func (m *Metrics) end(r result.Result) {
	m.runs.WithLabelValues(word(string(r.Verdict))).Inc()
	label := m.units.label(r.Unit, refOf(r))
	m.begin(label)
	count := func() {
		for _, member := range r.Members {
			m.deployments.WithLabelValues(label, word(string(member.Verdict))).Inc()
			switch member.Verdict {
			case result.Succeeded, result.Failed, result.TimedOut:
				m.durations.WithLabelValues(label).Observe(float64(member.Seconds))
			}
		}
	}
	if counts, fresh := m.fresh[label]; fresh && len(counts) < maxFresh {
		m.fresh[label] = append(counts, count)
	} else {
		count()
	}
	if r.Verdict == result.Succeeded && !r.Manual && !r.Seen.IsZero() {
		m.lead.Observe(max(0, endOf(r).Sub(r.Seen).Seconds()))
	}
	if restored := m.follow(r); restored > 0 {
		m.restore.Observe(restored.Seconds())
	}
}

// follow notes whether a run's unit fails, and returns for how long it did where the run ends that.
func (m *Metrics) follow(r result.Result) (restored time.Duration) {
	u := m.units.of(r.Unit, refOf(r))
	if m.deaf || u == nil || !endOf(r).After(u.ended) {
		return 0
	}
	switch r.Verdict {
	case result.Succeeded:
		if !u.failing.IsZero() {
			restored = endOf(r).Sub(u.failing)
		}
		u.failing = time.Time{}
	case result.Failed, result.TimedOut:
		if u.failing.IsZero() {
			u.failing = endOf(r)
		}
	default:
		return 0 // it says nothing of either
	}
	u.ended = endOf(r)
	return restored
}

func endOf(r result.Result) time.Time { return r.Created.Add(time.Duration(r.Seconds) * time.Second) }

func byEnd(results []result.Result) []result.Result {
	return slices.SortedStableFunc(slices.Values(results), func(a, b result.Result) int { return cmp.Compare(endOf(a).UnixNano(), endOf(b).UnixNano()) })
}
