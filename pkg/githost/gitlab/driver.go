package gitlab

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/config/kind"
	"github.com/tekton-sentry/sentry/pkg/githost"
)

// Driver is GitLab. It counts requests of GraphQL and of all else by the minute, and a 304 as any other.
var Driver = githost.Driver{
	Host: config.Host{
		Type:      config.GitLab,
		Domains:   []string{"gitlab.com"},
		CheckPath: kind.OwnerAndRepository,
		Statuses:  true,
		Owners:    true,
		Requests:  true,
	},
	Open:       Open,
	TokenAlone: true,
	Budgets: []githost.Budget{
		{
			Unit:  "graphql",
			Draws: func(req *http.Request) bool { return strings.HasSuffix(req.URL.Path, "/graphql") },
			Limit: limit,
			Told:  limitTold,
		},
		{Unit: "api requests", Limit: limit, Told: limitTold},
	},
	Pages: githost.Pages{Commit: "/-/commit/%s", Compare: "/-/compare/%s...%s"},
	About: githost.About{
		Servers:    "GitLab",
		API:        "`https://HOST/api/v4`",
		Credential: "`Authorization: Bearer`, the token alone",
	},
}

// limit is what https://docs.gitlab.com/user/gitlab_com/#rate-limits-on-gitlabcom says of a minute.
func limit(bool) int { return 2_000 * 60 }

func limitTold(h http.Header) int {
	n, err := strconv.Atoi(h.Get("RateLimit-Limit"))
	if err != nil || n <= 0 || n >= 1<<24 {
		return 0
	}
	return n * 60
}
