package poller_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

// recorded is an answer that a real host gave. Where they come from is in the README.md beside each.
type recorded struct {
	Path       string            `json:"path"`
	Status     int               `json:"status"`
	Response   any               `json:"response"`
	Headers    map[string]string `json:"headers"`
	Credential string            `json:"credential"`
}

func readRecorded(t *testing.T, file string, into any) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

// replay answers a path with what was recorded for it.
func replay(answers map[string]recorded, origin string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r, ok := answers[req.URL.Path]
		if !ok {
			http.Error(w, "nothing recorded for "+req.URL.Path, http.StatusTeapot)
			return
		}
		for k, v := range r.Headers {
			w.Header().Set(k, strings.ReplaceAll(v, origin, "http://"+req.Host))
		}
		w.WriteHeader(r.Status)
		if text, ok := r.Response.(string); ok {
			_, _ = w.Write([]byte(text))
			return
		}
		_ = json.NewEncoder(w).Encode(r.Response)
	})
}

func readHeads(t *testing.T, kind config.HostType, handler http.Handler, path string, branches ...string) repo.Observation {
	t.Helper()
	origin := serveAPI(t, restOnly(handler))
	return openAPI(t, hostOf(kind).open, origin, "", goodToken).Heads(t.Context(),
		[]githost.Wanted{{URL: origin + path, Patterns: apiPatterns(t, branches...)}})[0]
}

// The hosts read what real servers answered.
func TestAPIHostsReadRecorded(t *testing.T) {
	var gitHub []recorded
	var gitLab any
	readRecorded(t, "../github/testdata/recorded.json", &gitHub)
	readRecorded(t, "../gitlab/testdata/list_branches.json", &gitLab)

	const git = "/api/v3/repos/octokit-fixture-org/"
	moved := gitHub[2]
	moved.Headers["location"] += "/git/matching-refs/heads/main"
	gitHubAnswers := map[string]recorded{
		git + "git-refs/git/matching-refs/heads/":              gitHub[1],
		git + "git-refs/git/matching-refs/heads/main":          gitHub[0],
		git + "rename-repository/git/matching-refs/heads/main": moved,
		"/repositories/1000/git/matching-refs/heads/main":      gitHub[0],
		git + "none/git/matching-refs/heads/main":              gitHub[3],
		git + "errors/git/matching-refs/heads/main":            gitHub[4],
	}
	gitLabAnswers := map[string]recorded{"/api/v4/projects/my-group/my-project/repository/branches": {Status: 200, Response: gitLab}}
	one, two := repo.SHA(fmt.Sprintf("%040d", 1)), repo.SHA("7b5c3cc8be40ee161ae89a06bba6229da1032a0c")

	for _, c := range []struct {
		kind     config.HostType
		answers  map[string]recorded
		path     string
		branches []string
		want     map[string]repo.SHA
		wantErr  githost.Kind
	}{
		{config.GitHub, gitHubAnswers, "/octokit-fixture-org/git-refs", []string{"main"}, map[string]repo.SHA{"main": one}, ""},
		{config.GitHub, gitHubAnswers, "/octokit-fixture-org/git-refs.git", []string{".*"}, map[string]repo.SHA{"main": one, "test": one}, ""},
		{config.GitHub, gitHubAnswers, "/octokit-fixture-org/rename-repository", []string{"main"}, map[string]repo.SHA{"main": one}, ""},
		{config.GitHub, gitHubAnswers, "/octokit-fixture-org/none", []string{"main"}, nil, githost.NotFound},
		{config.GitHub, gitHubAnswers, "/octokit-fixture-org/errors", []string{"main"}, nil, githost.Invalid},
		{config.GitLab, gitLabAnswers, "/my-group/my-project", []string{"master"}, map[string]repo.SHA{"master": two}, ""},
		{config.GitLab, gitLabAnswers, "/my-group/my-project", []string{"dev.*", "master"}, map[string]repo.SHA{"master": two, "develop": two}, ""},
	} {
		o := readHeads(t, c.kind, replay(c.answers, "https://api.github.com"), c.path, c.branches...)
		if c.wantErr != "" {
			if e := apiError(t, o); e.Kind != c.wantErr {
				t.Errorf("%s %s %v: %v, want kind %q", c.kind, c.path, c.branches, e, c.wantErr)
			}
		} else if diff := cmp.Diff(repo.Observation{Heads: c.want}, o); diff != "" {
			t.Errorf("%s %s %v (-want +got):\n%s", c.kind, c.path, c.branches, diff)
		}
	}
}

