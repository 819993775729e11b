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
	"strconv"
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
	// maxSecret is how much of a longer line is held back until the next part of it is there: a credential may stand across both.
	maxSecret = 8 << 10
	// callTimeout bounds what is not a stream.
	callTimeout = 30 * time.Second
	// followTries is how many times in a row the API server may fail while a run is followed: some minutes, as with the engine.
	followTries = 30
	// maxPause bounds the pause between two of them.
	maxPause = 10 * time.Second
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
	// Hide takes credentials out of what a step prints; nil = it stays as it is. What is hidden stays so when it is hidden again.
	Hide func(string) string
	// Trouble is told once that the API server failed, and that it is tried again; nil = nobody is. Only where the run is followed.
	Trouble func(error)
	// Tail is how many lines are read of the end of what each step has printed; 0 = all. A log that breaks off is not
	// read again then.
	Tail int
	// Every is how often it looks for the next task; 0 is a second.
	Every time.Duration

	mu     sync.Mutex // held while a line is written
	broken error      // why no line can be written any more
	told   sync.Once
}

// Print writes what the steps print. Tasks that run at the same time take turns by the line, when they are followed; otherwise
// one comes after the other. Nothing is written once it has returned.
func (r *Reader) Print(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	r.Every = cmp.Or(r.Every, time.Second)
	begun := map[string]bool{}
	var tasks sync.WaitGroup
	defer tasks.Wait()
	defer cancel() // before it waits
	var errs []error
	note := func(err error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		errs = append(errs, err)
	}
	for {
		done, list, err := r.look(ctx)
		if err = cmp.Or(r.unread(), err); err != nil {
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
		if err := r.pause(ctx, r.Every); err != nil {
			return err
		}
	}
	tasks.Wait()
	if len(begun) == 0 {
		_ = r.line("no step has printed anything yet")
	}
	return errors.Join(errs...)
}

func (r *Reader) pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// persist calls f until it succeeds. While a run is followed, trouble that may go away is sat out for some minutes, as the run
// goes on meanwhile. f reports whether it got on before it failed.
func (r *Reader) persist(ctx context.Context, f func() (gotOn bool, err error)) error {
	for failures := 0; ; {
		gotOn, err := f()
		if err == nil {
			return nil
		}
		if gotOn {
			failures = 0
		}
		failures++
		if ctx.Err() != nil || r.unread() != nil || !r.Follow || r.Tail > 0 && gotOn || !kube.IsTemporary(err) || failures >= followTries {
			return err
		}
		r.told.Do(func() {
			if r.Trouble != nil {
				r.Trouble(err)
			}
		})
		if err := r.pause(ctx, min(time.Duration(failures)*r.Every, maxPause)); err != nil {
			return err
		}
	}
}

// look returns whether the run has ended, and then its tasks: in this order none is missed.
func (r *Reader) look(ctx context.Context) (done bool, list []v1.TaskRun, err error) {
	err = r.persist(ctx, func() (bool, error) {
		pr, err := r.run(ctx)
		if err == nil {
			done = pr.IsDone()
			list, err = r.taskRuns(ctx, pr)
		}
		return false, err
	})
	return done, list, err
}

// run reads the run.
func (r *Reader) run(ctx context.Context) (*v1.PipelineRun, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	pr := &v1.PipelineRun{}
	if err := r.Cluster.Tekton.Get().Namespace(r.Namespace).Resource("pipelineruns").Name(r.Run).Do(ctx).Into(pr); err != nil {
		return nil, fmt.Errorf("read PipelineRun %s/%s: %w", r.Namespace, r.Run, kube.Explain(err))
	}
	return pr, nil
}

// taskRuns returns the tasks that Tekton made for the run, in the order in which they began. Anybody's PipelineRun can give its TaskRuns any label.
func (r *Reader) taskRuns(ctx context.Context, pr *v1.PipelineRun) ([]v1.TaskRun, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	list := &v1.TaskRunList{}
	err := r.Cluster.Tekton.Get().Namespace(r.Namespace).Resource("taskruns").VersionedParams(&metav1.ListOptions{
		LabelSelector: labelPipelineRun + "=" + r.Run,
	}, metav1.ParameterCodec).Do(ctx).Into(list)
	if err != nil {
		return nil, fmt.Errorf("list the TaskRuns of %s/%s: %w", r.Namespace, r.Run, kube.Explain(err))
	}
	items := slices.DeleteFunc(list.Items, func(tr v1.TaskRun) bool { return !metav1.IsControlledBy(&tr, pr) })
	slices.SortStableFunc(items, func(a, b v1.TaskRun) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	return items, nil
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
			return r.gone(name, tr.Status.GetCondition(apis.ConditionSucceeded))
		}
		if err != nil {
			return fmt.Errorf("read the log of step %s of task %s: %w", step.Name, name, err)
		}
	}
	return nil
}

