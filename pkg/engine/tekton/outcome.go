package tekton

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"knative.dev/pkg/apis"

	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/engine/generated"
	"github.com/tekton-sentry/sentry/pkg/engine/tekton/why"
	"github.com/tekton-sentry/sentry/pkg/kube"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun"
	"github.com/tekton-sentry/sentry/pkg/result"
)

// Labels that Tekton puts on a TaskRun.
const (
	labelPipelineRun  = "tekton.dev/pipelineRun"
	labelPipelineTask = "tekton.dev/pipelineTask"
)

const (
	// taskGrace bounds how long Follow waits for the tasks of a finished run. A run that times out or is
	// cancelled is finished as soon as its TaskRuns are told to stop, some seconds before they have.
	taskGrace = 30 * time.Second
	// watchSeconds is when the API server ends a watch, which shows that both sides are alive.
	watchSeconds = 60
	// watchLimit is when we end it, should the server have gone without a word.
	watchLimit = 75 * time.Second
	// startingLimit is when we end it while a pod is about to start, as the run itself does not change when one cannot.
	startingLimit = 5 * time.Second
	// followTries is how many times in a row the API server may fail while a run is followed: some minutes,
	// in which a control plane is replaced.
	followTries = 30
	maxPause    = 10 * time.Second
)

// Follow calls progress for each change of the run that it sees, and returns when the run and its tasks have
// finished. Trouble that may go away is sat out for some minutes, since the run goes on meanwhile.
func (e *Engine) Follow(ctx context.Context, name string, progress func(engine.Outcome)) (engine.Outcome, error) {
	out, children, err := e.follow(ctx, name, e.outcome, progress)
	if err != nil {
		return out, err
	}
	// Whoever follows may lack the right to read what pods print, or they are gone: the outcome is true without.
	if out, err = e.printed(ctx, out, children); err == nil {
		progress(out)
	}
	return out, nil
}

// read reads a run and its TaskRuns.
type read func(ctx context.Context, name string) (engine.Outcome, seen, error)

func (e *Engine) follow(ctx context.Context, name string, read read, progress func(engine.Outcome)) (engine.Outcome, []v1.TaskRun, error) {
	var last engine.Outcome
	var done time.Time
	for failures := 0; ; {
		out, seen, err := read(ctx, name)
		if err == nil {
			last, failures = out, 0
			progress(out)
			if out.Done && done.IsZero() {
				done = time.Now()
			}
			running := slices.ContainsFunc(out.Tasks, func(t engine.Task) bool { return t.Result == engine.Running })
			switch {
			case !out.Done:
				err = e.awaitChange(ctx, name, seen.version, seen.starting)
			case !running || time.Since(done) > taskGrace:
				return out, seen.children, nil
			default:
				err = pause(ctx, time.Second)
			}
		}
		if err == nil {
			continue
		}
		failures++
		if ctx.Err() != nil || !kube.IsTemporary(err) || failures >= followTries {
			return last, nil, err
		}
		if err := pause(ctx, min(time.Duration(failures)*time.Second, maxPause)); err != nil {
			return last, nil, err
		}
	}
}

// seen is what following a run has to know of it beside its outcome.
type seen struct {
	version     string // resourceVersion of the run
	starting    bool   // the pod of a task does not run yet
	children    []v1.TaskRun
	annotations map[string]string
}

// Result returns how a run of a list ended, as far as its tasks have, without what these printed.
func (e *Engine) Result(ctx context.Context, r engine.Run) (result.Result, error) {
	out, seen, err := e.outcome(ctx, r.Name)
	return generated.Result(out, r.Existing, seen.annotations), err
}

