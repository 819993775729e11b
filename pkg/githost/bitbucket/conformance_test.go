package bitbucket_test

import (
	"strings"
	"testing"
	"time"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/bitbucket"
	"github.com/tekton-sentry/sentry/pkg/githost/bitbucket/bitbuckettest"
	"github.com/tekton-sentry/sentry/pkg/githost/conformance"
	"github.com/tekton-sentry/sentry/pkg/githost/conformance/testhost"
	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
)

func TestConformance(t *testing.T) { conformance.Test(t, host) }

var host = testhost.Host{
	Driver:   bitbucket.Driver,
	Server:   func() *githosttest.API { return bitbuckettest.New().API },
	Ways:     []testhost.Way{{Name: "Git"}},
	Missing:  githost.Denied,
	OneByOne: true,
	Hints: &testhost.Hints{
		Asked: func(path, _ string) bool { return strings.Contains(path, "/2.0/repositories/") },
		Empty: func(string) string { return `{"values":[]}` },
	},
	Addresses: []testhost.Address{
		{Origin: "https://bitbucket.org", Repo: "/a/b", Want: "POST https://bitbucket.org/a/b/git-upload-pack"},
	},
	Limits: map[string]testhost.Limit{
		"a plain 429": {Serve: testhost.Says(429, "application/json", `{"type":"error","error":{"message":"Rate limit for this resource has been exceeded"}}`)},
	},
	Idle: map[string]testhost.Idle{
		"all":   {Requests: 1000, Body: 150},
		"hints": {Sweep: 1e6 * time.Hour, Requests: 2}, // the first after the one that changed last was first seen, and then 1
	},
}
