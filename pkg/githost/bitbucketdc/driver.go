// Package bitbucketdc is Bitbucket Data Center, and Bitbucket Server before it, which are read by the Git protocol.
package bitbucketdc

import (
	"errors"
	"strings"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/gitproto"
)

// Driver is Bitbucket Data Center.
var Driver = githost.Driver{
	Host: config.Host{
		Type:      "bitbucket-dc",
		CheckPath: checkPath,
		User:      "x-token-auth",
	},
	Open:    gitproto.Open,
	Budgets: []githost.Budget{gitproto.Budget},
	Pages:   githost.Pages{Commit: "/commits/%s", Compare: "/compare/commits?targetBranch=%s&sourceBranch=%s", At: page},
	About: githost.About{
		Servers:    "Bitbucket Data Center and Server",
		API:        "none",
		Credential: "HTTP Basic, with the user name or `x-token-auth`",
	},
}

// scm is before the project and the name of a repository where it is cloned.
const scm = "/scm/"

func checkPath(path string) error {
	_, rest, found := strings.Cut(path, scm)
	if project, name, _ := strings.Cut(rest, "/"); !found || project == "" || name == "" || strings.Contains(name, "/") {
		return errors.New("is not of the form https://HOST/scm/PROJECT/REPOSITORY, as Bitbucket Data Center shows it under Clone; want that")
	}
	return nil
}

// page returns where a repository of a project or, after a tilde, of a user is shown.
func page(repoURL string) string {
	server, rest, found := strings.Cut(repoURL, scm)
	project, name, _ := strings.Cut(rest, "/")
	switch user, personal := strings.CutPrefix(project, "~"); {
	case !found:
		return ""
	case personal:
		return server + "/users/" + user + "/repos/" + name
	}
	return server + "/projects/" + project + "/repos/" + name
}
