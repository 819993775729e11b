package poller

import (
	"context"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
)

// maxAside is how many calls beside the rounds a host has under way at most. Reading has at least eight connections, whatever
// becomes of them.
const maxAside = 2

// Statuses returns the statuses of commits on the host of a watched repository, with its credential. Its calls may come from
// several goroutines, at any time beside those of Heads, and draw on the same budget: they are counted, and wait while the host
// is not to be asked, for ten seconds at most. Where it is longer, the host is down or the credential was refused, they fail
// without a request, by an error that says until when, where that is known. Two of an endpoint are under way at a time, each for
// Timeout at most. What becomes of them says nothing to who reads: only a budget that is used up is so for both.
//
// Every error is as of Heads. One of a kind of host without statuses has githost.ErrNoStatuses in its chain, and comes from here.
func (r *Reader) Statuses(repository config.Repository) (githost.Statuses, error) {
	s := statuses{r, repository.Monitor.Source}
	_, _, err := s.open()
	if err != nil {
		return nil, err
	}
	return s, nil
}

type statuses struct {
	reader *Reader
	source config.Source
}

// open returns the endpoint, which is forgotten when it was not asked for in a while.
func (s statuses) open() (*endpoint, githost.Statuses, error) {
	r := s.reader
	r.mu.Lock()
	defer r.mu.Unlock()
	r.prepare()
	e, err := r.endpoint(s.source)
	if err != nil {
		return nil, nil, err
	}
	e.wanted = time.Now()
	host, ok := e.host.(githost.Statuses)
	if !ok {
		return nil, nil, githost.NewError(githost.Invalid, e.Host(), "%w", githost.ErrNoStatuses)
	}
	return e, host, nil
}

// StatusOf implements githost.Statuses.
func (s statuses) StatusOf(ctx context.Context, repoURL, sha, statusContext string) (status githost.Status, ok bool, err error) {
	err = s.ask(ctx, func(ctx context.Context, host githost.Statuses) (err error) {
		status, ok, err = host.StatusOf(ctx, repoURL, sha, statusContext)
		return err
	})
	return status, ok, err
}

// SetStatus implements githost.Statuses.
func (s statuses) SetStatus(ctx context.Context, repoURL, sha string, status githost.Status) error {
	return s.ask(ctx, func(ctx context.Context, host githost.Statuses) error {
		return host.SetStatus(ctx, repoURL, sha, status)
	})
}

// ask calls f with the host, when it has its turn.
func (s statuses) ask(ctx context.Context, f func(context.Context, githost.Statuses) error) error {
	e, host, err := s.open()
	if err != nil {
		return err
	}
	return s.reader.askAside(ctx, e, func(ctx context.Context) error { return f(ctx, host) })
}

// askAside calls f, which asks an endpoint, beside the rounds, when it has its turn.
func (r *Reader) askAside(ctx context.Context, e *endpoint, f func(context.Context) error) error {
	return r.askWithin(ctx, e, e.aside, r.timeout(), f)
}

// askWithin calls f, which asks an endpoint for so long at most, when there is a place for it.
func (r *Reader) askWithin(ctx context.Context, e *endpoint, places chan struct{}, timeout time.Duration, f func(context.Context) error) error {
	select {
	case places <- struct{}{}:
		defer func() { <-places }()
	case <-ctx.Done():
		return githost.NotAsked(githost.WrapError(e.Host(), context.Cause(ctx)))
	}
	ctx, cancel := githost.WithTimeout(ctx, e.Host(), timeout)
	defer cancel()
	err := r.survive(e, func() error { return f(ctx) })
	if err == nil {
		return nil
	}
	clean := e.gate.Redact(err)
	if clean.Kind == githost.RateLimited && !clean.Unsent {
		e.gate.ExhaustAside(clean) // as a body may say it that the gate does not read
	}
	return clean
}
