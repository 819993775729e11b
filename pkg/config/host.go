package config

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/tekton-sentry/sentry/pkg/config/rule"
	"github.com/tekton-sentry/sentry/pkg/config/schema"
	"github.com/tekton-sentry/sentry/pkg/config/section"
	"github.com/tekton-sentry/sentry/pkg/giturl"
)

// HostType is the kind of server that a repository lives on.
type HostType string

// The host types. Git is any server that speaks the Git protocol, over HTTP or SSH.
const (
	GitHub HostType = "github"
	GitLab HostType = "gitlab"
	Gitea  HostType = "gitea"
	Git    HostType = "git"
)

// DefaultUsername is sent with a token where none is given.
const DefaultUsername = section.DefaultUsername

// Host is what the file has to know of a kind of host. The host's package has one.
type Host struct {
	Type HostType
	// Domains are the public servers whose type need not be told, such as gitlab.com. ".ghe.com" is all below it.
	Domains []string
	// Aliases are other names of such servers, with the one that is used instead.
	Aliases map[string]string
	// CheckPath says what is wrong with the path of a repository's URL; nil = nothing is. Its error is the end of a
	// sentence that begins with the key, and holds no part of the path.
	CheckPath func(path string) error
	// Statuses is for a kind that takes the statuses of commits.
	Statuses bool
	// Apps is for a kind that has Apps, as GitHub does.
	Apps bool
	// Any is for a kind that reads any server, also those whose name tells another kind.
	Any bool
	// About is what messages say of the kind, in brackets; "" = nothing.
	About string
}

// knows reports whether the name of a server tells that it is of this kind.
func (h Host) knows(name string) bool {
	return slices.ContainsFunc(h.Domains, func(domain string) bool {
		return name == domain || strings.HasPrefix(domain, ".") && strings.HasSuffix(name, domain)
	})
}

// hosts are the kinds that there are.
type hosts []Host

// names returns the types, as words.
func (hs hosts) names() []string {
	names := make([]string, len(hs))
	for i, h := range hs {
		names[i] = string(h.Type)
	}
	return names
}

// describe names all kinds for a message.
func (hs hosts) describe() string {
	words := make([]string, len(hs))
	for i, h := range hs {
		words[i] = string(h.Type)
		if h.About != "" {
			words[i] += " (" + h.About + ")"
		}
	}
	return schema.OneOf(words)
}

func (hs hosts) of(t HostType) Host {
	i := slices.IndexFunc(hs, func(h Host) bool { return h.Type == t })
	return hs[i] // t is one of names
}

// called returns the kind that a server's name tells, and the name that is used for it.
func (hs hosts) called(name string) (known HostType, canonical string) {
	for _, h := range hs {
		if main, ok := h.Aliases[name]; ok {
			return h.Type, main
		}
		if h.knows(name) {
			return h.Type, name
		}
	}
	return "", name
}

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
	known, canonical := t.hosts.called(u.Hostname())
	told := s.Type
	s.Type = cmp.Or(told, known)
	switch {
	case s.Type == "":
		return "repo_type", fmt.Errorf("is missing; want %s: the host's name does not tell", t.hosts.describe())
	case known != "" && s.Type != known && !t.hosts.of(s.Type).Any:
		return "repo_type", fmt.Errorf("is %q, and %s is not; want %s",
			d.Shown(path+".repo_type", s.Type), d.Shown(path+"."+urlKey, u.Hostname()), known)
	}
	if canonical != u.Hostname() {
		s.URL = strings.Replace(s.URL, "://"+u.Hostname(), "://"+canonical, 1)
	}
	if check := t.hosts.of(s.Type).CheckPath; check != nil {
		return "", check(u.Path)
	}
	return "", nil
}

// OwnerAndRepository is the CheckPath of hosts whose repositories have an owner, below groups or not.
func OwnerAndRepository(path string) error {
	if strings.Count(path, "/") < 2 || strings.Contains(path, "/-/") {
		return errors.New("is not of the form https://HOST/OWNER/REPOSITORY; want that, without what follows the repository's name")
	}
	return nil
}

// checkApp sees to it that an App is whole and alone.
func checkApp(d *schema.Decoder, path string) {
	given := func(key string) bool { return d.Given(path+".auth."+key) || d.Failed(path+".auth."+key) }
	keys := map[string]string{"id": section.WantApp, "installation": section.WantInstallation, "private_key": section.WantAppKey}
	some := false
	for key := range keys {
		some = some || given("github_app."+key)
	}
	for _, key := range []string{"id", "installation", "private_key"} {
		if some && !given("github_app."+key) {
			d.Fail(path+".auth.github_app."+key, "is missing; want %s", keys[key])
		}
	}
	for _, key := range []string{"username", "token"} {
		if some && given(key) {
			d.Fail(path+".auth."+key, "stands beside github_app, which makes tokens of its own; want one of the two")
		}
	}
}
