package github_test

import (
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/conformance"
	"github.com/tekton-sentry/sentry/pkg/githost/conformance/testhost"
	"github.com/tekton-sentry/sentry/pkg/githost/github"
	"github.com/tekton-sentry/sentry/pkg/githost/github/githubtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) { conformance.Test(t, host) }

const ref, branches = `{"ref":"refs/heads/main","object":{"sha":"` + testhost.SHA1 + `"}}`, "/repos/o/r/git/matching-refs/heads/main?per_page=100"

const secondary = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."

var host = testhost.Host{
	Driver:  github.Driver,
	Server:  githubtest.New,
	Ways:    []testhost.Way{{Name: "REST"}, {Name: "GraphQL", GraphQL: true, Alone: true}},
	Missing: githost.NotFound,
	HasAPI:  true,
	Hints: &testhost.Hints{
		Repositories: 110, // fewer are cheaper to read than lists
		Asked:        func(_, body string) bool { return strings.Contains(body, "repositoryOwner") },
		Empty: func(list string) string {
			before, rest, _ := strings.Cut(strings.ReplaceAll(list, `"hasNextPage":true`, `"hasNextPage":false`), `"nodes":[`)
			_, rest, _ = strings.Cut(rest, `],"pageInfo"`)
			return before + `"nodes":[],"pageInfo"` + rest
		},
	},
	Addresses: []testhost.Address{
		{Origin: "https://github.com", Repo: "/o/r.git", Want: "GET https://api.github.com" + branches},
		{Origin: "https://company.ghe.com", Repo: "/o/r", Want: "GET https://api.company.ghe.com" + branches},
		{Origin: "https://ghe.example.com:8443", Repo: "/o/r/", Want: "GET https://ghe.example.com:8443/api/v3" + branches},
		{Origin: "https://ghe.example.com", APIURL: "https://gateway.example.com/github/", Repo: "/o/r", Want: "GET https://gateway.example.com/github" + branches},
		{Origin: "https://ghe.example.com", Repo: "/o%3Fx/r%2561", Want: "GET https://ghe.example.com/api/v3/repos/o%3Fx/r%2561/git/matching-refs/heads/main?per_page=100"},
		{Origin: "https://github.com", Repo: "/o/r", Token: testhost.Token, Want: "POST https://api.github.com/graphql"},
		{Origin: "https://company.ghe.com", Repo: "/o/r", Token: testhost.Token, Want: "POST https://api.company.ghe.com/graphql"},
		{Origin: "https://ghe.example.com:8443", Repo: "/o/r", Token: testhost.Token, Want: "POST https://ghe.example.com:8443/api/graphql"},
		{Origin: "https://ghe.example.com", APIURL: "https://gateway.example.com/x/api/v3/", Repo: "/o/r", Token: testhost.Token, Want: "POST https://gateway.example.com/x/api/graphql"},
		{Origin: "https://ghe.example.com", APIURL: "https://gateway.example.com/github", Repo: "/o/r", Token: testhost.Token, Want: "POST https://gateway.example.com/github/graphql"},
	},
	Requests: []testhost.Requests{
		{Branches: []string{"main"}, Token: testhost.Token, Auth: "Bearer " + testhost.Token,
			Want: []string{"/api/v3/repos/team/app/git/matching-refs/heads/main?per_page=100"}},
		{Branches: []string{"main", "dev.*", "dev-x", "main-old"}, Want: []string{
			"/api/v3/repos/team/app/git/matching-refs/heads/dev?per_page=100",
			"/api/v3/repos/team/app/git/matching-refs/heads/main?per_page=100"}},
		{Branches: []string{"a1", "a2", "b1", "b2", "c1"}, Want: []string{"/api/v3/repos/team/app/git/matching-refs/heads/?per_page=100"}},
	},
	Lies: []testhost.Lie{
		{Name: "an empty 200", Status: 200, Want: githost.Invalid, Text: "empty"},
		{Name: "null", Status: 200, Body: "null", Want: githost.Invalid, Text: "empty"},
		{Name: "an object", Status: 200, Body: `{"message":"hello"}`, Want: githost.Invalid, Text: "another shape"},
		{Name: "nulls in the list", Status: 200, Body: "[null," + ref + "]", Want: githost.Invalid, Text: "without its name"},
		{Name: "a ref without an object", Status: 200, Body: `[{"ref":"refs/heads/main"}]`, Want: githost.Invalid, Text: "main"},
		{Name: "tags only", Status: 200, Body: `[{"ref":"refs/tags/main","object":{"sha":"` + testhost.SHA1 + `"}}]`, Want: githost.NoBranch},
		{Name: "a page that follows itself", Status: 200, Header: map[string]string{"Link": `<https://x/y?page=1>; rel="next"`}, Body: "[]", Want: githost.Invalid, Text: "page 1"},
		{Name: "unchanged, at first", Status: 304, Want: githost.Invalid, Text: "unchanged"},
		{Name: "accepted", Status: 202, Body: "{}", Want: githost.Invalid, Text: "202"},
		{Name: "a conflict that is no empty repository", Status: 409, Body: `{"message":"being created"}`, Want: githost.Temporary, Text: "not available yet"},
		{Name: "a credential that is echoed", Status: 403, Header: map[string]string{"Content-Type": "application/json"}, Body: `{"message":"no, ` + testhost.Token + `"}`, Want: githost.Denied, Text: "[redacted]"},
	},
	Words: []testhost.Words{
		{Status: 403, Body: `{"message":"` + secondary + `"}`, REST: true},
		{Status: 403, Body: `{"message":"You have triggered an abuse detection mechanism."}`, REST: true},
		{Status: 403, Body: `{"message":"` + secondary + `"}`, Token: testhost.Token},
		{Status: 200, Body: `{"errors":[{"message":"` + secondary + `"}]}`, Token: testhost.Token},
	},
	Limits: map[string]testhost.Limit{
		"secondary, in a 403":  {Serve: testhost.Says(403, "application/json", `{"message":"You have exceeded a secondary rate limit."}`)},
		"secondary, in a 200":  {Serve: testhost.Says(200, "application/json", `{"data":null,"errors":[{"message":"You have exceeded a secondary rate limit."}]}`)},
		"RATE_LIMITED":         {Serve: testhost.Says(200, "application/json", `{"data":null,"errors":[{"type":"RATE_LIMITED","message":"API rate limit"}]}`)},
		"a reset that is over": {Serve: testhost.Named(403, "X-RateLimit-Reset", -2*time.Hour)},
	},
	Idle: map[string]testhost.Idle{
		"all":   {Requests: 10, Points: 10},
		"hints": {Sweep: 1e6 * time.Hour, Requests: 1, Points: 1},
	},
	Malice: []testhost.Malice{
		{Name: "REST", Asked: testhost.Everything, ContentType: "application/json", Starts: []string{"[", `[{"ref":"`}},
		{Name: "GraphQL", Token: testhost.Token, Asked: testhost.Everything, ContentType: "application/json", Starts: []string{
			`{"data":{"r0":{"nameWithOwner":"o/r0","refs":{"nodes":[`, `{"data":{`, `{"errors":[`, `{"errors":[{"path":[`, `{"data":{"r0":{"x":`}},
		{Name: "lists", Token: testhost.Token, Asked: testhost.AsksFor("repositoryOwner"), ContentType: "application/json", List: true, Some: true,
			Starts: []string{`{"data":{"o0":{"repositories":{"nodes":[`, `{"data":{"o0":{"repositories":[`}},
	},
	Wide: map[string]testhost.Wide{
		"refs":     {Malice: "REST", Start: `[`, Unit: `{},`, Last: `{}]`, Size: 40},
		"nodes":    {Malice: "GraphQL", Start: `{"data":{"r0":{"nameWithOwner":"o/r0","refs":{"nodes":[`, Unit: `{},`, Last: `{}]}}}}`, Size: 7},
		"aliases":  {Malice: "GraphQL", Start: `{"data":{`, Unit: `"":0,`, Last: `"x":0}}`, Size: 7},
		"problems": {Malice: "GraphQL", Start: `{"errors":[`, Unit: `{},`, Last: `{}]}`, Size: 7},
		"paths":    {Malice: "GraphQL", Start: `{"errors":[{"path":[`, Unit: `0,`, Last: `0]}]}`, Size: 7},
		"listed":   {Malice: "lists", Start: `{"data":{"o0":{"repositories":{"nodes":[`, Unit: `{},`, Last: `{}]}}}}`, Size: 7},
		"a name":   {Malice: "REST", Start: `[{"ref":"refs/heads/main`, Unit: `x`, Last: `","object":{"sha":"` + testhost.SHA1 + `"}}]`, Size: 40},
		"a sum":    {Malice: "REST", Start: `[{"ref":"refs/heads/main","object":{"sha":"`, Unit: `1`, Last: `"}}]`, Size: 40},
		"names":    {Malice: "GraphQL", Start: `{"data":{"r0":{"nameWithOwner":"o/r0","refs":{"nodes":[{"prefix":"refs/heads/","name":"`, Unit: `x`, Last: `"}]}}}}`, Size: 7},
		"too long": {Malice: "GraphQL", Start: `{"data":{"r0":"`, Unit: `x`, Last: `"}}`, Size: 60}, // 8 MiB are read
	},
}
