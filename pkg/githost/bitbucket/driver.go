// Package bitbucket is Bitbucket Cloud, which is read by the Git protocol.
package bitbucket

import (
	"errors"
	"strings"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/gitproto"
)

// Driver is Bitbucket Cloud.
var Driver = githost.Driver{
	Host: config.Host{
		Type:      "bitbucket",
		Domains:   []string{"bitbucket.org"},
		Aliases:   map[string]string{"www.bitbucket.org": "bitbucket.org"},
		CheckPath: checkPath,
		User:      "x-token-auth",
	},
	Open:    gitproto.Open,
	Budgets: []githost.Budget{gitproto.Budget},
	Pages:   githost.Pages{Commit: "/commits/%s", Compare: "/branches/compare/%[2]s..%[1]s"},
	About: githost.About{
		Servers:    "Bitbucket Cloud",
		API:        "none",
		Credential: "HTTP Basic, with the user name or `x-token-auth`",
	},
}

func checkPath(path string) error {
	if strings.Count(path, "/") != 2 {
		return errors.New("is not of the form https://bitbucket.org/WORKSPACE/REPOSITORY; want that, without what follows the repository's name")
	}
	return nil
}
