// Package order puts the tasks of a run into the order that its group wants, says what a failure does, and bounds the whole in
// time. It is pure.
package order

import (
	"fmt"
	"strings"
	"time"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/selection"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun/internal/pod"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun/internal/shell"
	"github.com/tekton-sentry/sentry/tekton"
)

// Names of tasks that are no deployments. They carry the prefix so that no repository's task is likely to have the same.
const (
	Gate    = "sentry-gate"    // never runs; see decision 011
	Verdict = "sentry-verdict" // finally: fails the run when a deployment failed

	rollback = "sentry-rollback-" // finally, with the name of the task that it rolls back
)

// verdictTimeout is what the finally task may take: it prints some lines, so nearly all of it is for a
// pod that waits for a node.
const verdictTimeout = 5 * time.Minute

// Arrange puts the members into the order that the group wants, says what a failure does, and bounds the
// whole run in time: by the group's timeout or else, since a task's own timeout never begins while a quota refuses its pod, by
// twice the longest chain of timeouts and an hour.
//
//	                            order                    a failure
//	parallel, no bound          none                     the others run anyway; the run reads Failed by itself
//	parallel, bound k           task i after task i-k    goes on: onError, verdict; stops: gate
//	sequential, or k = 1        task i after task i-1    goes on: onError, verdict; stops
func Arrange(pr *v1.PipelineRun, group config.Group, image string, shared pod.Spec) error {
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
			members[i].RunAfter = append(members[i].RunAfter, Gate)
		}
		if ordered && i >= lanes {
			members[i].RunAfter = append(members[i].RunAfter, members[i-lanes].Name)
		}
		if ordered && group.ContinueOnError {
			members[i].OnError = v1.PipelineTaskContinue
		}
	}
	if ordered && group.ContinueOnError {
		task, err := verdict(members, image, shared)
		if err != nil {
			return err
		}
		spec.Finally = append([]v1.PipelineTask{task}, spec.Finally...)
	}
	if gated {
		spec.Tasks = append([]v1.PipelineTask{gate(image)}, members...)
	}
	bound := group.GlobalTimeout
	if bound == 0 {
		bound = enough(longestChain(members, lanes))
	}
	pr.Spec.Timeouts = timeouts(bound, spec.Finally)
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

// enough is the time that tasks may take altogether of which the longest chain takes so long: their pods may have to wait for a
// quota, in which time no timeout of theirs counts.
func enough(chain time.Duration) time.Duration { return 2*chain + time.Hour }

// timeouts bounds the run. With finally tasks, the others alone are bounded, so that these still get their time.
func timeouts(bound time.Duration, finally []v1.PipelineTask) *v1.TimeoutFields {
	whole := &metav1.Duration{Duration: bound}
	if len(finally) == 0 {
		return &v1.TimeoutFields{Pipeline: whole}
	}
	last := verdictTimeout
	for _, t := range finally {
		if t.Name != Verdict {
			last = max(last, enough(t.Timeout.Duration))
		}
	}
	return &v1.TimeoutFields{
		Tasks:    whole,
		Finally:  &metav1.Duration{Duration: last},
		Pipeline: &metav1.Duration{Duration: bound + last},
	}
}

// Rollback returns the finally task that rolls a task back, as yet without steps. It waits for a failure: the statuses are
// those that Tekton knows, to which an ignored failure is one, and so is a task that took too long or was cancelled.
//
//	member   that task failed
//	group    any task failed, and that one began
func Rollback(task string, whose config.Rollback) v1.PipelineTask {
	when := func(input string, values ...string) v1.WhenExpressions {
		return v1.WhenExpressions{{Input: input, Operator: selection.In, Values: values}}
	}
	t := v1.PipelineTask{Name: rollback + task, When: when(status(task), "Failed")}
	if whose == config.RollbackGroup {
		t.When = append(when("$(tasks.status)", "Failed"), when(status(task), "Succeeded", "Failed")...)
	}
	return t
}

// RollbackOf returns the task that a task of that name rolls back; "" where it is no rollback.
func RollbackOf(name string) string {
	task, _ := strings.CutPrefix(name, rollback)
	if task == name {
		return ""
	}
	return task
}

// gate is a task that never runs, before all others. Without it Tekton's controller fails to stop
// lanes: when a task fails while another lane has tasks waiting, every reconcile ends in "invalid list of
// done tasks" (tektoncd/pipeline issue 5402), and no timeout of the pipeline holds.
func gate(image string) v1.PipelineTask {
	return v1.PipelineTask{
		Name:        Gate,
		DisplayName: "never runs",
		When:        v1.WhenExpressions{{Input: "never", Operator: selection.In, Values: []string{"runs"}}},
		TaskSpec: &v1.EmbeddedTask{TaskSpec: v1.TaskSpec{Steps: []v1.Step{{
			Name: "never", Image: image, Script: "#!/bin/sh\nexit 0\n",
		}}}},
	}
}

// verdict is the finally task that fails the run when a member did not succeed.
func verdict(members []v1.PipelineTask, image string, shared pod.Spec) (v1.PipelineTask, error) {
	spec, err := tekton.Task(tekton.Verdict)
	if err != nil {
		return v1.PipelineTask{}, fmt.Errorf("the embedded verdict.yaml: %w", err)
	}
	step := &spec.Steps[0]
	step.Image = image
	step.Script = shell.WithoutComments(step.Script)
	step.ComputeResources = shared.Resources.Clone.Apply()
	ended := ""
	for _, m := range members {
		ended += Ending(m.Name)
	}
	return v1.PipelineTask{
		Name:        Verdict,
		DisplayName: "did every deployment succeed?",
		TaskSpec:    &v1.EmbeddedTask{Metadata: shared.Metadata(nil), TaskSpec: *spec},
		Params:      v1.Params{{Name: spec.Params[0].Name, Value: *v1.NewStructuredValues(ended[:len(ended)-1])}},
		Timeout:     &metav1.Duration{Duration: verdictTimeout},
	}, nil
}

// Ending is what the verdict is told of a task, with the space before the next one.
func Ending(task string) string { return task + "=" + status(task) + " " }

func status(task string) string { return "$(tasks." + task + ".status)" }
