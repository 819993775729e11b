package places

import (
	"maps"
	"slices"

	"github.com/tekton-sentry/sentry/pkg/plan"
)

// ByCluster returns the plan in parts, each with the runs of one cluster: first those of the one that Sentry runs in.
func ByCluster(p plan.Plan) []plan.Plan {
	of := map[string][]plan.Run{}
	for _, r := range p.Runs {
		of[r.Group.Cluster] = append(of[r.Group.Cluster], r)
	}
	if len(of) < 2 {
		return []plan.Plan{p}
	}
	var parts []plan.Plan
	for _, cluster := range slices.Sorted(maps.Keys(of)) {
		part := p
		part.Runs = of[cluster]
		parts = append(parts, part)
	}
	return parts
}