// A list in pages, with the Link headers that GitHub sends for its other lists, is read to its end.
func TestGitHubFollowsRecordedLinks(t *testing.T) {
	var answers []recorded
	readRecorded(t, "../github/testdata/recorded.json", &answers)
	pages := make(map[string]recorded)
	for i, r := range answers[5:] {
		sha := fmt.Sprintf("%040x", i+1)
		r.Response = []any{map[string]any{"ref": fmt.Sprintf("refs/heads/b%d", i+1), "object": map[string]any{"sha": sha}}}
		pages[fmt.Sprint(i+1)] = r
	}
	asked := 0
	o := readHeads(t, config.GitHub, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		asked++
		page := req.URL.Query().Get("page")
		if page == "" {
			page = "1"
		}
		replay(map[string]recorded{req.URL.Path: pages[page]}, "https://api.github.com").ServeHTTP(w, req)
	}), "/o/r", "b.*")
	want := map[string]repo.SHA{}
	for i := range 5 {
		want[fmt.Sprintf("b%d", i+1)] = repo.SHA(fmt.Sprintf("%040x", i+1))
	}
	if diff := cmp.Diff(repo.Observation{Heads: want}, o); diff != "" || asked != 5 {
		t.Errorf("five pages in %d requests (-want +got):\n%s", asked, diff)
	}
}

// shapeMissing returns what a real answer has and ours has not, or has of another JSON type. Of lists the
// first elements are compared.
func shapeMissing(at string, real, ours any) []string {
	switch r := real.(type) {
	case map[string]any:
		o, ok := ours.(map[string]any)
		if !ok {
			return []string{fmt.Sprintf("%s is %T, want an object", at, ours)}
		}
		var missing []string
		for k, v := range r {
			if _, ok := o[k]; !ok {
				missing = append(missing, at+"."+k+" is missing")
				continue
			}
			missing = append(missing, shapeMissing(at+"."+k, v, o[k])...)
		}
		return missing
	case []any:
		o, ok := ours.([]any)
		if !ok || len(r) > 0 && len(o) == 0 && !strings.HasSuffix(at, "parent_ids") {
			return []string{fmt.Sprintf("%s is %T of %d, want a list of more", at, ours, len(o))}
		}
		if len(r) > 0 && len(o) > 0 {
			return shapeMissing(at+"[]", r[0], o[0])
		}
	default:
		if fmt.Sprintf("%T", real) != fmt.Sprintf("%T", ours) {
			return []string{fmt.Sprintf("%s is %T, want %T", at, ours, real)}
		}
	}
	return nil
}

// The in-memory hosts answer in the shape of the real ones: status, every key and type, and the headers.
func TestAPIServersMatchRecorded(t *testing.T) {
	var gitHub []recorded
	var gitLab any
	readRecorded(t, "../github/testdata/recorded.json", &gitHub)
	readRecorded(t, "../gitlab/testdata/list_branches.json", &gitLab)
	gitHub[3].Headers["x-ratelimit-used"] = "1"
	type comparison struct {
		kind  config.HostType
		path  string
		token string
		real  recorded
	}
	cases := []comparison{
		{config.GitHub, "/repos/octo/app/git/matching-refs/heads/", goodToken, gitHub[1]},
		{config.GitHub, "/repos/octo/old/git/matching-refs/heads/", goodToken, gitHub[2]},
		{config.GitHub, "/repos/octo/none/git/matching-refs/heads/", goodToken, gitHub[3]},
		{config.GitLab, "/api/v4/projects/octo%2Fapp/repository/branches", goodToken, recorded{Status: 200, Response: gitLab}},
	}
	for _, c := range cases {
		api := githosttest.NewAPI(c.kind)
		api.SetToken(goodToken)
		for _, path := range []string{"octo/app", "octo/old", "octo/priv", "octo/denied"} {
			for _, branch := range []string{"a'b", "dev-x", "main"} {
				api.Push(path, branch, shaA)
			}
		}
		api.Create("octo/empty")
		api.SetPrivate("octo/priv")
		api.SetDenied("octo/denied")
		api.Rename("octo/old", "octo/renamed")
		req := httptest.NewRequest(http.MethodGet, c.path, nil)
		if c.token != "" {
			req.Header.Set("Authorization", "token "+c.token)
		}
		w := httptest.NewRecorder()
		api.ServeHTTP(w, req)

		if w.Code != c.real.Status {
			t.Errorf("%s %s: status %d, the real host answered %d", c.kind, c.path, w.Code, c.real.Status)
			continue
		}
		for name := range c.real.Headers {
			switch name {
			case "x-oauth-scopes", "x-accepted-oauth-scopes", "x-poll-interval", "last-modified":
				continue // of the token and of other endpoints
			case "content-type":
				if got, want := w.Header().Get(name), c.real.Headers[name]; got != want {
					t.Errorf("%s %s: %s %q, the real host sent %q", c.kind, c.path, name, got, want)
				}
			}
			if w.Header().Get(name) == "" {
				t.Errorf("%s %s: no header %s, which the real host sent", c.kind, c.path, name)
			}
		}
		var ours any
		if err := json.Unmarshal(w.Body.Bytes(), &ours); err != nil {
			ours = w.Body.String()
		}
		for _, missing := range shapeMissing("", c.real.Response, ours) {
			t.Errorf("%s %s: %s, by what the real host answered", c.kind, c.path, missing)
		}
	}
}
