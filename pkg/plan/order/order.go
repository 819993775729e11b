// Package order says in which order the members of a group run, by what the configuration says of it. It is pure: a module that
// is asked has one answer to each question.
package order

import (
	"errors"
	"fmt"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/strategy"
)

// Of returns the order in which members of a group run together, each by its index. It fails where the group's module cannot be
// asked, or is refused.
func Of(cfg *config.Config, g config.Group, members []*config.Repository) (strategy.Graph, error) {
	return of(cfg, g, members, func(m strategy.Modules, all []strategy.About) (map[string][]string, error) {
		return m.Needs(g.Module, g.Name, all)
	})
}

// Known is Of for those who do not wait: it fails where the group's module would have to run.
func Known(cfg *config.Config, g config.Group, members []*config.Repository) (strategy.Graph, error) {
	return of(cfg, g, members, func(m strategy.Modules, all []strategy.About) (map[string][]string, error) {
		if needs, ok := m.Known(g.Module, g.Name, all); ok {
			return needs, nil
		}
		return nil, errors.New("its answer is not known yet")
	})
}

// ask asks modules about a group.
type ask func(m strategy.Modules, all []strategy.About) (map[string][]string, error)

func of(cfg *config.Config, g config.Group, members []*config.Repository, by ask) (strategy.Graph, error) {
	s := strategy.Settings{MaxParallel: g.MaxParallel, Shares: g.Waves}
	if g.Strategy == strategy.Needs {
		needs, err := needsOf(cfg, g, by)
		if err != nil {
			return strategy.Graph{}, err
		}
		s.Needs = needs
	}
	ordered := make([]strategy.Member, len(members))
	for i, r := range members {
		ordered[i] = strategy.Member{Repository: r.Name, Wave: r.Deploy.Wave}
	}
	return strategy.Of(g.Strategy, ordered, s)
}

// needsOf returns which repositories of a group each of them needs, by who says it.
func needsOf(cfg *config.Config, g config.Group, by ask) (map[string][]string, error) {
	if g.Needs != nil {
		return g.Needs, nil
	}
	var all []*config.Repository
	for i := range cfg.Repositories {
		if r := &cfg.Repositories[i]; r.Group == g.Name {
			all = append(all, r)
		}
	}
	if g.Module.File == "" {
		needs := make(map[string][]string, len(all))
		for _, r := range all {
			needs[r.Name] = r.Deploy.Needs
		}
		return needs, nil
	}
	if cfg.Modules == nil {
		return nil, errors.New("groups." + g.Name + ".wasm is a module, and this program runs none; want a sentry that does")
	}
	about := make([]strategy.About, len(all))
	for i, r := range all {
		about[i] = r.About()
	}
	needs, err := by(cfg.Modules, about)
	if err != nil {
		return nil, fmt.Errorf("groups.%s.wasm: %w", g.Name, err)
	}
	return needs, nil
}
