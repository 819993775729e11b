package gitea_test

import (
	"strings"
	"testing"
	"time"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/conformance"
	"github.com/tekton-sentry/sentry/pkg/githost/conformance/testhost"
	"github.com/tekton-sentry/sentry/pkg/githost/gitea"
	"github.com/tekton-sentry/sentry/pkg/githost/gitea/giteatest"
	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
)

func TestConformance(t *testing.T) { conformance.Test(t, host) }

var host = testhost.Host{
	Driver:   gitea.Driver,
	Server:   func() *githosttest.API { return giteatest.New().API },
	Ways:     []testhost.Way{{Name: "Git"}},
	Missing:  githost.Denied,
	OneByOne: true,
	HasAPI:   true,
	Hints: &testhost.Hints{
		Asked: func(path, _ string) bool { return strings.HasSuffix(path, "/repos/search") },
		Empty: func(list string) string { return `{"ok":true,"data":[` + list[strings.LastIndex(list, `{"id":`):] },
	},
	Limits: map[string]testhost.Limit{
		"a date that is over": {Serve: testhost.Named(429, "Retry-After", -2*time.Hour), Invites: true},
	},
	Idle: map[string]testhost.Idle{
		"all":   {Requests: 1000, Body: 150},
		"hints": {Sweep: 1e6 * time.Hour, Requests: 3},
	},
	Malice: []testhost.Malice{
		{Name: "list", Token: testhost.Token, Asked: testhost.AsksFor("/repos/search"), ContentType: "application/json", List: true,
			Starts: []string{`{"ok":true,"data":[`, `{"data":[{"description":"`, `{"data":[{"parent":`}},
	},
	Wide: map[string]testhost.Wide{
		"repositories":  {Malice: "list", Start: `{"ok":true,"data":[`, Unit: `{},`, Last: `{}]}`, Size: 3},
		"a hidden list": {Malice: "list", Start: `{"ok":true,"data":[`, Unit: `{},`, Last: `{}],"data":[]}`, Size: 3},
		"a long list":   {Malice: "list", Start: `{"ok":true,"data":[{"description":"`, Unit: `x`, Last: `"}]}`, Size: 60},
		"parents":       {Malice: "list", Start: `{"ok":true,"data":[{"owner":`, Unit: `{},"owner":`, Last: `{}}]}`, Size: 3},
	},
}
