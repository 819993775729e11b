package clusters

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/tekton-sentry/sentry/pkg/engine"
)

// listing is a list of all runs of a cluster, which is read beside the loop.
type listing struct {
	began time.Time
	done  chan struct{} // closed when the rest is there
	runs  []engine.Run
	err   error
}

// list returns the runs of units of another cluster.
func (e *Engine[M]) list(ctx context.Context, cluster string, labels []string) (runs []engine.Run, err error) {
	if !slices.Contains(e.Names(), cluster) {
		return nil, nil
	}
	switch all := len(labels) == 0 || slices.Contains(labels, ""); {
	case all && e.Patience > 0:
		runs, err = e.beside(ctx, cluster)
	case all:
		runs, err = e.listed(ctx, cluster, nil, allWithin)
	default:
		runs, err = e.listed(ctx, cluster, labels, answerWithin)
	}
	if err == nil {
		return runs, nil
	}
	if _, down := errors.AsType[*engine.DownError](err); !down {
		err = &engine.DownError{Cluster: cluster, Err: err}
	}
	return nil, err
}

func (e *Engine[M]) listed(ctx context.Context, cluster string, labels []string, within time.Duration) (runs []engine.Run, err error) {
	ask := func(ctx context.Context, m M) error {
		_, err := m.Runs(ctx, labels)
		return err
	}
	err = e.read(ctx, cluster, read[M]{within, ask}, always, func(ctx context.Context, m M) (err error) {
		runs, err = m.Runs(ctx, labels)
		return err
	})
	return runs, err
}

// errListing says that a list takes longer than the loop waits.
var errListing = errors.New("its runs are still being listed, and nothing begins there before they are known")

// beside returns all runs of a cluster: those of a list that went on beside, or of one that begins now and is there in time.
func (e *Engine[M]) beside(ctx context.Context, cluster string) ([]engine.Run, error) {
	e.mu.Lock()
	o := e.of[cluster]
	if o == nil {
		e.mu.Unlock()
		return nil, nil
	}
	if o.all == nil || o.all.over() && o.all.err != nil {
		l := &listing{began: e.Now(), done: make(chan struct{})}
		o.all = l
		go func() {
			defer close(l.done)
			l.runs, l.err = e.listed(context.WithoutCancel(ctx), cluster, nil, besideWithin)
		}()
	}
	l := o.all
	e.mu.Unlock()
	patience := time.NewTimer(e.Patience - e.Now().Sub(l.began)) // a later look does not wait again
	defer patience.Stop()
	select {
	case <-l.done:
	case <-patience.C:
		if !l.over() {
			return nil, errListing
		}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if o.all == l {
		o.all = nil
	}
	return l.runs, l.err
}

// over reports whether it goes on no more.
func (l *listing) over() bool {
	select {
	case <-l.done:
		return true
	default:
		return false
	}
}

// listing reports whether all runs of another cluster are being listed.
func (e *Engine[M]) listing(cluster string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	o := e.of[cluster]
	return o != nil && o.all != nil && !o.all.over()
}
