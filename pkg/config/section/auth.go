package section

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"github.com/tekton-sentry/sentry/pkg/config/schema"
	"github.com/tekton-sentry/sentry/pkg/githubapp"
	"github.com/tekton-sentry/sentry/pkg/giturl"
	"github.com/tekton-sentry/sentry/pkg/secret"
	"github.com/tekton-sentry/sentry/pkg/sshauth"
)

// DefaultUsername is sent with a token where none is given. Some servers want a user name, and most of them take any.
const DefaultUsername = "git"

// What messages ask for.
const (
	WantUsername       = "a user name without control characters; in deploy, it may be ${NAME}"
	WantToken          = "a reference ${NAME} to the variable that holds the token"
	WantSSHKey         = "one ${NAME} whose variable holds a private key without a passphrase, as the file has it"
	WantSSHCertificate = "one ${NAME} whose variable holds the certificate of the key, as KEY-cert.pub has it"
	WantApp            = "the ID of a GitHub App, or its client ID"
	WantInstallation   = "the number of an installation, as it stands at the end of its page's address"
	WantAppKey         = "one ${NAME} whose variable holds the private key of the App, as the file has it that GitHub made"
	WantKnownHosts     = "the lines of known_hosts that are the host's, or one ${NAME} whose variable holds them"
)

// Auth is a credential of a Git host: a token over HTTP, a key over SSH. All are empty for a public repository.
type Auth struct {
	Username, Token        secret.Value
	SSHKey, SSHCertificate secret.Value // each one ${NAME}
	KnownHosts             secret.Value // one ${NAME}, or without any; no secret
	App                    App          // in place of Token, to watch
}

// App is an installation of a GitHub App.
type App struct {
	ID           string       // or the client ID
	Installation string       // its number
	Key          secret.Value // one ${NAME}
}

// IsSet reports whether there is one.
func (a App) IsSet() bool { return a.Key.IsSet() }

// HasToken reports whether requests over HTTP are those of somebody: a token is there, or is made.
func (a Auth) HasToken() bool { return a.Token.IsSet() || a.App.IsSet() }

// AuthFields is the table of an auth section.
func AuthFields(a *Auth) []schema.Field {
	return []schema.Field{
		schema.Secret("username", &a.Username, WantUsername),
		schema.Secret("token", &a.Token, WantToken),
		text("ssh_key", &a.SSHKey, WantSSHKey, checkKey),
		text("ssh_certificate", &a.SSHCertificate, WantSSHCertificate, nil),
		text("known_hosts", &a.KnownHosts, WantKnownHosts, checkKnownHosts),
		schema.Section("github_app",
			schema.Text("id", &a.App.ID, WantApp, appID.MatchString),
			schema.Text("installation", &a.App.Installation, WantInstallation, number.MatchString),
			text("private_key", &a.App.Key, WantAppKey, checkAppKey)),
	}
}

// text is a field of several lines. Pods take those that are variables from a Secret, where they can only be whole values. check says
// what is wrong with a value.
func text(key string, p *secret.Value, want string, check func(secret.Value) error) schema.Field {
	hidden := want != WantKnownHosts
	return schema.Field{Key: key, Kind: "text", Want: want, Hidden: hidden,
		Read: func(d *schema.Decoder, path string, n *yaml.Node) {
			v, ok := d.Lines(path, n)
			if !ok {
				return
			}
			var err error
			switch {
			case v.Variable() == "" && (hidden || secret.HasReference(v.Text())):
				why := "as steps take it from the Secret that global.credentials_secret names"
				if want == WantAppKey {
					why = "as no key stands in a configuration"
				}
				err = fmt.Errorf("is not one ${NAME}; want %s, %s", want, why)
			case v.Reveal() == "" && d.AllowsUnset():
			case v.Reveal() == "":
				err = fmt.Errorf("is empty; want %s", want)
			case check != nil:
				err = check(v)
			}
			if err != nil {
				d.Fail(path, "%v", err)
				return
			}
			*p = v
		}}
}

func checkKey(v secret.Value) error {
	_, err := sshauth.ParseKey(v.Reveal(), "")
	return err
}

var (
	appID  = regexp.MustCompile(`^([1-9][0-9]{0,18}|Iv[A-Za-z0-9.]{1,60})$`)
	number = regexp.MustCompile(`^[1-9][0-9]{0,18}$`)
)

func checkAppKey(v secret.Value) error {
	_, err := githubapp.ParseKey(v.Reveal())
	return err
}

func checkKnownHosts(v secret.Value) error {
	_, err := sshauth.ParseKnownHosts(v.Reveal())
	return err
}

