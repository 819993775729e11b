package plan

import (
	"errors"
	"maps"
	"slices"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/plan/naming"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

// runs makes the runs of all units that have a change, in the order of the file. A group's place is that of
// its first member.
func (p *planner) runs() []Run {
	if len(p.due) == 0 {
		return nil
	}
	groups := make(map[string][]int)
	for i, r := range p.Config.Repositories {
		groups[r.Group] = append(groups[r.Group], i)
	}
	var runs []Run
	for i := range p.Config.Repositories {
		switch r := &p.Config.Repositories[i]; {
		case r.Group == "":
			for _, c := range p.due[r.Name] {
				trigger, m := Trigger{Refs: []Change{c}, Seen: p.Now}, changed(r, c)
				m.Request = p.Observed[i].Requests[c.Branch]
				runs = append(runs, newRun(p.Input, naming.UnitOf(r, c.Branch), trigger, []Member{m}, nil))
			}
		case groups[r.Group][0] == i:
			if run, ok := p.group(groups[r.Group]); ok {
				runs = append(runs, run)
			}
		}
	}
	return runs
}

// group makes the run of a group's members, if one is due and all answers are there.
func (p *planner) group(indices []int) (Run, bool) {
	trigger := Trigger{Seen: p.Now}
	var members []Member
	var leftOut []string
	first := &p.Config.Repositories[indices[0]]
	scope := p.Config.Groups[first.Group].Deploy
	last, served := 0, make(map[string]int) // N of any run that a member was in, and of each member's own
	for _, i := range indices {
		r := &p.Config.Repositories[i]
		served[r.Name] = p.Snapshot.Repositories[r.Name].Highest()
		last = max(last, served[r.Name])
		if errors.Is(p.failure(i), errNoAnswer) && (p.Observed[i].Status == repo.Pending || !p.Snapshot.Seen(r.Name)) {
			return Run{}, false
		}
		changes := p.due[r.Name]
		trigger.Refs = append(trigger.Refs, changes...)
		for _, c := range changes {
			members = append(members, changed(r, c))
		}
		if len(changes) > 0 || scope == config.Changed {
			continue
		}
		if m, ok := p.unchanged(i); ok {
			members = append(members, m)
		} else {
			leftOut = append(leftOut, r.Name)
		}
	}
	if len(trigger.Refs) == 0 {
		return Run{}, false
	}
	for i := range trigger.Refs {
		trigger.Refs[i].N = last + 1
	}
	run := newRun(p.Input, naming.UnitOf(first, ""), trigger, members, leftOut)
	run.turns = turns(members, served, func(ref repo.Ref) int { return p.Snapshot.Repositories[ref.Repository].Branches.Get(ref.Branch).N })
	return run, true
}

func changed(r *config.Repository, c Change) Member {
	return Member{Repository: r, Branch: c.Branch, SHA: c.New, Previous: c.Old, Changed: true}
}

// unchanged returns the member that runs because another one changed; false when nothing is known of it.
func (p *planner) unchanged(i int) (Member, bool) {
	r := &p.Config.Repositories[i]
	heads := p.Observed[i].Heads
	known := p.Snapshot.Repositories[r.Name]
	if p.failure(i) != nil {
		heads = make(map[string]repo.SHA, known.Branches.Len())
		for branch := range known.Branches.All() {
			if b, ok := known.Branch(branch); ok {
				heads[branch] = b.SHA
				if p := b.PassedSince(); p != nil { // which was deployed along, perhaps
					heads[branch] = p.SHA
				}
			}
		}
	}
	branch, ok := firstBranch(r.Monitor.Branches, heads)
	was, _ := known.Branch(branch)
	return Member{Repository: r, Branch: branch, SHA: heads[branch], Previous: was.SHA}, ok
}

// firstBranch returns the branch that is deployed when none is named: the first one, sorted by name, that
// matches the first pattern which matches any. Where none does it is the tag of the highest version that a pattern matches.
func firstBranch(patterns repo.Patterns, heads map[string]repo.SHA) (string, bool) {
	branches := slices.Sorted(maps.Keys(heads))
	for _, p := range patterns.Branches() {
		if i := slices.IndexFunc(branches, p.Match); i >= 0 {
			return branches[i], true
		}
	}
	tags := slices.DeleteFunc(branches, func(name string) bool { return !patterns.Tags().Match(name) })
	if len(tags) == 0 {
		return "", false
	}
	return slices.MaxFunc(tags, repo.CompareVersions), true
}
