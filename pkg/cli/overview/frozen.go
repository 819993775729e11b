package overview

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/freeze"
	"github.com/tekton-sentry/sentry/pkg/plan/naming"
	"github.com/tekton-sentry/sentry/pkg/state"
)

// everything is what a window of global.not_on is on.
const everything = "everything"

// Frozen returns where nothing is started now, by not_on: everything, or groups and repositories by themselves.
func Frozen(cfg *config.Config, now time.Time) []Problem {
	frozen := func(on string, windows freeze.Windows) (Problem, bool) {
		h, in := windows.At(now)
		if !in {
			return Problem{}, false
		}
		what := fmt.Sprintf("not_on: %s; what is pushed runs after %s", h.Window, h.Until.Format("2006-01-02 15:04 MST"))
		return Problem{on, state.NewProblem("frozen", what, h.Since)}, true
	}
	if p, in := frozen(everything, cfg.Global.NotOn); in {
		return []Problem{p}
	}
	var problems []Problem
	for _, name := range slices.Sorted(maps.Keys(cfg.Groups)) {
		if p, in := frozen(naming.GroupLabel(name), cfg.Groups[name].NotOn); in {
			problems = append(problems, p)
		}
	}
	for i := range cfg.Repositories {
		if r := &cfg.Repositories[i]; r.Group == "" {
			if p, in := frozen(r.Name, r.Deploy.NotOn); in {
				problems = append(problems, p)
			}
		}
	}
	return problems
}
