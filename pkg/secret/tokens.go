package secret

import (
	"regexp"
	"strings"
)

var (
	// login is what stands before the host in a URL: all of it over HTTP, and elsewhere where it has a password.
	login = regexp.MustCompile(`(?i)(https?://)\S*@|([a-z][a-z0-9+.-]*://[^\s:@/"']*:)\S*@`)
	// user is the password behind the name that a command is given.
	user = regexp.MustCompile(`(\s(?:-u|--user)[ =]?["']?[^\s:"']+:)\S+`)
	// address is that of a web-hook, which is a credential as a whole.
	address = regexp.MustCompile(`(hooks\.slack\.com/|discord(?:app)?\.com/api/webhooks/|webhook\.office\.com/)\S+`)
	// token is what tokens of hosts and clouds look like.
	token = regexp.MustCompile(`gh[a-z]_[A-Za-z0-9]{10,}|github_pat_\w{10,}|gl[a-z]{2,5}-[\w-]{16,}|xox[a-z]-[\w-]{10,}|AKIA[0-9A-Z]{16}|eyJ[\w-]{16,}\.[\w-]+(\.[\w-]*)?|` +
		`\b(?:npm_|hf_|dop_v1_|ATATT|sk-)[\w=-]{10,}`)
)

// WithoutTokens returns a text without what looks like a credential, whoever's it is.
func WithoutTokens(text string) string {
	if strings.Contains(text, "://") && strings.Contains(text, "@") {
		text = login.ReplaceAllString(text, "${1}${2}"+Redacted+"@")
	}
	if strings.Contains(text, "-u") {
		text = user.ReplaceAllString(text, "${1}"+Redacted)
	}
	if strings.Contains(text, ".com/") {
		text = address.ReplaceAllString(text, "${1}"+Redacted)
	}
	return token.ReplaceAllString(text, Redacted)
}
