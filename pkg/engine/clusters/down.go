package clusters

import (
	"context"
	"errors"
	"time"

	"github.com/tekton-sentry/sentry/pkg/engine"
)

// read asks a cluster for something, and changes nothing there.
type read[M Member] struct {
	within time.Duration
	ask    func(context.Context, M) error
}

// never is when one is tried that has no engine.
var never = time.Unix(1<<40, 0)

// Down returns why a cluster is not asked now; nil where it is.
func (e *Engine[M]) Down(cluster string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if o := e.of[cluster]; o != nil {
		return o.down
	}
	return nil
}

// read is ask of what begins by a read, such as the one by which it is tried again. A cluster that fails, in a way that tells of more
// than of what was asked, is not asked any more. What cannot be created says nothing of a cluster: that is a unit's own trouble, as in
// the one that Sentry runs in.
func (e *Engine[M]) read(ctx context.Context, cluster string, again read[M], tells func(error) bool, f func(context.Context, M) error) error {
	var of M
	err := e.ask(ctx, cluster, again.within, func(ctx context.Context, m M) error {
		of = m
		return f(ctx, m)
	})
	_, known := errors.AsType[*engine.DownError](err)
	_, busy := errors.AsType[interface { // Sentry itself leaves it alone for a moment, perhaps since a webhook hangs
		error
		NotSent()
	}](err)
	if err == nil || cluster == "" || known || busy || errors.Is(ctx.Err(), context.Canceled) || any(of) == any(*new(M)) || !tells(err) {
		return err
	}
	err = &engine.DownError{Cluster: cluster, Err: err}
	e.note(cluster, of, again, err)
	return err
}

// Read has f read something of a run in a cluster, unless that does not answer.
func (e *Engine[M]) Read(ctx context.Context, cluster string, f func(context.Context, M) error) error {
	return e.read(ctx, cluster, read[M]{answerWithin, f}, unanswered, f)
}

// unanswered reports whether an error says more of the cluster than of what was asked.
func unanswered(err error) bool {
	k, ok := errors.AsType[interface {
		error
		ProblemKind() string
	}](err)
	return !ok || k.ProblemKind() == "temporary"
}

// always is of reads that any cluster has to answer: one that refuses them, such as for a token that has expired, is as good as away.
func always(error) bool { return true }

// refusal returns why a cluster is not asked. Now and then it has it tried, beside, by what it did not answer.
func (e *Engine[M]) refusal(ctx context.Context, cluster string) error {
	e.mu.Lock()
	o := e.of[cluster]
	if o == nil || o.down == nil {
		e.mu.Unlock()
		return nil
	}
	down, again := o.down, o.again
	try := !o.trying && e.Now().Sub(o.tried) >= o.pause
	if try {
		o.tried, o.trying = e.Now(), true
	}
	e.mu.Unlock()
	if try {
		e.try(func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), again.within)
			defer cancel()
			e.noteTrial(cluster, o, again.ask(ctx, o.engine))
		})
	}
	return down
}

func (e *Engine[M]) try(f func()) {
	if e.Try != nil {
		e.Try(f)
		return
	}
	go f()
}

// note keeps that a cluster does not answer.
func (e *Engine[M]) note(cluster string, of M, r read[M], err error) {
	e.mu.Lock()
	o := e.of[cluster]
	if o == nil || any(o.engine) != any(of) || o.down != nil { // another kubeconfig, or known
		e.mu.Unlock()
		return
	}
	if o.pause == 0 || e.Now().Sub(o.back) >= forgiven {
		o.pause = tryEvery
	} else {
		o.pause = min(2*o.pause, tryAtMost)
	}
	o.down, o.again, o.tried = err, r, e.Now()
	e.mu.Unlock()
	if e.Changed != nil {
		e.Changed(cluster, err)
	}
}

// noteTrial keeps what became of a trial.
func (e *Engine[M]) noteTrial(cluster string, o *other[M], err error) {
	e.mu.Lock()
	o.trying = false
	if err != nil {
		o.pause = min(2*o.pause, tryAtMost)
	} else {
		o.down, o.back = nil, e.Now()
	}
	current := e.of[cluster] == o
	e.mu.Unlock()
	if err == nil && current && e.Changed != nil {
		e.Changed(cluster, nil)
	}
}
