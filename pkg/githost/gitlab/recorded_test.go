package gitlab_test

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/conformance/recorded"
	"github.com/tekton-sentry/sentry/pkg/githost/conformance/testhost"
	"github.com/tekton-sentry/sentry/pkg/githost/gitlab"
	"github.com/tekton-sentry/sentry/pkg/githost/gitlab/gitlabtest"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

// GitLab is read as it really answered, and the server in memory answers in that shape.
func TestRecorded(t *testing.T) {
	var answer any
	recorded.Read(t, "testdata/list_branches.json", &answer)
	real := recorded.Answer{Status: http.StatusOK, Response: answer}
	origin := testhost.Serve(t, testhost.WithoutGraphQL(recorded.Replay(
		map[string]recorded.Answer{"/api/v4/projects/my-group/my-project/repository/branches": real}, "https://api.github.com")))
	const sha = "7b5c3cc8be40ee161ae89a06bba6229da1032a0c"
	for _, want := range []map[string]repo.SHA{{"master": sha}, {"master": sha, "develop": sha}} {
		branches := map[int][]string{1: {"master"}, 2: {"dev.*", "master"}}[len(want)]
		o := testhost.Open(t, gitlab.Open, origin, "", testhost.Token).Heads(t.Context(),
			[]githost.Wanted{testhost.Wanted(t, origin, "my-group/my-project", branches...)})[0]
		if diff := cmp.Diff(repo.Observation{Heads: want}, o); diff != "" {
			t.Errorf("%v (-want +got):\n%s", branches, diff)
		}
	}
	recorded.CheckShape(t, gitlabtest.New().API, "/api/v4/projects/octo%2Fapp/repository/branches", real)
}
