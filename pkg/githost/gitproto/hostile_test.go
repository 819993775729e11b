package gitproto_test

import (
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
	"github.com/tekton-sentry/sentry/pkg/githost/hosts"
	"github.com/tekton-sentry/sentry/pkg/githost/poller"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/repo/repotest"
	"github.com/tekton-sentry/sentry/pkg/secret"
)

// gitRepository makes a bare repository with the branch main and returns main's commit.
func gitRepository(t *testing.T, dir string) repo.SHA {
	t.Helper()
	run := func(args ...string) string {
		cmd := exec.Command("git", args...)
		cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL="+os.DevNull,
			"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %q: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	run("init", "-q", "--bare", "-b", "main", dir)
	sha := run("--git-dir", dir, "commit-tree", "-m", "one", run("--git-dir", dir, "hash-object", "-t", "tree", "-w", os.DevNull))
	run("--git-dir", dir, "update-ref", "refs/heads/main", sha)
	return repo.SHA(sha)
}

// TestHostileServers puts each fault before one repository of a server, and before all of another one:
// those get an error of the right kind, and all others their heads.
func TestHostileServers(t *testing.T) {
	root := t.TempDir()
	sha := gitRepository(t, filepath.Join(root, "app.git"))
	healthy := githosttest.BasicAuth("git", "s3cret", githosttest.GitHandler(root))
	var astray atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { astray.Add(1) }))
	defer other.Close()
	const long = 5 * time.Minute // for what must not depend on how fast this machine is
	for _, test := range []struct {
		fault   githosttest.FaultKind
		kind    githost.Kind
		text    string
		timeout time.Duration
	}{
		{githosttest.ShortBody, githost.Temporary, "cut short", long},
		{githosttest.Truncated, githost.Temporary, "cut short", long},
		{githosttest.Garbage, githost.Invalid, "not the Git protocol", long},
		{githosttest.WrongJSON, githost.Invalid, "is repo_url the URL of a repository?", long},
		{githosttest.EndlessBody, githost.Invalid, "more than 1,000,000 refs", long},
		{githosttest.GzipBomb, githost.Invalid, "more than 1,000,000 refs", long},
		{githosttest.Hang, githost.Temporary, "no answer within ", 4 * time.Second},
		{githosttest.TooManyRequests, githost.RateLimited, "HTTP 429", long},
		{githosttest.Unauthorized, githost.Denied, "HTTP 401", long},
		{githosttest.ServerError, githost.Temporary, "HTTP 500", long},
		{githosttest.RedirectTo(other.URL), githost.Invalid, "redirects to " + strings.TrimPrefix(other.URL, "http://"), long},
	} {
		t.Run(string(test.fault), func(t *testing.T) {
			broken := githosttest.Fault(test.fault, healthy)
			allBad := httptest.NewServer(broken)
			defer allBad.Close()
			oneBad := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				if rest, ok := strings.CutPrefix(req.URL.Path, "/bad"); ok {
					req.URL.Path = rest
					broken.ServeHTTP(w, req)
					return
				}
				healthy.ServeHTTP(w, req)
			}))
			defer oneBad.Close()
			reader := &poller.Reader{Hosts: hosts.All, Timeout: test.timeout}
			defer reader.Close()

			var want []config.Monitor
			for _, url := range []string{allBad.URL + "/app.git", oneBad.URL + "/bad/app.git", oneBad.URL + "/app.git"} {
				want = append(want, config.Monitor{
					Source:   config.Source{URL: url, Type: config.Git, Auth: config.Auth{Token: secret.New("${T}", "s3cret")}},
					Branches: repotest.Patterns(t, "main"),
				})
			}
			got := reader.Heads(t.Context(), want)
			for i, o := range got[:2] {
				e, ok := errors.AsType[*githost.Error](o.Err)
				if !ok || e.Kind != test.kind || !strings.Contains(e.Error(), test.text) || !strings.HasPrefix(want[i].URL, "http://"+e.Host+"/") {
					t.Errorf("%s: got %v, want %s with %q", want[i].URL, o.Err, test.kind, test.text)
					continue
				}
				for _, secret := range []string{"s3cret", base64.StdEncoding.EncodeToString([]byte("git:s3cret"))} {
					if strings.Contains(e.Error(), secret) {
						t.Errorf("%s: the credential is in the error %v", want[i].URL, e)
					}
				}
			}
			if test.kind == githost.RateLimited {
				return // a limit is the whole host's
			}
			if got[2].Err != nil || got[2].Heads["main"] != sha {
				t.Errorf("the repository beside it: got %v, want main at %s", got[2], sha)
			}
		})
	}
	if n := astray.Load(); n > 0 {
		t.Errorf("the host that was redirected to got %d requests, want none", n)
	}
}
