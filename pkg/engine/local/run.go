package local

import (
	"context"
	"fmt"
	"sync"
	"time"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/engine/generated"
	"github.com/tekton-sentry/sentry/pkg/engine/local/journal"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun"
	"github.com/tekton-sentry/sentry/pkg/plan"
)

// defaultTaskTimeout is Tekton's for a task without a timeout of its own.
const defaultTaskTimeout = 60 * time.Minute

// Why a run stops its tasks: one of spec.timeouts, or Cancel and Close.
var (
	overrun   = stopped{engine.TimedOut, string(v1.TaskRunCancelledByPipelineTimeoutMsg)}
	cancelled = stopped{engine.Cancelled, string(v1.TaskRunCancelledByPipelineMsg)}
)

// run is one PipelineRun. Only execute touches the schedule.
type run struct {
	pr       *v1.PipelineRun
	unit     string
	trigger  plan.Trigger
	created  time.Time
	schedule *schedule
	cancel   chan string // capacity one: a wish that execute reads, with the run that replaces this one

	mu      sync.Mutex
	outcome engine.Outcome
	changed chan struct{} // closed at the next change
}

func newRun(pr *v1.PipelineRun, trigger plan.Trigger, created time.Time) *run {
	r := &run{
		pr: pr, unit: pr.Labels[pipelinerun.LabelUnit], trigger: trigger, created: created,
		schedule: newSchedule(pr.Name, pr.Spec.PipelineSpec),
		cancel:   make(chan string, 1), changed: make(chan struct{}),
	}
	r.schedule.pipelineTimeout = pr.PipelineTimeout(context.Background())
	if d := pr.TasksTimeout(); d != nil {
		r.schedule.tasksTimeout = d.Duration
	}
	r.outcome = r.schedule.outcome()
	return r
}

// pastRun is a run of an engine before this one, which has ended.
func pastRun(r journal.Ended) *run {
	return &run{
		unit: r.Unit, trigger: r.Trigger, schedule: &schedule{run: r.Name},
		cancel: make(chan string, 1), changed: make(chan struct{}),
		outcome: engine.Outcome{Name: r.Name, Done: true, Succeeded: r.Succeeded},
	}
}

// existing returns the run as the loop knows it.
func (r *run) existing() plan.Existing {
	out, _ := r.now()
	return plan.Existing{Name: out.Name, Unit: r.unit, Trigger: r.trigger, Created: r.created, Active: !out.Done}
}

// now returns how the run reads now, and a channel that is closed when that changes.
func (r *run) now() (engine.Outcome, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.outcome, r.changed
}

// follow calls progress for each change that it sees, and returns when the run has finished.
func (r *run) follow(ctx context.Context, progress func(engine.Outcome)) (engine.Outcome, error) {
	for {
		out, changed := r.now()
		progress(out)
		if out.Done {
			return out, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return out, ctx.Err()
		}
	}
}

func (r *run) publish() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.outcome = r.schedule.outcome()
	close(r.changed)
	r.changed = make(chan struct{})
}

// timer fires after d, or never when d is 0 or absent.
func timer(d *metav1.Duration) *time.Timer {
	if d == nil || d.Duration <= 0 {
		return &time.Timer{} // its channel is nil
	}
	return time.NewTimer(d.Duration)
}

// execution is a run that is being executed.
type execution struct {
	*Engine
	*run
	ends  chan ending
	stops map[*task]context.CancelCauseFunc // of the running tasks

	tasksTimer, pipelineTimer, finallyTimer *time.Timer
}

