package rest

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode"

	"github.com/tekton-sentry/sentry/pkg/githost"
)

// API is where a host's API lives.
type API struct {
	// Base is the root of the API, without a slash at its end.
	Base *url.URL
	// Mount is the path that the host itself lives under, such as /gitlab; "" for the root.
	Mount string
}

// Host returns host[:port] of the API, for errors.
func (a API) Host() string { return strings.ToLower(a.Base.Host) }

// ParseAPI returns where the API of an endpoint is: below the origin at suffix, such as /api/v4, or where
// api_url says. There the suffix may be left out.
func ParseAPI(e githost.Endpoint, suffix string) (API, error) {
	if e.APIURL == "" {
		base, err := url.Parse(e.Origin + suffix)
		return API{Base: base}, err
	}
	base, err := ParseURL(e.APIURL)
	if err != nil {
		return API{}, err
	}
	above := strings.TrimSuffix(base.Path, suffix)
	base.Path = above + suffix
	a := API{Base: base}
	// An API at another server, such as a gateway, says nothing about the repositories' paths.
	if origin, err := url.Parse(e.Origin); err == nil && strings.EqualFold(origin.Hostname(), base.Hostname()) {
		a.Mount = above
	}
	return a, nil
}

// ParseURL reads an api_url: http or https, without credentials and query.
func ParseURL(apiURL string) (*url.URL, error) {
	u, err := url.Parse(apiURL)
	// The text is not repeated: somebody may have written a credential into it.
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" ||
		u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("api_url is not of the form https://host/path")
	}
	u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), ""
	return u, nil
}

// addressError is what is wrong with a repository's URL.
type addressError string

func (e addressError) Error() string        { return string(e) }
func (e addressError) Is(target error) bool { return target == githost.ErrAddress }

// Address returns an error about a repository's URL, for which errors.Is finds githost.ErrAddress.
func Address(format string, args ...any) error { return addressError(fmt.Sprintf(format, args...)) }

// Project returns the parts of a repository's path on its host: owner and name, or groups and name. ".git"
// at the end is dropped, and so is the mount.
func Project(repoURL, mount string) ([]string, error) {
	u, err := url.Parse(repoURL)
	if err != nil {
		return nil, addressError("repo_url is not of the form https://host/path")
	}
	path := u.Path
	if rest, ok := strings.CutPrefix(path, mount+"/"); ok {
		path = rest
	}
	parts := strings.Split(strings.TrimSuffix(strings.Trim(path, "/"), ".git"), "/")
	for _, part := range parts {
		if part == "" || part == "." || part == ".." || strings.ContainsFunc(part, unicode.IsControl) {
			return nil, Address("repo_url: %.100q names no repository", u.Path)
		}
	}
	return parts, nil
}

// OwnerAndName returns the two parts of a repository's path on hosts that have no groups within groups.
func OwnerAndName(repoURL, mount string) (owner, name string, err error) {
	parts, err := Project(repoURL, mount)
	if err != nil {
		return "", "", err
	}
	if len(parts) != 2 {
		return "", "", Address("repo_url: the path %.100q is not OWNER/REPOSITORY (for a host below a path, set api_url)",
			strings.Join(parts, "/"))
	}
	return parts[0], parts[1], nil
}

// Token returns the token of an endpoint, "" for none.
func Token(e githost.Endpoint) (string, error) {
	token := e.Auth.Token.Reveal()
	if strings.ContainsFunc(token, unicode.IsControl) {
		return "", errors.New("auth.token holds a line break or another control character: was it stored with the line's end?")
	}
	return token, nil
}
