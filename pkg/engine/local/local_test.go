package local_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/engine/local"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun"
)

func TestMain(m *testing.M) {
	if os.Getenv(daemonVariable) != "" {
		becomeDaemon()
	}
	goleak.VerifyTestMain(m)
}

// trial is an engine with its output and the directory that it works in.
type trial struct {
	*local.Engine
	t   *testing.T
	dir string
	out *syncBuffer
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// newTrial returns an engine with a short grace. When the test ends no directory of it may be left.
func newTrial(t *testing.T, env ...string) *trial {
	t.Helper()
	tr := &trial{t: t, dir: t.TempDir(), out: &syncBuffer{}}
	tr.Engine = local.New(local.Options{
		Dir: tr.dir, Out: tr.out, Grace: 100 * time.Millisecond,
		Env: append([]string{"PATH=" + os.Getenv("PATH")}, env...),
	})
	t.Cleanup(func() {
		if err := tr.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
		left, err := os.ReadDir(tr.dir)
		if err != nil || len(left) > 0 {
			t.Errorf("after Close the engine's directory holds %v, %v; want nothing", left, err)
		}
	})
	return tr
}

// run runs pr to its end.
func (tr *trial) run(pr *v1.PipelineRun) engine.Outcome {
	tr.t.Helper()
	tr.create(pr)
	return tr.end(pr.Name)
}

func (tr *trial) create(pr *v1.PipelineRun) {
	tr.t.Helper()
	if created, err := tr.Create(context.Background(), pr); err != nil || !created {
		tr.t.Fatalf("Create(%s) = %v, %v; want true", pr.Name, created, err)
	}
}

func (tr *trial) end(name string) engine.Outcome {
	tr.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	out, err := tr.Follow(ctx, name, func(engine.Outcome) {})
	if err != nil {
		tr.t.Fatalf("Follow(%s) = %v; output so far:\n%s", name, err, tr.out)
	}
	return out
}

// eventually waits until the condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited 30 s: %s", what)
		}
	}
}

// prints waits until the output has the text.
func (tr *trial) prints(text string) {
	tr.t.Helper()
	eventually(tr.t, "output should have "+text, func() bool { return strings.Contains(tr.out.String(), text) })
}

// pipelineRun returns a run as Sentry labels it.
func pipelineRun(name string, tasks ...v1.PipelineTask) *v1.PipelineRun {
	return &v1.PipelineRun{
		ObjectMeta: metav1.ObjectMeta{
			Name:        name,
			Labels:      map[string]string{pipelinerun.LabelUnit: "unit"},
			Annotations: map[string]string{pipelinerun.AnnotationTrigger: `{"refs":null,"seen":"2026-01-02T03:04:05Z","manual":"` + name + `"}`},
		},
		Spec: v1.PipelineRunSpec{PipelineSpec: &v1.PipelineSpec{Tasks: tasks}},
	}
}

// shell returns a task of one step.
func shell(name, script string, after ...string) v1.PipelineTask {
	return v1.PipelineTask{
		Name: name, RunAfter: after,
		TaskSpec: &v1.EmbeddedTask{TaskSpec: v1.TaskSpec{Steps: []v1.Step{step("main", script)}}},
	}
}

func step(name, script string) v1.Step {
	return v1.Step{Name: name, Image: "ignored", Script: "#!/bin/sh\n" + script}
}

func ignoringErrors(t v1.PipelineTask) v1.PipelineTask {
	t.OnError = v1.PipelineTaskContinue
	return t
}

func within(d time.Duration, t v1.PipelineTask) v1.PipelineTask {
	t.Timeout = &metav1.Duration{Duration: d}
	return t
}

func never(t v1.PipelineTask) v1.PipelineTask {
	t.When = v1.WhenExpressions{{Input: "never", Operator: "in", Values: []string{"runs"}}}
	return t
}

// verdict is a finally task that fails unless the aggregated status is one of the good ones.
func verdict(good string) v1.PipelineTask {
	t := shell("verdict", `case "$(params.status)" in `+good+`) ;; *) exit 1 ;; esac`)
	t.TaskSpec.Params = v1.ParamSpecs{{Name: "status", Type: v1.ParamTypeString}}
	t.Params = v1.Params{{Name: "status", Value: *v1.NewStructuredValues("$(tasks.status)")}}
	return t
}

func finally(pr *v1.PipelineRun, tasks ...v1.PipelineTask) *v1.PipelineRun {
	pr.Spec.PipelineSpec.Finally = tasks
	return pr
}

func timeouts(pr *v1.PipelineRun, pipeline, tasks, finally time.Duration) *v1.PipelineRun {
	duration := func(d time.Duration) *metav1.Duration {
		if d < 0 {
			return nil
		}
		return &metav1.Duration{Duration: d}
	}
	pr.Spec.Timeouts = &v1.TimeoutFields{Pipeline: duration(pipeline), Tasks: duration(tasks), Finally: duration(finally)}
	return pr
}

// results returns task=result of each task.
func results(out engine.Outcome) string {
	var all []string
	for _, t := range out.Tasks {
		all = append(all, t.Name+"="+string(t.Result))
	}
	return strings.Join(all, " ")
}

