package pipelinerun

import (
	"slices"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"

	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

// Names of params by which Tekton Chains knows the source of what it attests. It reads a declaration's default as well
// as what is given.
const (
	chainsURL    = "CHAINS-GIT_URL"
	chainsCommit = "CHAINS-GIT_COMMIT"
)

// declareSource has Chains find the commit of a member that is deployed in the declarations of an embedded spec. Neither a URL
// that the configuration takes nor a SHA has a $.
func declareSource(specs v1.ParamSpecs, m plan.Member, sha repo.SHA) v1.ParamSpecs {
	return append(specs,
		v1.ParamSpec{Name: chainsURL, Default: v1.NewStructuredValues(m.Repository.Monitor.URL)},
		v1.ParamSpec{Name: chainsCommit, Default: v1.NewStructuredValues(string(sha))})
}

// giveSource has Chains find it among the params of a Task or Pipeline that is referred to, and which need not declare
// them. What the configuration gives by these names stays.
func giveSource(params v1.Params, m plan.Member) v1.Params {
	for _, p := range declareSource(nil, m, m.SHA) {
		if !slices.ContainsFunc(params, func(given v1.Param) bool { return given.Name == p.Name }) {
			params = append(params, v1.Param{Name: p.Name, Value: *p.Default})
		}
	}
	return params
}
