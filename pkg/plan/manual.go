package plan

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/tekton-sentry/sentry/pkg/plan/named"
	"github.com/tekton-sentry/sentry/pkg/plan/naming"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

// Manual makes the runs of `sentry trigger`: each named repository, all members of each named group, and each
// branch, by its unit or as REPOSITORY@BRANCH, at its current head; no names mean everything. A name that both a
// repository and a group have is the repository: that is the smaller deed, and the group's members can still be
// named. Members of one group are one run of the group's unit, with only the members that were named.
//
// branch chooses the branch in each of the repositories, whether or not it matches what is watched; "" is
// each repository's first configured branch. word is a random word, so that the run gets a name of its own.
//
// The error lists all names that nothing has, or else all repositories whose head is not known. Manual runs
// change no state: their changes have N = 0, and Run.Remember does nothing.
func Manual(in Input, names []string, branch, word string) ([]Run, error) {
	chosen, err := named.Choose(in.Config, names)
	if err != nil {
		return nil, err
	}
	var drafts []*[]Member
	groups := make(map[string]*[]Member)
	taken := make(map[repo.Ref]bool)
	var errs []error
	for _, c := range chosen {
		m, err := asked(in, c, branch)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		ref := repo.Ref{Repository: m.Repository.Name, Branch: m.Branch}
		if taken[ref] {
			continue
		}
		taken[ref] = true
		d := groups[m.Repository.Group]
		if m.Repository.Group == "" || d == nil {
			d = new([]Member)
			drafts = append(drafts, d)
			groups[m.Repository.Group] = d
		}
		*d = append(*d, m)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	runs := make([]Run, len(drafts))
	for i, members := range drafts {
		runs[i] = ByHand(in, *members, word)
	}
	return runs, nil
}

// ByHand returns the run that a person asks for of members of one unit, as Manual makes it. Their Task is not looked at.
func ByHand(in Input, members []Member, word string) Run {
	trigger := Trigger{Seen: in.Now, Manual: word}
	for _, m := range members {
		trigger.Refs = append(trigger.Refs, Change{Ref: m.Ref(), Old: m.Previous, New: m.SHA})
	}
	return newRun(in, naming.UnitOf(members[0].Repository, members[0].Branch), trigger, members, nil)
}

// asked returns the member for a repository that was asked for by hand.
func asked(in Input, c named.Choice, branch string) (Member, error) {
	r, o := &in.Config.Repositories[c.Repository], in.Observed[c.Repository]
	switch {
	case c.Branch != "" && branch != "":
		return Member{}, fmt.Errorf("%q names a branch itself: name %s, or leave --branch out", c.Branch, r.Name)
	case o.Err != nil:
		return Member{}, fmt.Errorf("cannot read the branches of %s: %w", r.Name, o.Err)
	case c.Branch != "":
		branches := slices.Sorted(maps.Keys(o.Heads))
		i := slices.IndexFunc(branches, func(b string) bool { return named.Is(r, b, c.Branch) })
		if i < 0 {
			return Member{}, fmt.Errorf("%s has no branch that is %.80q", r.Name, c.Branch)
		}
		branch = branches[i]
	case branch == "":
		first, ok := firstBranch(r.Monitor.Branches, o.Heads)
		if _, requests := r.Monitor.Branches.Requests(); requests {
			return Member{}, fmt.Errorf("%s watches requests, of which none is the first: name one, as in %s@%s7/head", r.Name, r.Name, repo.Pulls)
		}
		if !ok {
			return Member{}, fmt.Errorf("%s has no branch that matches %s: check monitor.branches", r.Name, r.Monitor.Branches)
		}
		branch = first
	}
	sha, ok := o.Heads[branch]
	if !ok {
		return Member{}, fmt.Errorf("%s has no branch %q", r.Name, branch)
	}
	was, _ := in.Snapshot.Repositories[r.Name].Branch(branch)
	return Member{Repository: r, Branch: branch, SHA: sha, Previous: was.SHA, Changed: sha != was.SHA, Request: o.Requests[branch]}, nil
}
