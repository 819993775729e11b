// Package rest holds what the Git hosts with a REST API have in common: how their addresses follow from
// an endpoint, how a batch of repositories is asked for, and how pages are read and remembered.
package rest

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

// parallel is how many requests one endpoint gets at once. GitHub allows 100 concurrent requests for a
// token; eight keep a small Gitea responsive and are enough to hide the way to a distant server.
const parallel = 8

// Each calls read for each of want, at most eight at once, and returns the answers in order. Once the
// host has answered RateLimited, repositories that were not asked for yet get the same error without a
// request: asking on would only prolong the limit.
func Each(ctx context.Context, host string, want []githost.Wanted,
	read func(context.Context, githost.Wanted) repo.Observation) []repo.Observation {
	answers := make([]repo.Observation, len(want))
	var (
		taken   atomic.Int64
		limited atomic.Pointer[githost.Error]
		workers sync.WaitGroup
	)
	for range min(parallel, len(want)) {
		workers.Go(func() {
			for i := int(taken.Add(1)) - 1; i < len(want); i = int(taken.Add(1)) - 1 {
				if err := limited.Load(); err != nil {
					answers[i] = repo.Observation{Err: err}
					continue
				}
				answers[i] = one(ctx, host, want[i], read)
				if err, ok := errors.AsType[*githost.Error](answers[i].Err); ok && err.Kind == githost.RateLimited {
					limited.Store(err)
				}
			}
		})
	}
	workers.Wait()
	return answers
}

// one reads one repository. The answers of strangers pass through libraries that are not ours: a panic
// in one costs its repository an error, and not the program.
func one(ctx context.Context, host string, w githost.Wanted,
	read func(context.Context, githost.Wanted) repo.Observation) (o repo.Observation) {
	defer func() {
		if p := recover(); p != nil {
			o = repo.Observation{Err: githost.NewError(githost.Invalid, host,
				"reading the answer panicked, which is a fault of Sentry: %v", p)}
		}
	}()
	if ctx.Err() != nil {
		return repo.Observation{Err: Failed(ctx, host, ctx.Err())}
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
