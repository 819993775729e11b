// Command regions has a group deploy one region after the other, each with its first member alone before the rest: those with the
// label `region: eu`, then those of the region that comes next in the file, and so on.
package main

import (
	"fmt"
	"slices"

	"github.com/tekton-sentry/sentry/examples/strategies/strategy"
)

func main() { strategy.Main(order) }

func order(g strategy.Group) (map[string][]string, error) {
	var regions []string
	members := map[string][]string{}
	for _, m := range g.Members {
		region := m.Labels["region"]
		if region == "" {
			return nil, fmt.Errorf("%s has no label region", m.Name)
		}
		if !slices.Contains(regions, region) {
			regions = append(regions, region)
		}
		members[region] = append(members[region], m.Name)
	}
	needs := map[string][]string{}
	var before []string // the region before
	for _, region := range regions {
		first, rest := members[region][0], members[region][1:]
		needs[first] = before
		for _, name := range rest {
			needs[name] = []string{first}
		}
		before = members[region]
	}
	return needs, nil
}
