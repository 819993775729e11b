package gitlab_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/conformance/testhost"
	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
	"github.com/tekton-sentry/sentry/pkg/githost/gitlab"
	"github.com/tekton-sentry/sentry/pkg/githost/gitlab/gitlabtest"
)

// newServer returns a server with one repository, team/app, and without GraphQL.
func newServer() *githosttest.API {
	api := gitlabtest.New().API
	api.SetToken(testhost.Token)
	api.SetGraphQL(false)
	api.Push("team/app", "main", testhost.SHA1)
	return api
}

// newGraphQL returns a server with n repositories of three branches, and what is wanted of them.
func newGraphQL(t *testing.T, n int, branches ...string) (*gitlabtest.API, string, []githost.Wanted) {
	t.Helper()
	api := gitlabtest.New()
	origin := testhost.Serve(t, api)
	return api, origin, testhost.Batch(t, api.API, origin, n, branches...)
}

// An idle cycle costs a 304 a page, and what changed is seen all the same.
func TestUnchanged(t *testing.T) {
	api := newServer()
	u := testhost.NewUnchanged(t, api, gitlab.Open, "main", "z.*")
	u.Read(200)
	u.Read(304)
	u.Push("main", testhost.SHA2) // also a force push
	u.Read(200)
	for i := range 99 {
		u.Push(fmt.Sprintf("z%03d", i), testhost.SHA2)
	}
	// The first page is full now, and its ETag says nothing about a page after it.
	u.Read(200)
	u.Read(304, 200)
	u.Push("z1", testhost.SHA1)
	u.Read(304, 200)
	u.Read(304, 304)
	u.Delete("z1")
	u.Read(304, 200)
}

// A host below a path, with a group in a group.
func TestBelowAPath(t *testing.T) {
	for project, apiURL := range map[string]string{"team/backend/app": "/scm", "team/backend/apps/app": "/scm/api/v4/"} {
		api := gitlabtest.New()
		api.Push(project, "main", testhost.SHA1)
		origin := testhost.Serve(t, http.StripPrefix("/scm", api))
		o := testhost.Open(t, gitlab.Open, origin, origin+apiURL, "").Heads(t.Context(),
			[]githost.Wanted{testhost.Wanted(t, origin+"/scm", project+".git", "main")})[0]
		if o.Heads["main"] != testhost.SHA1 {
			t.Errorf("%s with api_url %s: %v, want main at %s", project, apiURL, o, testhost.SHA1)
		}
	}
}

// What an idle cycle of 1,000 repositories with three branches costs, exactly.
func TestCost(t *testing.T) {
	api, origin, want := newGraphQL(t, 1000, "main", "dev", "prod")
	h := testhost.Open(t, gitlab.Open, origin, "", testhost.Token)
	testhost.CheckBatch(t, h.Heads(t.Context(), want), "main", "dev", "prod") // learns the size of a batch
	api.Requests()
	testhost.CheckBatch(t, h.Heads(t.Context(), want), "main", "dev", "prod")
	if n, p := len(api.Requests()), api.Points(); n != 10 || p != 0 {
		t.Errorf("an idle cycle took %d requests and %d points, want 10 and none", n, p)
	}
}
