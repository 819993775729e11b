package hosts_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/conformance/testhost"
	"github.com/tekton-sentry/sentry/pkg/githost/gitproto/gitprototest"
	"github.com/tekton-sentry/sentry/pkg/githost/hosts"
	"github.com/tekton-sentry/sentry/pkg/githost/poller"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/secret"
)

const (
	one, two = "1111111111111111111111111111111111111111", "2222222222222222222222222222222222222222"
	object   = "dddddddddddddddddddddddddddddddddddddddd"
	azure    = "multi_ack thin-pack side-band side-band-64k no-progress ofs-delta symref=HEAD:refs/heads/main agent=git/azure"
)

// as lets a user in with a password alone; "" is any user. Who is not let in gets the answer.
func as(user, password string, refused, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if u, p, ok := req.BasicAuth(); !ok || p != password || user != "" && u != user {
			refused.ServeHTTP(w, req)
			return
		}
		next.ServeHTTP(w, req)
	})
}

// says is an answer to anything.
func says(status int, header, value, body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set(header, value)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
}

// at serves one repository, at one address.
func at(address string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if !strings.HasPrefix("https://"+req.Host+req.URL.EscapedPath(), address+"/") {
			http.NotFound(w, req)
			return
		}
		next.ServeHTTP(w, req)
	})
}

// newer is a server of version 2 that has a repository at owner/name, whatever stands before these.
func newer(branches map[string]string) http.Handler {
	api := gitprototest.New()
	for name, sha := range branches {
		api.Push("o/r", name, sha)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		moved := req.Clone(req.Context())
		moved.Header.Del("Authorization") // which was looked at
		moved.URL.Path = "/o/r/" + req.URL.Path[strings.LastIndex(strings.TrimSuffix(req.URL.Path, "/info/refs"), "/")+1:]
		if strings.HasSuffix(req.URL.Path, "/info/refs") {
			moved.URL.Path = "/o/r/info/refs"
		}
		moved.URL.RawPath = ""
		api.ServeHTTP(w, moved)
	})
}

// TestOddities reads one repository of each kind of host at an address as that host has it, from a server that answers as the host
// is documented to.
func TestOddities(t *testing.T) {
	refs := []string{
		one + " HEAD", one + " refs/heads/main", two + " refs/heads/release/1.0", two + " refs/pull/7/merge",
		object + " refs/tags/v1", one + " refs/tags/v1^{}", two + " refs/tags/v2", "shallow " + two,
	}
	review := []string{
		one + " HEAD", one + " refs/changes/01/1/1", two + " refs/changes/01/1/meta", one + " refs/heads/main", two + " refs/meta/config",
		two + " refs/heads/release/1.0", two + " refs/users/00/1000000", two + " refs/tags/v2", two + " refs/notes/review",
	}
	all := map[string]string{"main": one, "release/1.0": two}
	signIn := says(203, "Content-Type", "text/html; charset=utf-8", "<html>Azure DevOps Services | Sign In</html>")
	unauthorized := says(401, "WWW-Authenticate", `Basic realm="Git"`, "")
	forbidden := says(403, "Content-Type", "text/plain", "")
	v0 := gitprototest.Older{Capabilities: azure, Refs: refs}
	for _, c := range []struct {
		name, url, kind, auth string
		server                http.Handler
		want                  map[string]string // "" is the error
		asked                 []string          // in the second cycle
	}{
		{"Azure DevOps with blanks", "https://dev.azure.com/org/My%20Project/_git/my%20app", "azure", "token: '${T}'",
			at("https://dev.azure.com/org/My%20Project/_git/my%20app", as("", "hush", signIn, v0)), all, []string{"GET"}},
		{"Azure DevOps with the name of the organisation", "https://dev.azure.com/org/app/_git/app", "azure", "username: org, token: '${T}'",
			at("https://dev.azure.com/org/app/_git/app", as("org", "hush", signIn, v0)), all, []string{"GET"}},
		{"Azure DevOps by its older name", "https://org.visualstudio.com/DefaultCollection/p/_git/app", "azure", "token: '${T}'",
			at("https://org.visualstudio.com/DefaultCollection/p/_git/app", as("", "hush", signIn, v0)), all, []string{"GET"}},
		{"Azure DevOps without branches", "https://dev.azure.com/org/p/_git/app", "azure", "token: '${T}'",
			gitprototest.Older{Capabilities: azure}, map[string]string{"": "no branch matches"}, []string{"GET"}},
		{"Azure DevOps with a token that has expired", "https://dev.azure.com/org/p/_git/app", "azure", "token: '${T}'",
			as("", "another", signIn, v0), map[string]string{"": "a page to sign in"}, nil},
		{"Azure DevOps that sends to a page to sign in", "https://dev.azure.com/org/p/_git/app", "azure", "token: '${T}'",
			says(302, "Location", "https://spsprodeus21.vssps.visualstudio.com/_signin?realm=dev.azure.com", ""), map[string]string{"": "redirect"}, nil},
		{"Bitbucket Data Center", "https://git.example/scm/TEAM/app.git", "bitbucket-dc", "token: '${T}'",
			at("https://git.example/scm/TEAM/app.git", as("x-token-auth", "hush", unauthorized, newer(all))), all, []string{"POST"}},
		{"Bitbucket Data Center below a path, of a user", "https://git.example/bitbucket/scm/~ada/app", "bitbucket-dc", "username: ada, token: '${T}'",
			at("https://git.example/bitbucket/scm/~ada/app", as("ada", "hush", unauthorized, newer(all))), all, []string{"POST"}},
		{"Gerrit", "https://review.example/a/plat/form/build", "gerrit", "username: ada, token: '${T}'",
			at("https://review.example/a/plat/form/build", as("ada", "hush", unauthorized, newer(all))), all, []string{"POST"}},
		{"Gerrit of version 0", "https://review.example/a/plat/form/build", "gerrit", "username: ada, token: '${T}'",
			at("https://review.example/a/plat/form/build", as("ada", "hush", unauthorized, gitprototest.Older{Refs: review})), all, []string{"GET"}},
		{"CodeCommit", "https://git-codecommit.eu-west-1.amazonaws.com/v1/repos/app", "codecommit", "username: ada-at-111122223333, token: '${T}'",
			at("https://git-codecommit.eu-west-1.amazonaws.com/v1/repos/app", as("ada-at-111122223333", "hush", forbidden, newer(all))), all, []string{"POST"}},
		{"CodeCommit of version 0", "https://git-codecommit.eu-west-1.amazonaws.com/v1/repos/app", "codecommit", "username: ada-at-111122223333, token: '${T}'",
			as("ada-at-111122223333", "hush", forbidden, v0), all, []string{"GET"}},
		{"CodeCommit with another's password", "https://git-codecommit.eu-west-1.amazonaws.com/v1/repos/app", "codecommit", "username: ada-at-111122223333, token: '${T}'",
			as("ada-at-111122223333", "another", forbidden, v0), map[string]string{"": "HTTP 403"}, nil},
		{"Bitbucket Cloud", "https://bitbucket.org/team/app", "bitbucket", "token: '${T}'",
			at("https://bitbucket.org/team/app", as("x-token-auth", "hush", unauthorized, newer(all))), all, []string{"POST"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := fmt.Sprintf("repositories:\n  - name: app\n    monitor: {repo_url: %q, repo_type: %s, auth: {%s}, branches: ['.*']}\n"+
				"    deploy: {qa_repo_url: https://gitlab.com/qa/pipelines, commands: [./run]}\n", c.url, c.kind, c.auth)
			cfg, err := config.Parse([]byte(file), hosts.Options(func(string) (string, bool) { return "hush", true }))
			if err != nil {
				t.Fatal(err)
			}
			var asked []string
			wire := &testhost.Wire{Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				asked = append(asked, req.Method)
				c.server.ServeHTTP(w, req)
			})}
			r := &poller.Reader{Hosts: hosts.All, Base: wire}
			for cycle := range 2 {
				asked = nil
				o := r.Heads(t.Context(), []config.Monitor{cfg.Repositories[0].Monitor})[0]
				if text := c.want[""]; text != "" {
					var e *githost.Error
					if !errors.As(o.Err, &e) || o.Heads != nil || !strings.Contains(e.Error(), text) || strings.Contains(e.Error(), "hush") {
						t.Fatalf("cycle %d: heads %v and error %v, want an error with %q", cycle, o.Heads, o.Err, text)
					}
					continue
				}
				want := map[string]repo.SHA{}
				for name, sha := range c.want {
					want[name] = repo.SHA(sha)
				}
				if diff := cmp.Diff(want, o.Heads); diff != "" || o.Err != nil {
					t.Fatalf("cycle %d: error %v, heads (-want +got):\n%s", cycle, o.Err, diff)
				}
			}
			if c.asked != nil && !slices.Equal(asked, c.asked) {
				t.Errorf("the second cycle asked %q, want %q", asked, c.asked)
			}
		})
	}
}

