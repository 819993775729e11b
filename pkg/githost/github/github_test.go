package github_test

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/conformance/testhost"
	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
	"github.com/tekton-sentry/sentry/pkg/githost/github"
	"github.com/tekton-sentry/sentry/pkg/githost/github/githubtest"
)

// opens is for a Reader of this host.
var opens = githost.Drivers{github.Driver}

func filled(n int) *githosttest.API { return testhost.Filled(githubtest.New(), n) }

// newServer returns a server with one repository, team/app, and without GraphQL.
func newServer() *githosttest.API {
	api := githubtest.New()
	api.SetToken(testhost.Token)
	api.SetGraphQL(false)
	api.Push("team/app", "main", testhost.SHA1)
	return api
}

// newGraphQL returns a server with n repositories of three branches, and what is wanted of them.
func newGraphQL(t *testing.T, n int, branches ...string) (*githosttest.API, string, []githost.Wanted) {
	t.Helper()
	api := githubtest.New()
	origin := testhost.Serve(t, api)
	return api, origin, testhost.Batch(t, api, origin, n, branches...)
}

// An idle cycle costs a 304 a page, and what changed is seen all the same.
func TestUnchanged(t *testing.T) {
	api := newServer()
	u := testhost.NewUnchanged(t, api, github.Open, "main", "z.*")
	u.Read(200, 200)
	u.Read(304, 304)
	u.Push("main", testhost.SHA2) // also a force push
	u.Read(200, 304)
	for i := range 99 {
		u.Push(fmt.Sprintf("z%03d", i), testhost.SHA2)
	}
	u.Read(304, 200)
}

// The API of a host may seem to live below a path.
func TestAPIBelowAPath(t *testing.T) {
	api := newServer()
	origin := testhost.Serve(t, http.StripPrefix("/scm", api))
	o := testhost.Open(t, github.Open, origin, origin+"/scm/api/v3", "").Heads(t.Context(),
		[]githost.Wanted{testhost.Wanted(t, origin, "team/app", "main")})[0]
	if o.Heads["main"] != testhost.SHA1 {
		t.Errorf("%v, want main at %s", o, testhost.SHA1)
	}
}

// What an idle cycle of 1,000 repositories with three branches costs, exactly.
func TestCost(t *testing.T) {
	for _, branches := range [][]string{{"main", "dev", "prod"}, {"main", "dev|prod"}} {
		t.Run(fmt.Sprint(branches), func(t *testing.T) {
			t.Parallel()
			api, origin, want := newGraphQL(t, 1000, branches...)
			h := testhost.Open(t, github.Open, origin, "", testhost.Token)
			testhost.CheckBatch(t, h.Heads(t.Context(), want), "main", "dev", "prod") // learns the size of a batch
			before := api.Points()
			api.Requests()
			testhost.CheckBatch(t, h.Heads(t.Context(), want), "main", "dev", "prod")
			if n, p := len(api.Requests()), api.Points()-before; n != 10 || p != 10 {
				t.Errorf("an idle cycle took %d requests and %d points, want 10 and 10", n, p)
			}
		})
	}
}

// One repository that GitHub cannot answer at all costs only itself.
func TestOneThatIsTooMuch(t *testing.T) {
	api := githubtest.New()
	var asked atomic.Int64
	origin := testhost.Serve(t, testhost.TooMuch(api, http.StatusBadGateway, &asked, 1000, `"r37"`))
	want := testhost.Batch(t, api, origin, 60, "main")
	for i, o := range testhost.Open(t, github.Open, origin, "", testhost.Token).Heads(t.Context(), want) {
		if i == 37 {
			if e := testhost.ErrorOf(t, o); e.Kind != githost.Temporary || e.Status != http.StatusBadGateway {
				t.Errorf("the repository that is too much: %v, want a temporary error of the 502", e)
			}
		} else if o.Err != nil {
			t.Errorf("repository %d: %v, want heads", i, o.Err)
		}
	}
}
