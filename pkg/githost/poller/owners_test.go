package poller

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
)

// ownersHost is a statusHost that lists repositories: a request for each page, until it is answered otherwise.
type ownersHost struct {
	statusHost
	pages int
}

func (h ownersHost) Owned(ctx context.Context, q githost.OwnedBy, _ *githost.Owned) (*githost.Owned, error) {
	if q.Owner == "panic" {
		panic("a fault of the library, and the token is s3cret")
	}
	for range h.pages {
		if err := h.SetStatus(ctx, "http://a.example/"+q.Owner, "", githost.Status{}); err != nil {
			return nil, err
		}
	}
	return &githost.Owned{Repositories: []githost.OwnedRepository{{ID: "1"}}}, nil
}

func openOwners(pages int) githost.Open {
	return func(e githost.Endpoint, c *http.Client) (githost.Host, error) {
		return ownersHost{statusHost{plainHost{e, c}}, pages}, nil
	}
}

// TestOwnedTakesItsTime has a list that takes longer than all heads may. One at a time is read, and neither heads nor statuses wait
// for it.
func TestOwnedTakesItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const pages = 50
		s := &server{}
		slow := func(req *http.Request) (*http.Response, error) {
			if req.URL.Path == "/company" {
				<-time.After(2 * time.Second)
			}
			return status(http.StatusOK)(req)
		}
		s.set(status(http.StatusOK), slow)
		net := newInternet(map[string]func(*http.Request) (*http.Response, error){"a.example": s.serve})
		r, want := plain(t, net, "s3cret", 1, "a.example")
		r.Hosts = githost.Drivers{driver(config.Git, openOwners(pages))}
		source := want[0].Source
		source = serverOf(source)
		start, done := time.Now(), make(chan error)
		for range 2 {
			go func() {
				list, err := r.Owned(t.Context(), source, githost.OwnedBy{Owner: "company"}, nil)
				if err == nil && len(list.Repositories) != 1 {
					err = errors.New("there is no list")
				}
				done <- err
			}()
		}
		<-time.After(time.Second) // both are on their way
		statuses, err := r.Statuses(config.Repository{Monitor: want[0]})
		if err == nil {
			err = statuses.SetStatus(t.Context(), want[0].URL, sha1, githost.Status{})
		}
		if heads := r.Heads(t.Context(), want)[0]; err != nil || heads.Err != nil || time.Since(start) > 3*time.Second {
			t.Errorf("beside a list: status %v, heads %v after %s", err, heads.Err, time.Since(start))
		}
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if took := time.Since(start); took < 2*pages*2*time.Second || len(r.endpoints) != 1 {
			t.Errorf("two lists took %s on %d endpoints, want one after the other on the one of the heads", took, len(r.endpoints))
		}
		s.set(status(http.StatusOK), func(req *http.Request) (*http.Response, error) {
			<-req.Context().Done()
			return nil, context.Cause(req.Context())
		})
		start = time.Now()
		if _, err := r.Owned(t.Context(), source, githost.OwnedBy{Owner: "company"}, nil); errorOf(t, err).Kind != githost.Temporary || time.Since(start) > listings*DefaultTimeout {
			t.Errorf("a server that hangs: %v after %s", err, time.Since(start))
		}
	})
}

func TestOwnedRefuses(t *testing.T) {
	s := &server{}
	s.set(status(http.StatusOK), status(http.StatusOK))
	net := newInternet(map[string]func(*http.Request) (*http.Response, error){"a.example": s.serve})
	r, want := plain(t, net, "s3cret", 1, "a.example")
	r.Hosts = githost.Drivers{driver(config.Git, openOwners(1))}
	source := want[0].Source
	ask := func(q githost.OwnedBy) *githost.Error {
		t.Helper()
		list, err := r.Owned(t.Context(), source, q, nil)
		if list != nil {
			t.Errorf("%+v: a list with %v", q, err)
		}
		e, _ := errors.AsType[*githost.Error](err)
		return e
	}
	if e := ask(githost.OwnedBy{Owner: "panic"}); e == nil || e.Kind != githost.Invalid {
		t.Errorf("a panic: %v", e)
	}
	s.set(status(http.StatusOK), status(http.StatusInternalServerError))
	if e := ask(githost.OwnedBy{Owner: "company"}); e == nil || e.Kind != githost.Temporary {
		t.Errorf("a 500: %v", e)
	}
	source.URL = "ssh://git@a.example"
	if e := ask(githost.OwnedBy{Owner: "company"}); e == nil || e.Kind != githost.Invalid {
		t.Errorf("over SSH: %v", e)
	}
	r.Hosts = githost.Drivers{driver(config.Git, openStatuses)}
	source.URL = "http://b.example"
	if e := ask(githost.OwnedBy{Owner: "company"}); !errors.Is(e, githost.ErrNoOwners) {
		t.Errorf("a kind of host without lists: %v", e)
	}
}
