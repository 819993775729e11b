package tekton

import (
	"fmt"
	"slices"
	"testing"
	"time"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/pkg/apis"
	duckv1 "knative.dev/pkg/apis/duck/v1"

	"github.com/tekton-sentry/sentry/pkg/engine"
)

func condition(status corev1.ConditionStatus, reason string) duckv1.Status {
	return duckv1.Status{Conditions: duckv1.Conditions{{Type: apis.ConditionSucceeded, Status: status, Reason: reason}}}
}

func TestSurplus(t *testing.T) {
	// Oldest first: S succeeded, F failed, a active, n not looked at by Tekton yet.
	for _, c := range []struct {
		runs string
		keep int
		want string
	}{
		{"SSS", 5, ""},
		{"SSS", 1, "01"},
		{"aSSa", 1, "1"},
		{"FSSS", 1, "12"},  // the newest failed one stays, beyond keep
		{"FFSS", 1, "02"},  // older failed ones go
		{"SSFF", 1, "012"}, // it is among the kept ones already
		{"aaa", 1, ""},
		{"nSSn", 0, "12"},
		{"", 1, ""},
	} {
		var runs []listed
		for i, kind := range c.runs {
			var r listed
			r.Metadata.Name = fmt.Sprint(i)
			if kind != 'n' {
				status := map[rune]corev1.ConditionStatus{'S': corev1.ConditionTrue, 'F': corev1.ConditionFalse, 'a': corev1.ConditionUnknown}[kind]
				r.Status.Conditions = []ending{{Type: "Other", Status: corev1.ConditionTrue}, {Type: apis.ConditionSucceeded, Status: status}}
			}
			runs = append(runs, r)
		}
		got := ""
		for _, r := range surplus(runs, c.keep) {
			got += r.Metadata.Name
		}
		if got != c.want {
			t.Errorf("surplus(%s, keep %d) = %s, want %s", c.runs, c.keep, got, c.want)
		}
	}
}

func TestOutcomeOf(t *testing.T) {
	at := metav1.NewTime(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	child := func(task string, status corev1.ConditionStatus, reason, message string) v1.TaskRun {
		tr := v1.TaskRun{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{labelPipelineTask: task}}}
		tr.Status.Status = condition(status, reason)
		tr.Status.StartTime = &at
		tr.Spec.StatusMessage = v1.TaskRunSpecStatusMessage(message)
		return tr
	}
	children := []v1.TaskRun{
		child("ok", corev1.ConditionTrue, "Succeeded", ""),
		child("bad", corev1.ConditionFalse, "Failed", ""),
		child("ignored", corev1.ConditionFalse, "FailureIgnored", ""),
		child("slow", corev1.ConditionFalse, "TaskRunTimeout", ""),
		child("ended", corev1.ConditionFalse, "TaskRunCancelled", string(v1.TaskRunCancelledByPipelineTimeoutMsg)),
		child("cancelled", corev1.ConditionFalse, "TaskRunCancelled", ""),
		child("busy", corev1.ConditionUnknown, "Running", ""),
		child("waits", corev1.ConditionUnknown, "ExceededResourceQuota", ""),
	}
	children[7].Status.Conditions[0].Message = "pods \"web\" is forbidden: exceeded quota"
	want := []engine.Result{
		engine.Succeeded, engine.Failed, engine.Ignored, engine.TimedOut, engine.TimedOut, engine.Cancelled, engine.Running, engine.Running, engine.Skipped, "", "",
	}
	pr := &v1.PipelineRun{}
	pr.Status.Status = condition(corev1.ConditionUnknown, "Running")
	pr.Status.SkippedTasks = []v1.SkippedTask{{Name: "gate", Reason: v1.WhenExpressionsSkip}}
	pr.Spec.PipelineSpec = &v1.PipelineSpec{Finally: []v1.PipelineTask{{Name: "verdict"}}}
	for _, name := range []string{"ok", "bad", "ignored", "slow", "ended", "cancelled", "busy", "waits", "gate", "later"} {
		pr.Spec.PipelineSpec.Tasks = append(pr.Spec.PipelineSpec.Tasks, v1.PipelineTask{Name: name})
	}
	check := func(what string, want []engine.Result) {
		t.Helper()
		var got []engine.Result
		for _, task := range outcomeOf(pr, children).Tasks {
			got = append(got, task.Result)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s\n got %q\nwant %q", what, got, want)
		}
	}
	check("while it runs", want)
	children[1].Status.Conditions[0].Message = "Failed to create pod due to config error"
	children[1].Status.Steps = []v1.StepState{exited("deploy", 3, "Error")}
	children[2].Status.Steps = []v1.StepState{exited("deploy", 4, "Error")}
	if tasks := outcomeOf(pr, children).Tasks; tasks[1].Exit != 3 || tasks[2].Exit != 4 || tasks[0].Exit != 0 {
		t.Errorf("the exit codes are %d and %d, want those of the steps, whoever may read what they printed", tasks[1].Exit, tasks[2].Exit)
	}
	children[1].Status.Steps = []v1.StepState{{Name: "clone"}, {Name: "deploy", ContainerState: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Message: `secret "x" not found`}}}}
	tasks := outcomeOf(pr, children).Tasks
	if got, want := tasks[1].Message, `Failed to create pod due to config error: step deploy: secret "x" not found`; got != want {
		t.Errorf("of a Secret that is not there it is said %q, want %q", got, want)
	}
	if busy, waits := tasks[6].Message, tasks[7].Message; busy != "" || waits != "ExceededResourceQuota: pods \"web\" is forbidden: exceeded quota" {
		t.Errorf("while they run, %q is said of one task and %q of one that waits for a quota", busy, waits)
	}
	for message, want := range map[string]string{
		`pod status "PodScheduled":"False"; message: "0/1 nodes are available"`:                                 `Pending: pod status "PodScheduled":"False"; message: "0/1 nodes are available"`,
		`pod status "PodScheduled":"False"; message: "Scheduling is blocked due to non-empty scheduling gates"`: "Pending: the pod waits for its turn in a queue, such as Kueue's, which takes away its scheduling gates then",
		`build step "step-deploy" is pending with reason "Back-off"`:                                            `Pending: build step "step-deploy" is pending with reason "Back-off"`,
		`pod status "PodReadyToStartContainers":"False"; message: ""`:                                           "",
		"Pending": "",
	} {
		if got := obstacle(&apis.Condition{Reason: "Pending", Message: message}); got != want {
			t.Errorf("obstacle(%s) = %q, want %q", message, got, want)
		}
	}
	// What a Pipeline of the cluster consists of is in the status.
	pr.Spec.PipelineSpec, pr.Status.PipelineSpec = nil, pr.Spec.PipelineSpec
	check("while it runs, of a Pipeline", want)
	pr.Status.Status = condition(corev1.ConditionFalse, "Failed")
	want[9], want[10] = engine.Skipped, engine.Skipped
	check("what never started when it has ended", want)
}
