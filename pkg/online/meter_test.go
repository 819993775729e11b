package online

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
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
		{"GraphQL alone", config.GitHub, true, "/graphql", answers{200, nil, ""}, usage{points: {requests: 2, counted: 2}}},
		{"GraphQL of a host that counts requests", config.GitLab, true, "/api/graphql", answers{200, nil, ""},
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

// A request that costs more than one is told of by its answer, whose body only the host reads.
func TestBill(t *testing.T) {
	for name, test := range map[string]struct {
		kind config.HostType
		bill githost.Bill
		want usage
	}{
		"a query of 7 points":           {config.GitHub, githost.Bill{Resource: "graphql", Cost: 7}, usage{0: {requests: 1, counted: 7}}},
		"one that is free counts as 1":  {config.GitHub, githost.Bill{Resource: "graphql"}, usage{0: {requests: 1, counted: 1}}},
		"a cost that no query has":      {config.GitHub, githost.Bill{Resource: "graphql", Cost: 1 << 40}, usage{0: {requests: 1, counted: 1}}},
		"a cost below zero":             {config.GitHub, githost.Bill{Resource: "graphql", Cost: -7}, usage{0: {requests: 1, counted: 1}}},
		"of what is counted one by one": {config.GitLab, githost.Bill{Cost: 7}, usage{0: {requests: 1, counted: 1}}},
	} {
		m := &meter{next: answers{status: 200}, driver: hosts.All.Of(test.kind), token: true}
		resp, err := m.RoundTrip(httptest.NewRequest(http.MethodPost, "http://host/api/graphql", nil))
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		m.bill(test.bill)
		if diff := cmp.Diff(test.want, m.take(), cmp.AllowUnexported(spent{})); diff != "" {
			t.Errorf("%s: spent (-want +got):\n%s", name, diff)
		}
	}
}
