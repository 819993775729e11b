package config

import (
	"cmp"
	"fmt"
	"net/url"
	"strings"

	"github.com/tekton-sentry/sentry/pkg/config/kind"
	"github.com/tekton-sentry/sentry/pkg/config/rule"
	"github.com/tekton-sentry/sentry/pkg/config/schema"
	"github.com/tekton-sentry/sentry/pkg/config/section"
	"github.com/tekton-sentry/sentry/pkg/giturl"
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

// host derives the host type where it is not told, and checks the URL's path against it. The key that an error is
// about is "" for that of the URL.
func (t *tables) host(d *schema.Decoder, path, urlKey string, s *Source) (key string, err error) {
	if giturl.IsSSH(s.URL) {
		if s.Type = cmp.Or(s.Type, Git); s.Type != Git {
			return "repo_type", fmt.Errorf("is %q, and an SSH address is read by Git's own protocol; want git, or an https:// address", d.Shown(path+".repo_type", s.Type))
		}
		return "", nil
	}
	u, err := url.Parse(s.URL)
	if err != nil {
		return "", fmt.Errorf("is not well-formed; want %s", rule.WantRepo) // the error repeats it
	}
	known, canonical := t.hosts.Called(u.Hostname())
	told := s.Type
	s.Type = cmp.Or(told, known)
	switch {
	case s.Type == "":
		return "repo_type", fmt.Errorf("is missing; want %s: the host's name does not tell", t.hosts.Describe())
	case known != "" && s.Type != known && !t.hosts.Of(s.Type).Any:
		return "repo_type", fmt.Errorf("is %q, and %s is not; want %s",
			d.Shown(path+".repo_type", s.Type), d.Shown(path+"."+urlKey, u.Hostname()), known)
	}
	if canonical != u.Hostname() {
		s.URL = strings.Replace(s.URL, "://"+u.Hostname(), "://"+canonical, 1)
	}
	if check := t.hosts.Of(s.Type).CheckPath; check != nil {
		return "", check(u.Path)
	}
	return "", nil
}
