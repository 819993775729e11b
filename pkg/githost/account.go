package githost

import (
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
	APIURL          string // as in sentry.yaml; "" = derived from Origin
	username, token string
}

// AccountOf returns the account that a repository is read with, the zero Account where its URL is none.
func (d *Driver) AccountOf(s config.Source) Account {
	u, err := url.Parse(s.URL)
	if err != nil || u.Host == "" {
		return Account{}
	}
	a := Account{Type: s.Type, Origin: OriginOf(u), APIURL: s.APIURL}
	a.username, a.token = Basic(s.Auth)
	if d.TokenAlone && a.token != "" {
		a.username = ""
	}
	return a
}

// Basic returns what HTTP Basic sends of a credential: beside a token, a user name in any case.
func Basic(a config.Auth) (user, password string) {
	user, password = a.Username.Reveal(), a.Token.Reveal()
	if user == "" && password != "" {
		user = config.DefaultUsername
	}
	return user, password
}

// Host returns host[:port] of the server, for Error.Host.
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

// Secrets returns the texts that would give the endpoint's credential away.
func (e Endpoint) Secrets() []string {
	user, token := Basic(e.Auth)
	switch {
	case token == "" && user == "":
		return nil
	case token == "":
		// Some hosts take a token as the user name. A name beside a token is no secret.
		return []string{user, basicToken(user, "")}
	}
	return []string{basicToken(user, token), token}
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
