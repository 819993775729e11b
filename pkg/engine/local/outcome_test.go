package local_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"
)

// TestOutcome's wants are what Tekton 1.14 reports for these objects.
func TestOutcome(t *testing.T) {
	t.Parallel()
	const unset = -1
	hang := "exec sleep 1000"
	tests := []struct {
		name      string
		pr        *v1.PipelineRun
		succeeded bool
		reason    string
		message   string
		tasks     string
	}{
		{
			name:      "all succeed",
			pr:        pipelineRun("run", shell("a", "true"), shell("b", "true", "a")),
			succeeded: true, reason: "Succeeded", message: "Tasks Completed: 2 (Failed: 0, Cancelled 0), Skipped: 0",
			tasks: "a=Succeeded b=Succeeded",
		},
		{
			name:   "a failure skips what waits, while siblings finish",
			pr:     pipelineRun("run", shell("a", "exit 3"), shell("b", "sleep 0.2"), shell("c", "true", "b"), shell("d", "true", "c")),
			reason: "Failed", message: "Tasks Completed: 2 (Failed: 1, Cancelled 0), Skipped: 2",
			tasks: "a=Failed b=Succeeded c=Skipped d=Skipped",
		},
		{
			name: "finally runs after a failure",
			pr: finally(pipelineRun("run", shell("a", "exit 3"), shell("b", "true", "a")),
				verdict("Failed")),
			reason: "Failed", message: "Tasks Completed: 2 (Failed: 1, Cancelled 0), Skipped: 1",
			tasks: "a=Failed b=Skipped verdict=Succeeded",
		},
		{
			name:      "onError continue goes on, and the run reads Succeeded",
			pr:        pipelineRun("run", ignoringErrors(shell("a", "exit 3")), ignoringErrors(shell("b", "true", "a"))),
			succeeded: true, reason: "Succeeded", message: "Tasks Completed: 2 (Failed: 1 (Ignored: 1), Cancelled 0), Skipped: 0",
			tasks: "a=FailureIgnored b=Succeeded",
		},
		{
			name: "a finally task that fails fails the run",
			pr: finally(pipelineRun("run", ignoringErrors(shell("a", "exit 3")), ignoringErrors(shell("b", "true", "a"))),
				verdict("Succeeded|Completed")),
			reason: "Failed", message: "Tasks Completed: 3 (Failed: 2 (Ignored: 1), Cancelled 0), Skipped: 0",
			tasks: "a=FailureIgnored b=Succeeded verdict=Failed",
		},
		{
			name: "a task that is skipped by when only orders, and the run reads Completed",
			pr: finally(pipelineRun("run", never(shell("gate", "exit 1")), shell("a", "true", "gate"), shell("b", "true", "a", "gate")),
				verdict("Completed")),
			succeeded: true, reason: "Completed", message: "Tasks Completed: 3 (Failed: 0, Cancelled 0), Skipped: 1",
			tasks: "gate=Skipped a=Succeeded b=Succeeded verdict=Succeeded",
		},
		{
			name: "lanes behind a gate stop at a failure",
			pr: pipelineRun("run", never(shell("gate", "exit 1")), shell("a", "exit 1", "gate"), shell("b", "sleep 1", "gate"),
				shell("c", "true", "gate", "a"), shell("d", "true", "gate", "b")),
			reason: "Failed", message: "Tasks Completed: 2 (Failed: 1, Cancelled 0), Skipped: 3",
			tasks: "gate=Skipped a=Failed b=Succeeded c=Skipped d=Skipped",
		},
		{
			name:   "a task's timeout",
			pr:     pipelineRun("run", within(100*time.Millisecond, shell("a", hang)), shell("b", "sleep 0.3")),
			reason: "Failed", message: "Tasks Completed: 2 (Failed: 1, Cancelled 0), Skipped: 0",
			tasks: "a=TimedOut b=Succeeded",
		},
		{
			name:      "a task's timeout with onError continue",
			pr:        pipelineRun("run", ignoringErrors(within(100*time.Millisecond, shell("a", hang))), shell("b", "true", "a")),
			succeeded: true, reason: "Succeeded", message: "Tasks Completed: 2 (Failed: 1 (Ignored: 1), Cancelled 0), Skipped: 0",
			tasks: "a=TimedOut b=Succeeded",
		},
		{
			name:   "the pipeline's timeout ends all, finally does not run",
			pr:     timeouts(finally(pipelineRun("run", shell("a", hang), shell("b", "true", "a")), shell("last", "true")), 100*time.Millisecond, unset, unset),
			reason: "PipelineRunTimeout", message: `PipelineRun "run" failed to finish within "100ms"`,
			tasks: "a=TimedOut b=Skipped last=Skipped",
		},
		{
			name:   "the pipeline's timeout ends finally",
			pr:     timeouts(finally(pipelineRun("run", shell("a", "true")), shell("last", hang)), 3*time.Second, unset, unset),
			reason: "PipelineRunTimeout", message: `PipelineRun "run" failed to finish within "3s"`,
			tasks: "a=Succeeded last=TimedOut",
		},
		{
			name: "the tasks' timeout ends the tasks, finally runs",
			pr: timeouts(finally(pipelineRun("run", ignoringErrors(shell("a", hang)), ignoringErrors(shell("b", "true", "a"))), verdict("Failed")),
				time.Minute, 100*time.Millisecond, unset),
			reason: "PipelineRunTimeout", message: `PipelineRun "run" failed due to tasks failed to finish within "100ms"`,
			tasks: "a=TimedOut b=Skipped verdict=Succeeded",
		},
		{
			name: "the tasks' timeout passes while finally runs",
			pr: timeouts(finally(pipelineRun("run", shell("a", "true")), shell("last", "sleep 3")),
				time.Minute, 2*time.Second, unset),
			reason: "PipelineRunTimeout", message: `PipelineRun "run" failed due to tasks failed to finish within "2s"`,
			tasks: "a=Succeeded last=Succeeded",
		},
		{
			name:   "the timeout of finally",
			pr:     timeouts(finally(pipelineRun("run", shell("a", "true")), shell("last", hang)), time.Minute, unset, 100*time.Millisecond),
			reason: "Failed", message: "Tasks Completed: 2 (Failed: 1, Cancelled 0), Skipped: 0",
			tasks: "a=Succeeded last=TimedOut",
		},
		{
			name:      "no timeout at all",
			pr:        timeouts(pipelineRun("run", shell("a", "true")), 0, unset, unset),
			succeeded: true, reason: "Succeeded", message: "Tasks Completed: 1 (Failed: 0, Cancelled 0), Skipped: 0",
			tasks: "a=Succeeded",
		},
		{
			name: "an interpreter that is not here",
			pr: func() *v1.PipelineRun {
				pr := pipelineRun("run", ignoringErrors(shell("a", "")))
				pr.Spec.PipelineSpec.Tasks[0].TaskSpec.Steps[0].Script = "#!/no/such/shell -e\ntrue\n"
				return pr
			}(),
			succeeded: true, reason: "Succeeded", message: "Tasks Completed: 1 (Failed: 1 (Ignored: 1), Cancelled 0), Skipped: 0",
			tasks: "a=FailureIgnored",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			tr := newTrial(t)
			got := tr.run(test.pr)
			if got.Succeeded != test.succeeded || !got.Done || got.Reason != test.reason || got.Message != test.message {
				t.Errorf("got succeeded=%v done=%v %s: %s\nwant succeeded=%v done=true %s: %s\noutput:\n%s",
					got.Succeeded, got.Done, got.Reason, got.Message, test.succeeded, test.reason, test.message, tr.out)
			}
			if results(got) != test.tasks {
				t.Errorf("tasks %s\nwant  %s\noutput:\n%s", results(got), test.tasks, tr.out)
			}
		})
	}
}

