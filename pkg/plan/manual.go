package plan

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/plan/naming"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/spelling"
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
	chosen, err := choose(in.Config, names)
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

// Asked reports whether names, of which none means everything, ask for the repository, and returns the branches that
// they name, as units or REPOSITORY@BRANCH: these need not match what is watched.
func Asked(r *config.Repository, names []string) (branches []string, ok bool) {
	ok = len(names) == 0
	for _, name := range names {
		ok = ok || name == r.Name || name == r.Group || mayBeBranch(r, name)
		for _, start := range []string{r.Name + ".", r.Name + "@"} {
			if branch, plain := strings.CutPrefix(name, start); plain && is(r, branch, name) {
				branches = append(branches, branch)
			}
		}
	}
	return branches, ok
}

// mayBeBranch reports whether name is that of a branch of r, as far as that can be told without the branches.
func mayBeBranch(r *config.Repository, name string) bool {
	if branch, ok := strings.CutPrefix(name, r.Name+"@"); ok {
		return repo.CheckBranch(branch) == nil
	}
	return r.Group == "" && (strings.HasPrefix(name, r.Name+".") || strings.HasPrefix(name, naming.LabelStart(r.Name)))
}

func is(r *config.Repository, branch, name string) bool {
	return branch != "" && (name == r.Name+"@"+branch || r.Group == "" && naming.UnitOf(r, branch).Label == name)
}

// choice is a repository that was asked for by hand.
type choice struct {
	repository int    // its index
	branch     string // the name of the one that was named; "" = the repository or its group was
}

// asked returns the member for a repository that was asked for by hand.
func asked(in Input, c choice, branch string) (Member, error) {
	r, o := &in.Config.Repositories[c.repository], in.Observed[c.repository]
	switch {
	case c.branch != "" && branch != "":
		return Member{}, fmt.Errorf("%q names a branch itself: name %s, or leave --branch out", c.branch, r.Name)
	case o.Err != nil:
		return Member{}, fmt.Errorf("cannot read the branches of %s: %w", r.Name, o.Err)
	case c.branch != "":
		branches := slices.Sorted(maps.Keys(o.Heads))
		i := slices.IndexFunc(branches, func(b string) bool { return is(r, b, c.branch) })
		if i < 0 {
			return Member{}, fmt.Errorf("%s has no branch that is %.80q", r.Name, c.branch)
		}
		branch = branches[i]
	case branch == "":
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

// CheckNames returns an error that lists the names which are nothing's, as far as that can be told without the branches.
func CheckNames(c *config.Config, names []string) error {
	_, err := choose(c, names)
	return err
}

// choose returns what names mean, in the order of the file.
func choose(c *config.Config, names []string) ([]choice, error) {
	known := make(map[string][]int)
	for i, r := range c.Repositories {
		if r.Group != "" {
			known[r.Group] = append(known[r.Group], i)
		}
	}
	for i, r := range c.Repositories {
		known[r.Name] = []int{i}
	}
	var chosen []choice
	var unknown []string
	for _, name := range names {
		if indices, ok := known[name]; ok {
			for _, i := range indices {
				chosen = append(chosen, choice{repository: i})
			}
			continue
		}
		i := slices.IndexFunc(c.Repositories, func(r config.Repository) bool { return mayBeBranch(&r, name) })
		if i >= 0 {
			chosen = append(chosen, choice{i, name})
			continue
		}
		unknown = append(unknown, fmt.Sprintf("%.80q%s", name, hint(c, name, slices.Sorted(maps.Keys(known)))))
	}
	if len(unknown) > 0 {
		slices.Sort(unknown)
		return nil, fmt.Errorf("no repository, group or unit is named %s", strings.Join(slices.Compact(unknown), ", "))
	}
	if len(names) == 0 {
		for i := range c.Repositories {
			chosen = append(chosen, choice{repository: i})
		}
	}
	slices.SortFunc(chosen, func(a, b choice) int {
		return cmp.Or(cmp.Compare(a.repository, b.repository), cmp.Compare(a.branch, b.branch))
	})
	return slices.Compact(chosen), nil
}

// hint says which of the known names was probably meant.
func hint(c *config.Config, name string, known []string) string {
	if before, branch, dotted := strings.Cut(name, "."); dotted {
		if r, ok := c.Lookup(before); ok && r.Group != "" {
			return fmt.Sprintf(" (did you mean %q, or \"%s@%.80s\"?)", r.Group, r.Name, branch)
		}
	}
	if near := spelling.Nearest(name, known); near != "" {
		return fmt.Sprintf(" (did you mean %q?)", near)
	}
	if near := spelling.Nearby(name, known); len(near) > 0 {
		return fmt.Sprintf(" (there is %s)", strings.Join(near, ", "))
	}
	return ""
}
