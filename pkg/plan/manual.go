package plan

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

// Manual makes the runs of `sentry trigger`: each named repository, and all members of each named group, at
// its current head; no names mean everything. A name that both a repository and a group have is the
// repository: that is the smaller deed, and the group's members can still be named. Members of one group
// are one run of the group's unit, with only the members that were named.
//
// branch chooses the branch in each of the repositories, whether or not it matches what is watched; "" is
// each repository's first configured branch. word is a random word, so that the run gets a name of its own.
//
// The error lists all names that nothing has, or else all repositories whose head is not known. Manual runs
// change no state: their changes have N = 0, and Run.Remember does nothing.
func Manual(in Input, names []string, branch, word string) ([]Run, error) {
	chosen, err := choose(in.Config, names)
	if err != nil {
		return nil, err
	}
	type draft struct {
		unit    Unit
		members []Member
	}
	var drafts []*draft
	groups := make(map[string]*draft)
	var errs []error
	for _, i := range chosen {
		m, err := asked(in, i, branch)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		d := groups[m.Repository.Group]
		if m.Repository.Group == "" || d == nil {
			d = &draft{unit: UnitOf(m.Repository, m.Branch)}
			drafts = append(drafts, d)
			groups[m.Repository.Group] = d
		}
		d.members = append(d.members, m)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	runs := make([]Run, len(drafts))
	for i, d := range drafts {
		trigger := Trigger{Seen: in.Now, Manual: word}
		for _, m := range d.members {
			ref := repo.Ref{Repository: m.Repository.Name, Branch: m.Branch}
			trigger.Refs = append(trigger.Refs, Change{Ref: ref, Old: m.Previous, New: m.SHA})
		}
		runs[i] = newRun(in, d.unit, trigger, d.members, nil)
	}
	return runs, nil
}

// asked returns the member for a repository that was asked for by hand.
func asked(in Input, i int, branch string) (Member, error) {
	r, o := &in.Config.Repositories[i], in.Observed[i]
	if o.Err != nil {
		return Member{}, fmt.Errorf("cannot read the branches of %s: %w", r.Name, o.Err)
	}
	if branch == "" {
		first, ok := firstBranch(r.Monitor.Branches, o.Heads)
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
	return Member{Repository: r, Branch: branch, SHA: sha, Previous: was.SHA, Changed: sha != was.SHA}, nil
}

// choose returns the indices of the repositories that names mean, in the order of the file.
func choose(c *config.Config, names []string) ([]int, error) {
	known := make(map[string][]int)
	for i, r := range c.Repositories {
		if r.Group != "" {
			known[r.Group] = append(known[r.Group], i)
		}
	}
	for i, r := range c.Repositories {
		known[r.Name] = []int{i}
	}
	var chosen []int
	var unknown []string
	for _, name := range names {
		indices, ok := known[name]
		if !ok {
			hint := ""
			if near := config.Nearest(name, slices.Sorted(maps.Keys(known))); near != "" {
				hint = fmt.Sprintf(" (did you mean %q?)", near)
			}
			unknown = append(unknown, fmt.Sprintf("%.80q%s", name, hint))
		}
		chosen = append(chosen, indices...)
	}
	if len(unknown) > 0 {
		slices.Sort(unknown)
		return nil, fmt.Errorf("no repository or group is named %s", strings.Join(slices.Compact(unknown), ", "))
	}
	if len(names) == 0 {
		for i := range c.Repositories {
			chosen = append(chosen, i)
		}
	}
	slices.Sort(chosen)
	return slices.Compact(chosen), nil
}
