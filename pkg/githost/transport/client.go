// Package transport is the HTTP client that all hosts share: it retries, bounds what is read, and sends each request of an
// endpoint through the budget of that endpoint, its Gate.
package transport

import (
	"crypto/tls"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tekton-sentry/sentry/pkg/githost"
)

const (
	// maxBody bounds an answer in bytes, after decompression. None is kept in memory, so this is about time. A page of
	// any API is below 1 MiB; the advertisement of a repository with half a million refs is about 40 MiB.
	maxBody = 64 << 20
	// maxHeader bounds the header of an answer in bytes. Each line takes a hundred bytes and more to keep.
	maxHeader = 32 << 10
	// maxRedirects is how many redirects are followed, all within one origin.
	maxRedirects = 5
)

// NewTransport returns the connections that a client of a Git host uses: TLS 1.2 or newer, kept for the next cycle. Its
// proxies and certificate authorities are those of the environment and the system; Network.Transport has others.
func NewTransport() *http.Transport {
	return &http.Transport{
		Proxy:                  quietProxy(http.ProxyFromEnvironment),
		OnProxyConnectResponse: connected,
		DialContext:            (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    10 * time.Second,
		ResponseHeaderTimeout:  20 * time.Second,
		ForceAttemptHTTP2:      true,
		MaxConnsPerHost:        16,
		MaxIdleConnsPerHost:    16,
		IdleConnTimeout:        5 * time.Minute,
		MaxResponseHeaderBytes: maxHeader,
	}
}

// quietProxy keeps a malformed proxy address, which may hold a password, out of the error.
func quietProxy(find func(*http.Request) (*url.URL, error)) func(*http.Request) (*url.URL, error) {
	return func(req *http.Request) (*url.URL, error) {
		u, err := find(req)
		if err != nil {
			return nil, errors.New("the proxy address in global.proxy, or HTTPS_PROXY or HTTP_PROXY of the environment, is not a URL")
		}
		return u, nil
	}
}

// UserAgent is what Sentry calls itself to servers.
func UserAgent(version string) string { return "sentry/" + version }

// NewClient returns the client that a Host gets. On top of base it sends User-Agent: sentry/<version>;
// retries reads (see Marks); fails an answer that is larger than 64 MiB after decompression; follows
// at most five redirects, and none that leads to another origin or would turn a POST into a GET. timeout
// bounds one request with its retries and redirects; 0 leaves that to the context. A credential is never
// sent to another origin than the one that was asked.
func NewClient(base http.RoundTripper, version string, timeout time.Duration) *http.Client {
	return &http.Client{
		Transport:     &client{next: base, names: []string{UserAgent(version)}},
		CheckRedirect: checkRedirect,
		Timeout:       timeout,
	}
}

// send sends a request once.
func (c *client) send(req *http.Request) (*http.Response, error) {
	named := *req // a whole clone costs more than all else that is ours in a request
	named.Header = maps.Clone(req.Header)
	named.Header["User-Agent"] = c.names
	resp, err := c.next.RoundTrip(&named)
	if err != nil {
		return nil, err
	}
	resp.Body = &bounded{ReadCloser: resp.Body, host: githost.HostOf(req.URL), left: maxBody}
	return resp, nil
}

// bounded fails once more than left bytes were read. It counts what the transport has decompressed, so
// a small answer that unpacks to gigabytes ends here too.
type bounded struct {
	io.ReadCloser
	host string
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	// One byte more than allowed tells an answer of exactly the limit from a larger one.
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left+1)])
	if b.left -= int64(n); b.left >= 0 {
		return n, err
	}
	return max(0, n-1), githost.NewError(githost.Invalid, b.host, "the answer is larger than %d MiB", maxBody>>20)
}

// checkRedirect decides about the request that would follow a redirect. Its errors are *Error, which
// WrapError finds again inside of what http.Client returns.
func checkRedirect(req *http.Request, via []*http.Request) error {
	first := via[0]
	host := githost.HostOf(first.URL)
	target := redirectTarget(req.URL)
	switch {
	case githost.OriginOf(req.URL) != githost.OriginOf(first.URL):
		return githost.NewError(githost.Invalid, host, "%s redirects to %s: set repo_url to %s (or api_url, for an API) if you trust it",
			host, githost.HostOf(req.URL), target)
	case req.Method != first.Method:
		return githost.NewError(githost.Invalid, host, "%s redirects a %s to %s: set repo_url to it", host, first.Method, target)
	case len(via) > maxRedirects:
		return githost.NewError(githost.Invalid, host, "%s redirects more than %d times", host, maxRedirects)
	}
	return nil
}

// redirectTarget returns the URL that the user would write to go where a redirect leads: without user,
// query and the parts of the Git protocol.
func redirectTarget(u *url.URL) string {
	path := u.EscapedPath()
	for _, end := range []string{"/info/refs", "/git-upload-pack"} {
		path = strings.TrimSuffix(path, end)
	}
	return githost.OriginOf(u) + path
}
