// Package statistics counts what the history tells of deployments: how many succeed, how long they take, how soon a change
// is out and a failure mended. It is pure.
//
// Three of the four measures of DORA are here as they are named there: deployment frequency, the time to restore, and the
// change failure rate, which is what is missing from the success rate to one. Of the fourth, the lead time for changes, Sentry
// knows the part after a commit was seen on its branch. How old the commit was then it does not know.
package statistics

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/tekton-sentry/sentry/pkg/result"
)

// Period is a time up to now, over which is counted.
type Period struct {
	Name   string
	Length time.Duration
}

const day = 24 * time.Hour

// Periods are those over which is counted.
var Periods = []Period{{"24h", day}, {"7d", 7 * day}, {"30d", 30 * day}}

// Statistics are the measures of everything, of each unit, which may be a group, and of each repository.
type Statistics struct {
	All          []Measures            `json:"all"` // one for each period, and so below
	Units        map[string][]Measures `json:"units"`
	Repositories map[string][]Measures `json:"repositories"`
}

// Measures are what is counted over one period: of runs, or of the deployments of one repository.
type Measures struct {
	Period string `json:"period"`
	// Since is the end of the first of them that is known. Where that is within the period, the measures are of the time
	// since then: the history is bounded, and began some day.
	Since      time.Time `json:"since,omitzero"`
	Succeeded  int       `json:"succeeded"`
	Failed     int       `json:"failed"` // or timed out
	Cancelled  int       `json:"cancelled"`
	Superseded int       `json:"superseded"`
	Skipped    int       `json:"skipped"` // of deployments alone
	// RolledBack is of deployments alone: they succeeded, and were rolled back with their group. That counts as neither.
	RolledBack int `json:"rolled_back,omitempty"`
	// SuccessRate is the part that succeeded of those that succeeded or failed; nil where there are none. What
	// somebody or a newer change ended says nothing of either.
	SuccessRate *float64 `json:"success_rate,omitempty"`
	// PerDay is how many succeeded a day. Less than a day counts as one.
	PerDay   float64 `json:"per_day"`
	Duration *Spread `json:"duration,omitempty"`  // of those that succeeded or failed, in seconds
	LeadTime *Spread `json:"lead_time,omitempty"` // from when a change was seen to the end of the run that deployed it, in seconds
	Restore  *Spread `json:"restore,omitempty"`   // from the end of the first failure in a row to that of the success after it, in seconds
	// FailingSince is the end of the first of the failures that no success has followed yet.
	FailingSince time.Time `json:"failing_since,omitzero"`
}

// Spread is how values are spread.
type Spread struct {
	Samples int `json:"samples"`
	Median  int `json:"median"`
	P95     int `json:"p95,omitempty"` // 0 for less than 20 samples, of which one of 20 tells nothing
}

// enough samples tell a 95th percentile.
const enough = 20

// sample is a run, or one deployment of it.
type sample struct {
	subject string // unit or repository
	end     time.Time
	seconds int
	lead    time.Duration // 0 = not known, or asked for by hand
	verdict result.Verdict
}

// Of returns the statistics of the results, in any order, at a time.
func Of(results []result.Result, now time.Time) Statistics {
	var runs, deployments []sample
	for _, r := range results {
		s := sample{r.Unit, r.Created.Add(time.Duration(r.Seconds) * time.Second), r.Seconds, 0, r.Verdict}
		if !r.Manual && !r.Seen.IsZero() {
			s.lead = s.end.Sub(r.Seen)
		}
		runs = append(runs, s)
		changed := map[result.Ref]bool{}
		for _, ref := range r.Refs {
			changed[ref] = true
		}
		for _, m := range r.Members {
			if m.Repository == "" { // an older Sentry remembered the task alone
				continue
			}
			d := s
			d.subject, d.verdict, d.seconds = m.Repository, m.Verdict, m.Seconds
			if !changed[m.Ref] {
				d.lead = 0 // it ran along
			}
			deployments = append(deployments, d)
		}
	}
	st := Statistics{All: measure(runs, now), Units: map[string][]Measures{}, Repositories: map[string][]Measures{}}
	for unit, of := range bySubject(runs) {
		st.Units[unit] = measure(of, now)
	}
	for name, of := range bySubject(deployments) {
		st.Repositories[name] = measure(of, now)
	}
	return st
}

func bySubject(samples []sample) map[string][]sample {
	of := map[string][]sample{}
	for _, s := range samples {
		of[s.subject] = append(of[s.subject], s)
	}
	return of
}

func measure(samples []sample, now time.Time) []Measures {
	slices.SortStableFunc(samples, func(a, b sample) int { return a.end.Compare(b.end) })
	all := make([]Measures, len(Periods))
	for i, p := range Periods {
		all[i] = over(samples, p, now)
	}
	return all
}

// over counts the samples, oldest first, of one period.
func over(samples []sample, p Period, now time.Time) Measures {
	m := Measures{Period: p.Name}
	from := now.Add(-p.Length)
	var durations, leads, restores []int
	failing := map[string]time.Time{} // by subject, the end of the first failure in a row
	for _, s := range samples {
		within := !s.end.Before(from)
		if m.Since.IsZero() {
			m.Since = s.end.UTC()
		}
		switch s.verdict {
		case result.Succeeded:
			if began, was := failing[s.subject]; was && within {
				restores = append(restores, seconds(s.end.Sub(began)))
			}
			delete(failing, s.subject)
		case result.Failed, result.TimedOut:
			if _, was := failing[s.subject]; !was {
				failing[s.subject] = s.end
			}
		}
		if !within {
			continue
		}
		switch s.verdict {
		case result.Succeeded:
			m.Succeeded++
			durations = append(durations, s.seconds)
			if s.lead > 0 {
				leads = append(leads, seconds(s.lead))
			}
		case result.Failed, result.TimedOut:
			m.Failed++
			durations = append(durations, s.seconds)
		case result.Cancelled:
			m.Cancelled++
		case result.Superseded:
			m.Superseded++
		case result.Skipped:
			m.Skipped++
		case result.RolledBack:
			m.RolledBack++
		}
	}
	for _, began := range failing {
		if m.FailingSince.IsZero() || began.Before(m.FailingSince) {
			m.FailingSince = began.UTC()
		}
	}
	if ended := m.Succeeded + m.Failed; ended > 0 {
		rate := float64(m.Succeeded) / float64(ended)
		m.SuccessRate = &rate
	}
	known := min(p.Length, now.Sub(m.Since))
	m.PerDay = math.Round(100*float64(m.Succeeded)/max(1, known.Hours()/24)) / 100
	m.Duration, m.LeadTime, m.Restore = spread(durations), spread(leads), spread(restores)
	return m
}

func seconds(d time.Duration) int { return max(0, int(d.Seconds())) }

// spread returns nil for no values.
func spread(values []int) *Spread {
	if len(values) == 0 {
		return nil
	}
	slices.SortFunc(values, cmp.Compare[int])
	rank := func(part float64) int { return values[max(0, int(math.Ceil(part*float64(len(values))))-1)] }
	s := &Spread{Samples: len(values), Median: rank(0.5)}
	if s.Samples >= enough {
		s.P95 = rank(0.95)
	}
	return s
}
