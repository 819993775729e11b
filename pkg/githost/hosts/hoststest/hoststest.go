// Package hoststest lists the servers for tests of all kinds of hosts. A new kind is a line here.
package hoststest

import (
	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost/gitea/giteatest"
	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
	"github.com/tekton-sentry/sentry/pkg/githost/github/githubtest"
	"github.com/tekton-sentry/sentry/pkg/githost/gitlab/gitlabtest"
	"github.com/tekton-sentry/sentry/pkg/githost/gitproto/gitprototest"
)

var servers = map[config.HostType]func() *githosttest.API{
	config.GitHub: githubtest.New,
	config.GitLab: func() *githosttest.API { return gitlabtest.New().API },
	config.Gitea:  func() *githosttest.API { return giteatest.New().API },
	config.Git:    gitprototest.New,
}

// New returns a server without repositories. It panics for a kind that there is not.
func New(kind config.HostType) *githosttest.API {
	server, ok := servers[kind]
	if !ok {
		panic("hoststest: no server of kind " + string(kind))
	}
	return server()
}