// TestOutcome's wants are what Tekton 1.14 reports for these objects.
func TestOutcome(t *testing.T) {
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
			pr: pipelineRun("run", never(shell("gate", "exit 1")), shell("a", "exit 1", "gate"), shell("b", "sleep 0.2", "gate"),
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

func TestCreateAgain(t *testing.T) {
	ctx := context.Background()
	tr := newTrial(t)
	pr := pipelineRun("run", shell("a", "true"))
	tr.create(pr)
	later := pr.DeepCopy()
	later.Annotations[pipelinerun.AnnotationTrigger] = `{"refs":null,"seen":"2027-01-02T03:04:05Z","manual":"run"}`
	if created, err := tr.Create(ctx, later); created || err != nil {
		t.Errorf("Create of the same run, seen later = %v, %v; want false, nil", created, err)
	}
	tr.end("run")
	if created, err := tr.Create(ctx, pr); created || err != nil {
		t.Errorf("Create of the same run, finished = %v, %v; want false, nil", created, err)
	}
	other := pr.DeepCopy()
	other.Annotations[pipelinerun.AnnotationTrigger] = `{"refs":null,"seen":"2026-01-02T03:04:05Z","manual":"other"}`
	if _, err := tr.Create(ctx, other); !errors.Is(err, pipelinerun.ErrNameTaken) {
		t.Errorf("Create with another trigger = %v; want ErrNameTaken", err)
	}
	if got := strings.Count(tr.out.String(), "PipelineRun run:"); got != 1 {
		t.Errorf("the run ended %d times, want once:\n%s", got, tr.out)
	}
	if _, err := tr.Follow(ctx, "unknown", nil); err == nil {
		t.Error("Follow of an unknown run gave no error")
	}
	if err := tr.Cancel(ctx, "unknown"); err != nil {
		t.Errorf("Cancel of an unknown run = %v, want nil", err)
	}
	tr.Close()
	if _, err := tr.Create(ctx, pipelineRun("late", shell("a", "true"))); err == nil {
		t.Error("Create after Close gave no error")
	}
}

func TestActiveAndPrune(t *testing.T) {
	ctx := context.Background()
	tr := newTrial(t)
	known := func(name string) bool {
		_, err := tr.Follow(ctx, name, func(engine.Outcome) {})
		return err == nil
	}
	for i, script := range []string{"false", "true", "false", "true", "true"} {
		tr.run(pipelineRun(fmt.Sprintf("old-%d", i), shell("a", script)))
	}
	other := pipelineRun("other", shell("a", "true"))
	other.Labels[pipelinerun.LabelUnit] = "another"
	tr.run(other)
	gate := filepath.Join(tr.t.TempDir(), "go")
	tr.create(pipelineRun("busy", shell("a", "until [ -e "+gate+" ]; do sleep 0.01; done")))

	active, err := tr.Active(ctx, []string{"unit", "unknown"})
	if diff := cmp.Diff(map[string][]string{"unit": {"busy"}}, active); diff != "" || err != nil {
		t.Errorf("Active(unit, unknown) = %v (-want +got):\n%s", err, diff)
	}
	if active, err := tr.Active(ctx, []string{"another"}); len(active) > 0 || err != nil {
		t.Errorf("Active(another) = %v, %v; want none", active, err)
	}
	if err := tr.Prune(ctx, "unit", 1); err != nil {
		t.Fatalf("Prune() = %v", err)
	}
	if active, _ := tr.Active(ctx, []string{"unit"}); len(active["unit"]) != 1 {
		t.Errorf("after Prune active are %v; want busy still", active)
	}
	// The newest finished one, the newest failed one, and what is of another unit stay.
	var got []string
	for _, name := range []string{"old-0", "old-1", "old-2", "old-3", "old-4", "other"} {
		if known(name) {
			got = append(got, name)
		}
	}
	if want := []string{"old-2", "old-4", "other"}; !slices.Equal(got, want) {
		t.Errorf("after Prune(keep 1) it knows %v, want %v", got, want)
	}
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := tr.Wait(ctx); err != nil {
		t.Errorf("Wait() = %v", err)
	}
	if active, _ := tr.Active(ctx, []string{"unit"}); len(active) > 0 {
		t.Errorf("after Wait active are %v; want none", active)
	}
}

func TestFollowReportsChanges(t *testing.T) {
	tr := newTrial(t)
	gate := filepath.Join(t.TempDir(), "go")
	tr.create(pipelineRun("run", shell("a", "until [ -e "+gate+" ]; do sleep 0.01; done"), shell("b", "true", "a")))
	seen := map[string]bool{}
	_, err := tr.Follow(context.Background(), "run", func(out engine.Outcome) {
		seen[fmt.Sprint(out.Reason, " ", results(out))] = true
		if out.Tasks[0].Result == engine.Running {
			if err := os.WriteFile(gate, nil, 0o600); err != nil {
				t.Error(err)
			}
		}
	})
	if err != nil || !seen["Running a=Running b="] || !seen["Succeeded a=Succeeded b=Succeeded"] {
		t.Errorf("Follow() = %v and saw %v; want it to see a running and the end", err, seen)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	tr.create(pipelineRun("long", shell("a", "exec sleep 1000")))
	if _, err := tr.Follow(ctx, "long", func(engine.Outcome) {}); !errors.Is(err, context.Canceled) {
		t.Errorf("Follow with an ended context = %v; want that context's error", err)
	}
	if err := tr.Wait(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Wait with an ended context = %v; want that context's error", err)
	}
}
