// Package pipelinerun turns a planned run into one Tekton PipelineRun: one task a deployment, ordered
// as the group wants it. It is pure: no client, no clock, no files but the Tasks of folder tekton/ that
// the binary embeds.
//
// Nothing that comes from outside (a branch's name, a URL, a command) stands in a place that Tekton or
// the kubelet expand. It stands in the steps' scripts, quoted; internal/shell says how.
package pipelinerun

import (
	"fmt"
	"reflect"
	"sync"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/oneline"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun/internal/order"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun/internal/pod"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun/internal/words"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/plan/pinned"
	"github.com/tekton-sentry/sentry/tekton"
)

// Generate returns the PipelineRun of a pinned run. It fails on what no PipelineRun can hold: text that
// is not UTF-8 or holds NUL, and a token that is written out in the configuration; and on what the state could
// not remember. Validate says whether
// Tekton would take the result.
func Generate(cfg *config.Config, run plan.Run) (*v1.PipelineRun, error) {
	if err := run.CheckNumber(); err != nil {
		return nil, err
	}
	deploy, err := deployTask()
	if err != nil {
		return nil, fmt.Errorf("the embedded deploy.yaml: %w", err)
	}
	shared, err := sharedPod(cfg, run)
	if err != nil {
		return nil, fmt.Errorf("run %s: %w", run.Name, err)
	}
	trigger, err := oneline.JSON(run.Trigger)
	if err != nil {
		return nil, fmt.Errorf("encode the trigger of run %s: %w", run.Name, err)
	}
	members, err := pinned.Of(run).Text()
	if err != nil {
		return nil, fmt.Errorf("encode the members of run %s: %w", run.Name, err)
	}
	pr := &v1.PipelineRun{
		TypeMeta: metav1.TypeMeta{APIVersion: "tekton.dev/v1", Kind: "PipelineRun"},
		ObjectMeta: metav1.ObjectMeta{
			Name:      run.Name,
			Namespace: cfg.Global.RunsIn(),
			Labels:    labels(cfg.Global.Instance, run),
			Annotations: map[string]string{
				AnnotationTrigger:    trigger,
				AnnotationMembers:    members,
				AnnotationConfigHash: cfg.Hash,
			},
		},
		Spec: v1.PipelineRunSpec{
			PipelineSpec: &v1.PipelineSpec{DisplayName: words.Title(run), Description: words.Describe(run)},
			TaskRunTemplate: v1.PipelineTaskRunTemplate{
				ServiceAccountName: cfg.Global.ServiceAccount,
				PodTemplate:        shared.Template(),
			},
		},
	}
	if signature := run.Signature(); signature != "" {
		pr.Annotations[AnnotationSignature] = signature
	}
	if m := run.Members[0]; m.Repository.Deploy.Pipeline != nil {
		if err := pipeline(pr, run); err != nil {
			return nil, fmt.Errorf("run %s: repository %q: %w", run.Name, m.Repository.Name, err)
		}
		if cfg.Global.Chains {
			pr.Spec.Params = giveSource(pr.Spec.Params, m)
		}
		return pr, nil
	}
	reach := networkOf(cfg.Global)
	for _, m := range run.Members {
		task, own, err := member(cfg, pr, run, m, deploy, reach)
		if err != nil {
			return nil, fmt.Errorf("run %s: repository %q: %w", run.Name, m.Repository.Name, err)
		}
		pr.Spec.PipelineSpec.Tasks = append(pr.Spec.PipelineSpec.Tasks, task)
		if reflect.DeepEqual(own.PodTemplate, pr.Spec.TaskRunTemplate.PodTemplate) {
			own.PodTemplate = nil
		}
		if own.ServiceAccountName == cfg.Global.ServiceAccount {
			own.ServiceAccountName = ""
		}
		if own.PodTemplate != nil || own.ServiceAccountName != "" || own.Metadata != nil {
			pr.Spec.TaskRunSpecs = append(pr.Spec.TaskRunSpecs, own)
		}
	}
	if cfg.Global.Chains && len(run.Members) == 1 { // of several, none is that of the run
		pr.Spec.PipelineSpec.Params = declareSource(pr.Spec.PipelineSpec.Params, run.Members[0])
	}
	if err := order.Arrange(pr, run.Group, cfg.Global.GitImage, shared); err != nil {
		return nil, err
	}
	return pr, nil
}

// sharedPod is what all pods of a run ask for: that of the group, or of all.
func sharedPod(cfg *config.Config, run plan.Run) (pod.Spec, error) {
	if run.Unit.Group != "" {
		return pod.Read(run.Group.Pod)
	}
	return pod.Read(cfg.Global.Pod)
}

// member returns the task of a member, and what its pod has. It adds to the run what all share.
func member(cfg *config.Config, pr *v1.PipelineRun, run plan.Run, m plan.Member, deploy *v1.TaskSpec, reach network) (v1.PipelineTask, v1.PipelineTaskRunSpec, error) {
	d := m.Repository.Deploy
	task := v1.PipelineTask{Name: m.Task, DisplayName: words.OfTask(m), Timeout: &metav1.Duration{Duration: d.Timeout}}
	ownPod, err := pod.Read(d.Pod)
	if err != nil {
		return task, v1.PipelineTaskRunSpec{}, err
	}
	own := v1.PipelineTaskRunSpec{PipelineTaskName: m.Task, ServiceAccountName: d.ServiceAccount, PodTemplate: ownPod.Template()}
	meta := ownPod.Metadata(map[string]string{LabelRepository: m.Repository.Name})
	if d.Task != nil {
		own.Metadata = &meta
		err := referTo(pr, run, m, &task)
		if cfg.Global.Chains {
			task.Params = giveSource(task.Params, m)
		}
		return task, own, err
	}
	spec, err := deployment(cfg, run, m, deploy.DeepCopy(), reach)
	if err != nil {
		return task, own, err
	}
	last := len(spec.Steps) - 1
	for i := range last {
		spec.Steps[i].ComputeResources = ownPod.Resources.Clone.Apply()
	}
	spec.Steps[last].ComputeResources = ownPod.Resources.Deploy.Apply()
	task.TaskSpec = &v1.EmbeddedTask{Metadata: meta, TaskSpec: *spec}
	reach.give(pr.Spec.PipelineSpec, &task)
	if cfg.Global.Chains {
		task.TaskSpec.Params = declareSource(task.TaskSpec.Params, m)
	}
	return task, own, nil
}

// deployTask returns the spec of the Task that a deployment is, which is the same always. It must not be changed.
var deployTask = sync.OnceValues(func() (*v1.TaskSpec, error) { return tekton.Task(tekton.Deploy) })

func labels(instance string, run plan.Run) map[string]string {
	l := map[string]string{
		LabelManagedBy: ManagedBy,
		LabelUnit:      run.Unit.Label,
		LabelShown:     words.Shown(run),
	}
	if instance != "" {
		l[LabelInstance] = instance
	}
	names := map[string]bool{}
	for _, m := range run.Members {
		names[m.Repository.Name] = true
	}
	if len(names) == 1 {
		l[LabelRepository] = run.Members[0].Repository.Name
	}
	return l
}
