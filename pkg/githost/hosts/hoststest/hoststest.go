// Package hoststest lists the servers for tests of all kinds of hosts. A new kind is a line here.
package hoststest

import (
	"fmt"
	"strings"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost/bitbucket/bitbuckettest"
	"github.com/tekton-sentry/sentry/pkg/githost/gitea/giteatest"
	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
	"github.com/tekton-sentry/sentry/pkg/githost/github/githubtest"
	"github.com/tekton-sentry/sentry/pkg/githost/gitlab/gitlabtest"
	"github.com/tekton-sentry/sentry/pkg/githost/gitproto/gitprototest"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/secret"
)

var servers = map[config.HostType]func() *githosttest.API{
	config.GitHub: githubtest.New,
	config.GitLab: func() *githosttest.API { return gitlabtest.New().API },
	config.Gitea:  func() *githosttest.API { return giteatest.New().API },
	config.Git:    gitprototest.New,

	"bitbucket": func() *githosttest.API { return bitbuckettest.New().API }, "bitbucket-dc": gitprototest.New, "azure": gitprototest.New, "gerrit": gitprototest.New, "codecommit": gitprototest.New,
}

// New returns a server without repositories. It panics for a kind that there is not.
func New(kind config.HostType) *githosttest.API {
	server, ok := servers[kind]
	if !ok {
		panic("hoststest: no server of kind " + string(kind))
	}
	return server()
}

// Populated returns a host whose token is "token", and a configuration of n repositories on it. It takes 15 seconds a
// repository, of a bubble of time: what was pushed to at the same time as the last one is read once more.
func Populated(kind config.HostType, token string, n int) (*githosttest.API, *config.Config) {
	api, cfg := New(kind), new(config.Config)
	api.SetToken("token")
	for i := range n {
		path := fmt.Sprintf("o/r%d", i)
		api.Push(path, "main", strings.Repeat("1", 40))
		<-time.After(15 * time.Second)
		source := config.Source{URL: "http://host.example/" + path, Type: kind, Auth: config.Auth{Token: secret.New("${T}", token)}}
		cfg.Repositories = append(cfg.Repositories, config.Repository{Name: path, Monitor: config.Monitor{
			Source: source, Branches: repo.Patterns{repo.ExactPattern("main")}}, Deploy: &config.Deploy{Source: source, Branch: "main"}})
	}
	return api, cfg
}
