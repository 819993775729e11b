package tekton

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/engine/generated"
	"github.com/tekton-sentry/sentry/pkg/engine/tekton/record"
	"github.com/tekton-sentry/sentry/pkg/kube"
	"github.com/tekton-sentry/sentry/pkg/oneline"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun"
	"github.com/tekton-sentry/sentry/pkg/plan/naming"
	"github.com/tekton-sentry/sentry/pkg/result"
)

const (
	// maxJudged bounds the runs that have ended and whose tasks are waited for, and maxReading those of them that are read at a
	// time: a large one takes some megabytes. So one whose tasks do not end holds up no other.
	maxJudged  = 256
	maxReading = 4
	// maxLast is from how many units on those are forgotten of which nothing is waited for.
	maxLast = 1000
	// gather is how long one write of the history waits for another run to end, and gatherMost how long it waits in all.
	gather     = time.Second
	gatherMost = 5 * time.Second
	// lastWrite is what remembering may take once Sentry has to end.
	lastWrite = 5 * time.Second
)

// judging is what goes on between two lists: runs that have ended are looked at side by side, told, remembered and marked.
type judging struct {
	*ends
	ctx     context.Context // ends when what goes on cannot
	fail    context.CancelCauseFunc
	places  chan struct{} // of runs that are waited for
	reading chan struct{}
	ended   chan *ended
	// Of the watch alone: the runs that were looked at, until their mark is seen; and what is closed once the unit's last one of them is
	// told, where it is.
	seen map[string]bool
	last map[string]chan struct{}
	work sync.WaitGroup
}

// judge begins. done ends it, once what was told is remembered.
func (x *ends) judge(ctx context.Context) (l *judging, done func()) {
	l = &judging{
		ends: x, places: make(chan struct{}, maxJudged), reading: make(chan struct{}, maxReading),
		ended: make(chan *ended), seen: map[string]bool{}, last: map[string]chan struct{}{},
	}
	l.ctx, l.fail = context.WithCancelCause(ctx)
	l.work.Go(l.keep)
	return l, func() {
		l.fail(nil)
		l.work.Wait()
	}
}

// look has it told how the run ended, if it has and nobody was told.
func (l *judging) look(r listed) {
	switch owes := l.owes(&r, r.done()); {
	case r.told() && !owes:
		delete(l.seen, r.key())
	case r.done():
		l.judgeOne(r, owes, l.endOf)
	case owes:
		l.Reports.Seen(l.run(&r), r.Metadata.Annotations, nil)
	}
}

// gone has it told that a run was deleted as it went on, or before its end was read: its commits wait for a word.
func (l *judging) gone(r listed) {
	if !r.told() && (!r.done() || r.recent()) {
		l.judgeOne(r, l.owes(&r, true), func(context.Context, listed) (engine.Outcome, error) { return lost(&r), nil })
	}
	delete(l.seen, r.key()) // it is not seen again
}

// judgeOne has it told how the run ended, if that was not begun. owes says that something is owed elsewhere about it. It waits only where very
// many are waited for.
func (l *judging) judgeOne(r listed, owes bool, endOf func(context.Context, listed) (engine.Outcome, error)) {
	key, unit := r.key(), r.unit()
	if !l.owns(&r) || l.seen[key] {
		return
	}
	l.seen[key] = true
	l.mu.Lock()
	e := l.owed[key]
	refused := e != nil && e.refused
	l.mu.Unlock()
	if refused {
		return
	}
	select {
	case l.places <- struct{}{}:
	case <-l.ctx.Done():
		return
	}
	before, after := l.last[unit], make(chan struct{})
	if owes { // others' runs keep nobody waiting, and nobody waits for them
		l.forgetTold()
		l.last[unit] = after
	}
	l.work.Go(func() {
		defer func() { <-l.places }()
		defer close(after)
		if e == nil {
			out, err := endOf(l.ctx, r)
			if err != nil {
				l.fail(err)
				return
			}
			e = &ended{key: key, uid: r.Metadata.UID, result: generated.Result(out, l.run(&r).Existing, r.Metadata.Annotations)}
		}
		if owes {
			e.report = func() { l.Reports.Seen(l.run(&r), r.Metadata.Annotations, &e.result) }
			l.wait(before) // whether a success mends a failure is asked of the history
		}
		if r.told() {
			e.report()
			return
		}
		select {
		case l.ended <- e:
		case <-l.ctx.Done():
		}
	})
}

// forgetTold forgets the units whose last run was told, where they are many.
func (l *judging) forgetTold() {
	if len(l.last) < maxLast {
		return
	}
	for unit, told := range l.last {
		select {
		case <-told:
			delete(l.last, unit)
		default:
		}
	}
}

// wait waits for the turn of a run that ended earlier, if there is one.
func (l *judging) wait(before <-chan struct{}) {
	if before != nil {
		select {
		case <-before:
		case <-l.ctx.Done():
		}
	}
}

