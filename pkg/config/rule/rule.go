// Package rule says which texts of a configuration are names, images, directories, URLs and so on. It is pure.
package rule

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

	"github.com/tekton-sentry/sentry/pkg/giturl"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

var (
	// DNSLabel is what IsLabel goes by, but for its length.
	DNSLabel = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)
	// DNSName is what IsDNSName goes by, but for its length.
	DNSName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$`)
	// Image is the grammar of github.com/distribution/reference, a little wider where the host is.
	Image = regexp.MustCompile(`^[A-Za-z0-9]+([._-]+[A-Za-z0-9]+)*(:[0-9]{1,5})?` + // host, or the first part
		`(/[a-z0-9]+([._-]+[a-z0-9]+)*)*` + // path
		`(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(@[a-z0-9]+:[0-9a-f]{32,128})?$`) // tag, digest
	// Registry is a host that is told apart from the first part of a path by its port, a dot or its name; or nothing.
	Registry = regexp.MustCompile(`^((localhost|[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+|[A-Za-z0-9.-]+:[0-9]{1,5})(:[0-9]{1,5})?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*)?$`)
	// Directory is an absolute path.
	Directory = regexp.MustCompile(`^(/[A-Za-z0-9._-]+)+/?$`)
	// sshPath is the same over SSH, where a path may have blanks: git quotes it for the server's shell.
	sshPath  = regexp.MustCompile(`^[A-Za-z0-9._~/%+@:,=&;! -]*$`)
	hostName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$`)
	// urlPath leaves out what a URL may hold and no Git host gives a repository: quotes, $ and parentheses.
	urlPath = regexp.MustCompile(`^[A-Za-z0-9._~/%+@:,=&;!-]*$`)
)

// MaxName bounds the names that the names of runs and tasks are made of (a label holds 63 characters).
const MaxName = 40

// What messages ask for.
const (
	WantDNS  = "a DNS name: a-z, 0-9, - and . inside, at most 253 characters"
	WantRepo = "the http(s) or SSH address of a repository, such as https://github.com/company/rag"
	wantSSH  = "ssh://USER@HOST/PATH or USER@HOST:PATH, such as git@github.com:company/rag.git"
	WantAPI  = "the http(s) URL of the host's API"
)

// WantDir says what IsMountable allows.
var WantDir = "an absolute path of at most 100 of A-Z a-z 0-9 . _ - and /, not / itself and nothing in " + strings.Join(ReservedDirs, ", ")

// IsName reports whether s can name a repository or a group.
func IsName(s string) bool { return len(s) <= MaxName && DNSLabel.MatchString(s) }

// IsLabel reports whether s is a DNS label.
func IsLabel(s string) bool { return len(s) <= 63 && DNSLabel.MatchString(s) }

// IsImage reports whether s is an image reference.
func IsImage(s string) bool { return len(s) <= 512 && Image.MatchString(s) }

// IsRegistry reports whether s is a registry, or a folder of one; "" is none.
func IsRegistry(s string) bool { return len(s) <= 200 && Registry.MatchString(s) }

// OnRegistry returns the reference of the image as a mirror at registry has it: the host gives way, and what is below it stays. An
// image without a host is Docker Hub's. One that is below registry already stays as it is, as does all without a registry.
func OnRegistry(registry, image string) string {
	if registry == "" || image == "" || strings.HasPrefix(image, registry+"/") {
		return image
	}
	host, rest, below := strings.Cut(image, "/")
	switch {
	case !below:
		rest = "library/" + image
	case !strings.ContainsAny(host, ".:") && host != "localhost":
		rest = image
	}
	return registry + "/" + rest
}

// IsBranch reports whether Git takes s as the name of a branch.
func IsBranch(s string) bool { return repo.CheckBranch(s) == nil }

// IsShell reports whether s is a shell that can run the scripts of a deployment.
func IsShell(s string) bool {
	return len(s) <= 100 && Directory.MatchString(s) && slices.Contains([]string{"sh", "ash", "bash", "dash"}, path.Base(s))
}

// IsDNSName reports whether s is a DNS name.
func IsDNSName(s string) bool {
	for part := range strings.SplitSeq(s, ".") {
		if !IsLabel(part) {
			return false
		}
	}
	return len(s) <= 253
}

// ReservedDirs hold what a container needs to run, Tekton's own files, or credentials.
var ReservedDirs = []string{"/tekton", "/workspace", "/proc", "/sys", "/dev", "/etc", "/bin", "/sbin",
	"/usr", "/lib", "/lib64", "/run", "/var/run"}

// IsMountable reports whether a volume can be mounted at s without hiding something that is needed.
func IsMountable(s string) bool {
	if len(s) > 100 || !Directory.MatchString(s) {
		return false
	}
	for part := range strings.SplitSeq(s, "/") {
		if part == "." || part == ".." {
			return false
		}
	}
	for _, r := range ReservedDirs {
		if s = path.Clean(s); s == r || strings.HasPrefix(s, r+"/") {
			return false
		}
	}
	return true
}

// ParseURL returns s as an http or https URL with a host. Its errors never repeat s.
func ParseURL(s, want string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case giturl.IsSSH(s):
		return nil, fmt.Errorf("is an SSH address; want %s", want)
	case strings.HasPrefix(s, "git+ssh:"):
		return nil, errors.New("starts with git+ssh://, which is ssh:// in an old spelling; want ssh://USER@HOST/PATH")
	case strings.HasPrefix(s, "git:"):
		return nil, errors.New("is a git:// address, which nothing protects; want https://HOST/PATH")
	case err != nil || u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("does not start with https:// or is not well-formed; want %s", want)
	case !ValidHost(u):
		return nil, fmt.Errorf("has no valid host name or port; want %s", want)
	case u.Fragment != "" || strings.Contains(s, "#"):
		return nil, fmt.Errorf("has a fragment (#); want %s", want)
	}
	return u, nil
}

// ValidHost reports whether the URL has a host name, or an address, and a port that there can be.
func ValidHost(u *url.URL) bool {
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

// PlainURL returns s with its scheme and host in lower case and no slash at the end. It may hold nothing
// but these and a path.
func PlainURL(s, want string) (string, error) {
	u, err := ParseURL(s, want)
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

// APIURL is the URL of an API as PlainURL gives it.
func APIURL(s string) (string, error) { return PlainURL(s, WantAPI) }

// RepositoryURL is the address of a repository as PlainURL gives it, or as giturl does over SSH.
func RepositoryURL(s string) (string, error) {
	if giturl.IsSSH(s) {
		a, err := giturl.ParseSSH(s)
		switch {
		case err != nil:
			return "", fmt.Errorf("%w; want %s", err, wantSSH)
		case !sshPath.MatchString(a.Path):
			return "", fmt.Errorf("has a character in its path that is none of a-z A-Z 0-9 . _ ~ / %% + @ : , = & ; ! - or, in ssh://, %%20; want %s", wantSSH)
		}
		return a.String(), nil
	}
	plain, err := PlainURL(s, WantRepo)
	if err == nil && strings.Count(plain, "/") < 3 {
		err = fmt.Errorf("names a host and no repository on it; want %s", WantRepo)
	}
	return plain, err
}

// QuotedSize is how many bytes a text has in a script. Quoting makes four of each single quote.
func QuotedSize(s string) int { return len(s) + 3*strings.Count(s, "'") }
