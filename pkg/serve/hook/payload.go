package hook

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/url"
	"strings"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/giturl"
)

// source is what a payload says about the repository that it comes from.
type source struct {
	CloneURL string `json:"clone_url"`           // GitHub, Gitea
	HTMLURL  string `json:"html_url"`            // GitHub, Gitea
	FullName string `json:"full_name"`           // GitHub, Gitea: owner/name
	HTTPURL  string `json:"git_http_url"`        // GitLab
	WebURL   string `json:"web_url"`             // GitLab
	Path     string `json:"path_with_namespace"` // GitLab
}

// errCut says that a payload ended before it named its repository.
var errCut = errors.New("the payload ends before it names its repository")

// sourceOf returns the repository of a payload, of which the end may be missing. Nothing else of it is read: GitHub and
// Gitea have it as repository; GitLab as project, beside a repository that says less.
func sourceOf(payload []byte) (source, error) {
	d := json.NewDecoder(bytes.NewReader(payload))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return source{}, short(err)
	}
	var found source
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return found, short(err)
		}
		switch t {
		case "repository", "project":
			var s source
			if err := d.Decode(&s); err != nil {
				return found, short(err)
			}
			if t == "project" || s.CloneURL != "" || s.HTMLURL != "" {
				return s, nil
			}
		default:
			var skipped json.RawMessage
			if err := d.Decode(&skipped); err != nil {
				return found, short(err)
			}
		}
	}
	return found, errors.New("the payload names no repository")
}

// short tells a payload that was cut from one that is no JSON.
func short(err error) error {
	if err == nil {
		return errors.New("the payload is no JSON object")
	}
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return errCut
	}
	return err
}

// address is where a repository is, in what is the same however it is written: no host tells cases apart.
type address struct{ host, path string }

// addressOf returns the address of a repository's URL.
func addressOf(repoURL string) (address, bool) {
	if at, err := giturl.ParseSSH(repoURL); err == nil && giturl.IsSSH(repoURL) {
		return address{at.Host, strings.ToLower(strings.TrimSuffix(strings.Trim(at.Path, "/"), ".git"))}, true
	}
	u, err := url.Parse(repoURL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return address{}, false
	}
	path := strings.ToLower(strings.TrimSuffix(strings.Trim(u.Path, "/"), ".git"))
	return address{githost.HostOf(u), path}, path != ""
}

// addresses returns those of a payload's repository.
func (s source) addresses() []address {
	var all []address
	for _, u := range []string{s.CloneURL, s.HTTPURL, s.HTMLURL, s.WebURL} {
		if a, ok := addressOf(u); ok {
			all = append(all, a)
		}
	}
	return all
}

// name returns the repository's path on its host, for one that is reached by another name.
func (s source) name() string {
	name := s.FullName
	if name == "" {
		name = s.Path
	}
	return strings.ToLower(strings.Trim(name, "/"))
}
