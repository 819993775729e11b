package github_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/conformance/recorded"
	"github.com/tekton-sentry/sentry/pkg/githost/conformance/testhost"
	"github.com/tekton-sentry/sentry/pkg/githost/github"
	"github.com/tekton-sentry/sentry/pkg/githost/github/githubtest"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/repo/repotest"
)

// heads reads a repository of a server.
func heads(t *testing.T, handler http.Handler, path string, branches ...string) repo.Observation {
	t.Helper()
	origin := testhost.Serve(t, testhost.WithoutGraphQL(handler))
	return testhost.Open(t, github.Open, origin, "", testhost.Token).Heads(t.Context(),
		[]githost.Wanted{{URL: origin + path, Patterns: repotest.Patterns(t, branches...)}})[0]
}

// GitHub is read as it really answered.
func TestReadsRecorded(t *testing.T) {
	var answers []recorded.Answer
	recorded.Read(t, "testdata/recorded.json", &answers)
	const git = "/api/v3/repos/octokit-fixture-org/"
	moved := answers[2]
	moved.Headers["location"] += "/git/matching-refs/heads/main"
	server := recorded.Replay(map[string]recorded.Answer{
		git + "git-refs/git/matching-refs/heads/":              answers[1],
		git + "git-refs/git/matching-refs/heads/main":          answers[0],
		git + "rename-repository/git/matching-refs/heads/main": moved,
		"/repositories/1000/git/matching-refs/heads/main":      answers[0],
		git + "none/git/matching-refs/heads/main":              answers[3],
		git + "errors/git/matching-refs/heads/main":            answers[4],
	}, "https://api.github.com")
	one := repo.SHA(fmt.Sprintf("%040d", 1))
	for _, c := range []struct {
		path, branch string
		want         map[string]repo.SHA
		wantErr      githost.Kind
	}{
		{"/octokit-fixture-org/git-refs", "main", map[string]repo.SHA{"main": one}, ""},
		{"/octokit-fixture-org/git-refs.git", ".*", map[string]repo.SHA{"main": one, "test": one}, ""},
		{"/octokit-fixture-org/rename-repository", "main", map[string]repo.SHA{"main": one}, ""},
		{"/octokit-fixture-org/none", "main", nil, githost.NotFound},
		{"/octokit-fixture-org/errors", "main", nil, githost.Invalid},
	} {
		o := heads(t, server, c.path, c.branch)
		if c.wantErr != "" {
			if e := testhost.ErrorOf(t, o); e.Kind != c.wantErr {
				t.Errorf("%s %s: %v, want kind %q", c.path, c.branch, e, c.wantErr)
			}
		} else if diff := cmp.Diff(repo.Observation{Heads: c.want}, o); diff != "" {
			t.Errorf("%s %s (-want +got):\n%s", c.path, c.branch, diff)
		}
	}
}

// A list in pages, with the Link headers that GitHub sends for its other lists, is read to its end.
func TestFollowsRecordedLinks(t *testing.T) {
	var answers []recorded.Answer
	recorded.Read(t, "testdata/recorded.json", &answers)
	pages := make(map[string]recorded.Answer)
	for i, r := range answers[5:] {
		sha := fmt.Sprintf("%040x", i+1)
		r.Response = []any{map[string]any{"ref": fmt.Sprintf("refs/heads/b%d", i+1), "object": map[string]any{"sha": sha}}}
		pages[fmt.Sprint(i+1)] = r
	}
	asked := 0
	o := heads(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		asked++
		page := req.URL.Query().Get("page")
		if page == "" {
			page = "1"
		}
		recorded.Replay(map[string]recorded.Answer{req.URL.Path: pages[page]}, "https://api.github.com").ServeHTTP(w, req)
	}), "/o/r", "b.*")
	want := map[string]repo.SHA{}
	for i := range 5 {
		want[fmt.Sprintf("b%d", i+1)] = repo.SHA(fmt.Sprintf("%040x", i+1))
	}
	if diff := cmp.Diff(repo.Observation{Heads: want}, o); diff != "" || asked != 5 {
		t.Errorf("five pages in %d requests (-want +got):\n%s", asked, diff)
	}
}

// The server in memory answers in the shape of the real one.
func TestServerMatchesRecorded(t *testing.T) {
	var answers []recorded.Answer
	recorded.Read(t, "testdata/recorded.json", &answers)
	answers[3].Headers["x-ratelimit-used"] = "1"
	for path, real := range map[string]recorded.Answer{
		"/repos/octo/app/git/matching-refs/heads/":  answers[1],
		"/repos/octo/old/git/matching-refs/heads/":  answers[2],
		"/repos/octo/none/git/matching-refs/heads/": answers[3],
	} {
		recorded.CheckShape(t, githubtest.New(), path, real)
	}
}
