package state

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

// Branches are what a map of them is, and a clone is its own.
func TestBranches(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	got, want := NewBranches(nil), map[string]Branch{}
	for i := range 2000 {
		before, same := got.Clone(), maps.Clone(want)
		name := fmt.Sprint(random.IntN(30))
		if random.IntN(3) == 0 {
			got.Delete(name)
			delete(want, name)
		} else {
			got.Set(name, Branch{N: i + 1})
			want[name] = Branch{N: i + 1}
		}
		for b, all := range map[*Branches]map[string]Branch{&got: want, &before: same} {
			if !maps.Equal(maps.Collect(b.All()), all) || b.Len() != len(all) || !b.equal(new(NewBranches(all))) {
				t.Fatalf("step %d: %v, want %v", i, maps.Collect(b.All()), all)
			}
		}
		if b, ok := got.Lookup(name); b != want[name] || ok != (want[name] != Branch{}) || got.Get(name) != b {
			t.Fatalf("step %d: branch %s is %v, %t, want %v", i, name, b, ok, want[name])
		}
		var names []string
		for name := range got.All() {
			names = append(names, name)
		}
		if !slices.IsSorted(names) {
			t.Fatalf("step %d: the branches come as %v, want them sorted", i, names)
		}
	}
}
