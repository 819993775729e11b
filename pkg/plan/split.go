package plan

import (
	"cmp"
	"slices"

	"github.com/tekton-sentry/sentry/pkg/repo"
)

// Ref returns the branch that the member deploys. A run has it once.
func (m Member) Ref() repo.Ref { return repo.Ref{Repository: m.Repository.Name, Branch: m.Branch} }

// turns returns the members in the order in which they get a place in a run that cannot hold all of
// them: of each repository its first change, then what runs along unchanged, then of each
// repository its second change, and so on. So nobody's thousand branches keep another one's change
// waiting. The first changes come in the order in which their repositories were last served, and
// else in that of the file.
//
// Of one repository the branches that moved go before the new ones, as there may be thousands of
// these, and the one first that ran longest ago, by the number of its run.
func turns(members []Member, served map[string]int, ran func(repo.Ref) int) []repo.Ref {
	order := slices.Clone(members)
	slices.SortStableFunc(order, func(a, b Member) int {
		return cmp.Or(FalseFirst(a.Previous == "", b.Previous == ""), cmp.Compare(ran(a.Ref()), ran(b.Ref())))
	})
	round, seen := make(map[repo.Ref]int), make(map[string]int)
	for _, m := range order {
		round[m.Ref()] = seen[m.Repository.Name]
		seen[m.Repository.Name]++
	}
	file := make(map[string]int)
	for i, m := range members {
		if _, ok := file[m.Repository.Name]; !ok {
			file[m.Repository.Name] = i
		}
	}
	slices.SortFunc(order, func(a, b Member) int {
		return cmp.Or(
			cmp.Compare(round[a.Ref()], round[b.Ref()]),
			FalseFirst(!a.Changed, !b.Changed),
			cmp.Compare(served[a.Repository.Name], served[b.Repository.Name]),
			cmp.Compare(file[a.Repository.Name], file[b.Repository.Name]),
		)
	})
	refs := make([]repo.Ref, len(order))
	for i, m := range order {
		refs[i] = m.Ref()
	}
	return refs
}

// FalseFirst compares two of them as package cmp does: it puts false before true.
func FalseFirst(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// Turns returns the members in the order in which they get a place in the run.
func (r Run) Turns() []Member {
	of := make(map[repo.Ref]Member, len(r.Members))
	for _, m := range r.Members {
		of[m.Ref()] = m
	}
	var members []Member
	for _, ref := range r.turns {
		if m, ok := of[ref]; ok {
			members = append(members, m)
		}
	}
	return members
}

// Without returns the run without the members that are these branches, under the same name. Their refs are not advanced.
func (r Run) Without(refs map[repo.Ref]bool) Run {
	if len(refs) == 0 {
		return r
	}
	gone := func(ref repo.Ref) bool { return refs[ref] }
	part := r
	part.Members = slices.DeleteFunc(slices.Clone(r.Members), func(m Member) bool { return gone(m.Ref()) })
	part.Trigger.Refs = slices.DeleteFunc(slices.Clone(r.Trigger.Refs), func(c Change) bool { return gone(c.Ref) })
	part.turns = slices.DeleteFunc(slices.Clone(r.turns), gone)
	part.Refused = slices.Clone(r.Refused)
	for _, m := range r.Members {
		if gone(m.Ref()) {
			part.Refused = append(part.Refused, m.Ref().String())
		}
	}
	nameTasks(part.Members)
	return part
}

// Split returns the run with its first members by turn, so many at most, under the same name.
// Members that are too large for any run get no turn; what else has no place
//
//	a change     | waits: its ref is not advanced, so the next plan makes it the unit's next run
//	unchanged    | is left out of this run, as NoRoom says
//	too large    | the same, changed or not
func (r Run) Split(most int, large map[repo.Ref]bool) Run {
	if len(r.Members) <= most && len(large) == 0 {
		return r
	}
	part := r
	part.Members, part.NoRoom, part.Trigger.Refs = nil, nil, nil
	placed := make(map[repo.Ref]bool)
	for _, ref := range r.turns {
		if !large[ref] && len(placed) < most {
			placed[ref] = true
		}
	}
	for _, m := range r.Members {
		switch ref := m.Ref(); {
		case placed[ref]:
			part.Members = append(part.Members, m)
		case m.Changed && !large[ref]:
			part.Trigger.Waiting++
		default:
			part.NoRoom = append(part.NoRoom, ref.String())
		}
	}
	for _, c := range r.Trigger.Refs {
		if placed[c.Ref] {
			part.Trigger.Refs = append(part.Trigger.Refs, c)
		}
	}
	nameTasks(part.Members)
	return part
}
