package githost

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/tekton-sentry/sentry/pkg/config"
)

// Account is one server with one credential: what a host's limits are counted for, and what repositories have
// in common that a Reader asks for together. Two accounts are the same when they are ==.
type Account struct {
	Type            config.HostType
	Origin          string // scheme://host[:port], lower case; "" where the repository's URL is none
	APIURL          string // as in sentry.yaml
	username, token string
}

// AccountOf returns the account that a repository is read with.
func AccountOf(s config.Source) Account {
	u, err := url.Parse(s.URL)
	if err != nil || u.Host == "" {
		return Account{}
	}
	a := Account{s.Type, OriginOf(u), s.APIURL, s.Auth.Username.Reveal(), s.Auth.Token.Reveal()}
	switch {
	case a.token == "":
	case s.Type == config.GitHub || s.Type == config.GitLab:
		a.username = "" // is not sent beside a token: it is the same budget with any name
	default:
		a.username = cmp.Or(a.username, "git") // which is sent, and what a deployment's credential has by default
	}
	return a
}

// Host returns host[:port] of the server.
func (a Account) Host() string {
	_, host, _ := strings.Cut(a.Origin, "://")
	return host
}

// Format hides the credential, whatever verb of package fmt is used.
func (a Account) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, a.Origin) }

// CredentialOf names a credential without telling it: $NAME for the variable that holds it, "as written", or "none".
func CredentialOf(a config.Auth) string {
	switch user, token := a.Username, a.Token; {
	case token.Reveal() == "" && user.Reveal() == "":
		return "none"
	case token.Variable() != "":
		return "$" + token.Variable()
	case token.Reveal() == "" && user.Variable() != "":
		return "$" + user.Variable()
	}
	return "as written"
}

// Host returns host[:port] of the endpoint's origin, for Error.Host.
func (e Endpoint) Host() string {
	_, host, _ := strings.Cut(e.Origin, "://")
	return host
}

// Secrets returns the texts that would give the endpoint's credential away.
func (e Endpoint) Secrets() []string {
	user, token := e.Auth.Username.Reveal(), e.Auth.Token.Reveal()
	switch {
	case token == "" && user == "":
		return nil
	case token == "":
		// Some hosts take a token as the user name. A name beside a token is no secret.
		return []string{user, basicToken(user, "")}
	}
	return []string{basicToken(cmp.Or(user, "git"), token), token}
}

// basicToken is what HTTP Basic makes of a credential.
func basicToken(user, password string) string {
	return base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
}

// OriginOf returns scheme://host[:port] in lower case, without the port that the scheme has anyway.
func OriginOf(u *url.URL) string { return strings.ToLower(u.Scheme) + "://" + HostOf(u) }

// HostOf returns host[:port] in lower case, without the port that the scheme has anyway.
func HostOf(u *url.URL) string {
	host := strings.ToLower(u.Host)
	switch strings.ToLower(u.Scheme) {
	case "https":
		return strings.TrimSuffix(host, ":443")
	case "http":
		return strings.TrimSuffix(host, ":80")
	}
	return host
}
