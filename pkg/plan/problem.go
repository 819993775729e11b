package plan

import (
	"errors"
	"fmt"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/state"
)

// problemKind returns the kind that an error says it has by a method ProblemKind. Everything else may go away by itself.
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
// does not know which key of the file chose the branches. Where only tags or requests are watched there may be none.
func Watched(o repo.Observation, m config.Monitor) repo.Observation {
	switch {
	case o.Err == nil || problemKind(o.Err) != noBranch:
	case len(m.Branches.Branches()) == 0:
		o.Err = nil
	default:
		o.Err = fmt.Errorf("%w: check monitor.branches", o.Err)
	}
	return o
}

// tooMany stands for branches that take more than a repository's share of the state.
type tooMany struct {
	heads int
	gone  int // remembered, and not among the heads; 0 when the heads alone are too many
}

func (e tooMany) Error() string {
	const bound = state.MaxRepository >> 10
	if e.gone > 0 {
		return fmt.Sprintf("%d branches, and %d that are gone or not configured any more, take more than the %d KiB of the state that a repository may have: "+
			"new branches wait until those are forgotten, which takes three good answers", e.heads, e.gone, bound)
	}
	return fmt.Sprintf("%d branches match, which take more than the %d KiB of the state that a repository may have: narrow monitor.branches", e.heads, bound)
}

// ProblemKind tells both cases apart, since a problem keeps its words while its kind is the same.
func (e tooMany) ProblemKind() string {
	if e.gone > 0 {
		return "no room for new branches"
	}
	return "too many branches"
}

// CheckHeads returns an error when the heads alone are more than what is remembered of one repository: it would not be
// followed.
func CheckHeads(heads map[string]repo.SHA) error { return share(state.Repository{}, heads) }

// share returns a tooMany when the heads, or they beside what is remembered, are beyond the repository's share.
func share(was state.Repository, heads map[string]repo.SHA) error {
	if was.Fits(heads) {
		return nil
	}
	if !(state.Repository{}).Fits(heads) {
		return tooMany{heads: len(heads)}
	}
	gone := 0
	for branch := range was.Branches.All() {
		if _, ok := heads[branch]; !ok {
			gone++
		}
	}
	return tooMany{len(heads), gone}
}

// crowded reports whether err is only about branches that are soon forgotten: the heads can be acted upon, but for
// those of new branches.
func crowded(err error) bool {
	e, ok := errors.AsType[tooMany](err)
	return ok && e.gone > 0
}
