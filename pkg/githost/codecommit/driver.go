// Package codecommit is AWS CodeCommit, which is read by the Git protocol.
package codecommit

import (
	"errors"
	"strings"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/gitproto"
	"github.com/tekton-sentry/sentry/pkg/giturl"
)

// Driver is AWS CodeCommit.
var Driver = githost.Driver{
	Host: config.Host{
		Type: "codecommit",
		Domains: []string{"git-codecommit.*.amazonaws.com", "git-codecommit-fips.*.amazonaws.com",
			"git-codecommit.*.amazonaws.com.cn"},
		CheckPath: checkPath,
		OwnUser:   true,
	},
	Open:    gitproto.Open,
	Budgets: []githost.Budget{gitproto.Budget},
	Pages:   githost.Pages{Commit: "/commit/%s", At: page},
	About: githost.About{
		Servers:    "AWS CodeCommit",
		API:        "none",
		Credential: "HTTP Basic, with the user name and the password of Git credentials",
	},
}

// repositories is before the name of a repository where it is cloned.
const repositories = "/v1/repos/"

func checkPath(path string) error {
	if name, found := strings.CutPrefix(path, repositories); !found || name == "" || strings.Contains(name, "/") {
		return errors.New("is not of the form https://git-codecommit.REGION.amazonaws.com/v1/repos/REPOSITORY; want that")
	}
	return nil
}

// page returns where the console of a region shows a repository. Regions that have a console of their own are left out.
func page(repoURL string) string {
	server, path := giturl.Split(repoURL)
	name, found := strings.CutPrefix(path, repositories)
	parts := strings.Split(server, ".")
	if !found || len(parts) != 4 || strings.HasPrefix(parts[1], "us-gov-") || strings.HasPrefix(parts[1], "us-iso") {
		return ""
	}
	return strings.Join([]string{"https:/", parts[1] + ".console.aws.amazon.com", "codesuite", "codecommit", "repositories", name}, "/")
}
