// Package imagine plans what would run, without asking anybody: for `render --offline` and `validate`.
package imagine

import (
	"cmp"
	"crypto/sha1"
	"encoding/hex"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/plan/named"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

// placeholder stands for a branch's name where none is found that a repository's patterns match.
const placeholder = "placeholder"

// Runs plans with made-up revisions and, where no branch is given, an example of one.
func Runs(cfg *config.Config, names []string, branch string) ([]plan.Run, error) {
	imagined := *cfg
	imagined.Repositories = slices.Clone(cfg.Repositories)
	observed := make([]repo.Observation, len(cfg.Repositories))
	for i := range imagined.Repositories {
		r := &imagined.Repositories[i]
		name := cmp.Or(branch, example(r.Monitor.Branches))
		r.Monitor.Branches = r.Monitor.Branches.Tags().With(repo.ExactPattern(name))
		observed[i].Heads = map[string]repo.SHA{name: madeUp(r.Name, name)}
		branches, _ := named.Asked(r, names)
		for _, b := range branches {
			observed[i].Heads[b] = madeUp(r.Name, b)
		}
	}
	// The epoch of the design's clock: offline output must be the same every time.
	runs, err := plan.Manual(plan.Input{Config: &imagined, Observed: observed, Now: time.Unix(0, 0).UTC()}, names, branch, "")
	if err != nil {
		return nil, err
	}
	for i, run := range runs {
		var qa []repo.Observation
		for _, m := range run.QA() {
			name, _ := m.Branches[0].Exact()
			qa = append(qa, repo.Observation{Heads: map[string]repo.SHA{name: madeUp(m.URL, name)}})
		}
		if runs[i], err = run.Pin(qa); err != nil {
			return nil, err
		}
	}
	return runs, nil
}

// example returns a name that one of the patterns matches, or the placeholder.
func example(patterns repo.Patterns) string {
	for _, p := range patterns {
		if name, ok := p.Example(); ok {
			return name
		}
	}
	return placeholder
}

// LogPlaceholders says of which members the branch's name is no example.
func LogPlaceholders(log *slog.Logger, cfg *config.Config, runs []plan.Run) {
	for _, run := range runs {
		for _, m := range run.Members {
			if m.Branch != placeholder {
				continue
			}
			if r, _ := cfg.Lookup(m.Repository.Name); !r.Monitor.Branches.Match(placeholder) {
				log.Warn("no branch name was found that the patterns match: another stands for it",
					"repo", r.Name, "patterns", r.Monitor.Branches, "branch", placeholder)
			}
		}
	}
}

// madeUp is a stand-in for a head: the same for the same words, and no commit of anybody's.
func madeUp(words ...string) repo.SHA {
	sum := sha1.Sum([]byte("made up by sentry render --offline\x00" + strings.Join(words, "\x00")))
	return repo.SHA(hex.EncodeToString(sum[:]))
}
