package strategy

import (
	"slices"
	"time"
)

// Graph says of each task of a run which others have to end before it begins. The tasks are the members by their index and,
// where there is a check, the check after them.
//
// A task that waits needs the success of those before it. In a group that goes on after a failure their end is enough, but
// for those that decide.
type Graph struct {
	After [][]int // of each task; ascending, and none that follows from the others
	Check bool    // the last task is a check of the first member: all other members wait for it
}

// Decides reports whether the task's failure ends the run whatever the group goes on after: it is a member that is checked,
// or its check. Nothing else runs at the same time.
func (g Graph) Decides(task int) bool { return g.Check && (task == 0 || task == len(g.After)-1) }

// Ordered reports whether any task waits for another.
func (g Graph) Ordered() bool {
	return slices.ContainsFunc(g.After, func(after []int) bool { return len(after) > 0 })
}

// Chain reports whether the tasks run one at a time.
func (g Graph) Chain() bool {
	roots, followed := 0, make(map[int]bool)
	for _, after := range g.After {
		switch {
		case len(after) == 0:
			roots++
		case len(after) > 1 || followed[after[0]]:
			return false
		default:
			followed[after[0]] = true
		}
	}
	return roots == 1
}

// Longest returns the longest time that tasks which wait for each other take, if each takes so long.
func (g Graph) Longest(takes func(task int) time.Duration) time.Duration {
	var longest time.Duration
	ends := make([]time.Duration, len(g.After))
	for _, i := range g.sorted() {
		for _, before := range g.After[i] {
			ends[i] = max(ends[i], ends[before])
		}
		ends[i] += takes(i)
		longest = max(longest, ends[i])
	}
	return longest
}

// sorted returns the tasks so that each stands behind those for which it waits.
func (g Graph) sorted() []int {
	order := make([]int, 0, len(g.After))
	seen := make([]bool, len(g.After))
	var visit func(i int)
	visit = func(i int) {
		if seen[i] {
			return
		}
		seen[i] = true
		for _, before := range g.After[i] {
			visit(before)
		}
		order = append(order, i)
	}
	for i := range g.After {
		visit(i)
	}
	return order
}

// reduced returns the graph without what follows from the rest: a task that waits for another does so for all that one waits for.
func (g Graph) reduced() Graph {
	least := make([][]int, len(g.After))
	behind := make([][]bool, len(g.After)) // of each task: those for which it waits, through others as well
	for _, i := range g.sorted() {
		behind[i] = make([]bool, len(g.After))
		for _, before := range g.After[i] {
			for j, waits := range behind[before] {
				behind[i][j] = behind[i][j] || waits
			}
		}
		for _, before := range g.After[i] {
			if !behind[i][before] {
				least[i] = append(least[i], before)
			}
		}
		for _, before := range least[i] {
			behind[i][before] = true
		}
		slices.Sort(least[i])
		least[i] = slices.Compact(least[i])
	}
	g.After = least
	return g
}

// inLanes returns the graph with at most so many tasks at a time, 0 for all: each is in a lane, where it waits for the one before it.
// Lanes are filled as if all tasks took the same time, with those first that begin the longest chains and else in their order.
func (g Graph) inLanes(most int) Graph {
	if most == 0 || most >= len(g.After) {
		return g
	}
	waiting := g.byChains()
	after, done := slices.Clone(g.After), make([]bool, len(g.After))
	ends := slices.Repeat([]int{-1}, most) // the last task of each lane
	for len(waiting) > 0 {
		var turn, later, rest []int
		for _, i := range waiting {
			if len(turn) < most && !slices.ContainsFunc(g.After[i], func(before int) bool { return !done[before] }) {
				turn = append(turn, i)
			} else {
				later = append(later, i)
			}
		}
		free := ends
		ends = nil
		for _, i := range turn {
			done[i] = true
			// Behind a task for which it waits anyway, a lane costs nothing.
			lane := slices.IndexFunc(free, func(end int) bool { return slices.Contains(g.After[i], end) })
			if lane < 0 {
				rest = append(rest, i)
				continue
			}
			free = slices.Delete(slices.Clone(free), lane, lane+1)
			ends = append(ends, i)
		}
		for at, i := range rest {
			if free[at] >= 0 {
				after[i] = append(slices.Clone(after[i]), free[at])
			}
		}
		ends = slices.Concat(ends, rest, free[len(rest):])
		waiting = later
	}
	g.After = after
	return g
}

// byChains returns the tasks with those first behind which the longest chains wait, and else in their order.
func (g Graph) byChains() []int {
	sorted, behind := g.sorted(), make([]int, len(g.After))
	for _, i := range slices.Backward(sorted) {
		for _, before := range g.After[i] {
			behind[before] = max(behind[before], behind[i]+1)
		}
	}
	slices.Sort(sorted)
	slices.SortStableFunc(sorted, func(a, b int) int { return behind[b] - behind[a] })
	return sorted
}
