// Package pipelinerun turns a planned run into one Tekton PipelineRun: one task a deployment, ordered
// as the group wants it. It is pure: no client, no clock, no files but the Tasks of folder tekton/ that
// the binary embeds.
//
// Nothing that comes from outside (a branch's name, a URL, a command) stands in a place that Tekton or
// the kubelet expand. It stands in the steps' scripts, quoted; internal/shell says how.
package pipelinerun

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sync"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tekton-sentry/sentry/pkg/audit"
	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/oneline"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun/internal/confine"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun/internal/order"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun/internal/pod"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun/internal/words"
	"github.com/tekton-sentry/sentry/pkg/plan"
	planorder "github.com/tekton-sentry/sentry/pkg/plan/order"
	"github.com/tekton-sentry/sentry/pkg/plan/pinned"
	"github.com/tekton-sentry/sentry/pkg/report/mark"
	"github.com/tekton-sentry/sentry/pkg/strategy"
	"github.com/tekton-sentry/sentry/pkg/traces"
	"github.com/tekton-sentry/sentry/tekton"
)

// Generate returns the PipelineRun of a pinned run. It fails on what no PipelineRun can hold: text that
// is not UTF-8 or holds NUL, and a token that is written out in the configuration; and on what the state could
// not remember. Validate says whether
// Tekton would take the result.
func Generate(cfg *config.Config, run plan.Run) (*v1.PipelineRun, error) {
	cfg = cfg.In(run.Group.Cluster)
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
	if cfg.Global.Traces.Endpoint != "" {
		pr.Annotations[traces.Annotation] = traces.Context(run.Name)
	}
	if run.By.Cause != "" {
		pr.Annotations[audit.AnnotationBy] = run.By.Note(run.Name)
	}
	if slices.ContainsFunc(run.Members, func(m plan.Member) bool { return m.Repository.Report.Any() }) {
		pr.Annotations[mark.Annotation] = mark.Text(run.Name, mark.Due)
	}
	if m := run.Members[0]; m.Repository.Deploy.Pipeline != nil {
		if err := pipeline(pr, run); err != nil {
			return nil, fmt.Errorf("run %s: repository %q: %w", run.Name, m.Repository.Name, err)
		}
		if cfg.Global.Chains {
			pr.Spec.Params = giveSource(pr.Spec.Params, m)
		}
		return confined(pr, run)
	}
	graph, err := orderOf(cfg, run)
	if err != nil {
		return nil, fmt.Errorf("run %s: the order of its members: %w", run.Name, err)
	}
	b := builder{cfg, run, pr, deploy, networkOf(cfg.Global), graph.Check}
	spec := pr.Spec.PipelineSpec
	for _, m := range run.Members {
		if err := b.add(&spec.Tasks, m, b.member); err != nil {
			return nil, err
		}
		if len(m.Repository.Deploy.Rollback) > 0 && run.Group.Rollback != config.RollbackNone {
			if err := b.add(&spec.Finally, m, b.rollback); err != nil {
				return nil, err
			}
		}
	}
	if graph.Check {
		if err := b.add(&spec.Tasks, run.Members[0], b.check); err != nil {
			return nil, err
		}
	}
	if cfg.Global.Chains && len(run.Members) == 1 { // of several, none is that of the run
		spec.Params = declareSource(spec.Params, run.Members[0], run.Members[0].SHA)
	}
	if err := order.Arrange(pr, graph, run.Group, cfg.Global.GitImage, shared); err != nil {
		return nil, err
	}
	return confined(pr, run)
}

