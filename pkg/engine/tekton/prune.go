package tekton

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/engine/generated"
	"github.com/tekton-sentry/sentry/pkg/kube"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/result"
	"github.com/tekton-sentry/sentry/pkg/result/history"
)

// maxPruned bounds the runs that one Prune deletes: at the client's 50 requests a second, some seconds of a
// cycle. The rest goes with the next one.
const maxPruned = 200

// readWithin is how long a run that ended is kept for Ends to read it, should nothing note that it has: half a minute is usual.
const readWithin = 10 * time.Minute

// Prune deletes finished runs of the unit, or of every unit where unit is "", beyond the newest keep of each
// naming.Share, but never its newest failed one: that is the one whose logs somebody will ask for; nor, for a day, one of
// which something is owed elsewhere. Deleting a run
// takes its pods and their logs with it. What is deleted is in the history before. A run that does not say why
// it exists is not Sentry's, whatever its labels are, and stays.
func (e *Engine) Prune(ctx context.Context, unit string, keep int) (deleted []plan.Existing, err error) {
	selector := ""
	if unit != "" {
		selector = pipelinerun.LabelUnit + "=" + unit
	}
	runs, err := e.list(ctx, selector)
	if err != nil {
		return nil, err
	}
	shares := map[string][]listed{}
	for _, r := range runs {
		if t := r.trigger(); len(t.Refs) > 0 {
			of := engine.Share(r.unit(), t)
			shares[of] = append(shares[of], r)
		}
	}
	var old []listed
	for _, of := range slices.Sorted(maps.Keys(shares)) {
		old = append(old, surplus(shares[of], keep)...)
	}
	old = old[:min(len(old), maxPruned)]
	if len(old) == 0 {
		return nil, nil
	}
	if err := e.remember(ctx, old); err != nil {
		return nil, fmt.Errorf("no run was deleted: %w", err)
	}
	var errs []error
	for _, r := range old {
		if err := e.delete(ctx, r.Metadata.Name); err != nil {
			errs = append(errs, err)
			continue
		}
		deleted = append(deleted, e.run(&r).Existing)
	}
	return deleted, errors.Join(errs...)
}

func (e *Engine) delete(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	background := metav1.DeletePropagationBackground
	err := e.cluster.Tekton.Delete().Namespace(e.namespace).Resource(pipelineRuns).Name(name).
		Body(&metav1.DeleteOptions{PropagationPolicy: &background}).Do(ctx).Error()
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("delete PipelineRun %s/%s: %w", e.namespace, name, kube.Explain(err))
	}
	return nil
}

// surplus returns the finished runs of one share that are to be deleted, oldest first, as runs is sorted.
func surplus(runs []listed, keep int) []listed {
	var old []listed
	kept, failedSeen := 0, false
	for _, r := range slices.Backward(runs) {
		if !r.done() {
			continue
		}
		newestFailed := !failedSeen && r.failed()
		failedSeen = failedSeen || newestFailed
		if kept < keep {
			kept++
		} else if !newestFailed && !r.owed() {
			old = append(old, r)
		}
	}
	slices.Reverse(old)
	return old
}

// remember writes those of the runs into the history that are not in it: they ended while nobody listened.
func (e *Engine) remember(ctx context.Context, runs []listed) error {
	past, err := e.history.List(ctx, "")
	if err != nil {
		return err
	}
	known := map[history.Identity]bool{}
	for _, p := range past {
		known[history.Of(p)] = p.Verdict != ""
	}
	var ended []result.Result
	for _, r := range runs {
		if known[history.Of(result.Result{Cluster: e.In, Name: r.Metadata.Name, Created: r.Metadata.CreationTimestamp})] {
			continue
		}
		out, _, err := e.outcome(ctx, r.Metadata.Name)
		switch {
		case apierrors.IsNotFound(err):
		case err != nil:
			return err
		default:
			ended = append(ended, generated.Result(out, e.run(&r).Existing, r.Metadata.Annotations))
		}
	}
	if len(ended) == 0 {
		return nil
	}
	return e.history.Add(ctx, ended)
}
