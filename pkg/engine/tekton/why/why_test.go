package why_test

import (
	"strings"
	"testing"

	"github.com/tektoncd/pipeline/pkg/apis/pipeline/pod"
	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"
	"knative.dev/pkg/apis"

	"github.com/tekton-sentry/sentry/pkg/engine/tekton/why"
)

func exited(name string, code int32, reason string) v1.StepState {
	s := v1.StepState{Name: name, Container: "step-" + name}
	s.Terminated = &corev1.ContainerStateTerminated{ExitCode: code, Reason: reason}
	if !strings.HasPrefix(reason, "TaskRun") {
		s.Terminated.ContainerID = "containerd://0"
	}
	return s
}

func waits(name, message string) v1.StepState {
	s := v1.StepState{Name: name}
	s.Waiting = &corev1.ContainerStateWaiting{Reason: "CreateContainerConfigError", Message: message}
	return s
}

// The messages are those of Tekton 1.14 on Kubernetes 1.34.
func TestWhyATaskFailed(t *testing.T) {
	clone := exited("clone", 0, "Completed")
	for name, tt := range map[string]struct {
		reason, message string
		steps           []v1.StepState
		secrets         []string
		want            string
	}{
		"a command": {"StepFailed", `"step-deploy" exited with code 3: Error`, []v1.StepState{clone, exited("deploy", 3, "Error")}, nil, `"step-deploy" exited with code 3: Error`},
		"a quota": {
			"PodCreationFailed", `failed to create task run pod "r-web": pods "r-web-pod" is forbidden: failed quota: compute: must specify limits.memory for: step-deploy. Maybe invalid TaskSpec`, nil, nil,
			`failed to create task run pod "r-web": pods "r-web-pod" is forbidden: failed quota: compute: must specify limits.memory for: step-deploy`,
		},
		"a ServiceAccount": {
			"PodCreationFailed", `failed to create task run pod "r-web": translating TaskSpec to Pod: serviceaccounts "nobody" not found. Maybe invalid TaskSpec`, nil, nil,
			`failed to create task run pod "r-web": translating TaskSpec to Pod: serviceaccounts "nobody" not found`,
		},
		"a Secret": {"CreateContainerConfigError", "Failed to create pod due to config error", []v1.StepState{clone, waits("deploy", `secret "absent" not found`)}, nil,
			`Failed to create pod due to config error: step deploy: secret "absent" not found`},
		"an image": {"TaskRunImagePullFailed", `the step "deploy" failed to pull the image ""`, []v1.StepState{exited("clone", 1, "TaskRunImagePullFailed")}, nil,
			`the step "deploy" failed to pull the image ""`},
		"a pull secret": {"TaskRunImagePullFailed", "failed to pull", nil, []string{"a", "b"},
			"failed to pull; the image_pull_secrets are a, b: are they there, and do they fit the registry?"},
		"memory": {"StepOOM", `"step-deploy" exited with code 137: OOMKilled`, []v1.StepState{clone, exited("deploy", 137, "OOMKilled")}, []string{"a"},
			`"step-deploy" exited with code 137: OOMKilled; the step deploy was OOMKilled, as it needs more memory than it may have: raise limits.memory in pod.resources`},
		"a signal": {"StepFailed", `"step-deploy" exited with code 137: Error`, []v1.StepState{clone, exited("deploy", 137, "Error")}, nil,
			`"step-deploy" exited with code 137: Error; something killed it (SIGKILL), as when a node has no memory left`},
		"an eviction": {"StepFailed", `"step-deploy" exited with code 143: Error`, []v1.StepState{clone, exited("deploy", 143, "Error")}, nil,
			`"step-deploy" exited with code 143: Error; something told it to end (SIGTERM), as when the pod is evicted, preempted, drained from its node or deleted`},
		"a timeout": {"TaskRunTimeout", `TaskRun "r-web" failed to finish within "10s"`, []v1.StepState{clone, exited("deploy", 1, "TaskRunTimeout")}, nil,
			`TaskRun "r-web" failed to finish within "10s"`},
	} {
		tr := &v1.TaskRun{Status: v1.TaskRunStatus{TaskRunStatusFields: v1.TaskRunStatusFields{Steps: tt.steps}}}
		if tt.secrets != nil {
			tr.Spec.PodTemplate = &pod.Template{}
			for _, s := range tt.secrets {
				tr.Spec.PodTemplate.ImagePullSecrets = append(tr.Spec.PodTemplate.ImagePullSecrets, corev1.LocalObjectReference{Name: s})
			}
		}
		c := &apis.Condition{Type: apis.ConditionSucceeded, Status: corev1.ConditionFalse, Reason: tt.reason, Message: tt.message}
		if got := why.Of(tr, c); got != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, tt.want)
		}
	}
}