// awaitChange returns when the run is no longer as it was seen, or when the watch ends, which API servers
// do after some minutes: the caller reads the run again in either case.
func (e *Engine) awaitChange(ctx context.Context, name, version string, starting bool) error {
	seconds, limit := int64(watchSeconds), watchLimit
	if starting {
		limit = startingLimit
	}
	watching, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	w, err := e.cluster.Tekton.Get().Namespace(e.namespace).Resource(pipelineRuns).VersionedParams(&metav1.ListOptions{
		FieldSelector: "metadata.name=" + name, ResourceVersion: version, Watch: true, TimeoutSeconds: &seconds,
	}, metav1.ParameterCodec).Watch(watching)
	if apierrors.IsForbidden(err) { // whoever follows a run may have a Role without that
		return pause(ctx, 2*time.Second)
	}
	if err != nil {
		return fmt.Errorf("watch PipelineRun %s/%s: %w", e.namespace, name, kube.Explain(err))
	}
	defer w.Stop()
	select {
	case event, open := <-w.ResultChan():
		if !open || event.Type == watch.Error {
			// The version is too old, or the server is shutting down: a pause keeps this from spinning.
			return pause(ctx, time.Second)
		}
		return nil
	case <-watching.Done():
		return ctx.Err()
	}
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// outcome reads the run and its TaskRuns.
func (e *Engine) outcome(ctx context.Context, name string) (engine.Outcome, seen, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	pr, err := e.get(ctx, name)
	if err != nil {
		return engine.Outcome{}, seen{}, err
	}
	children, err := e.children(ctx, pr)
	if err != nil {
		return engine.Outcome{}, seen{}, err
	}
	starting := slices.ContainsFunc(children, func(tr v1.TaskRun) bool {
		c := tr.Status.GetCondition(apis.ConditionSucceeded)
		return c == nil || c.IsUnknown() && c.Reason != string(v1.TaskRunReasonRunning)
	})
	out := outcomeOf(pr, children)
	out.Message = e.Hide(out.Message)
	for i := range out.Tasks {
		out.Tasks[i].Message = e.Hide(out.Tasks[i].Message)
	}
	return out, seen{pr.ResourceVersion, starting, children, pr.Annotations}, nil
}

func outcomeOf(pr *v1.PipelineRun, children []v1.TaskRun) engine.Outcome {
	out := engine.Outcome{Name: pr.Name, Done: pr.IsDone()}
	if pr.Status.CompletionTime != nil {
		out.Ended = pr.Status.CompletionTime.UTC()
	}
	if c := pr.Status.GetCondition(apis.ConditionSucceeded); c != nil {
		out.Succeeded, out.Reason, out.Message = c.IsTrue(), c.Reason, c.Message
	}
	byTask := map[string]*v1.TaskRun{}
	for i := range children {
		byTask[children[i].Labels[labelPipelineTask]] = &children[i]
	}
	skipped := map[string]v1.SkippedTask{}
	for _, s := range pr.Status.SkippedTasks {
		skipped[s.Name] = s
	}
	spec := cmp.Or(pr.Spec.PipelineSpec, pr.Status.PipelineSpec) // a Pipeline's tasks are there once Tekton has read it
	if spec == nil {
		return out
	}
	waits := pipelinerun.WaitsFor(spec)
	for _, t := range slices.Concat(spec.Tasks, spec.Finally) {
		if pipelinerun.NeverRuns(t.Name) {
			continue
		}
		task := engine.Task{Name: t.Name}
		if tr, ok := byTask[t.Name]; ok {
			task = taskOf(t.Name, tr)
		} else if s, ok := skipped[t.Name]; ok || out.Done {
			task.Result, task.Message = engine.Skipped, string(s.Reason)
		}
		task.After, task.RollbackOf = waits[t.Name], pipelinerun.RollbackOf(t.Name)
		out.Tasks = append(out.Tasks, task)
	}
	return out
}

// obstacle returns what keeps the pod of a TaskRun that has not ended from starting, such as a quota, an image that cannot
// be pulled or no node with room. Each pod is Pending for a moment, and no obstacle then.
func obstacle(c *apis.Condition) string {
	if c == nil {
		return ""
	}
	onItsWay := strings.HasPrefix(c.Message, "pod status ") && !strings.Contains(c.Message, `"PodScheduled"`)
	switch {
	case c.Reason == "", c.Reason == string(v1.TaskRunReasonStarted), c.Reason == string(v1.TaskRunReasonRunning), onItsWay, c.Reason == c.Message:
		return ""
	case strings.Contains(c.Message, "scheduling gates"): // Kubernetes' words
		return c.Reason + ": the pod waits for its turn in a queue, such as Kueue's, which takes away its scheduling gates then"
	}
	return c.Reason + ": " + c.Message
}

func taskOf(name string, tr *v1.TaskRun) engine.Task {
	task := engine.Task{Name: name, Result: engine.Running}
	if tr.Status.StartTime != nil {
		task.Start = tr.Status.StartTime.Time
	}
	if tr.Status.CompletionTime != nil {
		task.End = tr.Status.CompletionTime.Time
	}
	c := tr.Status.GetCondition(apis.ConditionSucceeded)
	if c == nil || c.IsUnknown() {
		task.Message = obstacle(c)
		return task
	}
	task.Message = why.Of(tr, c)
	byPipelineTimeout := tr.Spec.StatusMessage == v1.TaskRunCancelledByPipelineTimeoutMsg
	switch {
	case c.Reason == string(v1.TaskRunReasonFailureIgnored):
		task.Result = engine.Ignored
	case c.IsTrue():
		task.Result = engine.Succeeded
	case c.Reason == string(v1.TaskRunReasonTimedOut), byPipelineTimeout:
		task.Result = engine.TimedOut
	case c.Reason == string(v1.TaskRunReasonCancelled):
		task.Result = engine.Cancelled
	default:
		task.Result = engine.Failed
	}
	if step := why.FailedStep(tr); step != nil && (task.Result == engine.Failed || task.Result == engine.Ignored) {
		task.Exit = int(step.Terminated.ExitCode)
	}
	return task
}
