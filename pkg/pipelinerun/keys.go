package pipelinerun

import (
	"encoding/json"
	"fmt"
	"slices"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"

	"github.com/tekton-sentry/sentry/pkg/pipelinerun/internal/order"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/plan/pinned"
)

// Labels of every PipelineRun that Sentry makes. Tekton copies them to the TaskRuns and pods. There is no
// tekton.dev/pipeline: of an embedded pipeline Tekton's controller writes the run's own name there.
const (
	LabelManagedBy  = "app.kubernetes.io/managed-by"
	LabelInstance   = "app.kubernetes.io/instance"   // config.Global.Instance; only where that is a name
	LabelUnit       = "tekton-sentry.dev/unit"       // naming.Unit.Label: what lists, filters and pruners go by
	LabelRepository = "tekton-sentry.dev/repository" // of a run only where all members are of one repository; of each member's TaskRun
	// LabelShown is what the Tekton Dashboard shows below a run's name; see decision 014.
	LabelShown = "triggers.tekton.dev/trigger"
)

// ManagedBy is the value of LabelManagedBy.
const ManagedBy = "sentry"

// AnnotationTold is on a finished PipelineRun of whose end Sentry has told, with the run's own name: who runs one again
// copies its annotations.
const AnnotationTold = "tekton-sentry.dev/told"

// AnnotationSuperseded is on a PipelineRun that Sentry cancelled for a newer change (on_busy: cancel), with the name of the run
// that waits for its end.
const AnnotationSuperseded = "tekton-sentry.dev/superseded"

// Annotations of every PipelineRun that Sentry makes.
const (
	AnnotationTrigger    = "tekton-sentry.dev/trigger"     // plan.Trigger as JSON
	AnnotationMembers    = "tekton-sentry.dev/members"     // pinned.Members as JSON: what each task deploys
	AnnotationSignature  = "tekton-sentry.dev/signature"   // plan.Run.Signature; only on a cluster
	AnnotationConfigHash = "tekton-sentry.dev/config-hash" // config.Config.Hash
)

// Names that stand in every PipelineRun.
const (
	GateTask     = order.Gate
	VerdictTask  = order.Verdict
	CheckTask    = order.Check // of the first deployment of a canary group
	CloneStep    = "clone"
	CheckoutStep = "checkout" // between the two, with deploy.checkout
	DeployStep   = "deploy"
	RollbackStep = "rollback" // in its place in a task that rolls back
)

// RollbackOf returns the task whose deployment a task of a PipelineRun rolls back; "" where it is no rollback.
func RollbackOf(task string) string { return order.RollbackOf(task) }

// NeverRuns reports whether a task of that name is there for the order of others alone.
func NeverRuns(task string) bool { return order.NeverRuns(task) }

// WaitsFor returns for each task the deployments and the check for whose end it waits.
func WaitsFor(spec *v1.PipelineSpec) map[string][]string { return order.WaitsFor(spec) }

// RollsBack reports whether deployments of the PipelineRun are rolled back when they fail.
func RollsBack(pr *v1.PipelineRun) bool {
	return pr.Spec.PipelineSpec != nil && slices.ContainsFunc(pr.Spec.PipelineSpec.Finally, func(t v1.PipelineTask) bool { return RollbackOf(t.Name) != "" })
}

// TriggerOf returns why a PipelineRun of Sentry's exists, from its annotation.
func TriggerOf(pr *v1.PipelineRun) (plan.Trigger, error) {
	var t plan.Trigger
	text, ok := pr.Annotations[AnnotationTrigger]
	if !ok {
		return t, fmt.Errorf("PipelineRun %s/%s has no annotation %s: Sentry did not make it", pr.Namespace, pr.Name, AnnotationTrigger)
	}
	if err := json.Unmarshal([]byte(text), &t); err != nil {
		return plan.Trigger{}, fmt.Errorf("annotation %s of PipelineRun %s/%s: %w", AnnotationTrigger, pr.Namespace, pr.Name, err)
	}
	return t, nil
}

// MembersOf returns what each task of a PipelineRun deploys, from its annotations; nothing where the annotation is not there,
// as on the runs of a Sentry before there was one.
func MembersOf(annotations map[string]string) (pinned.Members, error) {
	text, ok := annotations[AnnotationMembers]
	if !ok {
		return pinned.Members{}, nil
	}
	m, err := pinned.Read(text)
	if err != nil {
		return pinned.Members{}, fmt.Errorf("annotation %s: %w", AnnotationMembers, err)
	}
	return m, nil
}
