// Package kind has what a configuration has to know of the kinds of Git hosts.
package kind

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
	"github.com/tekton-sentry/sentry/pkg/secret"
)

// Type is the kind of server that a repository lives on.
type Type string

// The host types. Git is any server that speaks the Git protocol, over HTTP or SSH.
const (
	GitHub Type = "github"
	GitLab Type = "gitlab"
	Gitea  Type = "gitea"
	Git    Type = "git"
)

// Host is what the file has to know of a kind of host. The host's package has one.
type Host struct {
	Type Type
	// Domains are the public servers whose type need not be told, such as gitlab.com. ".ghe.com" is all below it, and a * one part
	// of a name.
	Domains []string
	// Aliases are other names of such servers, with the one that is used instead.
	Aliases map[string]string
	// CheckPath says what is wrong with the path of a repository's URL; nil = nothing is. Its error is the end of a
	// sentence that begins with the key, and holds no part of the path.
	CheckPath func(path string) error
	// User is the user name that goes with a token where the file has none; "" = any will do.
	User string
	// OwnUser is for a kind that takes a token, or a password, from the user alone whose it is.
	OwnUser bool
	// Statuses is for a kind that takes the statuses of commits.
	Statuses bool
	// Owners is for a kind that lists the repositories of an owner.
	Owners bool
	// Requests is for a kind that tells which pull or merge requests are open.
	Requests bool
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
		if start, end, ok := strings.Cut(domain, "*"); ok {
			part, starts := strings.CutPrefix(name, start)
			part, ends := strings.CutSuffix(part, end)
			return starts && ends && part != "" && !strings.Contains(part, ".")
		}
		return name == domain || strings.HasPrefix(domain, ".") && strings.HasSuffix(name, domain)
	})
}

// Hosts are the kinds that there are.
type Hosts []Host

// Names returns the types, as words.
func (hs Hosts) Names() []string {
	names := make([]string, len(hs))
	for i, h := range hs {
		names[i] = string(h.Type)
	}
	return names
}

// Describe names all kinds for a message.
func (hs Hosts) Describe() string {
	words := make([]string, len(hs))
	for i, h := range hs {
		words[i] = string(h.Type)
		if h.About != "" {
			words[i] += " (" + h.About + ")"
		}
	}
	return schema.OneOf(words)
}

// Of returns the kind of a type that is one of Names.
func (hs Hosts) Of(t Type) Host {
	i := slices.IndexFunc(hs, func(h Host) bool { return h.Type == t })
	return hs[i]
}

// Called returns the kind that a server's name tells, and the name that is used for it.
func (hs Hosts) Called(name string) (known Type, canonical string) {
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

// Settle derives the type of a server where the file does not tell it, and checks the path of the address against it. The key that an
// error is about is "" for that of the address.
func (hs Hosts) Settle(d *schema.Decoder, path, urlKey string, address *string, t *Type) (key string, err error) {
	if giturl.IsSSH(*address) {
		if *t = cmp.Or(*t, Git); *t != Git {
			return "repo_type", fmt.Errorf("is %q, and an SSH address is read by Git's own protocol; want git, or an https:// address", d.Shown(path+".repo_type", *t))
		}
		return "", nil
	}
	u, err := url.Parse(*address)
	if err != nil {
		return "", fmt.Errorf("is not well-formed; want %s", rule.WantRepo) // the error repeats it
	}
	known, canonical := hs.Called(u.Hostname())
	*t = cmp.Or(*t, known)
	switch {
	case *t == "":
		return "repo_type", fmt.Errorf("is missing; want %s: the host's name does not tell", hs.Describe())
	case known != "" && *t != known && !hs.Of(*t).Any:
		return "repo_type", fmt.Errorf("is %q, and %s is not; want %s",
			d.Shown(path+".repo_type", *t), d.Shown(path+"."+urlKey, u.Hostname()), known)
	}
	if canonical != u.Hostname() {
		*address = strings.Replace(*address, "://"+u.Hostname(), "://"+canonical, 1)
	}
	if check := hs.Of(*t).CheckPath; check != nil {
		return "", check(u.Path)
	}
	return "", nil
}

// SettleUser gives a token the user name that the kind of host wants beside it, where the file has none.
func (h Host) SettleUser(d *schema.Decoder, path string, a *section.Auth) {
	switch {
	case !a.Token.IsSet() || a.Username.IsSet() || d.Failed(path+".auth.username"):
	case h.OwnUser:
		d.Fail(path+".auth.username", "is missing; want the name that goes with the token, as a host of the type %s takes no other", h.Type)
	case h.User != "":
		a.Username = secret.New(h.User, h.User)
	}
}

// OwnerAndRepository is the CheckPath of hosts whose repositories have an owner, below groups or not.
func OwnerAndRepository(path string) error {
	if strings.Count(path, "/") < 2 || strings.Contains(path, "/-/") {
		return errors.New("is not of the form https://HOST/OWNER/REPOSITORY; want that, without what follows the repository's name")
	}
	return nil
}

// CheckApp sees to it that an App is whole and alone.
func CheckApp(d *schema.Decoder, path string) {
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

// server is the start of a URL.
const server = `^[Hh][Tt][Tt][Pp][Ss]?://([A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(:0*[1-9][0-9]{0,4})?(/|$)`

// OverSSH is an address over SSH.
const OverSSH = `^([Ss][Ss][Hh]://([A-Za-z0-9_][A-Za-z0-9._-]*@)?[A-Za-z0-9\[][^/?#@]*/|[A-Za-z0-9_][A-Za-z0-9._-]*@([A-Za-z0-9][A-Za-z0-9._-]*|\[[^\]/]*\]):)[^?#-][^?#]*$`

// AddressShape is a URL whose path matches the regular expression.
func AddressShape(path string) schema.Shape {
	return schema.Shape{"type": "string", "allOf": []schema.Shape{
		{"pattern": server},
		{"pattern": `^[^:]*://[^/]*` + path},
		{"pattern": `^[^:]*://[^/]*[A-Za-z0-9._~/%+@:,=&;!-]*$`},
	}, "not": schema.Shape{"pattern": `://[^/]*/.*//+[^/]|/\.\.?(/|$)`}}
}
