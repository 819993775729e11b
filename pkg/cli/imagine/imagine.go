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
	names = withRequests(cfg, names)
	for i := range imagined.Repositories {
		r := &imagined.Repositories[i]
		if pattern, ok := r.Monitor.Branches.Requests(); ok {
			name := request(r)
			branches, _ := named.Asked(r, names)
			observed[i] = repo.Observation{Heads: map[string]repo.SHA{}, Requests: map[string]repo.Request{}}
			for _, b := range append(branches, name) {
				observed[i].Heads[b], observed[i].Requests[b] = madeUp(r.Name, b), repo.Request{Own: !pattern.Forks()}
			}
			continue
		}
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

// withRequests returns the names with a request of each repository that is asked for and watches these: none of them is the first.
func withRequests(cfg *config.Config, names []string) []string {
	var all []string
	watched := false
	for i := range cfg.Repositories {
		r := &cfg.Repositories[i]
		_, requests := r.Monitor.Branches.Requests()
		if watched = watched || requests; requests {
			all = append(all, r.Name+"@"+request(r))
		} else {
			all = append(all, r.Name)
		}
	}
	if !watched {
		return names
	}
	if len(names) == 0 {
		return all
	}
	names = slices.Clone(names)
	for i, name := range names {
		if at := slices.IndexFunc(cfg.Repositories, func(r config.Repository) bool { return r.Name == name }); at >= 0 {
			names[i] = all[at]
		}
	}
	return names
}

// request returns what a request of a repository may be called.
func request(r *config.Repository) string {
	start := repo.Pulls
	if r.Monitor.Type == config.GitLab {
		start = repo.Merges
	}
	name, _ := repo.RequestName(start, 1)
	return name
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