// gone writes what is left of a task whose pod is gone, or never was.
func (r *Reader) gone(task string, end *apis.Condition) error {
	var kept []string
	if r.Kept != nil {
		kept = r.Kept(task)
	}
	switch {
	case len(kept) > 0:
		_ = r.line("[%s] its pod is gone; these are the last lines, which the history keeps", task)
	case end.IsFalse():
		_ = r.line("[%s] its pod is gone, or never was: %s", task, end.GetMessage())
	default:
		_ = r.line("[%s] its pod is gone, and with it what it printed", task)
	}
	for _, line := range kept {
		_ = r.line("[%s] %s", task, line)
	}
	return r.unread()
}

// step writes what a step prints. One that has not begun is waited for, where the run is followed. A log that breaks off is read
// again from its beginning, without what was written of it: the API server knows no other place in it.
func (r *Reader) step(ctx context.Context, pod, task, step string) error {
	if pod == "" {
		return nil
	}
	written, ended := int64(0), false
	return r.persist(ctx, func() (bool, error) {
		before := written
		for {
			waits, err := r.stream(ctx, pod, task, step, &written)
			if err != nil || !waits || !r.Follow || ended {
				return written > before, err
			}
			if err := r.pause(ctx, r.Every); err != nil {
				return false, err
			}
			// One that began and ended since the last look has printed, too: after the end of the run it is asked for once more.
			pr, err := r.run(ctx)
			if err != nil {
				return false, err
			}
			ended = pr.IsDone()
		}
	})
}

// stream writes the log of a step from a byte on, and moves that on. waits says that the step has not begun.
func (r *Reader) stream(ctx context.Context, pod, task, step string, written *int64) (waits bool, err error) {
	req := r.Cluster.Core.Get().Namespace(r.Namespace).Resource("pods").Name(pod).SubResource("log").Param("container", containerPrefix+step)
	if r.Follow {
		req = req.Param("follow", "true")
	}
	if r.Tail > 0 {
		// A limit of bytes would count from the first of these lines, and cut off the end.
		req = req.Param("tailLines", strconv.Itoa(r.Tail))
	}
	body, err := req.Stream(ctx)
	if apierrors.IsBadRequest(err) { // the container waits: that is how the kubelet says so
		return true, nil
	}
	if err != nil {
		return false, kube.Explain(err)
	}
	defer body.Close()
	if _, err := io.CopyN(io.Discard, body, *written); errors.Is(err, io.EOF) {
		return false, nil // it was cut short meanwhile, as a node does with long ones
	} else if err != nil {
		return false, kube.Explain(err)
	}
	if err := r.lines(io.TeeReader(body, counter{written}), task, step); err != nil {
		return false, cmp.Or(r.unread(), kube.Explain(err))
	}
	return false, nil
}

// counter counts the bytes that are written to it.
type counter struct{ n *int64 }

func (c counter) Write(b []byte) (int, error) {
	*c.n += int64(len(b))
	return len(b), nil
}

func (r *Reader) lines(stream io.Reader, task, step string) error {
	lines := bufio.NewReaderSize(stream, maxLine)
	held := "" // the end of a part of a line
	for {
		part, more, err := lines.ReadLine()
		if err != nil && held == "" || err != nil && !errors.Is(err, io.EOF) {
			return cause(err)
		}
		text := held + string(part)
		if held = ""; r.Hide != nil {
			text = r.Hide(text)
			if keep := max(0, len(text)-maxSecret); more {
				text, held = text[:keep], text[keep:]
			}
		}
		if err := r.line("[%s : %s] %s", task, step, text); err != nil {
			return err
		}
		if err != nil {
			return cause(err)
		}
	}
}

// cause returns why a stream broke off; nil = it has ended.
func cause(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// line writes a line. Once one could not be written no other is, and whoever reads for it ends.
func (r *Reader) line(format string, a ...any) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.broken == nil {
		_, r.broken = fmt.Fprintf(r.Out, format+"\n", a...)
	}
	return r.broken
}

// unread returns why no line can be written any more.
func (r *Reader) unread() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.broken
}