// execute runs r to its end. Each task runs in a goroutine; all of them end before it returns.
func (e *Engine) execute(r *run) {
	x := execution{
		Engine: e, run: r, ends: make(chan ending), stops: map[*task]context.CancelCauseFunc{},
		tasksTimer:    timer(r.pr.TasksTimeout()),
		pipelineTimer: timer(&metav1.Duration{Duration: r.schedule.pipelineTimeout}),
		finallyTimer:  timer(nil),
	}
	closing := e.ctx.Done()
	for {
		for _, t := range r.schedule.next() {
			x.start(t)
		}
		if r.schedule.done() {
			break
		}
		r.publish()
		select {
		case end := <-x.ends:
			x.finish(end)
		case <-x.tasksTimer.C:
			r.schedule.tasksTimedOut = true
			x.end(false, overrun)
		case <-x.pipelineTimer.C:
			r.schedule.timedOut = true
			x.end(false, overrun)
			x.end(true, overrun)
		case <-x.finallyTimer.C:
			x.end(true, overrun)
		case r.schedule.superseded = <-r.cancel:
			r.schedule.cancelled = true
			r.schedule.noFinally = pipelinerun.RollsBack(r.pr) && !r.schedule.tasksDone()
			x.end(false, cancelled)
		case <-closing:
			closing, r.schedule.closed = nil, true
			x.end(false, cancelled)
			x.end(true, cancelled)
		}
	}
	for _, t := range []*time.Timer{x.tasksTimer, x.pipelineTimer, x.finallyTimer} {
		if t.C != nil {
			t.Stop()
		}
	}
	out := r.schedule.outcome()
	out.Ended = e.Now()
	ended := generated.Result(out, r.existing(), r.pr.Annotations)
	if !r.schedule.cutOff() {
		if e.Remember != nil {
			if err := e.Remember(ended); err != nil {
				e.Log.Error("how the run ended cannot be written to the history", "run", out.Name, "err", err)
			}
		}
		if err := e.journal.End(out.Name, out.Succeeded); err != nil {
			e.Log.Error("cannot note that the run has ended: the next start makes it again", "run", out.Name, "err", err)
		}
	}
	e.out.printf("PipelineRun %s: %s: %s", out.Name, out.Reason, out.Message)
	if e.Ended != nil && !r.schedule.cutOff() {
		e.Ended(ended)
	}
	r.publish()
}

// start starts t in a goroutine, which sends its ending.
func (x *execution) start(t *task) {
	t.Result, t.Start = engine.Running, x.Now()
	if t.final && x.finallyTimer.C == nil {
		x.finallyTimer = timer(x.pr.FinallyTimeout())
	}
	// Not the engine's context: execute ends the tasks when that ends, and says why.
	ctx, cancel := context.WithCancelCause(context.Background())
	x.stops[t] = cancel
	// The statuses do not change any more once a finally task starts, and no other may name them.
	values := x.schedule.statuses()
	for _, p := range x.pr.Spec.PipelineSpec.Params {
		if p.Default != nil {
			values["params."+p.Name] = p.Default.StringVal
		}
	}
	params := t.spec.DeepCopy().Params.ReplaceVariables(values, nil, nil)
	timeout := x.timeoutOf(t)
	go func() {
		if timeout > 0 {
			var stop context.CancelFunc
			message := fmt.Sprintf("TaskRun %q failed to finish within %q", x.pr.Name+"-"+t.Name, timeout)
			ctx, stop = context.WithTimeoutCause(ctx, timeout, stopped{engine.TimedOut, message})
			defer stop()
		}
		end := x.runTask(ctx, x.pr.Name, t.spec, params)
		end.task = t
		x.ends <- end
	}()
}

// timeoutOf returns the task's timeout as Tekton gives it to the TaskRun; 0 is none.
func (x *execution) timeoutOf(t *task) time.Duration {
	whole := x.pr.TasksTimeout()
	if t.final {
		whole = x.pr.FinallyTimeout()
	}
	switch {
	case t.spec.Timeout != nil:
		return t.spec.Timeout.Duration
	case whole != nil && (whole.Duration == 0 || whole.Duration > defaultTaskTimeout):
		return whole.Duration
	}
	return defaultTaskTimeout
}

// finish records how a task ended, and tells it where it is worth a line.
func (x *execution) finish(end ending) {
	t := end.task
	x.stops[t](nil)
	delete(x.stops, t)
	t.Result, t.Message, t.End = end.result, x.Hide(end.message), x.Now()
	if t.failed() {
		x.out.printf("[%s] %s: %s", t.Name, t.Result, t.Message)
	}
	if t.Result == engine.Failed || t.Result == engine.Ignored {
		t.Printed(end.printed)
		t.Exit = end.status
	}
}

// end stops the running tasks of the kind, final or not.
func (x *execution) end(final bool, why stopped) {
	for t, cancel := range x.stops {
		if t.final == final {
			message := fmt.Sprintf("TaskRun %q was cancelled. %s", x.pr.Name+"-"+t.Name, why.message)
			cancel(stopped{why.result, message})
		}
	}
}
