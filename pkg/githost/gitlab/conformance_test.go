package gitlab_test

import (
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/conformance"
	"github.com/tekton-sentry/sentry/pkg/githost/conformance/testhost"
	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
	"github.com/tekton-sentry/sentry/pkg/githost/gitlab"
	"github.com/tekton-sentry/sentry/pkg/githost/gitlab/gitlabtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) { conformance.Test(t, host) }

const (
	branch = `{"name":"main","commit":{"id":"` + testhost.SHA1 + `"}}`
	query  = "/repository/branches?page=1&per_page=100&regex=%5E%28main%24%29"
)

var host = testhost.Host{
	Driver:  gitlab.Driver,
	Server:  func() *githosttest.API { return gitlabtest.New().API },
	Ways:    []testhost.Way{{Name: "REST"}, {Name: "GraphQL", GraphQL: true}},
	Missing: githost.NotFound,
	HasAPI:  true,
	Addresses: []testhost.Address{
		{Origin: "https://gitlab.com", Repo: "/a/b/c/d.git", Want: "GET https://gitlab.com/api/v4/projects/a%2Fb%2Fc%2Fd" + query},
		{Origin: "https://example.com", APIURL: "https://example.com/gitlab/api/v4/", Repo: "/gitlab/a/b/c", Want: "GET https://example.com/gitlab/api/v4/projects/a%2Fb%2Fc" + query},
		{Origin: "https://example.com", APIURL: "https://example.com/gitlab", Repo: "/gitlab/a/b", Want: "GET https://example.com/gitlab/api/v4/projects/a%2Fb" + query},
		{Origin: "https://example.com", APIURL: "https://api.example.com/x/api/v4", Repo: "/x/b", Want: "GET https://api.example.com/x/api/v4/projects/x%2Fb" + query},
		{Origin: "https://gitlab.com", Repo: "/a/site.io", Want: "GET https://gitlab.com/api/v4/projects/a%2Fsite%2Eio" + query},
		{Origin: "https://gitlab.com", Repo: "/o/r", Token: testhost.Token, Want: "POST https://gitlab.com/api/graphql"},
		{Origin: "https://example.com", APIURL: "https://example.com/gitlab", Repo: "/o/r", Token: testhost.Token, Want: "POST https://example.com/gitlab/api/graphql"},
	},
	Requests: []testhost.Requests{
		{Branches: []string{"main", "dev.*", "v1.0"}, Token: testhost.Token, Auth: "Bearer " + testhost.Token, Want: []string{
			"/api/v4/projects/team%2Fapp/repository/branches?page=1&per_page=100&regex=%5E%28main%24%7Cdev%7Cv1%5C.0%24%29"}},
		{Branches: []string{".*"}, Want: []string{"/api/v4/projects/team%2Fapp/repository/branches?page=1&per_page=100"}},
		{Branches: []string{strings.Repeat("a", 250), strings.Repeat("b", 250) + ".*", strings.Repeat("c", 999) + "+"}, Want: []string{
			"/api/v4/projects/team%2Fapp/repository/branches?page=1&per_page=100"}},
	},
	Lies: []testhost.Lie{
		{Name: "null", Status: 200, Body: "null", Want: githost.Invalid, Text: "empty"},
		{Name: "an empty 200", Status: 200, Want: githost.Temporary, Text: "cut short"},
		{Name: "an object", Status: 200, Body: `{"message":"hello"}`, Want: githost.Invalid, Text: "another shape"},
		{Name: "a login page", Status: 200, Header: map[string]string{"Content-Type": "text/html"}, Body: "<html>sign in", Want: githost.Invalid, Text: "not JSON"},
		{Name: "nulls in the list", Status: 200, Body: "[null," + branch + "]", Want: githost.Invalid, Text: "without its name"},
		{Name: "a branch without a commit", Status: 200, Body: `[{"name":"main","commit":null}]`, Want: githost.Invalid, Text: "main"},
		{Name: "a page that follows itself", Status: 200, Header: map[string]string{"X-Next-Page": "1"}, Body: "[]", Want: githost.Invalid, Text: "page 1"},
		{Name: "a page before the first", Status: 200, Header: map[string]string{"X-Next-Page": "-7"}, Body: "[]", Want: githost.Invalid, Text: "page -7"},
		{Name: "a Link that the library does not survive", Status: 200, Header: map[string]string{"Link": "<x>; y"}, Body: "[" + branch + "]", Want: githost.Invalid, Text: "fault of Sentry"},
		{Name: "unchanged, at first", Status: 304, Want: githost.Invalid, Text: "unchanged"},
		{Name: "no content", Status: 204, Want: githost.Invalid, Text: "204"},
		{Name: "a credential that is echoed", Status: 403, Header: map[string]string{"Content-Type": "application/json"}, Body: `{"message":"no, ` + testhost.Token + `"}`, Want: githost.Denied, Text: "[redacted]"},
		{Name: "gone", Status: 410, Want: githost.NotFound},
		{Name: "limits without a time", Status: 429, Want: githost.RateLimited},
	},
	Words: []testhost.Words{
		{Status: 403, Body: `{"message":"This endpoint has been requested too many times. Try again later."}`, Token: testhost.Token, REST: true},
		{Status: 200, Body: `{"data":{},"errors":[{"message":"This endpoint has been requested too many times. Try again later."}]}`, Token: testhost.Token},
	},
	Limits: map[string]testhost.Limit{
		"in a 200":             {Serve: testhost.Says(200, "application/json", `{"errors":[{"message":"This endpoint has been requested too many times."}]}`)},
		"a reset that is over": {Serve: testhost.Named(429, "RateLimit-Reset", -2*time.Hour)},
	},
	Idle: map[string]testhost.Idle{"all": {Requests: 20}},
	Malice: []testhost.Malice{
		{Name: "REST", Asked: testhost.Everything, ContentType: "application/json", Starts: []string{"[", `[{"name":"`, `[{"commit":{"message":"`}},
		{Name: "GraphQL", Token: testhost.Token, Asked: testhost.AsksFor("fullPaths"), ContentType: "application/json", Branch: "main", Elsewhere: true,
			Starts: []string{`{"data":{"p0":{"nodes":[`, `{"data":{"p0":{"nodes":[{"repository":{`, `{"errors":[`}},
		{Name: "introspection", Token: testhost.Token, Asked: testhost.AsksFor("__type"), ContentType: "application/json", Branch: "main", Elsewhere: true,
			Starts: []string{`{"data":{"repository":{"fields":[`, `{"data":{"repository":{"fields":[{"args":[`}},
	},
	Wide: map[string]testhost.Wide{
		"branches":  {Malice: "REST", Start: `[`, Unit: `{},`, Last: `{}]`, Size: 40},
		"projects":  {Malice: "GraphQL", Start: `{"data":{"p0":{"nodes":[`, Unit: `{},`, Last: `{}]}}}`, Size: 7},
		"types":     {Malice: "introspection", Start: `{"data":{"query":null,"repository":{"fields":[`, Unit: `{},`, Last: `{}]}}}`, Size: 7},
		"a branch":  {Malice: "REST", Start: `[{"name":"main`, Unit: `x`, Last: `","commit":{"id":"` + testhost.SHA1 + `"}}]`, Size: 40},
		"a message": {Malice: "REST", Start: `[{"name":"dev","commit":{"id":"` + testhost.SHA1 + `","message":"`, Unit: `x`, Last: `"}}]`, Size: 40},
		"a number":  {Malice: "REST", Start: `[{"name":`, Unit: `1`, Last: `}]`, Size: 40},
	},
}
