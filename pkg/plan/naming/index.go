package naming

import "github.com/tekton-sentry/sentry/pkg/config"

// Index tells which repositories of a configuration run in a unit, without a look at all of them.
type Index struct {
	ofRepository map[string]int
	ofGroup      map[string][]int
}

// NewIndex returns the index of repositories, whose names differ.
func NewIndex(repositories []config.Repository) *Index {
	x := &Index{make(map[string]int, len(repositories)), map[string][]int{}}
	for i := range repositories {
		r := &repositories[i]
		x.ofRepository[r.Name] = i
		if r.Group != "" {
			x.ofGroup[r.Group] = append(x.ofGroup[r.Group], i)
		}
	}
	return x
}

// Of returns where the repositories stand that run in the unit, in their order.
func (x *Index) Of(u Unit) []int {
	if u.Group != "" {
		return x.ofGroup[u.Group]
	}
	if i, known := x.ofRepository[u.Ref.Repository]; known {
		return []int{i}
	}
	return nil
}
