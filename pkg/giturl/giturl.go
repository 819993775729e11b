// Package giturl takes the addresses of Git repositories apart, as package config leaves them: http(s)://HOST/PATH,
// ssh://USER@HOST/PATH and USER@HOST:PATH. The last two differ: a path after a colon starts where the user is at home. It is a leaf.
package giturl

import (
	"errors"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// DefaultUser is who logs in where an address names nobody: the user of nearly all servers that give repositories out.
const DefaultUser = "git"

// SSH is where a repository is that is reached over SSH.
type SSH struct {
	User string
	Host string // a name in lower case, or an address without brackets
	Port int
	Path string // as the server is asked for it: "/srv/git/app.git" from its root, "team/app.git" or "~ada/app.git" from a home
}

var (
	// scpLike is USER@HOST:PATH. Git takes what has a slash before its first colon for a path on this machine.
	scpLike = regexp.MustCompile(`^([^/@]*)@(\[[^\]/]*\]|[^/:@]*):(.*)$`)
	user    = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,254}$`)
	host    = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$`)
)

// IsSSH reports whether a text is meant to be an address over SSH.
func IsSSH(s string) bool {
	return strings.HasPrefix(strings.ToLower(s), "ssh:") || !strings.Contains(s, "://") && scpLike.MatchString(s)
}

// ParseSSH takes an address over SSH apart. Its errors are the end of a sentence, and hold no part of it: it may hold a password.
func ParseSSH(s string) (SSH, error) {
	if m := scpLike.FindStringSubmatch(s); m != nil && !strings.Contains(s, "://") {
		return SSH{User: m[1], Host: strings.ToLower(strings.Trim(m[2], "[]")), Port: 22, Path: m[3]}.check()
	}
	u, err := url.Parse(s)
	if err != nil || strings.ToLower(u.Scheme) != "ssh" || u.Opaque != "" {
		return SSH{}, errors.New("is not well-formed")
	}
	a := SSH{User: DefaultUser, Host: strings.ToLower(u.Hostname()), Port: 22, Path: u.Path}
	if u.User != nil {
		if _, given := u.User.Password(); given {
			return SSH{}, errors.New("holds a password, which SSH takes from nobody here")
		}
		a.User = u.User.Username()
	}
	if port := u.Port(); port != "" || strings.HasSuffix(u.Host, ":") {
		if a.Port, err = strconv.Atoi(port); err != nil || a.Port < 1 || a.Port > 65535 {
			return SSH{}, errors.New("has no valid port")
		}
	}
	if u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.Contains(s, "#") {
		return SSH{}, errors.New("has a query (?) or a fragment (#)")
	}
	if strings.HasPrefix(a.Path, "/~") { // as git has it
		a.Path = a.Path[1:]
	}
	return a.check()
}

// check refuses what a program could take for something else than it is: an option, or another part of the address.
func (a SSH) check() (SSH, error) {
	a.Path = strings.TrimRight(a.Path, "/")
	_, notAddress := netip.ParseAddr(a.Host)
	switch {
	case !user.MatchString(a.User):
		return SSH{}, errors.New("has a user name that is empty, starts with - or has another character than A-Z a-z 0-9 . _ -")
	case len(a.Host) > 253 || !host.MatchString(a.Host) && (notAddress != nil || strings.Contains(a.Host, "%")):
		return SSH{}, errors.New("has no valid host name")
	case a.Path == "":
		return SSH{}, errors.New("names a host and no repository on it")
	case strings.HasPrefix(a.Path, "-"):
		return SSH{}, errors.New("has a path that starts with -, which programs take for an option")
	}
	for i, part := range strings.Split(a.Path, "/") {
		if i > 0 && part == "" || part == "." || part == ".." || strings.ContainsFunc(part, unicode.IsControl) {
			return SSH{}, errors.New("has a part in its path that is empty, . or .. or holds a control character")
		}
	}
	return a, nil
}

// Server returns USER@HOST, with the port where it is not 22.
func (a SSH) Server() string { return a.User + "@" + a.HostPort() }

// HostPort returns the host, with the port where it is not 22.
func (a SSH) HostPort() string {
	host := a.Host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if a.Port != 22 {
		host += ":" + strconv.Itoa(a.Port)
	}
	return host
}

// Address returns HOST:PORT to connect to.
func (a SSH) Address() string {
	if strings.Contains(a.Host, ":") {
		return "[" + a.Host + "]:" + strconv.Itoa(a.Port)
	}
	return a.Host + ":" + strconv.Itoa(a.Port)
}

// String returns the address in one spelling: ssh://USER@HOST/PATH, or USER@HOST:PATH where the path starts at a home that only that
// spelling tells.
func (a SSH) String() string {
	if strings.HasPrefix(a.Path, "/") || strings.HasPrefix(a.Path, "~") {
		return "ssh://" + a.Server() + (&url.URL{Path: "/" + strings.TrimPrefix(a.Path, "/")}).EscapedPath()
	}
	return a.Server() + ":" + a.Path
}

// Split cuts the address of a repository into its server and the rest, which together are all of it. Without taking it apart: a
// cycle has thousands.
func Split(s string) (server, rest string) {
	if i := strings.Index(s, "://"); i >= 0 {
		start := i + len("://")
		if i = strings.IndexByte(s[start:], '/'); i >= 0 {
			return s[:start+i], s[start+i:]
		}
		return s, ""
	}
	if m := scpLike.FindStringSubmatchIndex(s); m != nil {
		return s[:m[5]], s[m[5]:]
	}
	return "", s
}
