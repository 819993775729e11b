package pipelinerun

import (
	"maps"
	"slices"

	"github.com/tekton-sentry/sentry/pkg/config"
)

// environment returns the lines that give the commands their variables. They are in the script, since Tekton and the kubelet
// would expand $(…) in the texts elsewhere.
func environment(env config.Env) string {
	var pairs [][2]string
	for _, name := range slices.Sorted(maps.Keys(env)) {
		pairs = append(pairs, [2]string{name, env[name]})
	}
	return facts("export ", pairs)
}
