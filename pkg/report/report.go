// Package report says what is owed to whom about a run: the statuses of the commits that it deploys, and notifications of how
// it ended. It is pure. Package deliver below it delivers what is owed.
package report

import (
	"slices"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/config/section"
	"github.com/tekton-sentry/sentry/pkg/plan/pinned"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/result"
	"github.com/tekton-sentry/sentry/pkg/secret"
)

// Facts are what is known of a run of Sentry's.
type Facts struct {
	Run       string
	Cluster   string // of the run; "" is the one that Sentry runs in
	Namespace string // of the run
	Unit      string // its label
	Created   time.Time
	Members   []pinned.Member // signed
	Result    *result.Result  // how it ended; nil while it goes on
	Outdated  []string        // tasks of whose commits a newer run of the unit has the last word
	Recovered bool            // it succeeded, and the run of its unit before it had not; see AsksPast
}

// Kind is a way of telling somebody.
type Kind string

// The kinds.
const (
	CommitStatus Kind = "commit_status"
	Slack        Kind = "slack"
	Webhook      Kind = "webhook"
	CloudEvents  Kind = "cloudevents"
)

// receivers are the kinds of what section.Report.Receivers returns.
var receivers = []Kind{Slack, Webhook, CloudEvents}

// State is what a commit is told.
type State string

// The states. Errored is for what was not deployed and did not fail itself: it could not start, or somebody cancelled it.
const (
	Pending State = "pending"
	Success State = "success"
	Failure State = "failure"
	Errored State = "error"
)

// Delivery is one thing that is owed to one sink about one run.
type Delivery struct {
	Kind       Kind
	Facts      *Facts
	Repository string // the first of those that ask for it

	// Of a commit status:
	Source config.Source
	SHA    repo.SHA
	Status Status

	// Of a notification:
	To    secret.Value // a URL
	Leads string       // where its reader is led to; may be empty
}

// Status is what stands beside a commit.
type Status struct {
	Context     string
	State       State
	Description string // one line of at most 140 bytes, which every host takes; it names the run
	TargetURL   string // may be empty
}

// Lane names the sink of the delivery, which is asked for one thing at a time. It may hold a secret.
func (d Delivery) Lane() string {
	if d.Kind == CommitStatus {
		a := d.Source.Auth
		return key(string(d.Kind), string(d.Source.Type), d.Source.APIURL, server(d.Source.URL), a.Username.Text(), a.Token.Text(), a.App.Installation)
	}
	return key(string(d.Kind), d.To.Reveal())
}

// Target names what the delivery is about, such as one status of a commit: of two that are about the same, only that of the newer run
// matters. It may hold a secret.
func (d Delivery) Target() string {
	if d.Kind == CommitStatus {
		return key(d.Source.URL, string(d.SHA), d.Status.Context)
	}
	return key(d.Lane(), d.Facts.Run)
}

// Key tells the delivery from all others of its run. It may hold a secret.
func (d Delivery) Key() string { return key(d.Target(), string(d.Status.State)) }

// ID is what a receiver can tell a notification by that comes again.
func (d Delivery) ID() string { return d.Facts.Run + ".ended" }

// Owed returns what is owed about the run, at most one delivery a target. find returns a repository of the configuration, nil where
// there is none of the name.
func Owed(find func(name string) *config.Repository, f *Facts) []Delivery {
	var owed []Delivery
	at := map[string]int{} // by target
	add := func(d Delivery) {
		i, known := at[d.Target()]
		switch {
		case !known:
			at[d.Target()] = len(owed)
			owed = append(owed, d)
		case d.Kind == CommitStatus && worse(d.Status.State, owed[i].Status.State):
			owed[i] = d
		}
	}
	ends := endings(f)
	for _, m := range f.Members {
		r := find(m.Repository)
		if r == nil {
			continue
		}
		if r.Report.WritesStatus() && !slices.Contains(f.Outdated, m.Task) {
			add(Delivery{Kind: CommitStatus, Facts: f, Repository: r.Name, Source: r.Monitor.Source, SHA: m.SHA, Status: statusOf(f, ends[m.Task], m, r.Report)})
		}
		for i, to := range r.Report.Receivers() {
			if f.Result != nil && to.Wants(occasion(f)) {
				add(Delivery{Kind: receivers[i], Facts: f, Repository: r.Name, To: to.URL, Leads: target(f, m, r.Report)})
			}
		}
	}
	return owed
}

// AsksPast reports whether it matters how the run of the unit before this one ended.
func AsksPast(find func(name string) *config.Repository, f *Facts) bool {
	if f.Result == nil || f.Result.Verdict != result.Succeeded {
		return false
	}
	return slices.ContainsFunc(f.Members, func(m pinned.Member) bool {
		r := find(m.Repository)
		return r != nil && slices.ContainsFunc(r.Report.Receivers(), func(to *section.Receiver) bool { return to.Wants(section.OnRecovery) })
	})
}

// Recovered reports whether the last run before that one which succeeded or failed had failed. past are runs of the unit, in any order.
func Recovered(past []result.Result, f *Facts) bool {
	var last result.Result
	for _, p := range past {
		decided := p.Verdict == result.Succeeded || failed(p.Verdict)
		if p.Unit == f.Unit && p.Name != f.Run && decided && p.Created.Before(f.Created) && p.Created.After(last.Created) {
			last = p
		}
	}
	return failed(last.Verdict)
}

func failed(v result.Verdict) bool { return v == result.Failed || v == result.TimedOut }

// occasion returns what the end of a run is an occasion of, beside being one.
func occasion(f *Facts) section.Occasions {
	switch {
	case failed(f.Result.Verdict):
		return section.OnFailure
	case f.Recovered:
		return section.OnRecovery
	}
	return 0
}

// endings returns how the deployments ended, by task.
func endings(f *Facts) map[string]result.Member {
	ends := map[string]result.Member{}
	if f.Result != nil {
		for _, m := range f.Result.Members {
			ends[m.Task] = m
		}
	}
	return ends
}

// severity is the order in which one state hides another, where a commit is deployed twice by a run.
var severity = []State{Success, Pending, Errored, Failure}

func worse(a, b State) bool { return slices.Index(severity, a) > slices.Index(severity, b) }

// stateOf returns the state of a commit whose deployment ended so.
//
//	how the deployment ended                             the state
//	it succeeded                                         success
//	a step of it failed, or it took too long             failure
//	it failed before any step did, such as an image      error
//	it was skipped, cancelled, or superseded             error
func stateOf(m result.Member) State {
	switch {
	case m.Verdict == result.Succeeded:
		return Success
	case m.Verdict == result.TimedOut, m.Verdict == result.Failed && (m.Command != "" || m.Exit != 0):
		return Failure
	}
	return Errored
}
