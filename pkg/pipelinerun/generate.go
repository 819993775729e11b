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
	"sync"
	"time"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/selection"
	"sigs.k8s.io/yaml"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/oneline"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun/internal/pod"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun/internal/shell"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun/internal/words"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/plan/pinned"
	"github.com/tekton-sentry/sentry/tekton"
)

// verdictTimeout is what the finally task may take: it prints some lines, so nearly all of it is for a
// pod that waits for a node.
const verdictTimeout = 5 * time.Minute

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
	if err := arrange(pr, run.Group, cfg.Global.GitImage, shared); err != nil {
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
	meta := metadata(ownPod, map[string]string{LabelRepository: m.Repository.Name})
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

// metadata returns the labels and annotations of a TaskRun, which Tekton gives to its pod.
func metadata(p pod.Spec, labels map[string]string) v1.PipelineTaskMetadata {
	all := maps.Clone(p.Labels)
	if all == nil {
		all = labels
	} else {
		maps.Copy(all, labels)
	}
	return v1.PipelineTaskMetadata{Labels: all, Annotations: p.Annotations}
}

// deployTask returns the spec of the Task that a deployment is, which is the same always. It must not be changed.
var deployTask = sync.OnceValues(func() (*v1.TaskSpec, error) { return parseTask(tekton.Deploy) })

// parseTask returns the spec of a Task of folder tekton/.
func parseTask(text []byte) (*v1.TaskSpec, error) {
	var task v1.Task
	if err := yaml.UnmarshalStrict(text, &task); err != nil {
		return nil, err
	}
	return &task.Spec, nil
}

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

// arrange puts the members into the order that the group wants, says what a failure does, and bounds the
// whole run in time: by the group's timeout or else, since a task's own timeout never begins while a quota refuses its pod, by
// twice the longest chain of timeouts and an hour.
//
//	                            order                    a failure
//	parallel, no bound          none                     the others run anyway; the run reads Failed by itself
//	parallel, bound k           task i after task i-k    goes on: onError, verdict; stops: gate
//	sequential, or k = 1        task i after task i-1    goes on: onError, verdict; stops
func arrange(pr *v1.PipelineRun, group config.Group, image string, shared pod.Spec) error {
	spec := pr.Spec.PipelineSpec
	members := spec.Tasks
	lanes := group.MaxParallel
	if group.Strategy == config.Sequential {
		lanes = 1
	}
	ordered := 0 < lanes && lanes < len(members)
	gated := ordered && lanes > 1 && !group.ContinueOnError
	for i := range members {
		if gated {
			members[i].RunAfter = append(members[i].RunAfter, GateTask)
		}
		if ordered && i >= lanes {
			members[i].RunAfter = append(members[i].RunAfter, members[i-lanes].Name)
		}
		if ordered && group.ContinueOnError {
			members[i].OnError = v1.PipelineTaskContinue
		}
	}
	if ordered && group.ContinueOnError {
		verdict, err := verdictTask(members, image, shared)
		if err != nil {
			return err
		}
		spec.Finally = []v1.PipelineTask{verdict}
	}
	if gated {
		spec.Tasks = append([]v1.PipelineTask{gateTask(image)}, members...)
	}
	bound := group.GlobalTimeout
	if bound == 0 {
		bound = 2*longestChain(members, lanes) + time.Hour
	}
	pr.Spec.Timeouts = timeouts(bound, len(spec.Finally) > 0)
	return nil
}

// longestChain returns the longest time that members which wait for each other may take; in lanes, every lanes-th does.
func longestChain(members []v1.PipelineTask, lanes int) time.Duration {
	var longest time.Duration
	chains := make([]time.Duration, len(members))
	for i, m := range members {
		chains[i] = m.Timeout.Duration
		if lanes > 0 && i >= lanes {
			chains[i] += chains[i-lanes]
		}
		longest = max(longest, chains[i])
	}
	return longest
}

// timeouts bounds the run. With a verdict, the tasks alone are bounded, so that it still gets its time.
func timeouts(bound time.Duration, verdict bool) *v1.TimeoutFields {
	whole := &metav1.Duration{Duration: bound}
	if !verdict {
		return &v1.TimeoutFields{Pipeline: whole}
	}
	return &v1.TimeoutFields{
		Tasks:    whole,
		Finally:  &metav1.Duration{Duration: verdictTimeout},
		Pipeline: &metav1.Duration{Duration: bound + verdictTimeout},
	}
}

// gateTask is a task that never runs, before all others. Without it Tekton's controller fails to stop
// lanes: when a task fails while another lane has tasks waiting, every reconcile ends in "invalid list of
// done tasks" (tektoncd/pipeline issue 5402), and no timeout of the pipeline holds.
func gateTask(image string) v1.PipelineTask {
	return v1.PipelineTask{
		Name:        GateTask,
		DisplayName: "never runs",
		When:        v1.WhenExpressions{{Input: "never", Operator: selection.In, Values: []string{"runs"}}},
		TaskSpec: &v1.EmbeddedTask{TaskSpec: v1.TaskSpec{Steps: []v1.Step{{
			Name: "never", Image: image, Script: "#!/bin/sh\nexit 0\n",
		}}}},
	}
}

// verdictTask is the finally task that fails the run when a member did not succeed.
func verdictTask(members []v1.PipelineTask, image string, shared pod.Spec) (v1.PipelineTask, error) {
	spec, err := parseTask(tekton.Verdict)
	if err != nil {
		return v1.PipelineTask{}, fmt.Errorf("the embedded verdict.yaml: %w", err)
	}
	step := &spec.Steps[0]
	step.Image = image
	step.Script = shell.WithoutComments(step.Script)
	step.ComputeResources = shared.Resources.Clone.Apply()
	ended := ""
	for _, m := range members {
		ended += ending(m.Name)
	}
	return v1.PipelineTask{
		Name:        VerdictTask,
		DisplayName: "did every deployment succeed?",
		TaskSpec:    &v1.EmbeddedTask{Metadata: metadata(shared, nil), TaskSpec: *spec},
		Params:      v1.Params{{Name: spec.Params[0].Name, Value: *v1.NewStructuredValues(ended[:len(ended)-1])}},
		Timeout:     &metav1.Duration{Duration: verdictTimeout},
	}, nil
}

// ending is what the verdict is told of a task, with the space before the next one.
func ending(task string) string { return task + "=$(tasks." + task + ".status) " }
