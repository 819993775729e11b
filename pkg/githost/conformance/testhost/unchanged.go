package testhost

import (
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

// Unchanged is one repository, team/app, that is read by REST again and again.
type Unchanged struct {
	t    *testing.T
	api  *githosttest.API
	host githost.Host
	want []githost.Wanted
	true map[string]repo.SHA
}

// NewUnchanged returns one of which main is at SHA1. The other branches are pushed.
func NewUnchanged(t *testing.T, api *githosttest.API, open githost.Open, branches ...string) *Unchanged {
	t.Helper()
	origin := Serve(t, api)
	return &Unchanged{t, api, Open(t, open, origin, "", Token), []githost.Wanted{Wanted(t, origin, "team/app", branches...)},
		map[string]repo.SHA{"main": SHA1}}
}

// Push pushes to a branch.
func (u *Unchanged) Push(branch, sha string) {
	u.api.Push("team/app", branch, sha)
	u.true[branch] = repo.SHA(sha)
}

// Delete deletes a branch.
func (u *Unchanged) Delete(branch string) {
	u.api.Delete("team/app", branch)
	delete(u.true, branch)
}

// Read fails the test unless the heads are read, from answers with these statuses, in which a 304 has no body.
func (u *Unchanged) Read(statuses ...int) {
	u.t.Helper()
	o := u.host.Heads(u.t.Context(), u.want)[0]
	if diff := cmp.Diff(repo.Observation{Heads: u.true}, o); diff != "" {
		u.t.Errorf("heads (-want +got):\n%s", diff)
	}
	var got []int
	for _, r := range ByREST(u.api) {
		got = append(got, r.Status)
		if (r.Status == http.StatusNotModified) != (r.Bytes == 0) {
			u.t.Errorf("%s: status %d with %d bytes", r.URL, r.Status, r.Bytes)
		}
	}
	if !slices.Equal(got, statuses) {
		u.t.Errorf("the host answered %v, want %v", got, statuses)
	}
}
