// Package azure is Azure DevOps, in the cloud and on servers of one's own, which is read by the Git protocol. It speaks version 0 alone.
package azure

import (
	"errors"
	"strings"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/gitproto"
)

// Driver is Azure DevOps.
var Driver = githost.Driver{
	Host: config.Host{
		Type:      "azure",
		Domains:   []string{"dev.azure.com", ".visualstudio.com"},
		CheckPath: checkPath,
	},
	Open:    gitproto.Open,
	DotGit:  true,
	Budgets: []githost.Budget{gitproto.Budget},
	Pages:   githost.Pages{Commit: "/commit/%s", Compare: "/branchCompare?baseVersion=GC%s&targetVersion=GC%s"},
	About: githost.About{
		Servers:    "Azure DevOps Services and Server",
		API:        "none",
		Credential: "HTTP Basic, with the user name or `git`",
	},
}

func checkPath(path string) error {
	if _, name, found := strings.Cut(path, "/_git/"); !found || name == "" {
		return errors.New("is not of the form https://dev.azure.com/ORGANISATION/PROJECT/_git/REPOSITORY, as Azure DevOps shows it under Clone; want that")
	}
	return nil
}
