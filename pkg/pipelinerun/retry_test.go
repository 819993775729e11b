package pipelinerun

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/repo"
)

// troubled serves what is behind it after so many answers of another kind.
func troubled(t *testing.T, behind string, answers int64, trouble http.HandlerFunc) string {
	t.Helper()
	to, err := url.Parse(behind)
	if err != nil {
		t.Fatal(err)
	}
	asked := new(atomic.Int64)
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: to.Scheme, Host: to.Host})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) <= answers {
			trouble(w, r)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL + to.Path
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", code) }
}

func hangUp(w http.ResponseWriter, _ *http.Request) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		_ = conn.Close()
	}
}

// cloneAtOnce runs the clone step without its pauses.
func cloneAtOnce(t *testing.T, sh []string, repository, branch string, sha repo.SHA) result {
	t.Helper()
	m := testMember("rag")
	m.Repository.Deploy.URL, m.Repository.Deploy.Branch, m.QASHA = repository, branch, sha
	step, _ := stepsOf(t, m)
	if step.Script = strings.Replace(step.Script, `sleep $pause`, ":", 1); strings.Contains(step.Script, "sleep") {
		t.Fatal("the script pauses elsewhere too")
	}
	return run(t, process(t, sh, step, t.TempDir()))
}

func TestCloneTriesAgain(t *testing.T) {
	behind, qa := qaServer(t, "")
	sha := commit(t, qa, "text")
	pauses := []string{"2", "4", "8", "16", "30"}
	tests := []struct {
		name    string
		answers int64
		trouble http.HandlerFunc
		url     string // in place of the troubled server
		tries   int    // again
		code    int
		said    string
	}{
		{name: "healthy"},
		{name: "503, then well", answers: 2, trouble: status(503), tries: 2, said: "error: 503"},
		{name: "429, then well", answers: 1, trouble: status(429), tries: 1, said: "error: 429"},
		{name: "cut off, then well", answers: 1, trouble: hangUp, tries: 1, said: "Empty reply"},
		{name: "502 all the time", answers: 1e6, trouble: status(502), tries: 5, code: 128, said: "error: 502"},
		{name: "nobody listens", url: "http://127.0.0.1:1/qa.git", tries: 5, code: 128, said: "onnect to"},
		{name: "no such host", url: "http://no-such-host.invalid/qa.git", tries: 5, code: 128, said: "resolve host"},
		{name: "401", answers: 1e6, trouble: status(401), code: 128, said: "could not read Username"},
		{name: "403", answers: 1e6, trouble: status(403), code: 128, said: "error: 403"},
		{name: "404", answers: 1e6, trouble: status(404), code: 128, said: "not found"},
	}
	for i, sh := range shells(t) {
		for _, tt := range tests {
			repository := troubled(t, behind, tt.answers, tt.trouble)
			if tt.url != "" {
				if i > 0 {
					continue // git is the same for every shell
				}
				repository = tt.url
			}
			got := cloneAtOnce(t, sh, repository, "main", sha)
			var lines []string
			for line := range strings.Lines(got.stdout) {
				if strings.HasPrefix(line, "trying again") {
					lines = append(lines, line)
				}
			}
			if got.code != tt.code || len(lines) != tt.tries || !strings.Contains(got.stdout+got.stderr, tt.said) {
				t.Errorf("%v, %s: %+v, want %d more tries, code %d, and %q", sh, tt.name, got, tt.tries, tt.code, tt.said)
				continue
			}
			for n, line := range lines {
				if !strings.HasPrefix(line, "trying again in "+pauses[n]+" s: ") || !strings.Contains(line, tt.said) {
					t.Errorf("%v, %s: try %d says %q, want the pause of %s s and %q", sh, tt.name, n, line, pauses[n], tt.said)
				}
			}
			if tt.code != 0 && strings.Count(got.stderr, "fatal:") != 1 {
				t.Errorf("%v, %s: in the end it says %q, want git's words once", sh, tt.name, got.stderr)
			}
		}
	}
}

// What git says of a branch that is not there is no reason to wait.
func TestCloneOfABranchThatIsNotThere(t *testing.T) {
	behind, qa := qaServer(t, "")
	commit(t, qa, "text")
	for _, sh := range shells(t) {
		got := cloneAtOnce(t, sh, behind, "nope", repo.SHA(strings.Repeat("ab", 20)))
		if got.code != 128 || strings.Contains(got.stdout, "trying again") || !strings.Contains(got.stderr, "couldn't find remote ref refs/heads/nope") {
			t.Errorf("%v: %+v, want a failure at once", sh, got)
		}
	}
}
