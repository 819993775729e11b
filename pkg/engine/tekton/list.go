package tekton

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"knative.dev/pkg/apis"

	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/kube"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/report/mark"
)

// asTable asks for the columns that kubectl prints, with each run's metadata: all that a list is for, in a
// quarter of the bytes of a small run and a fiftieth of those of a large one.
// https://kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-tables
const asTable = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"

// The columns in which Tekton's CustomResourceDefinition shows the condition Succeeded, and when the run ended.
const (
	statusColumn     = "Succeeded"
	reasonColumn     = "Reason"
	completionColumn = "CompletionTime" // an age, such as 3h12m; a table that lacks it is taken all the same
)

// errColumns says that a table does not tell how the runs go.
var errColumns = errors.New("the table lacks the columns " + statusColumn + " and " + reasonColumn)

// listed is what a list tells of a PipelineRun.
type listed struct {
	Metadata struct {
		Name              string            `json:"name"`
		UID               types.UID         `json:"uid"`
		CreationTimestamp time.Time         `json:"creationTimestamp"`
		Labels            map[string]string `json:"labels"`
		Annotations       map[string]string `json:"annotations"`
	} `json:"metadata"`
	Status struct {
		Conditions     []ending  `json:"conditions"`
		CompletionTime time.Time `json:"completionTime"` // about; zero where nothing tells
	} `json:"status"`
}

type ending struct {
	Type   apis.ConditionType     `json:"type"`
	Status corev1.ConditionStatus `json:"status"`
	Reason string                 `json:"reason"`
}

// trigger returns why the run says it exists; without Refs where it does not say so, as people can edit annotations.
func (r *listed) trigger() plan.Trigger {
	t, _ := pipelinerun.TriggerOf(&v1.PipelineRun{ObjectMeta: metav1.ObjectMeta{Annotations: r.Metadata.Annotations}})
	return t
}

// key tells the run from others, also of its name.
func (r *listed) key() string { return r.Metadata.Name + " " + string(r.Metadata.UID) }

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

func (r *listed) done() bool {
	return r.end().Status == corev1.ConditionTrue || r.failed()
}

func (r *listed) failed() bool { return r.end().Status == corev1.ConditionFalse }

// run returns the run as the loop knows it. One that does not say why it exists may be active all the same.
func (e *Engine) run(r *listed) engine.Run {
	end := r.end()
	return engine.Run{
		Existing: plan.Existing{
			Cluster: e.In, Name: r.Metadata.Name, Unit: r.unit(), Trigger: r.trigger(), Signature: r.Metadata.Annotations[pipelinerun.AnnotationSignature],
			Created: r.Metadata.CreationTimestamp, Active: !r.done(), Pending: r.pending(),
		},
		Succeeded: end.Status == corev1.ConditionTrue, Reason: end.Reason,
	}
}

// told reports whether Sentry has told how the run ended. Who runs one again copies its annotations.
func (r *listed) told() bool {
	return r.Metadata.Annotations[pipelinerun.AnnotationTold] == r.Metadata.Name
}

// ended returns when the run that is over ended, or, where nothing tells, was created.
func (r *listed) ended() time.Time {
	return cmp.Or(r.Status.CompletionTime, r.Metadata.CreationTimestamp)
}

// recent reports whether its end is told although nobody listened when it came.
func (r *listed) recent() bool { return time.Since(r.ended()) <= tellWithin }

// owed reports whether somebody is still to be told of the end of the run, which is over.
func (r *listed) owed() bool {
	switch mark.Of(r.Metadata.Annotations, r.Metadata.Name) {
	case mark.Due, mark.Pending:
		return r.recent()
	}
	return !r.told() && time.Since(r.ended()) <= readWithin
}

// pending reports whether somebody holds the run back: its spec.status is PipelineRunPending.
func (r *listed) pending() bool { return r.end().Reason == v1.PipelineRunReasonPending.String() }

// mine selects the runs of the instance among those of all Sentrys in the namespace.
func (e *Engine) mine() string {
	if e.of.Name == "" {
		return "!" + pipelinerun.LabelInstance
	}
	return pipelinerun.LabelInstance + "=" + e.of.Name
}

// selector selects the instance's runs among those that more selects.
func (e *Engine) selector(more string) string {
	return strings.Trim(pipelinerun.LabelManagedBy+"="+pipelinerun.ManagedBy+","+e.mine()+","+more, ",")
}

// owns reports whether the run is one of the instance's: a selector does not keep a proxy or a webhook from answering
// with something else.
func (e *Engine) owns(r *listed) bool {
	labels := r.Metadata.Labels
	return labels[pipelinerun.LabelManagedBy] == pipelinerun.ManagedBy && labels[pipelinerun.LabelInstance] == e.of.Name
}

// list returns the instance's PipelineRuns that match the selector, oldest first.
func (e *Engine) list(ctx context.Context, selector string) ([]listed, error) {
	runs, _, err := e.listAt(ctx, selector, func(*listed) bool { return true })
	return runs, err
}

