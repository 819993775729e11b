package poller_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/github"
	"github.com/tekton-sentry/sentry/pkg/githost/gitlab"
)

// A commit that GitLab could not look up, with an error or with none, does not look like a branch that was deleted;
// and a branch that was deleted is asked about once more, and then does.
func TestGitLabHalfAnAnswer(t *testing.T) {
	for name, problems := range map[string]string{
		"no error":             ``,
		"an error of a commit": `[{"message":"timeout","path":["p0","nodes",3,"repository","b1"]}]`,
		"of a project":         `[{"message":"timeout","path":["p0","nodes",3]}]`,
		"of all":               `[{"message":"timeout","path":["p0","nodes"]}]`,
	} {
		t.Run(name, func(t *testing.T) {
			api, _, want := newGraphQL(t, config.GitLab, 20, "main", "dev", "prod")
			half := false
			origin := serveAPI(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				rec := httptest.NewRecorder()
				api.ServeHTTP(rec, req)
				text := rec.Body.Bytes()
				if half && req.Method == http.MethodPost {
					text = halveGitLab(t, text, problems)
				}
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(rec.Code)
				_, _ = w.Write(text)
			}))
			for i := range want {
				want[i].URL = fmt.Sprintf("%s/o/r%d", origin, i)
			}
			h := openAPI(t, gitlab.Open, origin, "", goodToken)
			if half = problems != ""; !half {
				checkHeads(t, h.Heads(t.Context(), want), "main", "dev", "prod")
				half = true
			}
			for range 3 {
				checkHeads(t, h.Heads(t.Context(), want), "main", "dev", "prod")
			}
			half = false
			checkHeads(t, h.Heads(t.Context(), want), "main", "dev", "prod")
			api.Delete("o/r5", "dev")
			for _, rest := range []int{1, 0, 0} {
				restRequests(api)
				o := h.Heads(t.Context(), want)[5]
				if n := len(restRequests(api)); len(o.Heads) != 2 || o.Heads["dev"] != "" || n != rest {
					t.Errorf("dev was deleted: got %v by %d requests of REST, want main and prod by %d", o, n, rest)
				}
			}
		})
	}
}

// halveGitLab takes a commit out of an answer, and adds problems about it.
func halveGitLab(t *testing.T, text []byte, problems string) []byte {
	var answer struct {
		Data map[string]struct {
			Nodes []struct {
				FullPath   string         `json:"fullPath"`
				Repository map[string]any `json:"repository"`
			} `json:"nodes"`
		} `json:"data"`
		Errors json.RawMessage `json:"errors,omitempty"`
	}
	if err := json.Unmarshal(text, &answer); err != nil || len(answer.Data["p0"].Nodes) == 0 {
		return text // the introspection
	}
	answer.Data["p0"].Nodes[3].Repository["b1"] = nil
	if problems != "" {
		answer.Errors = json.RawMessage(problems)
	}
	changed, err := json.Marshal(answer)
	if err != nil {
		t.Error(err)
	}
	return changed
}

// GitHub's secondary limit comes with a 403 or a 200, and without a header that tells it from a missing right. GitLab
// has a limit that its GraphQL tells of in words.
func TestLimitsInWords(t *testing.T) {
	const secondary = `You have exceeded a secondary rate limit. Please wait a few minutes before you try again.`
	for _, c := range []struct {
		kind   config.HostType
		status int
		body   string
		rest   bool
	}{
		{config.GitHub, 403, `{"message":"` + secondary + `"}`, true},
		{config.GitHub, 403, `{"message":"You have triggered an abuse detection mechanism."}`, true},
		{config.GitHub, 403, `{"message":"` + secondary + `"}`, false},
		{config.GitHub, 200, `{"errors":[{"message":"` + secondary + `"}]}`, false},
		{config.GitLab, 403, `{"message":"This endpoint has been requested too many times. Try again later."}`, true},
		{config.GitLab, 200, `{"data":{},"errors":[{"message":"This endpoint has been requested too many times. Try again later."}]}`, false},
	} {
		var asked atomic.Int64
		origin := serveAPI(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			body, _ := io.ReadAll(req.Body)
			switch {
			case req.Method == http.MethodPost && c.rest:
				http.NotFound(w, req)
			case strings.Contains(string(body), "__type"):
				_, _ = io.WriteString(w, `{"data":{"repository":{"fields":[{"name":"commit","args":[{"name":"ref"}]}]},"query":{"fields":[{"name":"projects","args":[{"name":"fullPaths"}]}]}}}`)
			default:
				asked.Add(1)
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			}
		}))
		open, token := github.Open, goodToken
		if c.kind == config.GitLab {
			open = gitlab.Open
		} else if c.rest {
			token = ""
		}
		want := make([]githost.Wanted, 60)
		for i := range want {
			want[i] = githost.Wanted{URL: fmt.Sprintf("%s/o/r%d", origin, i), Patterns: apiPatterns(t, "main")}
		}
		for i, o := range openAPI(t, open, origin, "", token).Heads(t.Context(), want) {
			if e := apiError(t, o); e.Kind != githost.RateLimited {
				t.Fatalf("%s, %d %s: repository %d: %v, want %q", c.kind, c.status, c.body, i, e, githost.RateLimited)
			}
		}
		if asked.Load() > 9 {
			t.Errorf("%s, %d %s: %d requests for 60 repositories, want it to be left alone", c.kind, c.status, c.body, asked.Load())
		}
	}
}
