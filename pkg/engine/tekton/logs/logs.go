// Package logs reads what the steps of a run print, as `tkn pipelinerun logs` shows it: a line begins with the task and
// the step that it is of.
package logs

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/pkg/apis"

	"github.com/tekton-sentry/sentry/pkg/kube"
)

const (
	labelPipelineRun  = "tekton.dev/pipelineRun"
	labelPipelineTask = "tekton.dev/pipelineTask"
	containerPrefix   = "step-"
	// maxLine bounds what is held of a line; the rest of a longer one is a line of its own.
	maxLine = 64 << 10
	// callTimeout bounds what is not a stream.
	callTimeout = 30 * time.Second
)

// Reader reads the logs of one run.
type Reader struct {
	Cluster   *kube.Cluster
	Namespace string
	Run       string
	Follow    bool // go on until the run ends
	Failed    bool // only of tasks that failed
	// Kept returns the last lines of a task that are known from elsewhere, for one whose pod is gone.
	Kept func(task string) []string
	Out  io.Writer
	// Every is how often it looks for the next task; 0 is a second.
	Every time.Duration

	mu sync.Mutex // held while a line is written
}

// Print writes what the steps print. Tasks that run at the same time take turns by the line, when they are followed; otherwise
// one comes after the other.
func (r *Reader) Print(ctx context.Context) error {
	r.Every = cmp.Or(r.Every, time.Second)
	begun := map[string]bool{}
	var tasks sync.WaitGroup
	var errs []error
	note := func(err error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		errs = append(errs, err)
	}
	for {
		done, err := r.done(ctx) // before the tasks are listed, so that none is missed
		if err != nil {
			return err
		}
		list, err := r.taskRuns(ctx)
		if err != nil {
			return err
		}
		for _, tr := range list {
			failed := tr.Status.GetCondition(apis.ConditionSucceeded).IsFalse()
			if begun[tr.Name] || tr.Status.PodName == "" && !failed || r.Failed && !failed {
				continue
			}
			begun[tr.Name] = true
			if r.Follow && !done {
				tasks.Go(func() { note(r.task(ctx, tr)) })
			} else {
				note(r.task(ctx, tr))
			}
		}
		if done || !r.Follow {
			break
		}
		if err := r.pause(ctx); err != nil {
			return err
		}
	}
	tasks.Wait()
	if len(begun) == 0 {
		r.line("no step has printed anything yet")
	}
	return errors.Join(errs...)
}

func (r *Reader) pause(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(r.Every):
		return nil
	}
}

// done reports whether the run has ended.
func (r *Reader) done(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	pr := &v1.PipelineRun{}
	if err := r.Cluster.Tekton.Get().Namespace(r.Namespace).Resource("pipelineruns").Name(r.Run).Do(ctx).Into(pr); err != nil {
		return false, fmt.Errorf("read PipelineRun %s/%s: %w", r.Namespace, r.Run, kube.Explain(err))
	}
	return pr.IsDone(), nil
}

// taskRuns returns the run's tasks in the order in which they began.
func (r *Reader) taskRuns(ctx context.Context) ([]v1.TaskRun, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	list := &v1.TaskRunList{}
	err := r.Cluster.Tekton.Get().Namespace(r.Namespace).Resource("taskruns").VersionedParams(&metav1.ListOptions{
		LabelSelector: labelPipelineRun + "=" + r.Run,
	}, metav1.ParameterCodec).Do(ctx).Into(list)
	if err != nil {
		return nil, fmt.Errorf("list the TaskRuns of %s/%s: %w", r.Namespace, r.Run, kube.Explain(err))
	}
	slices.SortStableFunc(list.Items, func(a, b v1.TaskRun) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	return list.Items, nil
}

// task writes what the steps of a task print, one after the other.
func (r *Reader) task(ctx context.Context, tr v1.TaskRun) error {
	name := cmp.Or(tr.Labels[labelPipelineTask], tr.Name)
	spec := cmp.Or(tr.Status.TaskSpec, tr.Spec.TaskSpec)
	if spec == nil {
		return nil
	}
	for i, step := range spec.Steps {
		if step.Name == "" {
			step.Name = fmt.Sprintf("unnamed-%d", i)
		}
		err := r.step(ctx, tr.Status.PodName, name, step.Name)
		if apierrors.IsNotFound(err) || tr.Status.PodName == "" {
			r.gone(name, tr.Status.GetCondition(apis.ConditionSucceeded))
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the log of step %s of task %s: %w", step.Name, name, kube.Explain(err))
		}
	}
	return nil
}

// gone writes what is left of a task whose pod is gone, or never was.
func (r *Reader) gone(task string, end *apis.Condition) {
	var kept []string
	if r.Kept != nil {
		kept = r.Kept(task)
	}
	switch {
	case len(kept) > 0:
		r.line("[%s] its pod is gone; these are the last lines, which the history keeps", task)
	case end.IsFalse():
		r.line("[%s] its pod is gone, or never was: %s", task, end.GetMessage())
	default:
		r.line("[%s] its pod is gone, and with it what it printed", task)
	}
	for _, line := range kept {
		r.line("[%s] %s", task, line)
	}
}

// step writes what a step prints. One that has not begun is waited for, where the run is followed.
func (r *Reader) step(ctx context.Context, pod, task, step string) error {
	if pod == "" {
		return nil
	}
	for {
		req := r.Cluster.Core.Get().Namespace(r.Namespace).Resource("pods").Name(pod).SubResource("log").Param("container", containerPrefix+step)
		if r.Follow {
			req = req.Param("follow", "true")
		}
		stream, err := req.Stream(ctx)
		if apierrors.IsBadRequest(err) { // the container waits: that is how the kubelet says so
			if !r.Follow {
				return nil
			}
			if err := r.pause(ctx); err != nil {
				return err
			}
			if done, err := r.done(ctx); err != nil || done {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		defer stream.Close()
		return r.lines(stream, task, step)
	}
}

func (r *Reader) lines(stream io.Reader, task, step string) error {
	lines := bufio.NewReaderSize(stream, maxLine)
	for {
		line, _, err := lines.ReadLine()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		r.line("[%s : %s] %s", task, step, line)
	}
}

func (r *Reader) line(format string, a ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintf(r.Out, format+"\n", a...)
}
