package github_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/githost/conformance/owners"
	"github.com/tekton-sentry/sentry/pkg/githost/github"
	"github.com/tekton-sentry/sentry/pkg/githost/github/githubtest"
)

func TestOwners(t *testing.T) {
	replace := func(old, by string) func(http.Header, string) string {
		return func(_ http.Header, body string) string { return strings.Replace(body, old, by, 1) }
	}
	owners.Test(t, owners.Kind{
		Driver:   github.Driver,
		New:      githubtest.New,
		Pages:    3,
		Requests: owners.Requests{Whole: 50, WithFiles: 50, Again: 2, Changes: 4},
		Asks:     func(_ *http.Request, body string) bool { return strings.Contains(body, "repositoryOwner") },
		Lies: map[string]func(http.Header, string) string{
			"no total":        replace(`"totalCount":25`, `"totalCount":null,"more":25`),
			"another total":   replace(`"totalCount":25`, `"totalCount":225`),
			"a smaller total": replace(`"totalCount":25`, `"totalCount":`),
			"a repository that is null": func(_ http.Header, body string) string {
				i := strings.Index(body, `"nodes":[`) + len(`"nodes":[`)
				return body[:i] + "null," + body[i:]
			},
			"a partial error":            replace(`{"data"`, `{"errors":[{"type":"FORBIDDEN","message":"SAML","path":["repositoryOwner","repositories","nodes",7]}],"data"`),
			"no number":                  replace(`"databaseId":`, `"databaseID":`),
			"a number that is no number": replace(`"databaseId":`, `"databaseId":-`),
			"no name":                    replace(`"nameWithOwner":`, `"name":`),
			"another owner's":            replace(`"nameWithOwner":"company/`, `"nameWithOwner":"attacker/`),
			"no address":                 replace(`"url":`, `"URL":`),
			"no word on archives":        replace(`"isArchived":false`, `"isArchived":null`),
			"no topics":                  replace(`"repositoryTopics":{`, `"repositorytopics":{`),
			"no pageInfo":                replace(`"pageInfo":`, `"pages":`),
			"a page that follows itself": func(_ http.Header, body string) string {
				i := strings.Index(body, `"pageInfo":`)
				return body[:i] + `"pageInfo":{"hasNextPage":true,"endCursor":"again"}` + body[i+strings.Index(body[i:], "}")+1:]
			},
			"a page without a cursor": func(_ http.Header, body string) string {
				i := strings.Index(body, `"pageInfo":`)
				return body[:i] + `"pageInfo":{"hasNextPage":true,"endCursor":null}` + body[i+strings.Index(body[i:], "}")+1:]
			},
			"the last page too early": func(_ http.Header, body string) string {
				i := strings.Index(body, `"nodes":[`)
				return body[:i] + `"nodes":[],"pageInfo":{"hasNextPage":false,"endCursor":null},"more":[` + body[i+len(`"nodes":[`):]
			},
			"no owner": func(http.Header, string) string { return `{"data":{"repositoryOwner":null}}` },
			"no data":  func(http.Header, string) string { return `{"data":null}` },
		},
	})
}
