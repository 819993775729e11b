package gitlab_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/conformance/owners"
	"github.com/tekton-sentry/sentry/pkg/githost/conformance/testhost"
	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
	"github.com/tekton-sentry/sentry/pkg/githost/gitlab"
	"github.com/tekton-sentry/sentry/pkg/githost/gitlab/gitlabtest"
)

func TestOwners(t *testing.T) {
	replace := func(old, by string) func(http.Header, string) string {
		return func(_ http.Header, body string) string { return strings.Replace(body, old, by, 1) }
	}
	total := func(n ...string) func(http.Header, string) string {
		return func(h http.Header, body string) string {
			h["X-Total"] = n
			return body
		}
	}
	owners.Test(t, owners.Kind{
		Driver:   gitlab.Driver,
		New:      func() *githosttest.API { return gitlabtest.New().API },
		Deep:     true,
		Quiet:    []string{"topics"},
		Pages:    3,
		Requests: owners.Requests{Whole: 50, WithFiles: 101, Again: 2, Changes: 12},
		FileFaults: []githosttest.FaultKind{githosttest.ShortBody, githosttest.Truncated, githosttest.Garbage, githosttest.WrongJSON,
			githosttest.ServerError, githosttest.Unauthorized, githosttest.TooManyRequests, githosttest.EndlessBody},
		AsksFiles: func(req *http.Request, _ string) bool { return strings.HasSuffix(req.URL.Path, "/graphql") },
		Asks: func(req *http.Request, _ string) bool {
			return strings.HasSuffix(req.URL.Path, "/projects")
		},
		Lies: map[string]func(http.Header, string) string{
			"no total":                  total(),
			"a total that is none":      total("-7"),
			"another total":             total("249"),
			"a larger total":            total("260"),
			"a repository that is null": replace(`[{`, `[null,{`),
			"no number":                 replace(`"id":1`, `"ID":1`),
			"no name":                   replace(`"path_with_namespace":`, `"path":`),
			"another owner's":           replace(`"path_with_namespace":"company/`, `"path_with_namespace":"attacker/`),
			"no address":                replace(`"http_url_to_repo":`, `"url":`),
			"a text for a list":         replace(`"topics":[]`, `"topics":"web"`),
			"an empty page":             func(http.Header, string) string { return `[]` },
			"null":                      func(http.Header, string) string { return `null` },
			"an object":                 func(http.Header, string) string { return `{"message":"hello"}` },
		},
	})
}

// TestFilesWhileRepositoriesAreOutOfReach has a GitLab whose GraphQL finds no file anywhere, and says nothing of an error.
func TestFilesWhileRepositoriesAreOutOfReach(t *testing.T) {
	api := gitlabtest.New()
	api.SetToken(testhost.Token)
	api.SetFile("company/app", ".sentry.yaml", "a")
	api.SetFile("company/web", ".sentry.yaml", "b")
	origin := testhost.Serve(t, api)
	h := testhost.OpenOwners(t, gitlab.Driver, origin, "")
	q := githost.OwnedBy{Owner: "company", File: ".sentry.yaml"}
	last, err := h.Owned(t.Context(), q, nil)
	if err != nil {
		t.Fatal(err)
	}
	api.SetGitalyDown(true)
	if list, err := h.Owned(t.Context(), q, last); err == nil || list != nil {
		t.Errorf("with repositories out of reach: %+v, %v; want an error", list, err)
	}
	api.SetGitalyDown(false)
	api.SetFile("company/web", ".sentry.yaml", "")
	list, err := h.Owned(t.Context(), q, last)
	if err != nil || string(list.Repositories[0].File) != "a" || list.Repositories[1].File != nil {
		t.Errorf("afterwards: %+v, %v; want one with the file and one without", list, err)
	}
}
