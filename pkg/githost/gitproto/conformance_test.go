package gitproto_test

import (
	"testing"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/conformance"
	"github.com/tekton-sentry/sentry/pkg/githost/conformance/testhost"
	"github.com/tekton-sentry/sentry/pkg/githost/gitproto"
	"github.com/tekton-sentry/sentry/pkg/githost/gitproto/gitprototest"
)

func TestConformance(t *testing.T) { conformance.Test(t, host) }

var host = testhost.Host{
	Driver:   gitproto.Driver,
	Server:   gitprototest.New,
	Ways:     []testhost.Way{{Name: "Git"}},
	Missing:  githost.Denied,
	OneByOne: true,
	Addresses: []testhost.Address{
		{Origin: "https://example.com", Repo: "/a/b/c", Want: "POST https://example.com/a/b/c/git-upload-pack"},
	},
	Limits: map[string]testhost.Limit{
		"a plain 429": {Serve: testhost.Says(429, "text/plain", "slow down")},
		"in a 403":    {Serve: testhost.Says(403, "text/plain", "rate limit exceeded")},
		"at once":     {Serve: testhost.Named(429, "Retry-After", 0), Invites: true},
	},
	Idle: map[string]testhost.Idle{"all": {Requests: 1000, Body: 150}},
	Malice: []testhost.Malice{
		{Name: "refs", Token: testhost.Token, Asked: testhost.Everything, ContentType: "application/x-git-upload-pack-result",
			Starts: []string{"", "fff0", "0008NAK\n", "003d1111111111111111111111111111111111111111 refs/heads/fill\n"},
			Most:   450 << 20}, // one line after the other, of which none is kept
	},
}
