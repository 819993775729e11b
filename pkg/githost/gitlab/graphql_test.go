package gitlab_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/conformance/testhost"
	"github.com/tekton-sentry/sentry/pkg/githost/gitlab"
	"github.com/tekton-sentry/sentry/pkg/repo/repotest"
)

// A commit that GitLab could not look up, with an error or with none, does not look like a branch that was deleted;
// and a branch that was deleted is asked about once more, and then does.
func TestHalfAnAnswer(t *testing.T) {
	for name, problems := range map[string]string{
		"no error":             ``,
		"an error of a commit": `[{"message":"timeout","path":["p0","nodes",3,"repository","b1"]}]`,
		"of a project":         `[{"message":"timeout","path":["p0","nodes",3]}]`,
		"of all":               `[{"message":"timeout","path":["p0","nodes"]}]`,
	} {
		t.Run(name, func(t *testing.T) {
			api, _, want := newGraphQL(t, 20, "main", "dev", "prod")
			half := false
			origin := testhost.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
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
			h := testhost.Open(t, gitlab.Open, origin, "", testhost.Token)
			if half = problems != ""; !half {
				testhost.CheckBatch(t, h.Heads(t.Context(), want), "main", "dev", "prod")
				half = true
			}
			for range 3 {
				testhost.CheckBatch(t, h.Heads(t.Context(), want), "main", "dev", "prod")
			}
			half = false
			testhost.CheckBatch(t, h.Heads(t.Context(), want), "main", "dev", "prod")
			api.Delete("o/r5", "dev")
			for _, rest := range []int{1, 0, 0} {
				testhost.ByREST(api.API)
				o := h.Heads(t.Context(), want)[5]
				if n := len(testhost.ByREST(api.API)); len(o.Heads) != 2 || o.Heads["dev"] != "" || n != rest {
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

// GitLab's GraphQL says that there are no branches when the repositories are out of reach. REST is asked,
// as it is for what was renamed; and on servers without what we need of GraphQL.
func TestLeavesOpen(t *testing.T) {
	api, origin, want := newGraphQL(t, 20, "main", "dev")
	h := testhost.Open(t, gitlab.Open, origin, "", testhost.Token)
	for _, c := range []struct {
		name    string
		arrange func()
		rest    int
	}{
		{"all is well", func() {}, 0},
		{"the repositories are out of reach", func() { api.SetGitalyDown(true) }, 20},
		{"they are back", func() { api.SetGitalyDown(false) }, 0},
		{"one was renamed", func() { api.Rename("o/r7", "o/other") }, 2}, // a redirect
	} {
		c.arrange()
		testhost.CheckBatch(t, h.Heads(t.Context(), want), "main", "dev")
		if n := len(testhost.ByREST(api.API)); n != c.rest {
			t.Errorf("%s: %d requests by REST, want %d", c.name, n, c.rest)
		}
	}
	for _, body := range []string{
		`{"data":{"repository":{"fields":[{"name":"tree","args":[]}]},"query":{"fields":[{"name":"projects","args":[{"name":"fullPaths"}]}]}}}`,
		`{"data":{"repository":{"fields":[{"name":"commit","args":[{"name":"ref"}]}]},"query":{"fields":[{"name":"projects","args":[{"name":"ids"}]}]}}}`,
	} {
		asked := 0
		old := testhost.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if req.Method == http.MethodPost {
				asked++
				_, _ = io.WriteString(w, body)
				return
			}
			api.ServeHTTP(w, req)
		}))
		h := testhost.Open(t, gitlab.Open, old, "", testhost.Token)
		for range 2 {
			o := h.Heads(t.Context(), []githost.Wanted{{URL: old + "/o/r3", Patterns: repotest.Patterns(t, "main")}})[0]
			if o.Err != nil || asked != 1 {
				t.Errorf("an older server: %v after %d introspections, want heads after one", o, asked)
			}
		}
	}
}

// Projects with branches of their own fill queries up to what GitLab allows.
func TestComplexity(t *testing.T) {
	api, origin, want := newGraphQL(t, 200, "main")
	for i := range want {
		b := fmt.Sprintf("own%d", i)
		api.Push(fmt.Sprintf("o/r%d", i), b, testhost.SHA2)
		want[i].Patterns = repotest.Patterns(t, "main", b)
	}
	for i, o := range testhost.Open(t, gitlab.Open, origin, "", testhost.Token).Heads(t.Context(), want) {
		if len(o.Heads) != 2 {
			t.Errorf("repository %d: %v, want two heads", i, o)
		}
	}
	if n := len(api.Requests()); n > 20 {
		t.Errorf("%d requests for 200 projects with branches of their own, want at most 20", n)
	}
}
