// Package gerrit is Gerrit, which is read by the Git protocol.
package gerrit

import (
	"strings"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/gitproto"
	"github.com/tekton-sentry/sentry/pkg/giturl"
)

// google is what the servers of Google end with. They show a repository where it is cloned.
const google = ".googlesource.com"

// Driver is Gerrit. Its pages are those of Gitiles, which comes with it.
var Driver = githost.Driver{
	Host: config.Host{
		Type:    "gerrit",
		Domains: []string{google},
		OwnUser: true,
	},
	Open:    gitproto.Open,
	Budgets: []githost.Budget{gitproto.Budget},
	Pages:   githost.Pages{Commit: "/+/%s", Compare: "/+log/%s..%s", At: page},
	About: githost.About{
		Servers:    "Gerrit",
		API:        "none",
		Credential: "HTTP Basic, with the user name and the HTTP password",
	},
}

// page returns where Gitiles shows a project. What is before its name asks for a credential, and is no part of it.
func page(repoURL string) string {
	server, project := giturl.Split(repoURL)
	project = strings.TrimPrefix(project, "/a/")
	project = strings.TrimPrefix(project, "/")
	if strings.HasSuffix(server, google) {
		return server + "/" + project
	}
	return server + "/plugins/gitiles/" + project
}
