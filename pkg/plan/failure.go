package plan

import (
	"errors"
	"fmt"

	"github.com/tekton-sentry/sentry/pkg/repo"
)

// problemKind returns the kind that an error says it has by a method ProblemKind, "" when it is no problem of the
// repository. Everything else may go away by itself.
func problemKind(err error) string {
	if k, ok := errors.AsType[interface {
		error
		ProblemKind() string
	}](err); ok {
		return k.ProblemKind()
	}
	return "temporary"
}

// Kinds of a unit's problems that lie in the run itself, whatever the cluster says.
const (
	CannotGenerate = "generate" // no PipelineRun can be made of it
	NoRoom         = "room"     // one was made without some members, which no PipelineRun holds
)

// noBranch is the kind of a repository that answers, and has no branch that was asked for.
const noBranch = "no branch"

// Watched returns the observation of a watched repository: package githost reads QA repositories too, and so
// does not know which key of the file chose the branches.
func Watched(o repo.Observation) repo.Observation {
	if o.Err != nil && problemKind(o.Err) == noBranch {
		o.Err = fmt.Errorf("%w: check monitor.branches", o.Err)
	}
	return o
}