// TestTimes looks at the times of tasks: what runs after another starts after its end.
func TestTimes(t *testing.T) {
	tr := newTrial(t)
	out := tr.run(pipelineRun("run", shell("a", "sleep 0.1"), shell("b", "true", "a"), never(shell("c", "true"))))
	a, b, c := out.Tasks[0], out.Tasks[1], out.Tasks[2]
	if a.Start.IsZero() || a.End.Before(a.Start) || b.Start.Before(a.End) || b.End.Before(b.Start) {
		t.Errorf("got a %v to %v, b %v to %v; want b after a", a.Start, a.End, b.Start, b.End)
	}
	if !c.Start.IsZero() || !c.End.IsZero() {
		t.Errorf("got c, which was skipped, %v to %v; want zero times", c.Start, c.End)
	}
}

func TestMessages(t *testing.T) {
	bare := shell("bare", "")
	bare.TaskSpec.Steps[0].Script = "(exit 5)\ntrue\n" // Tekton runs it by /bin/sh, with set -e
	tr := newTrial(t)
	out := tr.run(pipelineRun("run",
		bare,
		shell("fails", "exit 7"),
		shell("dies", "kill -9 $$"),
		within(50*time.Millisecond, shell("hangs", "exec sleep 1000")),
	))
	got := map[string]string{}
	for _, task := range out.Tasks {
		got[task.Name] = task.Message
	}
	want := map[string]string{
		"bare":  `"step-main" exited with code 5`,
		"fails": `"step-main" exited with code 7`,
		"dies":  `"step-main" exited with code 137`,
		"hangs": `TaskRun "run-hangs" failed to finish within "50ms"`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
}

func TestFinallyIsToldHowTasksEnded(t *testing.T) {
	last := shell("last", `echo "told $(params.text)"`)
	last.TaskSpec.Params = v1.ParamSpecs{{Name: "text", Type: v1.ParamTypeString}}
	last.Params = v1.Params{{Name: "text", Value: *v1.NewStructuredValues(
		"$(tasks.good.status) $(tasks.bad.status) $(tasks.after.status) $(tasks.status)")}}
	unwanted := shell("unwanted", "echo must not run")
	unwanted.When = v1.WhenExpressions{{Input: "$(tasks.bad.status)", Operator: "in", Values: []string{"Succeeded"}}}
	wanted := shell("wanted", "echo did run")
	wanted.When = v1.WhenExpressions{{Input: "$(tasks.status)", Operator: "in", Values: []string{"Failed"}}}

	tr := newTrial(t)
	out := tr.run(finally(pipelineRun("run", shell("good", "true"), shell("bad", "false"), shell("after", "true", "bad")), last, unwanted, wanted))
	if want := "good=Succeeded bad=Failed after=Skipped last=Succeeded unwanted=Skipped wanted=Succeeded"; results(out) != want {
		t.Errorf("got  %s\nwant %s", results(out), want)
	}
	if want := "[last : main] told Succeeded Failed None Failed\n"; !strings.Contains(tr.out.String(), want) {
		t.Errorf("output lacks %q:\n%s", want, tr.out)
	}
}

func TestParams(t *testing.T) {
	task := shell("task", `echo "$(params.given) $(params["other"]) $FROM_ENV $1 $(echo kept) $((1+2))"`)
	task.TaskSpec.Params = v1.ParamSpecs{
		{Name: "given", Type: v1.ParamTypeString, Default: v1.NewStructuredValues("not this")},
		{Name: "other", Type: v1.ParamTypeString, Default: v1.NewStructuredValues("default")},
	}
	task.Params = v1.Params{{Name: "given", Value: *v1.NewStructuredValues("value")}}
	task.TaskSpec.Steps[0].Args = []string{"$(params.given)-$(FROM_ENV)"}
	task.TaskSpec.Steps[0].Env = []corev1.EnvVar{
		{Name: "FIRST", Value: "1"},
		{Name: "FROM_ENV", Value: "$(params.other)$(FIRST)$$(FIRST)$(UNKNOWN)$"},
	}
	tr := newTrial(t)
	tr.run(pipelineRun("run", task))
	want := "[task : main] value default default1$(FIRST)$(UNKNOWN)$ value-default1$(FIRST)$(UNKNOWN)$ kept 3\n"
	if !strings.Contains(tr.out.String(), want) {
		t.Errorf("output lacks %q:\n%s", want, tr.out)
	}
}
