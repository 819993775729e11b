// Package rest holds what the Git hosts with a REST API have in common: how their addresses follow from
// an endpoint, how a batch of repositories is asked for, and how pages are read and remembered.
package rest

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

// parallel is how many requests one endpoint gets at once. GitHub allows 100 concurrent requests for a
// token; eight keep a small Gitea responsive and are enough to hide the way to a distant server.
const parallel = 8

const (
	// probes is how many repositories are asked for, one after the other, before a host that answers and makes
	// no sense is left alone. Fewer may have only themselves to blame.
	probes = 3
	// patience is how long one of them keeps the others waiting, where the context has no deadline; else it is a
	// tenth of the time that there is.
	patience = 3 * time.Second
)

// Each calls read for each of want, at most eight at once, and returns the answers in order. Once the
// host has answered RateLimited, repositories that were not asked for yet get the same error without a
// request: asking on would only prolong the limit. So do they when the first three answers make no sense.
func Each(ctx context.Context, host string, want []githost.Wanted,
	read func(context.Context, githost.Wanted) repo.Observation) []repo.Observation {
	e := each{host: host, want: want, read: read, answers: make([]repo.Observation, len(want)), taken: make([]atomic.Bool, len(want)),
		slots: make(chan struct{}, parallel)}
	var asking sync.WaitGroup
	e.probe(ctx, &asking)
	for range min(parallel, len(want)) {
		asking.Go(func() {
			for i := range want {
				e.one(ctx, i)
			}
		})
	}
	asking.Wait()
	return e.answers
}

// each is one call of Each.
type each struct {
	host    string
	want    []githost.Wanted
	read    func(context.Context, githost.Wanted) repo.Observation
	answers []repo.Observation
	taken   []atomic.Bool
	slots   chan struct{}                 // full of those who ask
	stop    atomic.Pointer[githost.Error] // why nothing more is asked
}

// probe asks for repositories from all over the list, since neighbours may have the same fault, until one answer
// makes sense or takes its time.
func (e *each) probe(ctx context.Context, asking *sync.WaitGroup) {
	n := len(e.want)
	if n == 0 {
		return
	}
	wait := patience
	if deadline, ok := ctx.Deadline(); ok {
		wait = time.Until(deadline) / 10
	}
	for _, i := range []int{0, n / 2, n - 1} {
		done := make(chan struct{})
		asking.Go(func() {
			defer close(done)
			e.one(ctx, i)
		})
		timer := time.NewTimer(wait)
		select {
		case <-done:
			timer.Stop()
		case <-timer.C:
			return
		}
		if !githost.Unhealthy(e.answers[i]) {
			return
		}
	}
	if n > probes {
		e.stop.Store(githost.WrapError(e.host, e.answers[n-1].Err))
	}
}

// one answers for a repository, unless somebody else does.
func (e *each) one(ctx context.Context, i int) {
	if e.taken[i].Swap(true) {
		return
	}
	e.slots <- struct{}{}
	defer func() { <-e.slots }()
	if err := e.stop.Load(); err != nil {
		e.answers[i] = githost.Failed(githost.NotAsked(err))
		return
	}
	e.answers[i] = one(ctx, e.host, e.want[i], e.read)
	if err, ok := errors.AsType[*githost.Error](e.answers[i].Err); ok && err.Kind == githost.RateLimited {
		e.stop.Store(err)
	}
}

// one reads one repository. The answers of strangers pass through libraries that are not ours: a panic
// in one costs its repository an error, and not the program.
func one(ctx context.Context, host string, w githost.Wanted,
	read func(context.Context, githost.Wanted) repo.Observation) (o repo.Observation) {
	defer func() {
		if p := recover(); p != nil {
			o = githost.Failed(githost.NewError(githost.Invalid, host, "reading the answer panicked, which is a fault of Sentry: %v", p))
		}
	}()
	if ctx.Err() != nil {
		return githost.Failed(githost.NotAsked(Failed(ctx, host, ctx.Err())))
	}
	return read(ctx, w)
}

// Failed makes an *Error of what a request failed with. When the context has ended, that is the reason,
// in the words of whoever ended it.
func Failed(ctx context.Context, host string, err error) *githost.Error {
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return githost.WrapError(host, err)
}
