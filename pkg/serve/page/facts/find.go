package facts

import (
	"slices"
	"strings"
)

// Kinds of what is found.
const (
	UnitKind       = "unit"
	RepositoryKind = "repository"
	RunKind        = "run"
)

// Found is one thing whose name was looked for.
type Found struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
	// Beside is what tells it from others: a unit's newest verdict, a repository's group, a run's unit.
	Beside string `json:"beside,omitempty"`
}

// MaxQuery is how many bytes of a query count.
const MaxQuery = 200

// Find returns what has all words of the query in its name, whatever their case: repositories and units first, then runs. Those that
// begin with the query come first, then those with shorter names. At most so many are returned, and how many there are.
func (f *Facts) Find(query string, most int) (found []Found, all int) {
	words := strings.Fields(strings.ToLower(query[:min(len(query), MaxQuery)]))
	if len(words) == 0 {
		return nil, 0
	}
	type hit struct {
		Found
		rank int
	}
	var hits []hit
	add := func(kind, name, beside string, rank int) {
		lower := strings.ToLower(name)
		for _, w := range words {
			if !strings.Contains(lower, w) {
				return
			}
		}
		if !strings.HasPrefix(lower, words[0]) {
			rank++
		}
		hits = append(hits, hit{Found{kind, name, beside}, rank})
	}
	for i := range f.Config.Repositories {
		r := &f.Config.Repositories[i]
		add(RepositoryKind, r.Name, r.Group, 0)
	}
	for name := range f.Snapshot.Repositories {
		if _, ok := f.repos[name]; !ok {
			add(RepositoryKind, name, "", 0)
		}
	}
	for i := range f.Status.Units {
		add(UnitKind, f.Status.Units[i].Unit, f.Status.Units[i].Verdict, 0)
	}
	for i := range f.Results {
		add(RunKind, f.Results[i].Name, f.Results[i].Unit, 2)
	}
	for i := range f.Runs {
		if _, ended := f.result[f.Runs[i].Name]; !ended {
			add(RunKind, f.Runs[i].Name, f.Runs[i].Unit, 2)
		}
	}
	slices.SortStableFunc(hits, func(a, b hit) int {
		if a.rank != b.rank {
			return a.rank - b.rank
		}
		if len(a.Name) != len(b.Name) && a.Kind != RunKind && b.Kind != RunKind {
			return len(a.Name) - len(b.Name)
		}
		if a.Kind == RunKind && b.Kind == RunKind {
			return 0 // newest first, as they come
		}
		return strings.Compare(a.Name, b.Name)
	})
	for _, h := range hits[:min(most, len(hits))] {
		found = append(found, h.Found)
	}
	return found, len(hits)
}
