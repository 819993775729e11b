package cli

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
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
	for _, test := range []struct {
		name    string
		url     string
		free304 bool
		answers answers
		want    usage
	}{
		{"GraphQL that costs 7", "/api/graphql", true,
			answers{200, nil, `{"data":{"r0":{"name":"\"cost\":3,"},"rateLimit":{"cost":7,"remaining":4993}}}`},
			usage{points: {requests: 2, counted: 14}}},
		{"GraphQL that does not tell", "/graphql", true, answers{200, nil, `{"data":{"r0":{"cost":"12"}}}`},
			usage{points: {requests: 2, counted: 2}}},
		{"GraphQL for free counts as one all the same", "/graphql", true, answers{200, nil, `{"data":{"rateLimit": {"cost": 0}}}`},
			usage{points: {requests: 2, counted: 2}}},
		{"unchanged, with a token", "/repos/x/y", true, answers{304, http.Header{"X-Ratelimit-Limit": {"5000"}}, ""},
			usage{requests: {requests: 2, limit: 5000}}},
		{"unchanged, without", "/repos/x/y", false, answers{304, http.Header{"X-Ratelimit-Limit": {"60"}}, ""},
			usage{requests: {requests: 2, counted: 2, limit: 60}}},
		{"a limit a minute", "/api/v4/projects/1", false, answers{200, http.Header{"Ratelimit-Limit": {"2000"}}, ""},
			usage{requests: {requests: 2, counted: 2, limit: 120_000}}},
		{"a limit that is none", "/api/v4/projects/1", false, answers{200, http.Header{"Ratelimit-Limit": {"-5"}}, ""},
			usage{requests: {requests: 2, counted: 2}}},
		{"the Git protocol", "/x/y.git/git-upload-pack", false, answers{200, nil, `,"cost":5,`},
			usage{git: {requests: 2, counted: 2}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := &meter{next: test.answers, free304: test.free304}
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
