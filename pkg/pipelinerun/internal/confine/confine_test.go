package confine_test

import (
	"strings"
	"testing"

	"github.com/tektoncd/pipeline/pkg/apis/pipeline/pod"
	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/tekton-sentry/sentry/pkg/pipelinerun/internal/confine"
)

// secret is a variable whose value is that of a Secret.
var secret = corev1.EnvVar{Name: "TOKEN", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{Key: "TOKEN"}}}

// run is a run of a step that clones, and one with commands.
func run() (*v1.PipelineRun, *v1.TaskSpec) {
	task := &v1.EmbeddedTask{TaskSpec: v1.TaskSpec{StepTemplate: &v1.StepTemplate{Env: []corev1.EnvVar{secret}},
		Steps: []v1.Step{{Name: "clone"}, {Name: "deploy"}}}}
	return &v1.PipelineRun{Spec: v1.PipelineRunSpec{PipelineSpec: &v1.PipelineSpec{Tasks: []v1.PipelineTask{{Name: "web", TaskSpec: task}}},
		TaskRunTemplate: v1.PipelineTaskRunTemplate{ServiceAccountName: "powerful"},
		TaskRunSpecs: []v1.PipelineTaskRunSpec{{PipelineTaskName: "web", ServiceAccountName: "powerful", PodTemplate: &pod.PodTemplate{}},
			{PipelineTaskName: "rollback", ServiceAccountName: "powerful"}}}}, &task.TaskSpec
}

func TestRun(t *testing.T) {
	pr, task := run()
	if err := confine.Run(pr, "clone"); err != nil {
		t.Fatal(err)
	}
	if len(task.StepTemplate.Env)+len(task.Steps[1].Env) > 0 || len(task.Steps[0].Env) != 1 {
		t.Errorf("steps have %v, want the secret in the one that clones alone", task)
	}
	s := pr.Spec
	if s.TaskRunTemplate.ServiceAccountName != "default" || *s.TaskRunTemplate.PodTemplate.AutomountServiceAccountToken {
		t.Errorf("all pods have %+v, want no token", s.TaskRunTemplate)
	}
	if len(s.TaskRunSpecs) != 1 || s.TaskRunSpecs[0].ServiceAccountName != "" || *s.TaskRunSpecs[0].PodTemplate.AutomountServiceAccountToken {
		t.Errorf("pods of their own have %+v, want no token", s.TaskRunSpecs)
	}
}

// TestRunIsAnonymous: what injects an identity into a pod goes by its labels and annotations.
func TestRunIsAnonymous(t *testing.T) {
	named := func() map[string]string {
		return map[string]string{"vault.hashicorp.com/agent-inject": "true", "azure.workload.identity/use": "true", "tekton-sentry.dev/repository": "web"}
	}
	pr, _ := run()
	meta := v1.PipelineTaskMetadata{Labels: named(), Annotations: named()}
	pr.Spec.PipelineSpec.Tasks[0].TaskSpec.Metadata = meta
	pr.Spec.TaskRunSpecs[0].Metadata = &v1.PipelineTaskMetadata{Labels: named()}
	if err := confine.Run(pr, "clone"); err != nil {
		t.Fatal(err)
	}
	if len(meta.Labels) != 1 || len(meta.Annotations) != 1 || meta.Labels["tekton-sentry.dev/repository"] != "web" || pr.Spec.TaskRunSpecs[0].Metadata != nil {
		t.Errorf("the pod has %v, and %v, want what is Sentry's alone", meta, pr.Spec.TaskRunSpecs[0].Metadata)
	}
}

// TestRunRefuses: each way to a secret that it knows nothing of makes no run.
func TestRunRefuses(t *testing.T) {
	for name, add := range map[string]func(*v1.PipelineRun, *v1.TaskSpec){
		"a variable": func(_ *v1.PipelineRun, s *v1.TaskSpec) { s.Steps[1].Env = []corev1.EnvVar{secret} },
		"all keys": func(_ *v1.PipelineRun, s *v1.TaskSpec) {
			s.Steps[1].EnvFrom = []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{}}}
		},
		"all keys for all steps": func(_ *v1.PipelineRun, s *v1.TaskSpec) {
			s.StepTemplate.EnvFrom = []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{}}}
		},
		"a volume": func(_ *v1.PipelineRun, s *v1.TaskSpec) {
			s.Volumes = []corev1.Volume{{VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{}}}}
		},
		"a projected volume": func(_ *v1.PipelineRun, s *v1.TaskSpec) {
			s.Volumes = []corev1.Volume{{VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{}}}}
		},
		"a driver's volume": func(_ *v1.PipelineRun, s *v1.TaskSpec) {
			s.Volumes = []corev1.Volume{{VolumeSource: corev1.VolumeSource{CSI: &corev1.CSIVolumeSource{}}}}
		},
		"a workspace":           func(pr *v1.PipelineRun, _ *v1.TaskSpec) { pr.Spec.Workspaces = []v1.WorkspaceBinding{{}} },
		"a task's workspace":    func(_ *v1.PipelineRun, s *v1.TaskSpec) { s.Workspaces = []v1.WorkspaceDeclaration{{}} },
		"a sidecar":             func(_ *v1.PipelineRun, s *v1.TaskSpec) { s.Sidecars = []v1.Sidecar{{}} },
		"a step of the cluster": func(_ *v1.PipelineRun, s *v1.TaskSpec) { s.Steps[1].Ref = &v1.Ref{Name: "x"} },
		"a task of the cluster": func(pr *v1.PipelineRun, _ *v1.TaskSpec) {
			pr.Spec.PipelineSpec.Finally = []v1.PipelineTask{{TaskRef: &v1.TaskRef{Name: "x"}}}
		},
		"a pipeline of the cluster": func(pr *v1.PipelineRun, _ *v1.TaskSpec) { pr.Spec.PipelineRef = &v1.PipelineRef{Name: "x"} },
	} {
		pr, task := run()
		add(pr, task)
		if err := confine.Run(pr, "clone"); err == nil || !strings.Contains(err.Error(), "ecret") && name != "a sidecar" {
			t.Errorf("%s: %v, want an error", name, err)
		}
	}
}
