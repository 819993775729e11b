package config

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/tekton-sentry/sentry/pkg/repo"
)

var (
	dnsLabel = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)
	// image is the grammar of github.com/distribution/reference, a little wider where the host is.
	image = regexp.MustCompile(`^[A-Za-z0-9]+([._-]+[A-Za-z0-9]+)*(:[0-9]{1,5})?` + // host, or the first part
		`(/[a-z0-9]+([._-]+[a-z0-9]+)*)*` + // path
		`(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(@[a-z0-9]+:[0-9a-f]{32,128})?$`) // tag, digest
	directory = regexp.MustCompile(`^(/[A-Za-z0-9._-]+)+/?$`)
	hostName  = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$`)
	// urlPath leaves out what a URL may hold and no Git host gives a repository: quotes, $ and parentheses.
	urlPath = regexp.MustCompile(`^[A-Za-z0-9._~/%+@:,=&;!-]*$`)
	scpLike = regexp.MustCompile(`^[^/]+@[^/]+:`)
)

func isName(s string) bool   { return len(s) <= maxName && dnsLabel.MatchString(s) }
func isLabel(s string) bool  { return len(s) <= 63 && dnsLabel.MatchString(s) }
func isImage(s string) bool  { return len(s) <= 512 && image.MatchString(s) }
func isBranch(s string) bool { return repo.CheckBranch(s) == nil }

// isShell reports whether s is a shell that can run the scripts of a deployment.
func isShell(s string) bool {
	return len(s) <= 100 && directory.MatchString(s) && slices.Contains([]string{"sh", "ash", "bash", "dash"}, path.Base(s))
}

func isDNSName(s string) bool {
	for part := range strings.SplitSeq(s, ".") {
		if !isLabel(part) {
			return false
		}
	}
	return len(s) <= 253
}

// reservedDirs hold what a container needs to run, Tekton's own files, or credentials.
var reservedDirs = []string{"/tekton", "/workspace", "/proc", "/sys", "/dev", "/etc", "/bin", "/sbin",
	"/usr", "/lib", "/lib64", "/run", "/var/run"}

// isMountable reports whether a volume can be mounted at s without hiding something that is needed.
func isMountable(s string) bool {
	if len(s) > 100 || !directory.MatchString(s) {
		return false
	}
	for part := range strings.SplitSeq(s, "/") {
		if part == "." || part == ".." {
			return false
		}
	}
	for _, r := range reservedDirs {
		if s = path.Clean(s); s == r || strings.HasPrefix(s, r+"/") {
			return false
		}
	}
	return true
}

// parseURL returns s as an http or https URL with a host. Its errors never repeat s.
func parseURL(s, want string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case strings.HasPrefix(s, "ssh:") || strings.HasPrefix(s, "git+ssh:") || scpLike.MatchString(s) && !strings.Contains(s, "://"):
		return nil, fmt.Errorf("is an SSH address; want https://HOST/PATH, since Sentry reads and clones over HTTPS, with the credential in auth")
	case strings.HasPrefix(s, "git:"):
		return nil, errors.New("is a git:// address, which nothing protects; want https://HOST/PATH")
	case err != nil || u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("does not start with https:// or is not well-formed; want %s", want)
	case !validHost(u):
		return nil, fmt.Errorf("has no valid host name or port; want %s", want)
	case u.Fragment != "" || strings.Contains(s, "#"):
		return nil, fmt.Errorf("has a fragment (#); want %s", want)
	}
	return u, nil
}

func validHost(u *url.URL) bool {
	if port := u.Port(); port != "" || strings.HasSuffix(u.Host, ":") {
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
			return false
		}
	}
	host := u.Hostname()
	if strings.Contains(host, ":") {
		_, err := netip.ParseAddr(host)
		return err == nil && !strings.Contains(host, "%")
	}
	return len(host) <= 253 && hostName.MatchString(host)
}

// plainURL returns s with its scheme and host in lower case and no slash at the end. It may hold nothing
// but these and a path.
func plainURL(s, want string) (string, error) {
	u, err := parseURL(s, want)
	switch {
	case err != nil:
		return "", err
	case u.User != nil && !strings.Contains(u.User.String(), ":"):
		return "", errors.New("holds a user name; want it in auth.username (a token: in auth.token), and the URL without what stands before the @")
	case u.User != nil:
		return "", errors.New("holds credentials; want them in auth, and the URL without what stands before the @")
	case strings.Contains(s, "?"):
		return "", fmt.Errorf("has a query (?); want %s", want)
	case !urlPath.MatchString(u.EscapedPath()):
		return "", fmt.Errorf("has a character in its path that is none of a-z A-Z 0-9 . _ ~ / %% + @ : , = & ; ! -; want %s", want)
	}
	p := strings.TrimRight(u.EscapedPath(), "/")
	for i, part := range strings.Split(p, "/") {
		if decoded, err := url.PathUnescape(part); err != nil || i > 0 && decoded == "" || decoded == "." || decoded == ".." || strings.ContainsFunc(decoded, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return "", fmt.Errorf("has a part in its path that is empty, . or .. or holds a control character; want %s", want)
		}
	}
	return u.Scheme + "://" + strings.ToLower(u.Host) + p, nil
}

func apiURL(s string) (string, error) { return plainURL(s, wantAPI) }

func repositoryURL(s string) (string, error) {
	plain, err := plainURL(s, wantRepo)
	if err == nil && strings.Count(plain, "/") < 3 {
		err = fmt.Errorf("names a host and no repository on it; want %s", wantRepo)
	}
	return plain, err
}
