package overview

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tekton-sentry/sentry/pkg/cli/term"
	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/plan/naming"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/result"
	"github.com/tekton-sentry/sentry/pkg/result/statistics"
	"github.com/tekton-sentry/sentry/pkg/state"
)

// Unit is how a unit stands.
type Unit struct {
	Unit     string    `json:"unit"`               // its label
	Heads    []Ref     `json:"heads,omitempty"`    // that were acted upon last
	Run      string    `json:"run,omitempty"`      // the newest
	Verdict  string    `json:"verdict,omitempty"`  // of that run; also active, and held back
	Why      string    `json:"why,omitempty"`      // it did not succeed
	Created  time.Time `json:"created,omitzero"`   // the run was
	Seconds  int       `json:"seconds,omitempty"`  // that it took
	Skipped  []string  `json:"skipped,omitempty"`  // deployments of it that did not begin
	Rollback string    `json:"rollback,omitempty"` // in words: which deployments of it were rolled back, and of which that failed
	Problems []string  `json:"problems,omitempty"`
	// Week is what the runs of the last seven days say in numbers, where there are any.
	Week *statistics.Measures `json:"week,omitempty"`
}

// Active and HeldBack are said of a run that has no verdict yet.
const (
	Active   = "active"
	HeldBack = "held back"
)

// week is the period of the numbers beside a unit.
const week = "7d"

// Results returns how runs ended, newest first: what the history has, and of a run that is not in it yet what a list of
// the runs, oldest first, tells.
func Results(past []result.Result, runs []engine.Run) []result.Result {
	known := make(map[string]bool, len(past))
	for _, p := range past {
		known[p.Name] = true
	}
	all := slices.Clone(past)
	for _, r := range runs {
		if r.Active || known[r.Name] {
			continue
		}
		p := result.Result{
			Name: r.Name, Unit: r.Unit, Created: r.Created.UTC(), Verdict: verdictOf(r), Reason: r.Reason,
			Seen: r.Trigger.Seen, Manual: r.Trigger.Manual != "",
		}
		for _, ref := range RefsOf(r.Trigger) {
			p.Refs = append(p.Refs, result.Ref{Ref: ref.Ref, SHA: ref.SHA})
		}
		all = append(all, p)
	}
	for i := range all {
		if all[i].Verdict == "" { // an older Sentry remembered it
			all[i].Verdict = result.OfReason(all[i].Reason)
		}
	}
	// Of the same second in the order of the history, so that who reads a part at a time knows where the next one begins.
	slices.SortStableFunc(all, func(a, b result.Result) int {
		return cmp.Or(b.Created.Compare(a.Created), strings.Compare(b.Name, a.Name))
	})
	return all
}

// verdictOf returns how a run ended by what a list tells of it.
func verdictOf(r engine.Run) result.Verdict {
	if r.Succeeded {
		return result.Succeeded
	}
	return result.OfReason(r.Reason)
}

// Units returns how each unit stands of which something is known, by label. groups are the groups of the repositories, as
// far as they are known: a repository of which that is not known runs as its runs say.
func Units(snapshot state.Snapshot, runs []engine.Run, results []result.Result, groups map[string]string, now time.Time) []Unit {
	units := map[string]*Unit{}
	of := func(label string) *Unit {
		if units[label] == nil {
			units[label] = &Unit{Unit: label}
		}
		return units[label]
	}
	labels := map[repo.Ref]string{}
	for _, p := range slices.Backward(results) {
		for _, ref := range p.Refs {
			labels[ref.Ref] = p.Unit
		}
		u := of(p.Unit)
		u.Run, u.Verdict, u.Why, u.Created, u.Seconds, u.Skipped, u.Rollback = p.Name, string(p.Verdict), p.Why, p.Created, p.Seconds, nil, p.Rollbacks()
		for _, m := range p.Members {
			if m.Verdict == result.Skipped {
				u.Skipped = append(u.Skipped, m.Task)
			}
		}
	}
	for _, r := range runs {
		for _, c := range r.Trigger.Refs {
			labels[c.Ref] = r.Unit
		}
		if r.Active {
			u := of(r.Unit)
			u.Run, u.Verdict, u.Why, u.Created, u.Seconds, u.Skipped, u.Rollback = r.Name, Active, "", r.Created, 0, nil, ""
			if r.Pending {
				u.Verdict = HeldBack
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(snapshot.Repositories)) {
		r := snapshot.Repositories[name]
		at := map[string]bool{}
		for branch := range r.Branches.All() {
			b, ok := r.Branch(branch)
			if !ok {
				continue
			}
			ref := repo.Ref{Repository: name, Branch: branch}
			label := cmp.Or(labels[ref], naming.RefLabel(ref))
			if group, ok := groups[name]; ok && group != "" {
				label = naming.GroupLabel(group)
			} else if ok {
				label = naming.RefLabel(ref)
			}
			at[label] = true
			of(label).Heads = append(of(label).Heads, Ref{ref, b.SHA})
		}
		if r.Problem == nil {
			continue
		}
		for label := range at {
			of(label).Problems = append(of(label).Problems, r.Problem.Kind+" ("+name+")")
		}
	}
	for label, measures := range statistics.Of(results, now).Units {
		for _, m := range measures {
			if m.Period == week && m.Succeeded+m.Failed > 0 {
				of(label).Week = &m
			}
		}
	}
	for label, p := range snapshot.Problems() {
		if label == state.Configuration {
			continue // of no unit
		}
		of(label).Problems = append(of(label).Problems, p.Kind)
	}
	all := make([]Unit, 0, len(units))
	for _, label := range slices.Sorted(maps.Keys(units)) {
		all = append(all, *units[label])
	}
	return all
}

// printUnits writes a line for each unit.
func (s Status) printUnits(t *term.Table, now time.Time, wide bool) error {
	header := []string{"UNIT", "HEADS", "VERDICT", "AGE", "TOOK", "TROUBLE"}
	if wide {
		header = append(header, "SUCCESS 7D", "MEDIAN 7D", "RUN", "WHY")
	}
	rows := make([][]any, len(s.Units))
	for i, u := range s.Units {
		verdict := cmp.Or(u.Verdict, "-")
		if n := len(u.Skipped); n > 0 {
			verdict += "; skipped: " + strings.Join(u.Skipped, ",")
		}
		if u.Rollback != "" {
			verdict += "; " + u.Rollback
		}
		rows[i] = []any{u.Unit, Trigger(u.Heads), verdict, term.Age(now, u.Created), Took(u.Seconds), cmp.Or(strings.Join(u.Problems, ", "), "-")}
		if wide {
			success, median := "-", "-"
			if u.Week != nil {
				success = fmt.Sprintf("%.0f%% of %d", 100**u.Week.SuccessRate, u.Week.Succeeded+u.Week.Failed)
				median = Took(u.Week.Duration.Median)
			}
			rows[i] = append(rows[i], success, median, cmp.Or(u.Run, "-"), cmp.Or(u.Why, "-"))
		}
	}
	return t.Print(header, rows, PaintVerdict)
}

// Took is a duration in a table; 0 is one that is not known.
func Took(seconds int) string {
	if seconds == 0 {
		return "-"
	}
	return term.Age(time.Unix(int64(seconds), 0), time.Unix(0, 0))
}

// PaintVerdict colours the column VERDICT, which is the third one.
func PaintVerdict(column int, verdict string) term.Colour {
	switch {
	case column != 2 || verdict == "-" || verdict == string(result.Superseded):
		return term.None
	case verdict == string(result.Succeeded):
		return term.Green
	case verdict == Active || verdict == HeldBack:
		return term.Blue
	}
	return term.Red
}
