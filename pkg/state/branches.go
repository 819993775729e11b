package state

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/tekton-sentry/sentry/pkg/state/internal/object"
)

// Branches are the branches of one repository, by name. They are a sorted list: a map takes nearly three times the memory, and
// there is one for each of 50,000 repositories. As with maps, copies share the branches, the zero value has none, and only
// what Clone or NewBranches returned can be written to.
type Branches struct{ list *[]named }

type named struct {
	name   string
	branch Branch
}

// NewBranches returns branches of its own that are those of the map.
func NewBranches(all map[string]Branch) Branches {
	list := make([]named, 0, len(all))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		list = append(list, named{name, all[name]})
	}
	return Branches{&list}
}

func (b Branches) all() []named {
	if b.list == nil {
		return nil
	}
	return *b.list
}

// find returns where a branch is, or would be.
func (b Branches) find(name string) (int, bool) {
	return slices.BinarySearchFunc(b.all(), name, func(n named, name string) int { return strings.Compare(n.name, name) })
}

// Len returns how many there are.
func (b Branches) Len() int { return len(b.all()) }

// All yields the branches, sorted by name. Meanwhile those that it yields may be set, and no others, and none deleted.
func (b Branches) All() iter.Seq2[string, Branch] {
	return func(yield func(string, Branch) bool) {
		for _, n := range b.all() {
			if !yield(n.name, n.branch) {
				return
			}
		}
	}
}

// Lookup returns a branch, and whether it is there.
func (b Branches) Lookup(name string) (Branch, bool) {
	i, ok := b.find(name)
	if !ok {
		return Branch{}, false
	}
	return b.all()[i].branch, true
}

// Get returns a branch, the zero Branch where it is not there.
func (b Branches) Get(name string) Branch {
	branch, _ := b.Lookup(name)
	return branch
}

// Set puts a branch in the place of the one with that name, if there is one.
func (b Branches) Set(name string, branch Branch) {
	i, ok := b.find(name)
	if !ok {
		*b.list = slices.Insert(*b.list, i, named{name: name})
	}
	(*b.list)[i].branch = branch
}

// Delete deletes a branch, if it is there.
func (b Branches) Delete(name string) {
	if i, ok := b.find(name); ok {
		*b.list = slices.Delete(*b.list, i, i+1)
	}
}

// Grow makes room for so many more, so that to set them takes no more memory than they need.
func (b Branches) Grow(more int) { *b.list = slices.Grow(*b.list, more) }

// Clone returns branches of its own that are the same.
func (b Branches) Clone() Branches {
	list := slices.Clone(b.all())
	return Branches{&list}
}

// EqualFunc reports whether both have branches of the same names that are equal by the function.
func (b Branches) EqualFunc(o Branches, equal func(mine, theirs Branch) bool) bool {
	return slices.EqualFunc(b.all(), o.all(), func(m, t named) bool { return m.name == t.name && equal(m.branch, t.branch) })
}

// MarshalJSON implements json.Marshaler: package json sees no branches, and would write none.
func (b Branches) MarshalJSON() ([]byte, error) { return b.appendTo(nil, nil), nil }

func (b *Branches) empty() bool { return b.Len() == 0 }

func (b *Branches) appendTo(data []byte, _ spill) []byte {
	branch, v := slot[Branch]()
	data = append(data, '{')
	for i, n := range b.all() {
		if i > 0 {
			data = append(data, ',')
		}
		*branch = n.branch
		data = appendValue(append(appendString(data, n.name), ':'), v, nil)
	}
	return append(data, '}')
}

func (b *Branches) decode(text []byte) error {
	if err := isObject(text); err != nil {
		return err
	}
	branch, v := slot[Branch]()
	var list []named
	for name, value := range object.Members(text) {
		v.SetZero()
		if err := decodeValue(value, v); err != nil {
			return fmt.Errorf("%.80q: %w", name, err)
		}
		list = append(list, named{name, *branch})
	}
	slices.SortStableFunc(list, func(a, b named) int { return strings.Compare(a.name, b.name) })
	for i := range list {
		if i > 0 && list[i].name == list[i-1].name {
			return fmt.Errorf("%.80q is there twice", list[i].name)
		}
	}
	list = slices.Clip(list)
	*b = Branches{&list}
	return nil
}

func (b *Branches) equal(other any) bool {
	o := other.(*Branches)
	if b.list == o.list {
		return true
	}
	mine, v := slot[Branch]()
	theirs, w := slot[Branch]()
	return b.EqualFunc(*o, func(m, t Branch) bool {
		*mine, *theirs = m, t
		return equal(v, w)
	})
}

// unshare makes a list of its own for copies of the branches.
func (b *Branches) unshare() {
	if b.list == nil {
		return
	}
	branch, v := slot[Branch]()
	*b = b.Clone()
	for i, n := range *b.list {
		*branch = n.branch
		unshare(v)
		(*b.list)[i].branch = *branch
	}
}
