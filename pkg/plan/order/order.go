// Package order says in which order the members of a group run, by what the configuration says of it. It is pure.
package order

import (
	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/strategy"
)

// Of returns the order in which members of a group run together, each by its index.
func Of(cfg *config.Config, g config.Group, members []*config.Repository) (strategy.Graph, error) {
	s := strategy.Settings{MaxParallel: g.MaxParallel, Shares: g.Waves}
	switch {
	case g.Strategy != strategy.Needs:
	case g.Needs != nil:
		s.Needs = g.Needs
	default:
		s.Needs = make(map[string][]string)
		for _, r := range cfg.Repositories {
			if r.Group == g.Name {
				s.Needs[r.Name] = r.Deploy.Needs
			}
		}
	}
	ordered := make([]strategy.Member, len(members))
	for i, r := range members {
		ordered[i] = strategy.Member{Repository: r.Name, Wave: r.Deploy.Wave}
	}
	return strategy.Of(g.Strategy, ordered, s)
}
