package github_test

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/conformance/owners"
	"github.com/tekton-sentry/sentry/pkg/githost/conformance/testhost"
	"github.com/tekton-sentry/sentry/pkg/githost/github"
	"github.com/tekton-sentry/sentry/pkg/githost/github/githubtest"
	"github.com/tekton-sentry/sentry/pkg/githost/transport"
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

var first = regexp.MustCompile(`repositories\(first:(\d+)`)

// TestOwnedAsksForLess has a GitHub that runs out of time for more than thirty repositories at once.
func TestOwnedAsksForLess(t *testing.T) {
	api := githubtest.New()
	api.SetToken(testhost.Token)
	for i := range 250 {
		api.SetFile(fmt.Sprintf("company/r%d", i), ".sentry.yaml", "a")
	}
	most, asked := 30, 0
	origin := testhost.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		asked++
		body := testhost.BodyOf(req)
		if m := first.FindStringSubmatch(body); m != nil {
			if n, _ := strconv.Atoi(m[1]); n > most {
				http.Error(w, `{"message":"Something went wrong"}`, http.StatusBadGateway)
				return
			}
		}
		api.ServeHTTP(w, req)
	}))
	h := testhost.OpenOwners(t, github.Driver, origin, origin)
	q := githost.OwnedBy{Owner: "company", File: ".sentry.yaml"}
	list, err := h.Owned(t.Context(), q, nil)
	if err != nil || len(list.Repositories) != 250 || asked > 2+11 {
		t.Errorf("%d requests, %v", asked, err)
	}
	most, asked = 0, 0
	if list, err := h.Owned(t.Context(), q, nil); err == nil || list != nil || asked > 5 {
		t.Errorf("a server that answers nothing: %v after %d requests", err, asked)
	}
}

func TestOwnedWithout(t *testing.T) {
	api := githubtest.New()
	api.SetToken(testhost.Token)
	api.Push("company/app", "main", testhost.SHA1)
	origin := testhost.Serve(t, api)
	api.SetGraphQL(false)
	list, err := testhost.OpenOwners(t, github.Driver, origin, origin).Owned(t.Context(), githost.OwnedBy{Owner: "company"}, nil)
	if e, ok := errors.AsType[*githost.Error](err); !ok || list != nil {
		t.Errorf("without GraphQL: %+v, %v", list, e)
	}
	api.Requests()
	h, err := github.Open(githost.Endpoint{Account: githost.Account{Origin: origin, APIURL: origin}, Auth: config.Auth{}},
		transport.NewClient(http.DefaultTransport, "test", 0))
	if err != nil {
		t.Fatal(err)
	}
	_, err = h.(githost.Owners).Owned(t.Context(), githost.OwnedBy{Owner: "company"}, nil)
	if e, ok := errors.AsType[*githost.Error](err); !ok || e.Kind != githost.Denied || len(api.Requests()) > 0 {
		t.Errorf("without a token: %v, want it denied without a request", err)
	}
}
