package strategy

import "fmt"

// About is what is known of a member of a group before anything runs. It is all that an expression is told of it.
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