// listAt is list of the runs that are wanted, and returns the resourceVersion of the list, from which a watch goes on. It holds one
// page of the others.
func (e *Engine) listAt(ctx context.Context, selector string, want func(*listed) bool) (runs []listed, version string, err error) {
	options, seen, empty := metav1.ListOptions{LabelSelector: e.selector(selector), Limit: pageSize}, 0, 0
	for {
		page, err := e.page(ctx, options, asTable)
		if errors.Is(err, errColumns) { // somebody changed the CustomResourceDefinition
			page, err = e.page(ctx, options, "application/json")
		}
		if err != nil {
			return nil, "", fmt.Errorf("list PipelineRuns in %s: %w", e.namespace, kube.Explain(err))
		}
		version = page.version
		for _, r := range page.runs {
			if seen++; e.owns(&r) && want(&r) {
				runs = append(runs, r)
			}
		}
		if page.next == "" {
			break
		}
		if len(page.runs) == 0 {
			empty++
		}
		if page.next == options.Continue || seen > maxListed || empty > maxEmpty {
			return nil, "", fmt.Errorf("list PipelineRuns in %s: the list does not end after %d runs", e.namespace, seen)
		}
		options.Continue = page.next
	}
	slices.SortStableFunc(runs, func(a, b listed) int {
		return cmp.Or(a.Metadata.CreationTimestamp.Compare(b.Metadata.CreationTimestamp), cmp.Compare(a.Metadata.Name, b.Metadata.Name))
	})
	return runs, version, nil
}

func (e *Engine) page(ctx context.Context, options metav1.ListOptions, accept string) (page, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	result := e.cluster.Tekton.Get().Namespace(e.namespace).Resource(pipelineRuns).
		SetHeader("Accept", accept).VersionedParams(&options, metav1.ParameterCodec).Do(ctx)
	if err := result.Error(); err != nil { // which says more than that of Raw
		return page{}, err
	}
	body, err := result.Raw()
	if err != nil {
		return page{}, err
	}
	return decodePage(body)
}

// page is a part of a list.
type page struct {
	runs    []listed
	next    string // of the page after it; "" for the last
	version string // of the whole list
}

// decodePage reads a page that is a table, or a list of whole PipelineRuns.
func decodePage(body []byte) (page, error) {
	var list struct {
		table
		Items []listed `json:"items"`
	}
	if err := json.Unmarshal(body, &list); err != nil {
		return page{}, fmt.Errorf("the answer is no list: %w", err)
	}
	p := page{list.Items, list.Metadata.Continue, list.Metadata.ResourceVersion}
	if list.Kind != "Table" {
		return p, nil
	}
	var err error
	p.runs, err = list.table.runs(list.Columns)
	return p, err
}

// table is PipelineRuns with the columns that kubectl prints.
type table struct {
	Kind     string `json:"kind"`
	Metadata struct {
		Continue        string `json:"continue"`
		ResourceVersion string `json:"resourceVersion"`
	} `json:"metadata"`
	Columns []column `json:"columnDefinitions"`
	Rows    []struct {
		Cells  []any  `json:"cells"`
		Object listed `json:"object"`
	} `json:"rows"`
}

type column struct {
	Name string `json:"name"`
}

// runs returns the rows under the columns, which only the first of several tables tells.
func (t *table) runs(columns []column) (runs []listed, err error) {
	index := map[string]int{} // 0, the name's, is none of them
	for i, c := range columns {
		index[c.Name] = i
	}
	status, reason := index[statusColumn], index[reasonColumn]
	if status == 0 || reason == 0 {
		return nil, errColumns
	}
	for _, row := range t.Rows {
		if len(row.Cells) != len(columns) {
			return nil, errColumns
		}
		r := row.Object
		end := ending{Type: apis.ConditionSucceeded, Status: corev1.ConditionUnknown}
		if text, ok := row.Cells[status].(string); ok {
			end.Status = corev1.ConditionStatus(text)
		}
		end.Reason, _ = row.Cells[reason].(string) // null for a run that Tekton has not looked at
		if at := index[completionColumn]; at > 0 {
			r.Status.CompletionTime = ago(row.Cells[at])
		}
		r.Status.Conditions = []ending{end}
		runs = append(runs, r)
	}
	return runs, nil
}

// ago returns when something was that is so old, as kubectl says it; zero where that says nothing. From two days on it says days, which are
// too old for whoever asks.
func ago(cell any) time.Time {
	age, _ := cell.(string)
	d, err := time.ParseDuration(age)
	switch {
	case err == nil:
		return time.Now().Add(-d)
	case age == "", age[0] == '<': // unknown, or invalid
		return time.Time{}
	}
	return time.Now().Add(-48 * time.Hour)
}

// Ended returns when the run ended, which no list tells to the second; zero when it has not, or is gone.
func (e *Engine) Ended(ctx context.Context, name string) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	pr, err := e.get(ctx, name)
	if apierrors.IsNotFound(err) || err == nil && pr.Status.CompletionTime == nil {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, err
	}
	return pr.Status.CompletionTime.UTC(), nil
}

// children returns the TaskRuns that Tekton made for the PipelineRun. Anybody's PipelineRun can give its TaskRuns any label.
func (e *Engine) children(ctx context.Context, pr *v1.PipelineRun) ([]v1.TaskRun, error) {
	list := &v1.TaskRunList{}
	err := e.cluster.Tekton.Get().Namespace(e.namespace).Resource(taskRuns).VersionedParams(&metav1.ListOptions{
		LabelSelector: labelPipelineRun + "=" + pr.Name,
	}, metav1.ParameterCodec).Do(ctx).Into(list)
	if err != nil {
		return nil, fmt.Errorf("list the TaskRuns of %s/%s: %w", e.namespace, pr.Name, kube.Explain(err))
	}
	return slices.DeleteFunc(list.Items, func(tr v1.TaskRun) bool { return !metav1.IsControlledBy(&tr, pr) }), nil
}