// owes reports whether something is owed elsewhere about the run, which is over or goes on.
func (x *ends) owes(r *listed, over bool) bool {
	return x.Reports != nil && x.owns(r) && x.Reports.Owes(naming.At(x.In, r.Metadata.Name), r.Metadata.Annotations, over)
}

// endOf returns how the run ended, once its tasks have, too.
func (l *judging) endOf(ctx context.Context, r listed) (engine.Outcome, error) {
	read := func(ctx context.Context, name string) (engine.Outcome, seen, error) {
		l.reading <- struct{}{}
		defer func() { <-l.reading }()
		return l.outcome(ctx, name)
	}
	out, children, err := l.follow(ctx, r.Metadata.Name, read, func(engine.Outcome) {})
	switch {
	case apierrors.IsNotFound(err) && out.Done: // it was deleted as its tasks ended
		return out, nil
	case apierrors.IsNotFound(err):
		return lost(&r), nil
	case err != nil:
		return out, err
	}
	if out, err = l.printed(ctx, out, children); err != nil && ctx.Err() == nil {
		l.noLogs.Do(func() {
			l.log.Warn("what commands printed cannot be read, so why they failed is not told in their words", "err", err)
		})
	}
	return out, nil
}

// lost returns what is known of a run that was deleted before it was read.
func lost(r *listed) engine.Outcome {
	end := r.end()
	out := engine.Outcome{
		Name: r.Metadata.Name, Done: true, Succeeded: end.Status == corev1.ConditionTrue, Reason: end.Reason,
		Ended: cmp.Or(r.Status.CompletionTime, time.Now()), Message: "its PipelineRun was deleted before Sentry read how its deployments ended",
	}
	if !r.done() {
		out.Reason, out.Message = v1.PipelineRunReasonCancelled.String(), "its PipelineRun was deleted"
	}
	return out
}

// keep tells of the ends at once, and remembers them together: a start after a night may find a thousand.
func (l *judging) keep() {
	for {
		var batch []*ended
		var whole, quiet <-chan time.Time
		for open := true; open; {
			select {
			case e := <-l.ended:
				l.tell(e)
				batch = append(batch, e)
				if quiet = time.After(gather); whole == nil {
					whole = time.After(gatherMost)
				}
			case <-quiet:
				open = false
			case <-whole:
				open = false
			case <-l.ctx.Done():
				open = false
			}
		}
		if len(batch) > 0 {
			l.remember(batch)
		}
		if l.ctx.Err() != nil {
			return
		}
	}
}

func (l *judging) tell(e *ended) {
	if e.told {
		return
	}
	l.told(e.result)
	e.told = true
	l.mu.Lock()
	defer l.mu.Unlock()
	l.owed[e.key] = e
}

// remember writes the runs into the history, hands them over, records each as an Event, and then marks it. A history that cannot be written, for good, keeps no run
// from being marked: its deletion is what has to wait for the history.
func (l *judging) remember(batch []*ended) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(l.ctx))
	defer cancel()
	defer context.AfterFunc(l.ctx, func() { time.AfterFunc(lastWrite, cancel) })()
	results := make([]result.Result, len(batch))
	for i, e := range batch {
		results[i] = e.result
	}
	if err := l.history.Add(ctx, results); kube.IsTemporary(err) || errors.Is(err, kube.ErrConflict) {
		l.fail(err)
		return
	} else if err != nil {
		l.log.Warn("the ends of runs cannot be written to the history", "runs", len(batch), "err", err)
	}
	for _, e := range batch {
		if e.report != nil {
			e.report()
		}
	}
	for _, e := range batch {
		if err := record.End(ctx, l.cluster, l.namespace, e.result, e.uid); kube.IsTemporary(err) {
			l.fail(err)
			return
		} else if err != nil {
			l.noEvents.Do(func() { l.log.Warn("the ends of runs are not Kubernetes Events", "err", err) })
		}
		if err := l.mark(ctx, e.result.Name); kube.IsTemporary(err) {
			l.fail(err)
			return
		} else if err != nil {
			// Who makes a run that takes no annotation must not keep the ends of the others back.
			l.mu.Lock()
			e.refused = true
			l.mu.Unlock()
			l.log.Warn("the end of a run was told and cannot be noted on it: the next start of Sentry tells it again", "run", e.result.Name, "err", err)
			continue
		}
		l.mu.Lock()
		delete(l.owed, e.key)
		l.mu.Unlock()
	}
}

// mark notes on the run that its end was told.
func (l *judging) mark(ctx context.Context, name string) error {
	return l.Annotate(ctx, name, pipelinerun.AnnotationTold, name)
}

// Annotate notes on a run what was done about it. One that is gone is no error.
func (e *Engine) Annotate(ctx context.Context, name, annotation, text string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	patch, err := oneline.JSON(map[string]any{"metadata": map[string]any{"annotations": map[string]string{annotation: text}}})
	if err == nil {
		err = e.patch(ctx, name, patch)
	}
	if err == nil {
		return nil
	}
	return fmt.Errorf("note %s on PipelineRun %s/%s: %w", annotation, e.namespace, name, kube.Explain(err))
}
