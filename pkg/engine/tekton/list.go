package tekton

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/pkg/apis"

	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/kube"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun"
	"github.com/tekton-sentry/sentry/pkg/plan"
)

// listed is what is kept of a PipelineRun in a list: ten thousand whole ones would be a gigabyte.
type listed struct {
	Metadata struct {
		Name              string            `json:"name"`
		CreationTimestamp time.Time         `json:"creationTimestamp"`
		Labels            map[string]string `json:"labels"`
		Annotations       map[string]string `json:"annotations"`
	} `json:"metadata"`
	Status struct {
		CompletionTime time.Time `json:"completionTime"`
		Conditions     []ending  `json:"conditions"`
	} `json:"status"`
}

type ending struct {
	Type    apis.ConditionType     `json:"type"`
	Status  corev1.ConditionStatus `json:"status"`
	Reason  string                 `json:"reason"`
	Message string                 `json:"message"`
}

// trigger returns why the run says it exists; without Refs where it does not say so, as people can edit annotations.
func (r *listed) trigger() plan.Trigger {
	t, _ := pipelinerun.TriggerOf(&v1.PipelineRun{ObjectMeta: metav1.ObjectMeta{Annotations: r.Metadata.Annotations}})
	return t
}

func (r *listed) unit() string { return r.Metadata.Labels[pipelinerun.LabelUnit] }

// end returns the condition that says how the run ended, or how it goes.
func (r *listed) end() ending {
	for _, c := range r.Status.Conditions {
		if c.Type == apis.ConditionSucceeded {
			return c
		}
	}
	return ending{Status: corev1.ConditionUnknown}
}

func (r *listed) done() bool   { return r.end().Status != corev1.ConditionUnknown }
func (r *listed) failed() bool { return r.end().Status == corev1.ConditionFalse }

// list returns Sentry's PipelineRuns that match the selector, oldest first.
func (e *Engine) list(ctx context.Context, selector string) ([]listed, error) {
	options := metav1.ListOptions{
		LabelSelector: strings.Trim(pipelinerun.LabelManagedBy+"="+pipelinerun.ManagedBy+","+selector, ","),
		Limit:         pageSize,
	}
	var runs []listed
	for {
		page, next, err := e.page(ctx, options)
		if err != nil {
			return nil, fmt.Errorf("list PipelineRuns in %s: %w", e.namespace, kube.Explain(err))
		}
		for _, r := range page {
			// A selector does not keep a proxy or a webhook from answering with something else.
			if r.Metadata.Labels[pipelinerun.LabelManagedBy] == pipelinerun.ManagedBy {
				runs = append(runs, r)
			}
		}
		if options.Continue = next; next == "" {
			break
		}
	}
	slices.SortStableFunc(runs, func(a, b listed) int {
		return cmp.Or(a.Metadata.CreationTimestamp.Compare(b.Metadata.CreationTimestamp), cmp.Compare(a.Metadata.Name, b.Metadata.Name))
	})
	return runs, nil
}

func (e *Engine) page(ctx context.Context, options metav1.ListOptions) (runs []listed, next string, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	result := e.cluster.Tekton.Get().Namespace(e.namespace).Resource(pipelineRuns).
		VersionedParams(&options, metav1.ParameterCodec).Do(ctx)
	if err := result.Error(); err != nil { // which says more than that of Raw
		return nil, "", err
	}
	body, err := result.Raw()
	if err != nil {
		return nil, "", err
	}
	return decodePage(body)
}

func decodePage(body []byte) (runs []listed, next string, err error) {
	var page struct {
		Metadata struct {
			Continue string `json:"continue"`
		} `json:"metadata"`
		Items []listed `json:"items"`
	}
	if err := json.Unmarshal(body, &page); err != nil {
		return nil, "", fmt.Errorf("the answer is no list: %w", err)
	}
	return page.Items, page.Metadata.Continue, nil
}

// Runs returns Sentry's runs in the namespace, newest first.
func (e *Engine) Runs(ctx context.Context) ([]engine.Run, error) {
	list, err := e.list(ctx, "")
	if err != nil {
		return nil, err
	}
	runs := make([]engine.Run, 0, len(list))
	for _, r := range slices.Backward(list) {
		end := r.end()
		runs = append(runs, engine.Run{
			Outcome: engine.Outcome{
				Name: r.Metadata.Name, Done: r.done(), Succeeded: end.Status == corev1.ConditionTrue,
				Reason: end.Reason, Message: end.Message,
			},
			Unit:    cmp.Or(r.unit(), "-"),
			Created: r.Metadata.CreationTimestamp,
			Ended:   r.Status.CompletionTime,
		})
	}
	return runs, nil
}

// children returns the TaskRuns of a PipelineRun.
func (e *Engine) children(ctx context.Context, name string) ([]v1.TaskRun, error) {
	list := &v1.TaskRunList{}
	err := e.cluster.Tekton.Get().Namespace(e.namespace).Resource(taskRuns).VersionedParams(&metav1.ListOptions{
		LabelSelector: labelPipelineRun + "=" + name,
	}, metav1.ParameterCodec).Do(ctx).Into(list)
	if err != nil {
		return nil, fmt.Errorf("list the TaskRuns of %s/%s: %w", e.namespace, name, kube.Explain(err))
	}
	return list.Items, nil
}
