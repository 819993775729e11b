package gitlab_test

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/conformance"
	"github.com/tekton-sentry/sentry/pkg/githost/gitlab"
	"github.com/tekton-sentry/sentry/pkg/githost/gitlab/gitlabtest"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

// GitLab is read as it really answered, and the server in memory answers in that shape.
func TestRecorded(t *testing.T) {
	var recorded any
	conformance.ReadRecorded(t, "testdata/list_branches.json", &recorded)
	real := conformance.Recorded{Status: http.StatusOK, Response: recorded}
	origin := conformance.Serve(t, conformance.WithoutGraphQL(conformance.Replay(
		map[string]conformance.Recorded{"/api/v4/projects/my-group/my-project/repository/branches": real}, "https://api.github.com")))
	const sha = "7b5c3cc8be40ee161ae89a06bba6229da1032a0c"
	for _, want := range []map[string]repo.SHA{{"master": sha}, {"master": sha, "develop": sha}} {
		branches := map[int][]string{1: {"master"}, 2: {"dev.*", "master"}}[len(want)]
		o := conformance.Open(t, gitlab.Open, origin, "", conformance.Token).Heads(t.Context(),
			[]githost.Wanted{conformance.Wanted(t, origin, "my-group/my-project", branches...)})[0]
		if diff := cmp.Diff(repo.Observation{Heads: want}, o); diff != "" {
			t.Errorf("%v (-want +got):\n%s", branches, diff)
		}
	}
	conformance.CheckShape(t, gitlabtest.New().API, "/api/v4/projects/octo%2Fapp/repository/branches", real)
}
