package transport

import (
	"cmp"
	"context"
	"crypto/x509"
	"net/http"
	"net/url"
	"sync/atomic"

	"golang.org/x/net/http/httpproxy"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/config/section"
	"github.com/tekton-sentry/sentry/pkg/githost"
)

// Network is how servers are reached: the certificate authorities that are trusted, and the proxies. A nil one is what
// the system and the environment say. Several goroutines may use it.
type Network struct {
	roots *x509.CertPool // nil = the system's
	proxy atomic.Pointer[findProxy]
}

// findProxy returns the proxy for a URL; nil = none.
type findProxy func(*url.URL) (*url.URL, error)

// NewNetwork returns what global.ca and global.proxy ask for.
func NewNetwork(g config.Global) *Network {
	n := &Network{}
	if g.CA != "" {
		roots, err := x509.SystemCertPool()
		if err != nil {
			roots = x509.NewCertPool() // a system without any
		}
		roots.AppendCertsFromPEM([]byte(g.CA))
		n.roots = roots
	}
	n.Use(g.Proxy)
	return n
}

// Use makes these the proxies of all requests from now on. What is not set is what the environment says.
func (n *Network) Use(p config.Proxy) {
	c := httpproxy.FromEnvironment()
	c.HTTPProxy = cmp.Or(p.HTTP.Reveal(), c.HTTPProxy)
	c.HTTPSProxy = cmp.Or(p.HTTPS.Reveal(), c.HTTPSProxy)
	c.NoProxy = cmp.Or(p.None, c.NoProxy)
	if p.IsSet() {
		c.NoProxy += "," + section.InCluster
	}
	find := findProxy(c.ProxyFunc())
	n.proxy.Store(&find)
}

// find is http.Transport.Proxy.
func (n *Network) find(req *http.Request) (*url.URL, error) { return (*n.proxy.Load())(req.URL) }

// connected tells why a proxy leads nowhere. The client would repeat a word of the proxy's answer.
func connected(_ context.Context, _ *url.URL, connect *http.Request, answer *http.Response) error {
	host, s := connect.Host, answer.StatusCode
	kind, hint := githost.Temporary, "does not reach "+host
	switch s {
	case http.StatusOK:
		return nil
	case http.StatusProxyAuthRequired:
		kind, hint = githost.Denied, proxyCredential
	case http.StatusForbidden, http.StatusMethodNotAllowed:
		kind, hint = githost.Denied, "does not let Sentry reach "+host
	}
	e := githost.NewError(kind, "", "HTTP %d: the proxy %s", s, hint)
	e.Status = s
	return e
}

// proxyCredential ends a sentence about a proxy that asks for a password.
const proxyCredential = "wants a credential, or another one: write http://USER:PASSWORD@HOST:PORT into the variable that global.proxy names, or into HTTPS_PROXY and HTTP_PROXY"

// Transport returns connections of their own: TLS 1.2 or newer, kept for the next cycle.
func (n *Network) Transport() *http.Transport {
	t := NewTransport()
	if n != nil {
		t.Proxy = quietProxy(n.find)
		t.TLSClientConfig.RootCAs = n.roots
	}
	return t
}
