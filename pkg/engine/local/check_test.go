package local_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tekton-sentry/sentry/pkg/engine/local"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun"
)

// TestCreateRefuses changes one thing in a run that would be taken.
func TestCreateRefuses(t *testing.T) {
	only := "PipelineRun run cannot run on this machine, only in a cluster: "
	type parts struct {
		pr   *v1.PipelineRun
		task *v1.PipelineTask
		spec *v1.TaskSpec
		step *v1.Step
	}
	tests := []struct {
		name   string
		change func(parts)
		want   string
	}{
		{"a pipelineRef", func(p parts) {
			p.pr.Spec.PipelineSpec, p.pr.Spec.PipelineRef = nil, &v1.PipelineRef{Name: "elsewhere"}
		}, "PipelineRun run: only a run with an embedded pipelineSpec can run on this machine"},
		{"what Tekton refuses", func(p parts) { p.task.RunAfter = []string{"nobody"} },
			"PipelineRun run: invalid value: couldn't add link between task and nobody: task task depends on nobody but nobody wasn't present in Pipeline: spec.pipelineSpec.tasks"},
		{"a taskRef", func(p parts) { p.task.TaskSpec, p.task.TaskRef = nil, &v1.TaskRef{Name: "elsewhere"} },
			only + "pipelineSpec.tasks[].taskRef.kind is not supported; pipelineSpec.tasks[].taskRef.name is not supported"},
		{"retries", func(p parts) { p.task.Retries = 2 }, only + "pipelineSpec.tasks[].retries is not supported"},
		{"a matrix", func(p parts) {
			p.task.Matrix = &v1.Matrix{Params: v1.Params{{Name: "x", Value: *v1.NewStructuredValues("a", "b")}}}
			p.spec.Params = v1.ParamSpecs{{Name: "x", Type: v1.ParamTypeString}}
		}, only + "pipelineSpec.tasks[].matrix.params[].name is not supported; pipelineSpec.tasks[].matrix.params[].value[] is not supported"},
		{"a parameter that is a list", func(p parts) {
			p.spec.Params = v1.ParamSpecs{{Name: "x", Type: v1.ParamTypeArray, Default: v1.NewStructuredValues("a", "b")}}
		}, only + "pipelineSpec.tasks[].taskSpec.params[].default[] is not supported"},
		{"results", func(p parts) { p.spec.Results = []v1.TaskResult{{Name: "r"}} },
			only + "pipelineSpec.tasks[].taskSpec.results[].name is not supported; pipelineSpec.tasks[].taskSpec.results[].type is not supported"},
		{"a workspace", func(p parts) { p.spec.Workspaces = []v1.WorkspaceDeclaration{{Name: "w", Optional: true}} },
			only + "pipelineSpec.tasks[].taskSpec.workspaces[].name is not supported; pipelineSpec.tasks[].taskSpec.workspaces[].optional is not supported"},
		{"a sidecar", func(p parts) { p.spec.Sidecars = []v1.Sidecar{{Name: "s", Image: "i"}} },
			only + "pipelineSpec.tasks[].taskSpec.sidecars[].image is not supported; pipelineSpec.tasks[].taskSpec.sidecars[].name is not supported"},
		{"a command", func(p parts) { p.step.Script, p.step.Command = "", []string{"true"} },
			only + "pipelineSpec.tasks[].taskSpec.steps[].command[] is not supported; step main of task task has no script"},
		{"a working directory", func(p parts) { p.step.WorkingDir = "/x" },
			only + "pipelineSpec.tasks[].taskSpec.steps[].workingDir is not supported"},
		{"a step that goes on after an error", func(p parts) { p.step.OnError = v1.Continue },
			only + "pipelineSpec.tasks[].taskSpec.steps[].onError is not supported"},
		{"a value from the pod", func(p parts) {
			p.step.Env = []corev1.EnvVar{{Name: "X", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "spec.nodeName"}}}}
		}, only + "pipelineSpec.tasks[].taskSpec.steps[].env[].valueFrom.fieldRef.fieldPath is not supported"},
		{"a volume of the node's", func(p parts) {
			p.spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/x"}}}}
		}, only + "pipelineSpec.tasks[].taskSpec.volumes[].hostPath.path is not supported; volume v of task task is no emptyDir, Secret or ConfigMap"},
		{"a variable of Tekton's context", func(p parts) { p.step.Script += "echo $(context.taskRun.name)\n" },
			only + `pipelineSpec.tasks[].taskSpec.steps[].script has "$(context.taskRun.name)", which is not supported`},
		{"a run that waits", func(p parts) { p.pr.Spec.Status = v1.PipelineRunSpecStatusPending },
			only + "status is not supported"},
		{"no trigger", func(p parts) { delete(p.pr.Annotations, pipelinerun.AnnotationTrigger) },
			"PipelineRun /run has no annotation tekton-sentry.dev/trigger: Sentry did not make it"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			pr := pipelineRun("run", shell("task", "true"))
			task := &pr.Spec.PipelineSpec.Tasks[0]
			test.change(parts{pr, task, &task.TaskSpec.TaskSpec, &task.TaskSpec.Steps[0]})
			tr := newTrial(t)
			created, err := local.Start(tr.Engine, context.Background(), pr)
			if created || err == nil || err.Error() != test.want {
				t.Errorf("Create() = %v, %v\nwant false, %s", created, err, test.want)
			}
		})
	}
}

// TestCreateTakes has what means nothing on one machine.
func TestCreateTakes(t *testing.T) {
	task := shell("task", "true")
	task.DisplayName, task.Description = "shown", "said"
	task.TaskSpec.StepTemplate = &v1.StepTemplate{SecurityContext: &corev1.SecurityContext{
		AllowPrivilegeEscalation: new(false), Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
	}}
	pr := timeouts(pipelineRun("run", task), 0, time.Minute, 0)
	pr.Spec.Timeouts.Finally = nil
	pr.Spec.TaskRunTemplate = v1.PipelineTaskRunTemplate{ServiceAccountName: "deployer"}
	pr.Spec.TaskRunSpecs = []v1.PipelineTaskRunSpec{{PipelineTaskName: "task", ServiceAccountName: "other"}}
	pr.CreationTimestamp = metav1.Now()
	before := pr.DeepCopy()
	tr := newTrial(t)
	if out := tr.run(pr); !out.Succeeded {
		t.Errorf("got %s: %s, want success\n%s", out.Reason, out.Message, tr.out)
	}
	if diff := cmp.Diff(before, pr); diff != "" {
		t.Errorf("Create changed its argument (-want +got):\n%s", diff)
	}
}
