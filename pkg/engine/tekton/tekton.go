// Package tekton creates, follows, cancels and prunes PipelineRuns on a cluster.
package tekton

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tekton-sentry/sentry/pkg/kube"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun"
	"github.com/tekton-sentry/sentry/pkg/plan"
)

const (
	pipelineRuns = "pipelineruns"
	taskRuns     = "taskruns"
	// callTimeout bounds one call: Tekton's webhook may take 10 s, and the API server tries it twice.
	callTimeout = 30 * time.Second
	// pageSize is how many PipelineRuns one page of a list holds; a large finished one weighs some 350 KB.
	pageSize = 50
	// unitsPerList keeps a label selector's URL below the 8 KB that proxies commonly take.
	unitsPerList = 50
)

// Engine works on the PipelineRuns of one namespace.
type Engine struct {
	cluster   *kube.Cluster
	namespace string
}

// New returns the engine for the namespace; "" is the cluster connection's.
func New(c *kube.Cluster, namespace string) *Engine {
	if namespace == "" {
		namespace = c.Namespace
	}
	return &Engine{cluster: c, namespace: namespace}
}

// Namespace is where the engine's PipelineRuns live.
func (e *Engine) Namespace() string { return e.namespace }

// Create makes the PipelineRun exist. When one of that name exists already, its trigger annotation
// decides: equal means that an earlier Sentry created this very run (created is false); anything else is
// pipelinerun.ErrNameTaken.
func (e *Engine) Create(ctx context.Context, pr *v1.PipelineRun) (created bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	err = e.cluster.Tekton.Post().Namespace(e.namespace).Resource(pipelineRuns).Body(pr).Do(ctx).Error()
	if err == nil {
		return true, nil
	}
	if !apierrors.IsAlreadyExists(err) {
		return false, fmt.Errorf("create PipelineRun %s/%s: %w", e.namespace, pr.Name, explain(err))
	}
	existing, err := e.get(ctx, pr.Name)
	if err != nil {
		return false, err
	}
	mine, err := pipelinerun.TriggerOf(pr)
	if err != nil {
		return false, err
	}
	theirs, err := pipelinerun.TriggerOf(existing)
	if err != nil || !mine.Equal(theirs) {
		return false, fmt.Errorf("create PipelineRun %s/%s: %w", e.namespace, pr.Name, pipelinerun.ErrNameTaken)
	}
	return false, nil
}

func (e *Engine) get(ctx context.Context, name string) (*v1.PipelineRun, error) {
	pr := &v1.PipelineRun{}
	err := e.cluster.Tekton.Get().Namespace(e.namespace).Resource(pipelineRuns).Name(name).Do(ctx).Into(pr)
	if err != nil {
		return nil, fmt.Errorf("read PipelineRun %s/%s: %w", e.namespace, name, explain(err))
	}
	return pr, nil
}

// Existing returns the units' runs that there are; no units mean all. A page is dropped once it was looked at:
// a large finished run weighs some 350 KB, and what is returned of it less than one.
func (e *Engine) Existing(ctx context.Context, units []string) ([]plan.Existing, error) {
	selectors := []string{""}
	if len(units) > 0 {
		selectors = nil
		for chunk := range slices.Chunk(units, unitsPerList) {
			selectors = append(selectors, fmt.Sprintf("%s in (%s)", pipelinerun.LabelUnit, strings.Join(chunk, ",")))
		}
	}
	var runs []plan.Existing
	for _, selector := range selectors {
		err := e.each(ctx, selector, func(pr *v1.PipelineRun) {
			trigger, _ := pipelinerun.TriggerOf(pr) // a run that does not say why it exists is still active
			runs = append(runs, plan.Existing{
				Name: pr.Name, Unit: pr.Labels[pipelinerun.LabelUnit], Trigger: trigger, Active: !pr.IsDone(),
			})
		})
		if err != nil {
			return nil, err
		}
	}
	return runs, nil
}

