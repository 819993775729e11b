// Package tekton creates, follows, cancels and prunes PipelineRuns on a cluster.
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
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/engine/generated"
	"github.com/tekton-sentry/sentry/pkg/instance"
	"github.com/tekton-sentry/sentry/pkg/kube"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/result"
	"github.com/tekton-sentry/sentry/pkg/result/configmap"
)

const (
	pipelineRuns = "pipelineruns"
	taskRuns     = "taskruns"
	// callTimeout bounds one call: Tekton's webhook may take 10 s, and the API server tries it twice.
	callTimeout = 30 * time.Second
	// pageSize is how many PipelineRuns one page of a list holds. It comes as a table with some 5 KB a run, but
	// the API server reads them whole for that, and a large finished one weighs some 350 KB.
	pageSize = 50
	// maxListed bounds the runs of a list, whatever a server says of further pages. An etcd of 8 GiB holds fewer.
	maxListed = 200_000
	// maxEmpty bounds the pages of a list that have no run: an API server fills them.
	maxEmpty = 3
	// unitsPerList keeps a label selector's URL below the 8 KB that proxies commonly take.
	unitsPerList = 50
)

// Engine works on the PipelineRuns of one instance in one namespace. What is known of deleted ones is in the namespace of the
// connection, which may be another one that no run reaches.
type Engine struct {
	// Hide takes out what is secret of what commands print, and of what is said of why they failed.
	Hide func(text string) string

	cluster   *kube.Cluster
	namespace string
	of        instance.Instance
	history   configmap.Store

	// In is the name of the cluster; "" for the one that Sentry runs in.
	In string

	Reports Reports // takes part in Ends, before which it is set; may be nil
}

// Reports is told of the runs of which something is owed elsewhere, such as the status of a commit. Its calls never wait.
type Reports interface {
	// Owes reports whether that may be so of a run with the annotations, which is over or goes on. at is as naming.At has it.
	Owes(at string, annotations map[string]string, over bool) bool
	// Seen takes such a run, and how it ended; nil while it goes on. Anybody may have made it.
	Seen(run engine.Run, annotations map[string]string, ended *result.Result)
}

// New returns the engine for an instance's PipelineRuns in the namespace; "" is the cluster connection's. The
// configuration that Create gets is the instance's, too.
func New(c *kube.Cluster, namespace string, of instance.Instance) *Engine {
	return &Engine{Hide: func(text string) string { return text }, cluster: c, namespace: cmp.Or(namespace, c.Namespace), of: of, history: configmap.New(c, of)}
}

// Beside returns the engine for the instance's PipelineRuns in a namespace of another cluster, whose name that is. What is known of deleted ones is
// where e has it.
func (e *Engine) Beside(c *kube.Cluster, namespace, name string) *Engine {
	return &Engine{Hide: e.Hide, cluster: c, namespace: namespace, of: e.of, history: e.history, In: name, Reports: e.Reports}
}

// Cluster is the connection.
func (e *Engine) Cluster() *kube.Cluster { return e.cluster }

// Namespace is where the engine's PipelineRuns live.
func (e *Engine) Namespace() string { return e.namespace }

// Create makes the PipelineRun of the run exist, or of as much of it as one holds.
func (e *Engine) Create(ctx context.Context, cfg *config.Config, run plan.Run) (engine.Made, error) {
	return generated.Create(cfg, run, pipelinerun.MaxMembers, func(pr *v1.PipelineRun) (bool, error) { return e.create(ctx, pr) })
}

// Check says why no PipelineRun can be made of the run.
func (e *Engine) Check(cfg *config.Config, run plan.Run) error {
	return generated.Check(cfg, run, pipelinerun.MaxMembers)
}

// History returns what is known of the unit's runs that have ended, also of those that were deleted, or of all units' where
// unit is "", newest first.
func (e *Engine) History(ctx context.Context, unit string) ([]result.Result, error) {
	return e.history.List(ctx, unit)
}

// create makes the PipelineRun exist. When one of that name exists already, its trigger and its signature
// decide: equal ones mean that an earlier Sentry created this very run (created is false); anything else is
// engine.ErrNameTaken.
func (e *Engine) create(ctx context.Context, pr *v1.PipelineRun) (created bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	err = e.cluster.Tekton.Post().Namespace(e.namespace).Resource(pipelineRuns).Body(pr).Do(ctx).Error()
	if err == nil {
		return true, nil
	}
	if !apierrors.IsAlreadyExists(err) {
		return false, fmt.Errorf("create PipelineRun %s/%s: %w", e.namespace, pr.Name, kube.Explain(err))
	}
	existing, err := e.get(ctx, pr.Name)
	if err != nil {
		return false, err
	}
	if !generated.Same(pr, existing) {
		return false, fmt.Errorf("create PipelineRun %s/%s: %w", e.namespace, pr.Name, engine.ErrNameTaken)
	}
	return false, nil
}

