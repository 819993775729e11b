package pipelinerun

import (
	"fmt"
	"strings"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/config/section"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun/internal/shell"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun/internal/steps"
	"github.com/tekton-sentry/sentry/pkg/secret"
	"github.com/tekton-sentry/sentry/tekton"
)

// What global.ca and global.proxy make of a run. Certificates are long and the same for all deployments: the run has
// them once, as the default of a parameter, and the steps of each deployment evaluate that.
const (
	paramNetwork = "network"
	envNetwork   = "SENTRY_NETWORK"
	refNetwork   = "$(params." + paramNetwork + ")"
)

// network is how the steps of deployments reach servers.
type network struct {
	script string          // "" = as their image does
	env    []corev1.EnvVar // proxies with a password, from the Secret
}

func networkOf(g config.Global) network {
	var n network
	if g.CA != "" {
		n.script = shell.Facts("", [][2]string{{"sentry_pem", g.CA}}) + shell.WithoutComments(tekton.CA)
	}
	var pairs [][2]string
	for _, p := range []struct {
		name  string
		value secret.Value
	}{{"HTTP_PROXY", g.Proxy.HTTP}, {"HTTPS_PROXY", g.Proxy.HTTPS}} {
		if p.value.Variable() != "" {
			n.env = append(n.env, steps.FromSecret(p.name, g.CredentialsSecret, p.value))
		} else if p.value.IsSet() {
			pairs = append(pairs, [2]string{p.name, p.value.Reveal()})
		}
	}
	if g.Proxy.None != "" {
		pairs = append(pairs, [2]string{"NO_PROXY", strings.ReplaceAll(g.Proxy.None, " ", "")})
	}
	if g.Proxy != (config.Proxy{}) {
		n.script += shell.Facts("", append(pairs, [2]string{"sentry_direct", section.InCluster})) + shell.WithoutComments(tekton.Proxy)
	}
	return n
}

// line returns the line by which a step takes it up, or "".
func (n network) line() string {
	if n.script == "" {
		return ""
	}
	return fmt.Sprintf("eval \"$%s\"\n", envNetwork)
}

// give declares the parameter, and has a deployment's task take it to its steps.
func (n network) give(pipeline *v1.PipelineSpec, task *v1.PipelineTask) {
	if n.script == "" {
		return
	}
	pipeline.Params = v1.ParamSpecs{{Name: paramNetwork, Default: v1.NewStructuredValues(n.script + "unset " + envNetwork + "\n")}}
	spec := &task.TaskSpec.TaskSpec
	task.Params = append(task.Params, v1.Param{Name: paramNetwork, Value: *v1.NewStructuredValues(refNetwork)})
	spec.Params = append(spec.Params, v1.ParamSpec{Name: paramNetwork})
	spec.StepTemplate.Env = append(spec.StepTemplate.Env, corev1.EnvVar{Name: envNetwork, Value: refNetwork})
	spec.StepTemplate.Env = append(spec.StepTemplate.Env, n.env...)
}
