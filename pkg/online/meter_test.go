package online

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost/hosts"
)

// answers is a server with one answer.
type answers struct {
	status int
	header http.Header
	body   string
}

func (a answers) RoundTrip(*http.Request) (*http.Response, error) {
	body := io.NopCloser(iotest.OneByteReader(strings.NewReader(a.body)))
	return &http.Response{StatusCode: a.status, Header: a.header, Body: body}, nil
}

func TestMeter(t *testing.T) {
	const points, requests = 0, 1 // of GitHub, and of GitLab
	for _, test := range []struct {
		name    string
		kind    config.HostType
		token   bool
		url     string
		answers answers
		want    usage
	}{
		{"GraphQL that costs 7", config.GitHub, true, "/api/graphql",
			answers{200, nil, `{"data":{"r0":{"name":"\"cost\":3,"},"rateLimit":{"cost":7,"remaining":4993}}}`},
			usage{points: {requests: 2, counted: 14}}},
		{"GraphQL that does not tell", config.GitHub, true, "/graphql", answers{200, nil, `{"data":{"r0":{"cost":"12"}}}`},
			usage{points: {requests: 2, counted: 2}}},
		{"GraphQL for free counts as one all the same", config.GitHub, true, "/graphql", answers{200, nil, `{"data":{"rateLimit": {"cost": 0}}}`},
			usage{points: {requests: 2, counted: 2}}},
		{"GraphQL of a host that counts requests", config.GitLab, true, "/api/graphql", answers{200, nil, `{"data":{"cost": 7}}`},
			usage{points: {requests: 2, counted: 2}}},
		{"unchanged, with a token", config.GitHub, true, "/repos/x/y", answers{304, http.Header{"X-Ratelimit-Limit": {"5000"}}, ""},
			usage{requests: {requests: 2, limit: 5000}}},
		{"unchanged, without", config.GitHub, false, "/repos/x/y", answers{304, http.Header{"X-Ratelimit-Limit": {"60"}}, ""},
			usage{requests: {requests: 2, counted: 2, limit: 60}}},
		{"unchanged, of a host that counts it", config.GitLab, true, "/api/v4/projects/1", answers{304, nil, ""},
			usage{requests: {requests: 2, counted: 2}}},
		{"a limit a minute", config.GitLab, false, "/api/v4/projects/1", answers{200, http.Header{"Ratelimit-Limit": {"2000"}}, ""},
			usage{requests: {requests: 2, counted: 2, limit: 120_000}}},
		{"a limit that is none", config.GitLab, false, "/api/v4/projects/1", answers{200, http.Header{"Ratelimit-Limit": {"-5"}}, ""},
			usage{requests: {requests: 2, counted: 2}}},
		{"the Git protocol beside an API", config.Gitea, false, "/x/y.git/git-upload-pack", answers{200, nil, `,"cost":5,`},
			usage{1: {requests: 2, counted: 2}}},
		{"an API beside the Git protocol", config.Gitea, false, "/api/v1/repos/search", answers{200, nil, ""},
			usage{0: {requests: 2, counted: 2}}},
		{"the Git protocol alone", config.Git, false, "/x/y.git/info/refs", answers{200, nil, ""},
			usage{0: {requests: 2, counted: 2}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := &meter{next: test.answers, driver: hosts.All.Of(test.kind), token: test.token}
			for range 2 {
				req, err := http.NewRequest(http.MethodGet, "http://host"+test.url, nil)
				if err != nil {
					t.Fatal(err)
				}
				resp, err := m.RoundTrip(req)
				if err != nil {
					t.Fatal(err)
				}
				if got, err := io.ReadAll(resp.Body); err != nil || string(got) != test.answers.body {
					t.Errorf("the body became %q, %v, want %q", got, err, test.answers.body)
				}
			}
			if diff := cmp.Diff(test.want, m.take(), cmp.AllowUnexported(spent{})); diff != "" {
				t.Errorf("spent (-want +got):\n%s", diff)
			}
			if again := m.take(); len(again) > 0 {
				t.Errorf("taken twice: %v", again)
			}
		})
	}
}
