package poller

import (
	"context"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/giturl"
)

// listings is how many times Timeout all pages of a list may take. A whole one of 5,000 repositories is 50 requests of a second or
// two; one with a file in each, on a host that has to be asked for each, 5,000 at 50 a second.
const listings = 20

// Owned lists the repositories of an owner as githost.Owners does, on the host of a source, with its credential. Of the source's URL
// only the server matters, such as https://github.com. It is asked as Statuses are: beside the rounds and on the same budget. One
// list of an endpoint is read at a time, in a place of its own, for 20 times Timeout at most, so that statuses do not wait for it.
//
// Every error is as of Heads. One of a kind of host without such lists has githost.ErrNoOwners in its chain, and comes without a
// request.
func (r *Reader) Owned(ctx context.Context, source config.Source, q githost.OwnedBy, last *githost.Owned) (list *githost.Owned, err error) {
	e, host, err := r.owners(source)
	if err != nil {
		return nil, err
	}
	err = r.askWithin(ctx, e, e.listing, listings*r.timeout(), func(ctx context.Context) error {
		list, err = host.Owned(ctx, q, last)
		return err
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

// owners returns the endpoint that lists repositories, which is forgotten when it was not asked for in a while.
func (r *Reader) owners(source config.Source) (*endpoint, githost.Owners, error) {
	if giturl.IsSSH(source.URL) {
		return nil, nil, githost.NewError(githost.Invalid, "repo_url", "over SSH no host tells which repositories an owner has: "+
			"give its address as https://HOST, and a token")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.prepare()
	e, err := r.endpoint(source)
	if err != nil {
		return nil, nil, err
	}
	e.wanted = time.Now()
	host, ok := e.host.(githost.Owners)
	if !ok {
		return nil, nil, githost.NewError(githost.Invalid, e.Host(), "%w", githost.ErrNoOwners)
	}
	return e, host, nil
}
