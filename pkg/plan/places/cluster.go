package places

import (
	"maps"
	"slices"

	"github.com/tekton-sentry/sentry/pkg/plan"
)

// ByCluster returns the plan's runs by their cluster: those in the one that Sentry runs in, and a plan for each other one.
func ByCluster(p plan.Plan) (here, elsewhere []plan.Plan) {
	of := map[string][]plan.Run{}
	for _, r := range p.Runs {
		of[r.Group.Cluster] = append(of[r.Group.Cluster], r)
	}
	for _, cluster := range slices.Sorted(maps.Keys(of)) {
		part := p
		if part.Runs = of[cluster]; cluster == "" {
			here = append(here, part)
		} else {
			elsewhere = append(elsewhere, part)
		}
	}
	return here, elsewhere
}
