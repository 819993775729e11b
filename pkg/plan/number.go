package plan

import (
	"fmt"

	"github.com/tekton-sentry/sentry/pkg/state"
)

// CheckNumber says why the run must not be made when the state could not remember its number. Nobody counts that
// far: an entry was edited, or a run forged.
func (r Run) CheckNumber() error {
	n := r.Trigger.Refs[0].N
	if n <= state.MaxNumber {
		return nil
	}
	return fmt.Errorf("the next run of %s would have the number %d, and numbers end at %d: mend n and floor of its repositories in the state, "+
		"or delete their entries to record their heads anew", r.Unit.Label, n, state.MaxNumber)
}
