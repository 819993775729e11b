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
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/engine/local"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/strategy/wasm"
)

func TestMain(m *testing.M) {
	if code, is := wasm.Child(); is {
		os.Exit(code)
	}
	if os.Getenv(engineVariable) != "" {
		becomeEngine()
	}
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
	if created, err := local.Start(tr.Engine, context.Background(), pr); err != nil || !created {
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

func TestCreateAgain(t *testing.T) {
	ctx := context.Background()
	tr := newTrial(t)
	pr := pipelineRun("run", shell("a", "true"))
	tr.create(pr)
	later := pr.DeepCopy()
	later.Annotations[pipelinerun.AnnotationTrigger] = `{"refs":null,"seen":"2027-01-02T03:04:05Z","manual":"run"}`
	if created, err := local.Start(tr.Engine, ctx, later); created || err != nil {
		t.Errorf("Create of the same run, seen later = %v, %v; want false, nil", created, err)
	}
	tr.end("run")
	if created, err := local.Start(tr.Engine, ctx, pr); created || err != nil {
		t.Errorf("Create of the same run, finished = %v, %v; want false, nil", created, err)
	}
	other := pr.DeepCopy()
	other.Annotations[pipelinerun.AnnotationTrigger] = `{"refs":null,"seen":"2026-01-02T03:04:05Z","manual":"other"}`
	if _, err := local.Start(tr.Engine, ctx, other); !errors.Is(err, engine.ErrNameTaken) {
		t.Errorf("Create with another trigger = %v; want ErrNameTaken", err)
	}
	if got := strings.Count(tr.out.String(), "PipelineRun run:"); got != 1 {
		t.Errorf("the run ended %d times, want once:\n%s", got, tr.out)
	}
	if _, err := tr.Follow(ctx, "unknown", nil); err == nil {
		t.Error("Follow of an unknown run gave no error")
	}
	if err := tr.Cancel(ctx, "unknown", ""); err != nil {
		t.Errorf("Cancel of an unknown run = %v, want nil", err)
	}
	tr.Close()
	if _, err := local.Start(tr.Engine, ctx, pipelineRun("late", shell("a", "true"))); err == nil {
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

	active := func(units ...string) []string {
		runs, err := tr.Runs(ctx, units)
		if err != nil {
			t.Errorf("Runs(%v) = %v", units, err)
		}
		for _, r := range runs {
			if r.Created.IsZero() {
				t.Errorf("Runs(%v) does not tell when %s was created", units, r.Name)
			}
		}
		return plan.Names(plan.ActiveOf(engine.Existing(runs), func(plan.Existing) bool { return true })["unit"])
	}
	for _, units := range [][]string{{"unit", "unknown"}, nil} {
		if diff := cmp.Diff([]string{"busy"}, active(units...)); diff != "" {
			t.Errorf("active of %v (-want +got):\n%s", units, diff)
		}
	}
	if runs, err := tr.Runs(ctx, []string{"another"}); len(runs) != 1 || runs[0].Name != "other" || runs[0].Active || runs[0].Trigger.Manual != "other" || err != nil {
		t.Errorf("Runs(another) = %+v, %v; want the finished run other with its trigger", runs, err)
	}
	if _, err := tr.Prune(ctx, "unit", 1); err != nil {
		t.Fatalf("Prune() = %v", err)
	}
	if _, err := tr.Prune(ctx, "", 2); err != nil { // of all units: nothing more is beyond that
		t.Fatalf("Prune of all = %v", err)
	}
	if active := active("unit"); len(active) != 1 {
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
	if _, err := tr.Prune(ctx, "", 0); err != nil {
		t.Fatalf("Prune of all = %v", err)
	}
	if !known("old-2") || known("old-4") || known("other") {
		t.Error("after Prune(all, keep 0) it knows others than the newest failed run")
	}
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := tr.Wait(ctx); err != nil {
		t.Errorf("Wait() = %v", err)
	}
	if active := active("unit"); len(active) > 0 {
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
