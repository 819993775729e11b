// Package why says why the tasks of a run ended as they did, in words that a person can act upon. It is pure.
package why

import (
	"fmt"
	"strings"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"knative.dev/pkg/apis"
)

// Of returns why a TaskRun ended as it did, in words that a person can act upon: Tekton's, and what they leave out.
func Of(tr *v1.TaskRun, c *apis.Condition) string {
	why := strings.TrimSuffix(c.Message, ". Maybe invalid TaskSpec") // for a quota, too
	if !c.IsFalse() && c.Reason != string(v1.TaskRunReasonFailureIgnored) {
		return why
	}
	return why + held(tr) + pullSecrets(tr, c.Reason) + Killed(FailedStep(tr))
}

// held returns what kept a step of a TaskRun that failed from starting, such as a Secret that is not there: the TaskRun's own
// words do not name it.
func held(tr *v1.TaskRun) string {
	for _, step := range tr.Status.Steps {
		if w := step.Waiting; w != nil && w.Message != "" {
			return fmt.Sprintf(": step %s: %s", step.Name, w.Message)
		}
	}
	return ""
}

// pullSecrets names the credentials with which an image could not be pulled: one that is not there is in no message.
func pullSecrets(tr *v1.TaskRun, reason string) string {
	if !strings.Contains(reason, "Image") || tr.Spec.PodTemplate == nil || len(tr.Spec.PodTemplate.ImagePullSecrets) == 0 {
		return ""
	}
	var names []string
	for _, s := range tr.Spec.PodTemplate.ImagePullSecrets {
		names = append(names, s.Name)
	}
	return "; the image_pull_secrets are " + strings.Join(names, ", ") + ": are they there, and do they fit the registry?"
}

// FailedStep returns the first step whose container ended otherwise than well; nil where none did. Tekton says of steps that never
// began that they ended, too.
func FailedStep(tr *v1.TaskRun) *v1.StepState {
	for i, step := range tr.Status.Steps {
		if step.Terminated != nil && step.Terminated.ExitCode != 0 && step.Terminated.ContainerID != "" {
			return &tr.Status.Steps[i]
		}
	}
	return nil
}

// Exit codes of what a signal ended: 128, and the signal's number.
const (
	sigkill = 128 + 9
	sigterm = 128 + 15
)

// Killed says what the exit code of a step tells that something else ended; step may be nil.
func Killed(step *v1.StepState) string {
	switch {
	case step == nil:
		return ""
	case step.Terminated.Reason == "OOMKilled":
		return fmt.Sprintf("; the step %s was OOMKilled, as it needs more memory than it may have: raise limits.memory in pod.resources", step.Name)
	case step.Terminated.ExitCode == sigkill:
		return "; something killed it (SIGKILL), as when a node has no memory left"
	case step.Terminated.ExitCode == sigterm:
		return "; something told it to end (SIGTERM), as when the pod is evicted, preempted, drained from its node or deleted"
	}
	return ""
}

// Lines returns the lines of what a step printed, each as hide leaves it; none where it printed nothing.
func Lines(text string, hide func(string) string) []string {
	trimmed := strings.TrimRight(text, "\n")
	if trimmed == "" {
		return nil
	}
	lines := strings.Split(trimmed, "\n")
	for i := range lines {
		lines[i] = hide(lines[i])
	}
	return lines
}
