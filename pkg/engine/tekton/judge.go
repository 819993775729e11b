package tekton

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/engine/generated"
	"github.com/tekton-sentry/sentry/pkg/kube"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun"
	"github.com/tekton-sentry/sentry/pkg/result"
)

const (
	// maxJudged bounds the runs that have ended and whose tasks are waited for, and maxReading those of them that are read at a
	// time: a large one takes some megabytes. So one whose tasks do not end holds up no other.
	maxJudged  = 256
	maxReading = 4
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
	seen    map[string]bool // runs that were looked at, until their mark is seen; the watch's alone
	work    sync.WaitGroup
}

// judge begins. done ends it, once what was told is remembered.
func (x *ends) judge(ctx context.Context) (l *judging, done func()) {
	l = &judging{
		ends: x, places: make(chan struct{}, maxJudged), reading: make(chan struct{}, maxReading),
		ended: make(chan *ended), seen: map[string]bool{},
	}
	l.ctx, l.fail = context.WithCancelCause(ctx)
	l.work.Go(l.keep)
	return l, func() {
		l.fail(nil)
		l.work.Wait()
	}
}

// look has it told how the run ended, if it has and nobody was told. It waits only where very many are waited for.
func (l *judging) look(r listed) {
	name := r.Metadata.Name
	key := name + " " + string(r.Metadata.UID)
	owes := l.owes(&r, r.done())
	if r.told() && !owes {
		delete(l.seen, key)
		return
	}
	if owes && !r.done() {
		l.Reports.Seen(r.run(), r.Metadata.Annotations, nil)
	}
	if !r.done() || !l.owns(&r) || l.seen[key] {
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
	l.work.Go(func() {
		defer func() { <-l.places }()
		if e == nil {
			res, err := l.resultOf(l.ctx, r)
			switch {
			case apierrors.IsNotFound(err):
				return // it was deleted meanwhile
			case err != nil:
				l.fail(err)
				return
			}
			e = &ended{key: key, uid: r.Metadata.UID, result: res}
		}
		if owes {
			l.Reports.Seen(r.run(), r.Metadata.Annotations, &e.result)
		}
		if r.told() {
			return
		}
		select {
		case l.ended <- e:
		case <-l.ctx.Done():
		}
	})
}

// owes reports whether something is owed elsewhere about the run, which is over or goes on.
func (x *ends) owes(r *listed, over bool) bool {
	return x.Reports != nil && x.owns(r) && (!over || r.recent()) && x.Reports.Owes(r.Metadata.Name, r.Metadata.Annotations, over)
}

// gone has it reported that a run was deleted while it went on: its commits wait for a word.
func (l *judging) gone(r listed) {
	if !r.done() && l.owes(&r, true) {
		out := engine.Outcome{Name: r.Metadata.Name, Done: true, Reason: v1.PipelineRunReasonCancelled.String(), Message: "its PipelineRun was deleted", Ended: time.Now()}
		end := generated.Result(out, r.run().Existing, r.Metadata.Annotations)
		l.Reports.Seen(r.run(), r.Metadata.Annotations, &end)
	}
}

// resultOf returns how the run ended, once its tasks have, too.
func (l *judging) resultOf(ctx context.Context, r listed) (result.Result, error) {
	read := func(ctx context.Context, name string) (engine.Outcome, seen, error) {
		l.reading <- struct{}{}
		defer func() { <-l.reading }()
		return l.outcome(ctx, name)
	}
	out, children, err := l.follow(ctx, r.Metadata.Name, read, func(engine.Outcome) {})
	if err != nil {
		return result.Result{}, err
	}
	out, err = l.printed(ctx, out, children)
	if err != nil && ctx.Err() == nil {
		l.noLogs.Do(func() {
			l.log.Warn("what commands printed cannot be read, so why they failed is not told in their words", "err", err)
		})
	}
	return generated.Result(out, r.run().Existing, r.Metadata.Annotations), nil
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

// remember writes the runs into the history, records each as an Event, and then marks it. A history that cannot be written, for good, keeps no run
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
		if err := l.Record(ctx, e.result, e.uid); kube.IsTemporary(err) {
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
	err := e.patch(ctx, name, fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, annotation, text))
	if err == nil {
		return nil
	}
	return fmt.Errorf("note %s on PipelineRun %s/%s: %w", annotation, e.namespace, name, kube.Explain(err))
}
