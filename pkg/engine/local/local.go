// Package local runs Sentry's PipelineRuns on this machine, with its git and sh: to try Sentry without a
// cluster, and to debug deploy commands. It is not a place to deploy from.
//
// A run is scheduled, ended and reported as Tekton does it: order, onError, finally, timeouts, reasons and
// messages. Each step is a process group of its own; its output appears live, as `tkn pipelinerun logs`
// prints it. What a container would give is not there: images, service accounts, security contexts and
// resource limits are ignored, and a step may do all that the user may. A task's emptyDir volumes are a
// new directory, and variables that begin with a volume's mount path begin with that directory instead;
// a mount path that is written out in a command is not replaced. For a Secret or a ConfigMap stands in
// what is on this machine: see object. A process that leaves its process group,
// as a daemon does, outlives its step. What an engine leaves whose process was killed, the next one removes:
// see RemoveLeftovers.
package local

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/engine/generated"
	"github.com/tekton-sentry/sentry/pkg/engine/local/journal"
	"github.com/tekton-sentry/sentry/pkg/engine/local/sandbox"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/result"
)

// Options are what an Engine works with. All are optional.
type Options struct {
	// Dir is where the tasks' directories are made; default os.TempDir().
	Dir string
	// Journal is a directory, which need not exist, by which the next engine knows the runs of this one, but
	// those asked for by hand: see Recall. Default none.
	Journal string
	// Out gets the steps' output and the ends of tasks and runs, a line at a time; default none.
	Out io.Writer
	// Env is the environment, as os.Environ gives it. References to keys of Secrets and ConfigMaps are answered from it by
	// the key.
	// Steps inherit the rest of it: all but Hidden, what the secretKeyRefs of any run name, and what tells
	// git to work elsewhere, such as GIT_DIR.
	Env []string
	// Hidden are names of variables that steps do not inherit, because they would not have them in a cluster.
	Hidden []string
	// Hide takes out what is secret of what steps print, and of what is said of why they failed; default nothing.
	Hide func(text string) string
	// Remember keeps how a run ended, before the journal notes that it has; default none.
	Remember func(result.Result) error
	// Ended is told how a run ended, unless Close cut it off; default none. It may be set until the first run is created.
	Ended func(result.Result)
	// Log gets what is wrong on this machine; default none.
	Log *slog.Logger
	// Now is the clock of the tasks' start and end; default time.Now.
	Now func() time.Time
	// Grace is what a process has between SIGTERM and SIGKILL; default 3 s.
	Grace time.Duration
}

// Engine runs PipelineRuns in the background, until Close.
type Engine struct {
	Options
	out     output
	journal journal.Dir

	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	runs    []*run          // in the order of their creation
	secrets map[string]bool // variables that steps do not inherit
}

