package gitproto

import (
	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
)

// Driver is any server that speaks the Git protocol over HTTP.
var Driver = githost.Driver{
	Host: config.Host{
		Type:    config.Git,
		Domains: []string{"bitbucket.org", "dev.azure.com"},
		Any:     true,
		About:   "any server",
	},
	Open:    Open,
	DotGit:  true,
	Budgets: []githost.Budget{githost.GitProtocol},
	About: githost.About{
		Servers:    "any other that speaks Git over HTTP, such as Bitbucket and Azure DevOps",
		API:        "none",
		Credential: "HTTP Basic, with the user name or `git`",
	},
}