func (e *Engine) get(ctx context.Context, name string) (*v1.PipelineRun, error) {
	pr := &v1.PipelineRun{}
	err := e.cluster.Tekton.Get().Namespace(e.namespace).Resource(pipelineRuns).Name(name).Do(ctx).Into(pr)
	if err != nil {
		return nil, fmt.Errorf("read PipelineRun %s/%s: %w", e.namespace, name, kube.Explain(err))
	}
	return pr, nil
}

// Active returns how many runs have not finished, of those that are wanted. It holds one page of the list.
func (e *Engine) Active(ctx context.Context, want func(plan.Existing) bool) (n int, err error) {
	_, _, err = e.listAt(ctx, "", func(r *listed) bool {
		if !r.done() && want(e.run(r).Existing) {
			n++
		}
		return false
	})
	return n, err
}

// Runs returns the units' runs that there are, oldest first; no units mean all.
func (e *Engine) Runs(ctx context.Context, units []string) ([]engine.Run, error) {
	selectors := []string{""}
	if len(units) > 0 {
		selectors = nil
		for chunk := range slices.Chunk(units, unitsPerList) {
			selectors = append(selectors, fmt.Sprintf("%s in (%s)", pipelinerun.LabelUnit, strings.Join(chunk, ",")))
		}
	}
	var runs []engine.Run
	for _, selector := range selectors {
		list, err := e.list(ctx, selector)
		if err != nil {
			return nil, err
		}
		for _, r := range list {
			runs = append(runs, e.run(&r))
		}
	}
	return runs, nil
}

// Cancel ends a run: its tasks are stopped, and its finally tasks run. In a run that would roll back what is stopped, none runs
// that has not begun. superseded is the name of the run that replaces it, if one does; the run says so. A run that is gone or
// finished is no error.
func (e *Engine) Cancel(ctx context.Context, name, superseded string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	for {
		pr, err := e.get(ctx, name)
		if apierrors.IsNotFound(err) || err == nil && pr.IsDone() {
			return nil
		}
		if err != nil {
			return fmt.Errorf("cancel PipelineRun %s/%s: %w", e.namespace, name, err)
		}
		if err = e.patch(ctx, name, cancellation(pr, superseded)); err == nil {
			return nil
		}
		if apierrors.IsConflict(err) {
			continue
		}
		// Tekton's webhook refuses changes to a finished run.
		if pr, getErr := e.get(ctx, name); getErr == nil && pr.IsDone() {
			return nil
		}
		return fmt.Errorf("cancel PipelineRun %s/%s: %w", e.namespace, name, kube.Explain(err))
	}
}

// cancellation returns the patch that cancels a run.
func cancellation(pr *v1.PipelineRun, superseded string) string {
	var patch struct {
		Metadata struct {
			Annotations     map[string]string `json:"annotations,omitempty"`
			ResourceVersion string            `json:"resourceVersion,omitempty"`
		} `json:"metadata"`
		Spec struct {
			Status v1.PipelineRunSpecStatus `json:"status"`
		} `json:"spec"`
	}
	if superseded != "" {
		patch.Metadata.Annotations = map[string]string{pipelinerun.AnnotationSuperseded: superseded}
	}
	patch.Spec.Status = v1.PipelineRunSpecStatusCancelledRunFinally
	if generated.CutsOff(pr) {
		// The last task may end in between, and a rollback begin: that is another version.
		patch.Spec.Status, patch.Metadata.ResourceVersion = v1.PipelineRunSpecStatusCancelled, pr.ResourceVersion
	}
	text, _ := json.Marshal(patch) // texts can always be encoded
	return string(text)
}

// patch changes a PipelineRun by a JSON merge patch. One that is gone is no error.
func (e *Engine) patch(ctx context.Context, name, patch string) error {
	err := e.cluster.Tekton.Patch(types.MergePatchType).Namespace(e.namespace).Resource(pipelineRuns).
		Name(name).Body([]byte(patch)).Do(ctx).Error()
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}
