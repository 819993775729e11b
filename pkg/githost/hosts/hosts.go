// Package hosts lists the kinds of hosts that Sentry knows. A new one is a package of its own, and a line here.
package hosts

import (
	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/azure"
	"github.com/tekton-sentry/sentry/pkg/githost/bitbucket"
	"github.com/tekton-sentry/sentry/pkg/githost/bitbucketdc"
	"github.com/tekton-sentry/sentry/pkg/githost/codecommit"
	"github.com/tekton-sentry/sentry/pkg/githost/gerrit"
	"github.com/tekton-sentry/sentry/pkg/githost/gitea"
	"github.com/tekton-sentry/sentry/pkg/githost/github"
	"github.com/tekton-sentry/sentry/pkg/githost/gitlab"
	"github.com/tekton-sentry/sentry/pkg/githost/gitproto"
)

// All are the kinds, in the order in which messages and documents name them.
var All = githost.Drivers{
	github.Driver,
	gitlab.Driver,
	gitea.Driver,
	bitbucket.Driver,
	bitbucketdc.Driver,
	azure.Driver,
	gerrit.Driver,
	codecommit.Driver,
	gitproto.Driver,
}

// Options are those of a configuration, with all kinds.
func Options(lookup func(string) (string, bool)) config.Options {
	return config.Options{LookupEnv: lookup, Hosts: All.Config()}
}
