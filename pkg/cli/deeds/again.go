package deeds

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/tekton-sentry/sentry/pkg/config/place"
	"github.com/tekton-sentry/sentry/pkg/oneline"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/result"
)

// maxText bounds what a message says of a run, in bytes: people can write into a run what they like.
const maxText = 200

// pick returns the run to make again: the newest of the past, newest first, or the one of that name.
func pick(past []result.Result, of, run string) (result.Result, error) {
	for _, r := range past {
		if run == "" || r.Name == run {
			return r, nil
		}
	}
	if run != "" {
		return result.Result{}, fmt.Errorf("the history has no run %.80q of %.80q: 'sentry history %.80[2]s' lists what it has", run, of)
	}
	return result.Result{}, fmt.Errorf("the history has no run of %.80q that ended: why says 'sentry explain'; runs come into it while 'sentry watch' is running", of)
}

// Choice is which run of the past is meant.
type Choice struct {
	Run    string // its name; "" = the newest
	Failed bool   // only what did not succeed of it
	Back   bool   // without a name the last good one, in place of the newest
}

// Of returns that run, of those of the past, newest first, which messages call by a name.
func (c Choice) Of(past []result.Result, name string) (result.Result, error) {
	if c.Back && c.Run == "" {
		return lastGood(past, name)
	}
	was, err := pick(past, name, c.Run)
	if err != nil || !c.Failed {
		return was, err
	}
	return failed(was)
}

// lastGood returns the newest run that succeeded, that deployed all of the unit, and that deployed other commits than those that
// were deployed last: going back to these would change nothing. All of the unit is what its newest run deployed that no person
// asked for; such a one may be of a few members.
func lastGood(past []result.Result, of string) (result.Result, error) {
	newest, err := pick(past, of, "")
	if err != nil {
		return result.Result{}, err
	}
	past = slices.DeleteFunc(slices.Clone(past), func(r result.Result) bool { return r.Unit != newest.Unit || r.Cluster != newest.Cluster })
	now := map[repo.Ref]repo.SHA{}
	for _, r := range slices.Backward(past) {
		for _, m := range r.Members {
			if m.Verdict != result.Skipped {
				now[m.Ref.Ref] = m.SHA
			}
		}
	}
	all := newest
	if i := slices.IndexFunc(past, func(r result.Result) bool { return !r.Manual }); i >= 0 {
		all = past[i]
	}
	for _, r := range past {
		other := slices.ContainsFunc(r.Members, func(m result.Member) bool { return now[m.Ref.Ref] != m.SHA })
		if r.Verdict == result.Succeeded && other && holds(r, all) {
			return r, nil
		}
	}
	return result.Result{}, fmt.Errorf("the history has no run of %.80q that succeeded and deployed something else than what was deployed last: 'sentry history %.80[1]s' lists what it has, and --run names one", of)
}

// holds reports whether a run has all members of another one.
func holds(r, all result.Result) bool {
	for _, m := range all.Members {
		if !slices.ContainsFunc(r.Members, func(o result.Member) bool { return o.Ref.Ref == m.Ref.Ref }) {
			return false
		}
	}
	return true
}

// failed returns the run without the members that succeeded.
func failed(r result.Result) (result.Result, error) {
	r.Members = slices.DeleteFunc(slices.Clone(r.Members), func(m result.Member) bool { return m.Verdict == result.Succeeded })
	if len(r.Members) == 0 {
		return r, fmt.Errorf("all of %s succeeded: leave --failed out to run it again as a whole", r.Name)
	}
	return r, nil
}

// Again returns a run by hand of what the run deployed, at the commits that were pinned then, with the configuration of today.
func Again(in plan.Input, r result.Result, word string) (plan.Run, error) {
	var members []plan.Member
	var errs []error
	for _, m := range r.Members {
		member, err := memberOf(in, m)
		errs = append(errs, err)
		members = append(members, member)
	}
	if len(members) == 0 {
		errs = append(errs, errors.New("which commits it deployed is not known"))
	}
	if err := errors.Join(errs...); err != nil {
		return plan.Run{}, fmt.Errorf("%s cannot be made again: %w", r.Name, err)
	}
	run := plan.ByHand(in, members, word)
	if run.Unit.Label != r.Unit {
		return plan.Run{}, fmt.Errorf("%s cannot be made again: it was of the unit %.80q, and its repositories are of %s now", r.Name, r.Unit, run.Unit.Label)
	}
	if run.Group.Cluster != r.Cluster {
		return plan.Run{}, fmt.Errorf("%s cannot be made again: it was in the cluster %.80s, and %s runs in %s now", r.Name, cmp.Or(r.Cluster, place.Home), r.Unit, cmp.Or(run.Group.Cluster, place.Home))
	}
	return run, nil
}

func memberOf(in plan.Input, m result.Member) (plan.Member, error) {
	name := oneline.Of(cmp.Or(m.Repository, m.Task), maxText)
	r, ok := in.Config.Lookup(m.Repository)
	switch {
	case m.Repository == "" || m.SHA == "":
		return plan.Member{}, fmt.Errorf("which commit %s deployed is not known, as of a run of an earlier Sentry or one that a person made", name)
	case !ok:
		return plan.Member{}, fmt.Errorf("the configuration has no repository %s any more", name)
	}
	for what, sha := range map[string]repo.SHA{"commit": m.SHA, "commit of the QA repository": m.QA} {
		if _, err := repo.ParseSHA(string(sha)); err != nil && (sha != "" || r.Deploy.URL != "") {
			return plan.Member{}, fmt.Errorf("the %s that %s deployed is not known: %w", what, name, err)
		}
	}
	if err := repo.CheckBranch(m.Branch); err != nil {
		return plan.Member{}, fmt.Errorf("the branch that %s deployed is not known: %w", name, err)
	}
	was, _ := in.Snapshot.Repositories[r.Name].Branch(m.Branch)
	return plan.Member{Repository: r, Branch: m.Branch, SHA: m.SHA, Previous: was.SHA, Changed: m.SHA != was.SHA, QASHA: m.QA, Request: m.Request}, nil
}

// Words says what a run deploys, a line each.
func Words(members []plan.Member) []string {
	lines := make([]string, len(members))
	for i, m := range members {
		lines[i] = fmt.Sprintf("%s %s at %s", m.Repository.Name, m.Branch, m.SHA.Short())
		if m.Previous != "" && m.Previous != m.SHA {
			lines[i] += fmt.Sprintf(" (acted upon last: %s)", m.Previous.Short())
		}
	}
	return lines
}
