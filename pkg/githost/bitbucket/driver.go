// Package bitbucket is Bitbucket Cloud. Heads are read by the Git protocol, and which repositories changed by the lists of workspaces.
package bitbucket

import (
	"errors"
	"net/http"
	"strconv"
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
		User:      tokenUser,
	},
	Open: Open,
	// https://support.atlassian.com/bitbucket-cloud/docs/api-request-limits/
	Budgets: []githost.Budget{
		{Unit: apiRequests, Limit: requestLimit, Told: limitTold},
		{Unit: gitproto.Budget.Unit, Draws: gitproto.Budget.Draws, Limit: func(bool) int { return 60_000 }, Sweep: githost.Whole},
	},
	Pages: githost.Pages{Commit: "/commits/%s", Compare: "/branches/compare/%[2]s..%[1]s"},
	About: githost.About{
		Servers:    "Bitbucket Cloud",
		API:        "`https://api.bitbucket.org/2.0`",
		Credential: "HTTP Basic, with the user name or `x-token-auth`; an access token to the API as `Authorization: Bearer`",
	},
}

// apiRequests is what the API counts apart from Git.
const apiRequests = "api requests"

func requestLimit(token bool) int {
	if token {
		return 1_000
	}
	return 60
}

func limitTold(h http.Header) int {
	n, err := strconv.Atoi(h.Get("X-RateLimit-Limit"))
	if err != nil || n <= 0 || n > 1<<20 {
		return 0
	}
	return n
}

func checkPath(path string) error {
	if strings.Count(path, "/") != 2 {
		return errors.New("is not of the form https://bitbucket.org/WORKSPACE/REPOSITORY; want that, without what follows the repository's name")
	}
	return nil
}
