package online

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/sshauth"
)

// KindOf names the kind of an error in a word or two.
func KindOf(err error) string {
	if e, ok := errors.AsType[*githost.Error](err); ok {
		return string(e.Kind)
	}
	if e, ok := errors.AsType[interface {
		error
		ProblemKind() string
	}](err); ok {
		return e.ProblemKind()
	}
	return string(githost.Temporary)
}

// Remedy says what to do about an error, by its kind, at the place in sentry.yaml that is to be looked at.
func (l *Look) Remedy() string {
	auth := l.Key + ".auth"
	url, branches := "monitor.repo_url", "monitor.branches"
	if l.Key == "deploy" {
		url, branches = "deploy.qa_repo_url", "deploy.qa_repo_branch"
	}
	token := "give " + auth + " a token"
	if v := l.Monitor.Auth.Token.Variable(); v != "" {
		token = fmt.Sprintf("put a token into %s (%s.token)", v, auth)
	}
	if v := l.Monitor.Auth.App.Key.Variable(); v != "" {
		token = fmt.Sprintf("put a key of the App into %s, and give it access to the repository (%s.github_app)", v, auth)
	}
	if v := l.Monitor.Auth.SSHKey.Variable(); v != "" {
		token = fmt.Sprintf("put a key into %s (%s.ssh_key)", v, auth)
	}
	e, _ := errors.AsType[*githost.Error](l.Err)
	_, unknownHost := errors.AsType[*sshauth.HostKeyError](l.Err)
	_, badCertificate := errors.AsType[*tls.CertificateVerificationError](l.Err)
	switch kind := githost.Kind(KindOf(l.Err)); {
	case badCertificate || unknownHost || kind == githost.TooLarge || e != nil && e.Status == http.StatusProxyAuthRequired || e == nil && kind != githost.Temporary:
		return "" // it says so itself
	case kind == githost.Denied:
		return token + " that is valid and may read this repository"
	case kind == githost.NotFound:
		return "correct " + url + " or " + l.Key + ".repo_type, or " + token + " that may see the repository (hosts hide private ones)"
	case kind == githost.NoBranch:
		return "correct " + branches + ", or push the branch"
	case kind == githost.Invalid:
		return "correct " + l.Key + ".repo_type, " + url + " or " + l.Key + ".api_url"
	case kind == githost.RateLimited:
		return "wait until the limit resets; a token in " + auth + " has a higher limit than none, and a longer polling_interval needs less"
	case e != nil && e.Status >= http.StatusInternalServerError:
		return "the host is reached, and its trouble is its own: look at its status page, and try again"
	case e != nil && e.Status > 0:
		return "the host is reached: see whether " + l.Key + ".repo_type is right, and try again"
	}
	return "try again; where it lasts, see whether this machine reaches the host (DNS, proxy, firewall)"
}

// Trouble is what is wrong with several repositories of a host.
type Trouble struct {
	Looks        []Look
	Text, Remedy string
}

// Troubles groups what could not be read by what is wrong, so that a host that is down is told of once.
func Troubles(looks []Look) []*Trouble {
	type key struct{ what, text, remedy string }
	var all []*Trouble
	known := make(map[key]*Trouble)
	for _, l := range looks {
		if l.Err == nil {
			continue
		}
		k := key{l.Key, l.Err.Error(), l.Remedy()}
		if known[k] == nil {
			known[k] = &Trouble{Text: k.text, Remedy: k.remedy}
			all = append(all, known[k])
		}
		known[k].Looks = append(known[k].Looks, l)
	}
	return all
}
