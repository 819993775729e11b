// Package order puts the tasks of a run into the order that its group wants, says what a failure does, and bounds the whole in
// time. It is pure.
package order

import (
	"fmt"
	"slices"
	"strings"
	"time"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/selection"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun/internal/pod"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun/internal/shell"
	"github.com/tekton-sentry/sentry/pkg/strategy"
	"github.com/tekton-sentry/sentry/tekton"
)

// Names of tasks that are no deployments. Package naming gives them to no repository's task.
const (
	Gate    = "sentry-gate"    // never runs; see decision 011
	Verdict = "sentry-verdict" // finally: fails the run when a deployment failed
	Check   = "sentry-check"   // of the first deployment, before the others

	joint    = "sentry-join-"     // never runs, with a number; see decision 120
	rollback = "sentry-rollback-" // finally, with the name of the task that it rolls back
)

// verdictTimeout is what the finally task may take: it prints some lines, so nearly all of it is for a
// pod that waits for a node.
const verdictTimeout = 5 * time.Minute

// Arrange has the tasks wait for each other as the graph says, which has an entry for each, and says what a failure does. It bounds
// the whole run in time: by the group's timeout or else, since a task's own timeout never begins while a quota refuses its pod, by
// twice the longest chain of timeouts and an hour.
//
//	the graph            a failure
//	no task waits        the others run anyway; the run reads Failed by itself
//	one task at a time   goes on: onError, verdict; stops
//	any other            goes on: onError, verdict; stops: gate
//
// The check, where there is one, is the last task; it gets its place behind what it checks.
func Arrange(pr *v1.PipelineRun, g strategy.Graph, group config.Group, image string, shared pod.Spec) error {
	spec := pr.Spec.PipelineSpec
	tasks := spec.Tasks
	bound := group.GlobalTimeout
	if bound == 0 {
		bound = enough(g.Longest(func(i int) time.Duration { return tasks[i].Timeout.Duration }))
	}
	for i := range tasks {
		for _, before := range g.After[i] {
			tasks[i].RunAfter = append(tasks[i].RunAfter, tasks[before].Name)
		}
		if g.Ordered() && group.ContinueOnError && !g.Decides(i) {
			tasks[i].OnError = v1.PipelineTaskContinue
		}
	}
	members := tasks
	if g.Check {
		last := len(tasks) - 1
		members, spec.Tasks = tasks[:last], slices.Insert(slices.Clone(tasks[:last]), 1, tasks[last])
	}
	if g.Ordered() && group.ContinueOnError {
		task, err := verdict(members, image, shared)
		if err != nil {
			return err
		}
		spec.Finally = append([]v1.PipelineTask{task}, spec.Finally...)
	}
	spec.Tasks = join(spec.Tasks, image)
	if g.Ordered() && !g.Chain() && !group.ContinueOnError {
		for i := range spec.Tasks {
			spec.Tasks[i].RunAfter = append([]string{Gate}, spec.Tasks[i].RunAfter...)
		}
		spec.Tasks = append([]v1.PipelineTask{never(Gate, image)}, spec.Tasks...)
	}
	pr.Spec.Timeouts = timeouts(bound, spec.Finally)
	return nil
}

// join returns the tasks with one more for each large set of tasks that wait for the same: it never runs, waits for them all, and is
// all that the set waits for. Fifty tasks behind fifty others are a hundred waits so, and not 2,500, each with a name.
func join(tasks []v1.PipelineTask, image string) []v1.PipelineTask {
	key := func(t v1.PipelineTask) string { return strings.Join(t.RunAfter, " ") }
	waiting := make(map[string]int)
	for _, t := range tasks {
		waiting[key(t)]++
	}
	var joins []v1.PipelineTask
	names := make(map[string]string)
	for i, t := range tasks {
		same, before := waiting[key(t)], len(t.RunAfter)
		if same*before <= 2*(same+before) {
			continue
		}
		if names[key(t)] == "" {
			task := never(fmt.Sprintf("%s%d", joint, len(joins)+1), image)
			task.RunAfter = t.RunAfter
			joins, names[key(t)] = append(joins, task), task.Name
		}
		tasks[i].RunAfter = []string{names[key(t)]}
	}
	return append(joins, tasks...)
}

// WaitsFor returns for each task the deployments and the check for whose end it waits.
func WaitsFor(spec *v1.PipelineSpec) map[string][]string {
	waits := make(map[string][]string)
	for _, t := range spec.Tasks {
		if strings.HasPrefix(t.Name, joint) {
			waits[t.Name] = t.RunAfter
		}
	}
	for _, t := range spec.Tasks {
		var names []string
		for _, name := range t.RunAfter {
			if all, ok := waits[name]; ok && strings.HasPrefix(name, joint) {
				names = append(names, all...)
			} else {
				names = append(names, name)
			}
		}
		waits[t.Name] = slices.DeleteFunc(names, func(name string) bool { return name == Gate })
	}
	return waits
}

// NeverRuns reports whether a task of that name is there for the order of others alone.
func NeverRuns(name string) bool { return name == Gate || strings.HasPrefix(name, joint) }

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
//	member            that task failed
//	member, checked   that task failed, or it succeeded and its check did not
//	group             any task failed, and that one began
//	group, checked    so, or it succeeded and its check did not begin
func Rollback(task string, whose config.Rollback, checked bool) v1.PipelineTask {
	when := func(input string, values ...string) v1.WhenExpressions {
		return v1.WhenExpressions{{Input: input, Operator: selection.In, Values: values}}
	}
	t := v1.PipelineTask{Name: rollback + task, When: when(status(task), "Failed")}
	switch {
	case whose == config.RollbackGroup && checked:
		var ends []string
		for _, end := range []string{"Failed None", "Succeeded None", "Succeeded Failed", "Succeeded Succeeded"} {
			ends = append(ends, "Failed "+end)
		}
		t.When = when("$(tasks.status) "+status(task)+" "+status(Check), append(ends, "Completed Succeeded None", "None Succeeded None")...)
	case whose == config.RollbackGroup:
		t.When = append(when("$(tasks.status)", "Failed"), when(status(task), "Succeeded", "Failed")...)
	case checked:
		t.When = when(status(task)+" "+status(Check), "Failed None", "Succeeded None", "Succeeded Failed")
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

// never is a task that never runs, for others to wait for: before all others the gate, without which Tekton's controller fails to stop
// tasks that run side by side. When one fails while another has tasks waiting, every reconcile ends in "invalid list of
// done tasks" (tektoncd/pipeline issue 5402), and no timeout of the pipeline holds.
func never(name, image string) v1.PipelineTask {
	return v1.PipelineTask{
		Name:        name,
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
