package gitproto

import (
	"net/http"
	"strings"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
)

// Driver is any server that speaks the Git protocol, over HTTP or SSH.
var Driver = githost.Driver{
	Host: config.Host{
		Type:  config.Git,
		Any:   true,
		About: "any server",
	},
	Open:    Open,
	DotGit:  true,
	Budgets: []githost.Budget{Budget},
	About: githost.About{
		Servers:    "any other that speaks Git over HTTP; and any server over SSH",
		API:        "none",
		Credential: "HTTP Basic, with the user name or `git`; over SSH a key",
	},
}

// Budget is that of Git's own protocol, which servers limit apart from their APIs, if at all.
var Budget = githost.Budget{Unit: "git requests", Draws: func(req *http.Request) bool {
	return strings.HasSuffix(req.URL.Path, "/git-upload-pack") || strings.HasSuffix(req.URL.Path, "/info/refs")
}}