// A credential that gets pages to sign in, and nothing else, is not sent for ever.
func TestCredentialThatGetsPagesToSignIn(t *testing.T) {
	var want []config.Monitor
	for i := range 20 {
		want = append(want, config.Monitor{Source: config.Source{URL: fmt.Sprintf("https://dev.azure.com/o/p/_git/app%d", i), Type: "azure",
			Auth: config.Auth{Token: secret.New("${T}", "hush")}}, Branches: repo.Patterns{repo.ExactPattern("main")}})
	}
	wire := &testhost.Wire{Handler: says(203, "Content-Type", "text/html", "<html>Sign In</html>")}
	r := &poller.Reader{Hosts: hosts.All, Base: wire}
	for range 3 {
		for _, o := range r.Heads(t.Context(), want) {
			if o.Err == nil {
				t.Fatalf("heads %v from a page to sign in", o.Heads)
			}
		}
	}
	if n := wire.Take(); n > 10 {
		t.Errorf("the credential was sent %d times, want it not sent again after a few", n)
	}
}

// Tags of a server of version 0 are those of their commits.
func TestTagsOfVersion0(t *testing.T) {
	file := "repositories:\n  - name: app\n    monitor: {repo_url: 'https://dev.azure.com/o/p/_git/app', tags: ['v.*']}\n" +
		"    deploy: {qa_repo_url: https://gitlab.com/qa/pipelines, commands: [./run]}\n"
	cfg, err := config.Parse([]byte(file), hosts.Options(nil))
	if err != nil {
		t.Fatal(err)
	}
	server := gitprototest.Older{Refs: []string{one + " refs/heads/main", object + " refs/tags/v1", one + " refs/tags/v1^{}", two + " refs/tags/v2"}}
	r := &poller.Reader{Hosts: hosts.All, Base: &testhost.Wire{Handler: server}}
	o := r.Heads(t.Context(), []config.Monitor{cfg.Repositories[0].Monitor})[0]
	if diff := cmp.Diff(map[string]repo.SHA{"refs/tags/v1": one, "refs/tags/v2": two}, o.Heads); diff != "" || o.Err != nil {
		t.Errorf("error %v, heads (-want +got):\n%s", o.Err, diff)
	}
}
