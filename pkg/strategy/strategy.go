// Package strategy says in which order the members of a group run, and who waits for whom. A strategy is a function from members
// and settings to a Graph; who runs that, Tekton or this machine, is not its concern. It is pure.
package strategy

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Name is what the configuration calls a strategy.
type Name string

// The strategies.
const (
	Parallel   Name = "parallel"   // all at once
	Sequential Name = "sequential" // one after the other
	Waves      Name = "waves"      // all of a wave at once, after all of the wave before it
	Needs      Name = "graph"      // each after those that it needs
	Canary     Name = "canary"     // the first one and a check of it, then all others
)

// Names returns the strategies that there are; the first is that of a group that names none.
func Names() []string {
	names := make([]string, len(builtin))
	for i, s := range builtin {
		names[i] = string(s.name)
	}
	return names
}

var builtin = []struct {
	name  Name
	graph func([]Member, Settings) Graph
}{
	{Parallel, parallel},
	{Sequential, sequential},
	{Waves, waves},
	{Needs, needs},
	{Canary, canary},
}

// Member is one deployment of a run.
type Member struct {
	Repository string
	Wave       int // from 1
}

// Settings are what a group says of its order.
type Settings struct {
	MaxParallel int   // tasks at a time; 0 = all that may
	Shares      []int // of the members that are in the waves up to each, in percent; nil = Member.Wave says it
	// Needs are the repositories that each one waits for, without a cycle. It has those of all members of the group: who needs one
	// that does not run waits for what that one needs.
	Needs map[string][]string
}

// Of returns the order of the members, which come in that of the file. It fails where there are none, and where they would wait for each
// other for ever.
func Of(name Name, members []Member, s Settings) (Graph, error) {
	if len(members) == 0 {
		return Graph{}, errors.New("there is nobody to put into an order")
	}
	names := slices.Sorted(maps.Keys(s.Needs))
	if way := Cycle(names, s.Needs); way != nil {
		return Graph{}, fmt.Errorf("they need each other in a circle: %s", strings.Join(way, " → "))
	}
	graph := parallel
	for _, b := range builtin {
		if b.name == name {
			graph = b.graph
		}
	}
	return graph(members, s).inLanes(s.MaxParallel).reduced(), nil
}

func parallel(members []Member, _ Settings) Graph { return Graph{After: make([][]int, len(members))} }

func sequential(members []Member, s Settings) Graph {
	g := parallel(members, s)
	for i := 1; i < len(members); i++ {
		g.After[i] = []int{i - 1}
	}
	return g
}

func waves(members []Member, s Settings) Graph {
	g := parallel(members, s)
	of := make(map[int][]int)
	for i, m := range members {
		wave := m.Wave
		if s.Shares != nil {
			wave = slices.IndexFunc(s.Shares, func(percent int) bool { return i*100 < percent*len(members) })
		}
		of[wave] = append(of[wave], i)
	}
	var before []int
	for _, wave := range slices.Sorted(maps.Keys(of)) {
		for _, i := range of[wave] {
			g.After[i] = before
		}
		before = of[wave]
	}
	return g
}

func needs(members []Member, s Settings) Graph {
	g := parallel(members, s)
	run := make(map[string][]int)
	for i, m := range members {
		run[m.Repository] = append(run[m.Repository], i)
	}
	for i, m := range members {
		seen := make(map[string]bool)
		var wait func(repository string)
		wait = func(repository string) {
			for _, needed := range s.Needs[repository] {
				if !seen[needed] {
					seen[needed] = true
					g.After[i] = append(g.After[i], run[needed]...)
					wait(needed)
				}
			}
		}
		wait(m.Repository)
	}
	return g
}

func canary(members []Member, s Settings) Graph {
	g := parallel(members, s)
	check := len(members)
	for i := range members[1:] {
		g.After[i+1] = []int{check}
	}
	return Graph{After: append(g.After, []int{0}), Check: true}
}

// Cycle returns a way from a repository through what it needs to itself, beginning with the first of names that is on one; nil where
// there is none.
func Cycle(names []string, needs map[string][]string) []string {
	const open, closed = 1, 2
	state := make(map[string]int)
	var path []string
	var visit func(name string) []string
	visit = func(name string) []string {
		path = append(path, name)
		defer func() { path = path[:len(path)-1] }()
		switch state[name] {
		case open:
			return slices.Clone(path[slices.Index(path, name):])
		case closed:
			return nil
		}
		state[name] = open
		for _, needed := range needs[name] {
			if way := visit(needed); way != nil {
				return way
			}
		}
		state[name] = closed
		return nil
	}
	for _, name := range names {
		if way := visit(name); way != nil {
			return way
		}
	}
	return nil
}
