package strategy

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// About is what is known of a member of a group before anything runs. It is all that an expression or a module is told of it.
type About struct {
	Name    string            `json:"name"` // of the repository
	Project string            `json:"project"`
	Wave    int               `json:"wave"` // from 1
	Needs   []string          `json:"needs"`
	Labels  map[string]string `json:"labels"` // of its pods
}

// PairError says that it cannot be worked out whether one member of a group needs another, both by their index.
type PairError struct {
	Member, Other int
	What          string // without what they say of themselves
}

// Error implements error.
func (e *PairError) Error() string {
	return fmt.Sprintf("cannot be worked out where member %d of the group may need %d: %s", e.Member+1, e.Other+1, e.What)
}

// CheckNeeds says why nobody can go by the answer of somebody else to who waits for whom in a group: it names a member that there is not,
// has one wait for itself, for another twice, or for ever. Names of the answer are quoted, and cut off.
func CheckNeeds(group []About, needs map[string][]string) error {
	names := make([]string, len(group))
	for i, m := range group {
		names[i] = m.Name
	}
	for _, name := range slices.Sorted(maps.Keys(needs)) {
		if !slices.Contains(names, name) {
			return fmt.Errorf("it names %.50q, which is no member of the group", name)
		}
		if len(needs[name]) > len(names) {
			return fmt.Errorf("it has %s wait for %d others, and the group has %d members", name, len(needs[name]), len(names))
		}
		for i, needed := range needs[name] {
			switch {
			case !slices.Contains(names, needed):
				return fmt.Errorf("it has %s wait for %.50q, which is no member of the group", name, needed)
			case needed == name:
				return fmt.Errorf("it has %s wait for itself", name)
			case slices.Contains(needs[name][:i], needed):
				return fmt.Errorf("it has %s wait for %s twice", name, needed)
			}
		}
	}
	if way := Cycle(names, needs); way != nil {
		return fmt.Errorf("it has members wait for each other: %s", strings.Join(way, " needs "))
	}
	return nil
}

// Module is a WebAssembly module that says who waits for whom.
type Module struct {
	File   string // where it is; "" = there is none
	SHA256 string // of the file, as hexadecimal digits
}

// Modules asks modules.
type Modules interface {
	// Needs returns for each member of a group those that it needs. The same question always has the same answer.
	Needs(m Module, group string, members []About) (map[string][]string, error)
	// Known returns what Needs has returned before, and false where that is not known, or an error. It starts nothing, and is for those who do not wait.
	Known(m Module, group string, members []About) (map[string][]string, bool)
}
