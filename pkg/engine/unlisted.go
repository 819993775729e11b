package engine

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Unreachable is the kind of a problem of a unit whose cluster does not answer.
const Unreachable = "cluster"

// Unlisted says which clusters a list of runs lacks, and why. What the list has of the others is whole.
type Unlisted map[string]error // by name

// Error implements error.
func (u Unlisted) Error() string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(u)) {
		all = append(all, u[name].Error())
	}
	return strings.Join(all, "; ")
}

// DownError says that a call for another cluster failed, or was not sent since one before did.
type DownError struct {
	Cluster string
	Err     error
}

// Error implements error.
func (d *DownError) Error() string { return fmt.Sprintf("the cluster %s: %v", d.Cluster, d.Err) }

// Unwrap returns what its API server said, or why it said nothing.
func (d *DownError) Unwrap() error { return d.Err }

// ProblemKind returns Unreachable.
func (d *DownError) ProblemKind() string { return Unreachable }