// New returns an engine. It must be closed.
func New(o Options) *Engine {
	o.Dir = cmp.Or(o.Dir, os.TempDir())
	o.Grace = cmp.Or(o.Grace, 3*time.Second)
	if o.Out == nil {
		o.Out = io.Discard
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Hide == nil {
		o.Hide = func(text string) string { return text }
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	e := &Engine{Options: o, out: output{w: o.Out, hide: o.Hide}, journal: journal.Dir(o.Journal), secrets: map[string]bool{}}
	e.Use(o.Env, o.Hidden)
	e.ctx, e.cancel = context.WithCancel(context.Background())
	return e
}

// Use makes env and hidden what later steps get, in place of what they were: see Options.
func (e *Engine) Use(env, hidden []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.Env = env
	for _, name := range hidden {
		e.secrets[name] = true // what was hidden once stays so
	}
}

// Create starts the run, or as much of it as one PipelineRun holds, and returns; it goes on after ctx.
func (e *Engine) Create(ctx context.Context, cfg *config.Config, run plan.Run) (engine.Made, error) {
	if err := needsCluster(run); err != nil {
		return engine.Made{}, err
	}
	return generated.Create(cfg, run, pipelinerun.MaxMembers, func(pr *v1.PipelineRun) (bool, error) { return e.create(ctx, pr) })
}

// Check says why no PipelineRun can be made of the run.
func (e *Engine) Check(cfg *config.Config, run plan.Run) error {
	if err := needsCluster(run); err != nil {
		return err
	}
	return generated.Check(cfg, run, pipelinerun.MaxMembers)
}

// create starts the run and returns. created is false when a run of this name and trigger is known, as it is
// until Prune; engine.ErrNameTaken when the name's trigger is another. The error names all in the run that this
// engine does not do. A run that the journal does not take, as on a full disk, does not start.
func (e *Engine) create(ctx context.Context, pr *v1.PipelineRun) (created bool, err error) {
	pr, err = check(ctx, pr)
	if err != nil {
		return false, err
	}
	trigger, err := pipelinerun.TriggerOf(pr)
	if err != nil {
		return false, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return false, fmt.Errorf("PipelineRun %s: the engine is closed", pr.Name)
	}
	if known := e.find(pr.Name); known != nil {
		if !known.trigger.Equal(trigger) {
			return false, fmt.Errorf("PipelineRun %s: %w", pr.Name, engine.ErrNameTaken)
		}
		return false, nil
	}
	r := newRun(pr, trigger, e.Now())
	if err := e.journal.Begin(r.existing()); err != nil {
		return false, fmt.Errorf("note PipelineRun %s before it starts: %w", pr.Name, err)
	}
	for name := range secretsOf(pr) {
		e.secrets[name] = true
	}
	e.runs = append(e.runs, r)
	e.running.Go(func() { e.execute(r) })
	return true, nil
}

// find returns the run of that name, or nil. The caller holds mu.
func (e *Engine) find(name string) *run {
	if i := slices.IndexFunc(e.runs, func(r *run) bool { return r.schedule.run == name }); i >= 0 {
		return e.runs[i]
	}
	return nil
}

// Runs returns the units' runs of this engine, oldest first; no units mean all.
func (e *Engine) Runs(_ context.Context, units []string) ([]engine.Run, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var runs []engine.Run
	for _, r := range e.runs {
		if len(units) == 0 || slices.Contains(units, r.unit) {
			out, _ := r.now()
			runs = append(runs, engine.Run{Existing: r.existing(), Succeeded: out.Succeeded, Reason: out.Reason})
		}
	}
	return runs, nil
}

// Cancel ends a run: its tasks are stopped, and its finally tasks run. In a run that would roll back what is stopped, none runs that
// has not begun. It does not wait for that. superseded is the name of the run that replaces it, if one does. A run that is not
// known or finished is no error.
func (e *Engine) Cancel(_ context.Context, name, superseded string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if r := e.find(name); r != nil {
		select {
		case r.cancel <- superseded:
		default: // cancelled before
		}
	}
	return nil
}

// Prune implements watch.Engine: it forgets what that deletes.
func (e *Engine) Prune(_ context.Context, unit string, keep int) (deleted []plan.Existing, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	drop := map[*run]bool{}
	kept, failedSeen := map[string]int{}, map[string]bool{} // by share
	for _, r := range slices.Backward(e.runs) {
		out, _ := r.now()
		if unit != "" && r.unit != unit || !out.Done {
			continue
		}
		of := engine.Share(r.unit, r.trigger)
		newestFailed := !out.Succeeded && !failedSeen[of]
		failedSeen[of] = failedSeen[of] || newestFailed
		if kept[of] < keep {
			kept[of]++
		} else if !newestFailed {
			drop[r] = true
			err = errors.Join(err, e.journal.Drop(out.Name))
			deleted = append(deleted, plan.Existing{Name: out.Name, Unit: r.unit})
		}
	}
	e.runs = slices.DeleteFunc(e.runs, func(r *run) bool { return drop[r] })
	return deleted, err
}

// Follow calls progress for each change of the run that it sees, and returns when the run has finished.
func (e *Engine) Follow(ctx context.Context, name string, progress func(engine.Outcome)) (engine.Outcome, error) {
	e.mu.Lock()
	r := e.find(name)
	e.mu.Unlock()
	if r == nil {
		return engine.Outcome{}, fmt.Errorf("follow PipelineRun %s: this engine knows no run of that name", name)
	}
	return r.follow(ctx, progress)
}

// Wait returns when no run is active any more, or with ctx's error when ctx ends before.
func (e *Engine) Wait(ctx context.Context) error {
	e.mu.Lock()
	runs := slices.Clone(e.runs)
	e.mu.Unlock()
	for _, r := range runs {
		if _, err := r.follow(ctx, func(engine.Outcome) {}); err != nil {
			return err
		}
	}
	return nil
}

// Close ends all runs at once, finally tasks too, and returns when their processes and directories are
// gone. Their reason is Cancelled. Nothing can be created afterwards.
func (e *Engine) Close() error {
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
	e.cancel()
	e.running.Wait()
	return nil
}

// CutOff returns the runs that Close ended before their end. It is for after Close.
func (e *Engine) CutOff() []plan.Existing {
	e.mu.Lock()
	defer e.mu.Unlock()
	var runs []plan.Existing
	for _, r := range e.runs {
		if r.schedule.cutOff() {
			runs = append(runs, r.existing())
		}
	}
	return runs
}

// Recall reads the journal of the engines before this one. Their finished runs are known from here on. It
// returns those that were cut off, by Close or by the end of the process: what they did not finish is to be
// planned again, and then Forget drops them.
func (e *Engine) Recall() ([]plan.Existing, error) {
	ended, cutOff, err := e.journal.Read()
	if err != nil {
		return nil, fmt.Errorf("read what an earlier Sentry ran: %w", err)
	}
	past := make([]*run, len(ended))
	for i, r := range ended {
		past[i] = pastRun(r)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.runs = append(past, e.runs...)
	return cutOff, nil
}

// Forget drops runs that Recall returned from the journal.
func (e *Engine) Forget(runs []plan.Existing) error {
	var errs []error
	for _, r := range runs {
		errs = append(errs, e.journal.Drop(r.Name))
	}
	return errors.Join(errs...)
}

// RemoveLeftovers ends what the tasks of engines whose process was killed still run, and removes their
// directories: see sandbox.RemoveLeftovers.
func (e *Engine) RemoveLeftovers(ctx context.Context) error {
	return sandbox.RemoveLeftovers(ctx, e.Dir, e.Grace, e.Log)
}

// secretsOf returns the keys of all secretKeyRefs of the run.
func secretsOf(pr *v1.PipelineRun) map[string]bool {
	keys := map[string]bool{}
	for _, pt := range slices.Concat(pr.Spec.PipelineSpec.Tasks, pr.Spec.PipelineSpec.Finally) {
		for _, step := range pt.TaskSpec.Steps {
			for _, v := range vars(pt.TaskSpec.TaskSpec, step) {
				if v.ValueFrom != nil && v.ValueFrom.SecretKeyRef != nil {
					keys[v.ValueFrom.SecretKeyRef.Key] = true
				}
			}
		}
	}
	return keys
}