// list returns Sentry's PipelineRuns that match the selector, oldest first.
func (e *Engine) list(ctx context.Context, selector string) ([]v1.PipelineRun, error) {
	var runs []v1.PipelineRun
	if err := e.each(ctx, selector, func(pr *v1.PipelineRun) { runs = append(runs, *pr) }); err != nil {
		return nil, err
	}
	slices.SortStableFunc(runs, func(a, b v1.PipelineRun) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	return runs, nil
}

// each calls f with Sentry's PipelineRuns that match the selector.
func (e *Engine) each(ctx context.Context, selector string, f func(*v1.PipelineRun)) error {
	options := metav1.ListOptions{
		LabelSelector: strings.Trim(pipelinerun.LabelManagedBy+"="+pipelinerun.ManagedBy+","+selector, ","),
		Limit:         pageSize,
	}
	for {
		page, err := e.page(ctx, options)
		if err != nil {
			return fmt.Errorf("list PipelineRuns in %s: %w", e.namespace, explain(err))
		}
		for i := range page.Items {
			f(&page.Items[i])
		}
		if options.Continue = page.Continue; options.Continue == "" {
			return nil
		}
	}
}

func (e *Engine) page(ctx context.Context, options metav1.ListOptions) (*v1.PipelineRunList, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	page := &v1.PipelineRunList{}
	err := e.cluster.Tekton.Get().Namespace(e.namespace).Resource(pipelineRuns).
		VersionedParams(&options, metav1.ParameterCodec).Do(ctx).Into(page)
	return page, err
}

// Cancel ends a run: its tasks are stopped, its finally tasks run. A run that is gone or finished is no error.
func (e *Engine) Cancel(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	patch := fmt.Appendf(nil, `{"spec":{"status":%q}}`, v1.PipelineRunSpecStatusCancelledRunFinally)
	err := e.cluster.Tekton.Patch(types.MergePatchType).Namespace(e.namespace).Resource(pipelineRuns).
		Name(name).Body(patch).Do(ctx).Error()
	if err == nil || apierrors.IsNotFound(err) {
		return nil
	}
	// Tekton's webhook refuses changes to a finished run.
	if pr, getErr := e.get(ctx, name); getErr == nil && pr.IsDone() {
		return nil
	}
	return fmt.Errorf("cancel PipelineRun %s/%s: %w", e.namespace, name, explain(err))
}

// Prune deletes the unit's finished runs beyond the newest keep, but never its newest failed one: that is
// the one whose logs somebody will ask for. Deleting a run takes its pods and their logs with it.
func (e *Engine) Prune(ctx context.Context, unit string, keep int) error {
	runs, err := e.list(ctx, pipelinerun.LabelUnit+"="+unit)
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range surplus(runs, keep) {
		callCtx, cancel := context.WithTimeout(ctx, callTimeout)
		background := metav1.DeletePropagationBackground
		err := e.cluster.Tekton.Delete().Namespace(e.namespace).Resource(pipelineRuns).Name(name).
			Body(&metav1.DeleteOptions{PropagationPolicy: &background}).Do(callCtx).Error()
		cancel()
		if err != nil && !apierrors.IsNotFound(err) {
			errs = append(errs, fmt.Errorf("delete PipelineRun %s/%s: %w", e.namespace, name, explain(err)))
		}
	}
	return errors.Join(errs...)
}

// surplus returns the names of the finished runs to delete; runs are sorted oldest first.
func surplus(runs []v1.PipelineRun, keep int) []string {
	var names []string
	kept, failedSeen := 0, false
	for _, pr := range slices.Backward(runs) {
		if !pr.IsDone() {
			continue
		}
		newestFailed := !failedSeen && failed(&pr)
		failedSeen = failedSeen || newestFailed
		if kept < keep {
			kept++
		} else if !newestFailed {
			names = append(names, pr.Name)
		}
	}
	return names
}

// explain adds a way out to the API server's answers that have a common one.
func explain(err error) error {
	switch {
	case apierrors.IsForbidden(err):
		return fmt.Errorf("%w; the ServiceAccount or user lacks a right: compare with manifests/rbac-sentry.yaml", err)
	case apierrors.IsNotFound(err) && strings.Contains(err.Error(), "could not find the requested resource"):
		return fmt.Errorf("%w; is Tekton Pipelines installed in this cluster?", err)
	}
	return err
}
