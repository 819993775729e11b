package gitea

import (
	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/config/kind"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/gitproto"
)

// Driver is Gitea and Forgejo, which count nothing themselves.
var Driver = githost.Driver{
	Host: config.Host{
		Type:      config.Gitea,
		Domains:   []string{"codeberg.org", "gitea.com"},
		CheckPath: kind.OwnerAndRepository,
		Statuses:  true,
		Owners:    true,
		Requests:  true,
	},
	Open: Open,
	Budgets: []githost.Budget{
		{Unit: "api requests"},
		swept(gitproto.Budget),
	},
	Pages: githost.Pages{Commit: "/commit/%s", Compare: "/compare/%s...%s"},
	About: githost.About{
		Servers:    "Gitea and Forgejo",
		API:        "`https://HOST/api/v1`",
		Credential: "HTTP Basic, with the user name or `git`",
	},
}

// swept is a budget that a sweep draws on as much as a look at all repositories does.
func swept(b githost.Budget) githost.Budget {
	b.Sweep = githost.Whole
	return b
}
