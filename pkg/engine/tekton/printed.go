package tekton

import (
	"cmp"
	"context"
	"fmt"
	"strconv"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/engine/tekton/why"
	"github.com/tekton-sentry/sentry/pkg/kube"
)

const (
	// lastLines and lastBytes bound what is read of the log of a step that failed, and maxLogs how many are read of one run.
	lastLines = 10
	lastBytes = 64 << 10
	maxLogs   = 10
)

// printed adds to the outcome the last lines of what the steps printed that failed, which name the command. The pods may be
// gone, and whoever asks may lack the right: the outcome stays as it is then, and the error says why.
func (e *Engine) printed(ctx context.Context, out engine.Outcome, children []v1.TaskRun) (_ engine.Outcome, err error) {
	failed := map[string]int{}
	for i, t := range out.Tasks {
		if (t.Result == engine.Failed || t.Result == engine.Ignored) && len(failed) < maxLogs {
			failed[t.Name] = i
		}
	}
	if len(failed) == 0 {
		return out, nil
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	for _, tr := range children {
		i, ok := failed[tr.Labels[labelPipelineTask]]
		step := why.FailedStep(&tr)
		if !ok || step == nil || tr.Status.PodName == "" {
			continue
		}
		lines, logErr := e.LastLines(ctx, tr.Status.PodName, cmp.Or(step.Container, "step-"+step.Name))
		if apierrors.IsNotFound(logErr) {
			continue
		}
		if logErr != nil {
			err = logErr
			continue
		}
		if out.Tasks[i].Printed(lines); out.Tasks[i].Command != "" {
			out.Tasks[i].Message += why.Killed(step)
		}
		out.Tasks[i].Exit = int(step.Terminated.ExitCode) // which no command can forge
	}
	return out, err
}

// LastLines returns the end of what the container of a pod printed.
func (e *Engine) LastLines(ctx context.Context, pod, container string) ([]string, error) {
	answer := e.cluster.Core.Get().Namespace(e.namespace).Resource("pods").Name(pod).SubResource("log").
		Param("container", container).Param("tailLines", strconv.Itoa(lastLines)).Param("limitBytes", strconv.Itoa(lastBytes)).Do(ctx)
	text, err := answer.Raw()
	if err != nil {
		return nil, fmt.Errorf("read what %s/%s printed: %w", e.namespace, pod, kube.Explain(answer.Error())) // which says more than that of Raw
	}
	return why.Lines(string(text[:min(len(text), lastBytes)]), e.Hide), nil
}
