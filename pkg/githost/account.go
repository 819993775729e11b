package githost

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/giturl"
	"github.com/tekton-sentry/sentry/pkg/sshauth"
)

// Account is one server with one credential: what a host's limits are counted for, and what repositories have
// in common that a Reader asks for together. Two accounts are the same when they are ==.
type Account struct {
	Type            config.HostType
	Origin          string // scheme://host[:port], lower case, or ssh://user@host[:port]; "" where the repository's URL is none
	APIURL          string // as in sentry.yaml; "" = derived from Origin
	username, token string
	ssh             [3]string // over SSH: the key, its certificate, and known_hosts
}

// AccountOf returns the account that a repository is read with, the zero Account where its URL is none.
func (d *Driver) AccountOf(s config.Source) Account {
	if giturl.IsSSH(s.URL) {
		at, err := giturl.ParseSSH(s.URL)
		if err != nil {
			return Account{}
		}
		return Account{Type: s.Type, Origin: "ssh://" + at.Server(), ssh: [3]string{s.Auth.SSHKey.Reveal(), s.Auth.SSHCertificate.Reveal(), s.Auth.KnownHosts.Reveal()}}
	}
	u, err := url.Parse(s.URL)
	if err != nil || u.Host == "" {
		return Account{}
	}
	a := Account{Type: s.Type, Origin: OriginOf(u), APIURL: s.APIURL}
	a.username, a.token = s.Auth.Basic()
	if app := s.Auth.App; app.IsSet() {
		a.token = strings.Join([]string{"app", app.ID, app.Installation, app.Key.Reveal()}, "/")
	}
	if d.TokenAlone && a.token != "" {
		a.username = ""
	}
	return a
}

// Host returns host[:port] of the server, for Error.Host.
func (a Account) Host() string {
	_, host, _ := strings.Cut(a.Origin, "://")
	return host[strings.IndexByte(host, '@')+1:]
}

// Format hides the credential, whatever verb of package fmt is used.
func (a Account) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, a.Origin) }

// Secrets returns the texts that would give the endpoint's credential away, of a key each line. Some hosts take a token as the user name; a
// name beside a token is no secret.
func (e Endpoint) Secrets() []string {
	user, token := e.Auth.Basic()
	if user == "" {
		return append(sshauth.Secrets(e.Auth.SSHKey.Reveal()), sshauth.Secrets(e.Auth.App.Key.Reveal())...)
	}
	return []string{base64.StdEncoding.EncodeToString([]byte(user + ":" + token)), cmp.Or(token, user)}
}

// ports are those that a scheme has anyway.
var ports = map[string]string{"https": ":443", "http": ":80", "ssh": ":22"}

// OriginOf returns scheme://host[:port] in lower case, without the port that the scheme has anyway.
func OriginOf(u *url.URL) string { return strings.ToLower(u.Scheme) + "://" + HostOf(u) }

// HostOf returns host[:port] in lower case, without the port that the scheme has anyway.
func HostOf(u *url.URL) string {
	return strings.TrimSuffix(strings.ToLower(u.Host), ports[strings.ToLower(u.Scheme)])
}
