package gitea_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/githost/conformance/owners"
	"github.com/tekton-sentry/sentry/pkg/githost/gitea"
	"github.com/tekton-sentry/sentry/pkg/githost/gitea/giteatest"
	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
)

// TestOwners has a page of 50, as servers have unless they are told otherwise, and of 100.
func TestOwners(t *testing.T) {
	replace := func(old, by string) func(http.Header, string) string {
		return func(_ http.Header, body string) string { return strings.Replace(body, old, by, 1) }
	}
	total := func(n ...string) func(http.Header, string) string {
		return func(h http.Header, body string) string {
			h["X-Total-Count"] = n
			return body
		}
	}
	for name, tt := range map[string]struct {
		most, pages int
		requests    owners.Requests
	}{
		"by default": {50, 5, owners.Requests{Whole: 101, WithFiles: 5_101, Again: 3, Changes: 20}},
		"with a 100": {100, 3, owners.Requests{Whole: 51, WithFiles: 5_051, Again: 3, Changes: 20}},
	} {
		t.Run(name, func(t *testing.T) {
			owners.Test(t, owners.Kind{
				Driver: gitea.Driver,
				New: func() *githosttest.API {
					api := giteatest.New()
					api.SetMaxResponseItems(tt.most)
					return api.API
				},
				Quiet:    []string{"rename"},
				Counted:  []string{"archive"},
				Pages:    tt.pages,
				Requests: tt.requests,
				FileFaults: []githosttest.FaultKind{githosttest.ShortBody, githosttest.ServerError, githosttest.Unauthorized, githosttest.TooManyRequests,
					githosttest.RedirectTo("http://elsewhere.example")},
				AsksFiles: func(req *http.Request, _ string) bool { return strings.Contains(req.URL.Path, "/raw/") },
				Asks: func(req *http.Request, _ string) bool {
					return strings.Contains(req.URL.Path, "/search") && !req.URL.Query().Has("archived")
				},
				Lies: map[string]func(http.Header, string) string{
					"no total":                  total(),
					"a total that is none":      total("-7"),
					"another total":             total("249"),
					"a larger total":            total("260"),
					"a repository that is null": replace(`"data":[`, `"data":[null,`),
					"no number":                 replace(`"id":`, `"ID":`),
					"a number that is none":     replace(`"id":`, `"id":-`),
					"no name":                   replace(`"full_name":`, `"name":`),
					"another owner's":           replace(`"full_name":"company/`, `"full_name":"attacker/`),
					"no address":                replace(`"clone_url":`, `"url":`),
					"a text for a list":         replace(`"topics":[]`, `"topics":"web"`),
					"no data":                   replace(`"data":`, `"DATA":`),
					"an empty page":             func(http.Header, string) string { return `{"ok":true,"data":[]}` },
					"null":                      func(http.Header, string) string { return `null` },
				},
			})
		})
	}
}
