package config

import (
	"github.com/tekton-sentry/sentry/pkg/config/kind"
	"github.com/tekton-sentry/sentry/pkg/config/section"
)

// What is known of the kinds of hosts has a package of its own.
type (
	// HostType is the kind of server that a repository lives on.
	HostType = kind.Type
	// Host is what the file has to know of a kind of host. The host's package has one.
	Host = kind.Host
)

// The host types. Git is any server that speaks the Git protocol, over HTTP or SSH.
const (
	GitHub = kind.GitHub
	GitLab = kind.GitLab
	Gitea  = kind.Gitea
	Git    = kind.Git
)

// DefaultUsername is sent with a token where none is given.
const DefaultUsername = section.DefaultUsername

// Reference returns the Task or the Pipeline that is run in place of commands; nil for none.
func (p *Deploy) Reference() *Reference {
	if p.Task != nil {
		return p.Task
	}
	return p.Pipeline
}
