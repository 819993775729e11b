package github

import (
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
)

// Driver is GitHub.
var Driver = githost.Driver{
	Host: config.Host{
		Type:      config.GitHub,
		Domains:   []string{"github.com", ".ghe.com"},
		Aliases:   map[string]string{"www.github.com": "github.com"},
		CheckPath: checkPath,
		Statuses:  true,
		Owners:    true,
		Requests:  true,
		Apps:      true,
	},
	Open:       Open,
	TokenAlone: true,
	// Points of GraphQL and requests of all else are counted apart.
	Budgets: []githost.Budget{
		{
			Unit:  "points",
			Draws: func(req *http.Request) bool { return strings.HasSuffix(req.URL.Path, "/graphql") },
			// https://docs.github.com/graphql/overview/rate-limits-and-query-limits-for-the-graphql-api
			Limit:    func(bool) int { return 5_000 },
			Told:     limitTold,
			Resource: pointsResource,
			Sweep:    sweep,
		},
		{Unit: "api requests", Limit: requestLimit, Told: limitTold, Free304: true},
	},
	Pages: githost.Pages{Commit: "/commit/%s", Compare: "/compare/%s...%s"},
	About: githost.About{
		Servers:    "GitHub and GitHub Enterprise",
		API:        "`https://api.github.com`, `https://api.NAME.ghe.com`, `https://HOST/api/v3`",
		Credential: "`Authorization: Bearer`, the token alone, or one of a [GitHub App](#github-apps)",
	},
}

func checkPath(path string) error {
	if strings.Count(path, "/") != 2 {
		return errors.New("is not of the form https://HOST/OWNER/REPOSITORY, as on GitHub; want that, without what follows the repository's name")
	}
	return nil
}

// requestLimit is what https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api says.
func requestLimit(token bool) int {
	if token {
		return 5_000
	}
	return 60
}

func limitTold(h http.Header) int {
	n, _ := strconv.Atoi(h.Get("X-RateLimit-Limit")) // 0 when it is none
	return max(n, 0)
}

// sweep is in whole queries: the part of a cycle is one at least, in the cycles that have one.
func sweep(s githost.Sweep) float64 {
	return min(s.Cycles, float64(s.Repositories)*s.Sweeps) * math.Ceil(s.All*s.Sweeps/s.Cycles)
}
