package overview

import (
	"strings"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config/discover"
	"github.com/tekton-sentry/sentry/pkg/state"
)

// NotFound returns of which owners of discover it is not known which repositories they have by now, and why. found may be nil.
func NotFound(found *discover.Found) (problems []Problem) {
	if found == nil {
		return nil
	}
	for _, f := range found.Failing {
		_, host, _ := strings.Cut(f.Host, "://")
		problems = append(problems, Problem{"discover " + host + "/" + f.Owner, state.NewProblem(f.Kind, f.Why, time.Unix(f.Since, 0))})
	}
	return problems
}