// confined returns the PipelineRun, without secrets where a member is the request of a fork.
func confined(pr *v1.PipelineRun, run plan.Run) (*v1.PipelineRun, error) {
	if slices.ContainsFunc(run.Members, plan.Member.Untrusted) {
		if err := confine.Run(pr, CloneStep, CheckoutStep); err != nil {
			return nil, fmt.Errorf("run %s, of the request of a fork, gets no secrets: %w", run.Name, err)
		}
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

// builder makes the tasks of a run.
type builder struct {
	cfg    *config.Config
	run    plan.Run
	pr     *v1.PipelineRun
	deploy *v1.TaskSpec
	reach  network

	checked bool // the first member is, before the others begin
}

// orderOf returns the order in which the members run.
func orderOf(cfg *config.Config, run plan.Run) (strategy.Graph, error) {
	members := make([]*config.Repository, len(run.Members))
	for i, m := range run.Members {
		members[i] = m.Repository
	}
	return planorder.Of(cfg, run.Group, members)
}

// add makes a task of a member and appends it to the tasks, and to the run what the pod of that task has of its own.
func (b builder) add(tasks *[]v1.PipelineTask, m plan.Member, make func(plan.Member) (v1.PipelineTask, v1.PipelineTaskRunSpec, error)) error {
	task, own, err := make(m)
	if err != nil {
		return fmt.Errorf("run %s: repository %q: %w", b.run.Name, m.Repository.Name, err)
	}
	*tasks = append(*tasks, task)
	if reflect.DeepEqual(own.PodTemplate, b.pr.Spec.TaskRunTemplate.PodTemplate) {
		own.PodTemplate = nil
	}
	if own.ServiceAccountName == b.cfg.Global.ServiceAccount {
		own.ServiceAccountName = ""
	}
	if own.PodTemplate != nil || own.ServiceAccountName != "" || own.Metadata != nil {
		own.PipelineTaskName = task.Name
		b.pr.Spec.TaskRunSpecs = append(b.pr.Spec.TaskRunSpecs, own)
	}
	return nil
}

// member returns the task that deploys a member, and what its pod has.
func (b builder) member(m plan.Member) (v1.PipelineTask, v1.PipelineTaskRunSpec, error) {
	task := v1.PipelineTask{Name: m.Task, DisplayName: words.OfTask(m)}
	if m.Repository.Deploy.Task == nil {
		own, err := b.embed(&task, m, job{step: DeployStep, commands: m.Repository.Deploy.Commands, app: m.SHA})
		return task, own, err
	}
	ownPod, own, err := podOf(&task, m)
	if err != nil {
		return task, own, err
	}
	meta := ownPod.Metadata(map[string]string{LabelRepository: m.Repository.Name})
	own.Metadata = &meta
	err = referTo(b.pr, b.run, m, &task)
	if b.cfg.Global.Chains {
		task.Params = giveSource(task.Params, m)
	}
	return task, own, err
}

// rollback returns the task that rolls a member back, and what its pod has.
func (b builder) rollback(m plan.Member) (v1.PipelineTask, v1.PipelineTaskRunSpec, error) {
	task := order.Rollback(m.Task, b.run.Group.Rollback, b.checked && m.Task == b.run.Members[0].Task)
	task.DisplayName = words.OfRollback(m)
	own, err := b.embed(&task, m, job{step: RollbackStep, commands: m.Repository.Deploy.Rollback, app: m.Succeeded})
	return task, own, err
}

// check returns the task that checks a member once it is deployed, and what its pod has.
func (b builder) check(m plan.Member) (v1.PipelineTask, v1.PipelineTaskRunSpec, error) {
	task := v1.PipelineTask{Name: order.Check, DisplayName: words.Plain("check " + m.Ref().String() + " at " + m.SHA.Short())}
	own, err := b.embed(&task, m, job{step: DeployStep, commands: b.run.Group.CanaryCheck, app: m.SHA})
	return task, own, err
}

// podOf gives a task of a member its timeout, and returns what its pod asks for.
func podOf(task *v1.PipelineTask, m plan.Member) (pod.Spec, v1.PipelineTaskRunSpec, error) {
	d := m.Repository.Deploy
	task.Timeout = &metav1.Duration{Duration: d.Timeout}
	own, err := pod.Read(d.Pod)
	if err != nil {
		return own, v1.PipelineTaskRunSpec{}, err
	}
	return own, v1.PipelineTaskRunSpec{ServiceAccountName: d.ServiceAccount, PodTemplate: own.Template()}, nil
}

// embed has the task do the job for a member, and returns what its pod has. It adds to the run what all share.
func (b builder) embed(task *v1.PipelineTask, m plan.Member, j job) (v1.PipelineTaskRunSpec, error) {
	ownPod, own, err := podOf(task, m)
	if err != nil {
		return own, err
	}
	spec, annotations, err := b.deployment(m, j, ownPod.Template().SecurityContext.RunAsUser)
	if err != nil {
		return own, err
	}
	last := len(spec.Steps) - 1
	for i := range last {
		spec.Steps[i].ComputeResources = ownPod.Resources.Clone.Apply()
	}
	spec.Steps[last].ComputeResources = ownPod.Resources.Deploy.Apply()
	task.TaskSpec = &v1.EmbeddedTask{Metadata: ownPod.Metadata(map[string]string{LabelRepository: m.Repository.Name}), TaskSpec: *spec}
	if annotations != nil {
		maps.Copy(annotations, task.TaskSpec.Metadata.Annotations)
		task.TaskSpec.Metadata.Annotations = annotations
	}
	b.reach.give(b.pr.Spec.PipelineSpec, task)
	if b.cfg.Global.Chains && j.app != "" {
		task.TaskSpec.Params = declareSource(task.TaskSpec.Params, m, j.app)
	}
	return own, nil
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
