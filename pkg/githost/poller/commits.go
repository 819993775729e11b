package poller

import (
	"context"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

// Messages returns the messages of commits of a repository, with its credential. It is asked as Statuses are: beside the rounds,
// on the same budget, and at most two of an endpoint at a time.
//
// A kind of host that is no Commits is asked by the Git protocol, at the URL of the repository. That is an endpoint of its own
// then, as what hosts grant for Git and for their API is not the same. Every error is as of Heads.
func (r *Reader) Messages(ctx context.Context, source config.Source, commits []repo.SHA) (messages []string, err error) {
	e, host, err := r.commits(source)
	if err != nil {
		return nil, err
	}
	err = r.askAside(ctx, e, func(ctx context.Context) error {
		messages, err = host.Messages(ctx, source.URL, commits)
		return err
	})
	return messages, err
}

// Diff calls differs with the path of each file that is not the same in two commits of a repository, until it returns false. It is
// asked as Messages are.
func (r *Reader) Diff(ctx context.Context, source config.Source, before, after repo.SHA, differs func(path string) bool) error {
	e, host, err := r.commits(source)
	if err != nil {
		return err
	}
	return r.askAside(ctx, e, func(ctx context.Context) error { return host.Diff(ctx, source.URL, before, after, differs) })
}

// commits returns the endpoint that tells of a repository's commits, which is forgotten when it was not asked for in a while.
func (r *Reader) commits(source config.Source) (*endpoint, githost.Commits, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.prepare()
	e, err := r.endpoint(source)
	if err != nil {
		return nil, nil, err
	}
	host, ok := e.host.(githost.Commits)
	for i := range r.Hosts {
		if d := &r.Hosts[i]; !ok && d.Any {
			source.Type, source.APIURL = d.Type, ""
			if e, err = r.endpoint(source); err != nil {
				return nil, nil, err
			}
			host, ok = e.host.(githost.Commits)
		}
	}
	if !ok {
		return nil, nil, githost.NewError(githost.Invalid, e.Host(), "hosts of this type do not tell of commits")
	}
	e.wanted = time.Now()
	return e, host, nil
}