// CheckAuth sees to it that a repository has the kind of credential that its address takes.
func CheckAuth(d *schema.Decoder, path, urlKey, url string, a Auth) {
	missing := func(key string) bool { return !d.Given(path+".auth."+key) && !d.Failed(path+".auth."+key) }
	if !giturl.IsSSH(url) {
		for _, key := range []string{"ssh_key", "ssh_certificate", "known_hosts"} {
			if !missing(key) && url != "" {
				d.Fail(path+".auth."+key, "means nothing beside an http(s) address; want %s.%s as ssh://USER@HOST/PATH, or username and token", path, urlKey)
			}
		}
		if a.Username.IsSet() && !a.Token.IsSet() && !d.Failed(path+".auth.token") {
			d.Fail(path+".auth.token", "is missing beside username; want %s", WantToken)
		}
		if (a.Token.IsSet() || a.App.IsSet()) && strings.HasPrefix(url, "http:") {
			d.Warn(path+"."+urlKey, "the token travels unencrypted over http; want https")
		}
		return
	}
	for _, key := range []string{"username", "token", "github_app"} {
		if !missing(key) {
			d.Fail(path+".auth."+key, "means nothing beside an SSH address, in which the user stands; want ssh_key and known_hosts alone")
		}
	}
	if missing("ssh_key") {
		d.Fail(path+".auth.ssh_key", "is missing, and nobody reads over SSH without a key; want %s", WantSSHKey)
	}
	if missing("known_hosts") {
		d.Fail(path+".auth.known_hosts", "is missing, and no key of a host is believed unseen; want %s", WantKnownHosts)
	}
	if a.SSHCertificate.Reveal() != "" && a.SSHKey.Reveal() != "" {
		if _, err := sshauth.ParseKey(a.SSHKey.Reveal(), a.SSHCertificate.Reveal()); sshauth.IsCertificate(err) {
			d.Fail(path+".auth.ssh_certificate", "%v", err)
		}
	}
}

// Values returns all that it has.
func (a *Auth) Values() []*secret.Value {
	return []*secret.Value{&a.Username, &a.Token, &a.SSHKey, &a.SSHCertificate, &a.KnownHosts, &a.App.Key}
}

// CheckRenewed says what is wrong with one of its values that a variable holds since it was read.
func (a *Auth) CheckRenewed(v *secret.Value) func(secret.Value) error {
	switch v {
	case &a.SSHKey:
		return checkKey
	case &a.App.Key:
		return checkAppKey
	case &a.KnownHosts:
		return checkKnownHosts
	case &a.SSHCertificate:
		return func(v secret.Value) error {
			if _, err := sshauth.ParseKey(a.SSHKey.Reveal(), v.Reveal()); sshauth.IsCertificate(err) {
				return err
			}
			return nil
		}
	}
	return CheckLine
}

// CheckLine says what is wrong with a value that is to be one line.
func CheckLine(v secret.Value) error {
	if !utf8.ValidString(v.Reveal()) || strings.ContainsFunc(v.Reveal(), unicode.IsControl) {
		return errors.New("holds a line break, another control character or broken UTF-8")
	}
	return nil
}

// Basic returns what HTTP Basic sends of a credential: beside a token, a user name in any case.
func (a Auth) Basic() (user, password string) {
	user, password = a.Username.Reveal(), a.Token.Reveal()
	if user == "" && password != "" {
		user = DefaultUsername
	}
	return user, password
}

// Label names a credential without telling it: $NAME for the variable that holds it, "as written", or "none".
func (a Auth) Label() string {
	switch {
	case a.SSHKey.Variable() != "":
		return "$" + a.SSHKey.Variable()
	case a.App.IsSet():
		return "$" + a.App.Key.Variable()
	case a.Token.Reveal() == "" && a.Username.Reveal() == "":
		return "none"
	case a.Token.Variable() != "":
		return "$" + a.Token.Variable()
	case a.Token.Reveal() == "" && a.Username.Variable() != "":
		return "$" + a.Username.Variable()
	}
	return "as written"
}

// CheckStepAuth holds the credential of a step to what a pod can take from a Secret: whole values, by name.
func CheckStepAuth(d *schema.Decoder, path string, a Auth, step string) {
	if !a.Token.IsSet() {
		return
	}
	if a.Token.Variable() == "" {
		d.Fail(path+".token", "is not one ${NAME}; want ${NAME} with NAME as a key of the Secret that global.credentials_secret names, as %s takes the token from there and a PipelineRun never holds it", step)
	}
	if u := a.Username; secret.HasReference(u.Text()) && u.Variable() == "" {
		d.Fail(path+".username", "mixes text and variables or has a default; want either a plain user name or one ${NAME}, which %s takes from the Secret that global.credentials_secret names", step)
	}
}
