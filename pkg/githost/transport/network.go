package transport

import (
	"cmp"
	"context"
	"crypto/x509"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"

	"golang.org/x/net/http/httpproxy"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/config/section"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/sshgit"
)

// Network is how servers are reached: the certificate authorities that are trusted, and the proxies. A nil one is what
// the system and the environment say. Several goroutines may use it.
type Network struct {
	trust atomic.Pointer[trust]
	proxy atomic.Pointer[findProxy]
}

// trust is which certificate authorities are trusted.
type trust struct {
	ca    string         // global.ca
	roots *x509.CertPool // nil = the system's
}

// findProxy returns the proxy for a URL; nil = none.
type findProxy func(*url.URL) (*url.URL, error)

// NewNetwork returns what global.ca and global.proxy ask for.
func NewNetwork(g config.Global) *Network {
	n := &Network{}
	n.Use(g)
	return n
}

// Use makes global.ca and global.proxy those of all requests from now on, but that the authorities are those of new connections:
// see Connections. Of the proxies, what is not set is what the environment says.
func (n *Network) Use(g config.Global) {
	if t := n.trust.Load(); t == nil || t.ca != g.CA {
		n.trust.Store(&trust{g.CA, rootsOf(g.CA)})
	}
	c := httpproxy.FromEnvironment()
	c.HTTPProxy = cmp.Or(g.Proxy.HTTP.Reveal(), c.HTTPProxy)
	c.HTTPSProxy = cmp.Or(g.Proxy.HTTPS.Reveal(), c.HTTPSProxy)
	c.NoProxy = cmp.Or(g.Proxy.None, c.NoProxy)
	if g.Proxy.IsSet() {
		c.NoProxy += "," + section.InCluster
	}
	find := findProxy(c.ProxyFunc())
	n.proxy.Store(&find)
}

// rootsOf returns the system's authorities and those of ca.
func rootsOf(ca string) *x509.CertPool {
	if ca == "" {
		return nil
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool() // a system without any
	}
	roots.AppendCertsFromPEM([]byte(ca))
	return roots
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

// Transport returns connections of their own: TLS 1.2 or newer, kept for the next cycle. They trust whom the network trusts now.
func (n *Network) Transport() *http.Transport {
	t := NewTransport()
	if n != nil {
		t.Proxy = quietProxy(n.find)
		t.TLSClientConfig.RootCAs = n.trust.Load().roots
	}
	return t
}

// Connections returns what Transport does, for who works on while Use makes other authorities the trusted ones: from then on no
// connection is used that was made before.
func (n *Network) Connections() http.RoundTripper {
	return &connections{network: n}
}

// Patient is Connections for servers that may take as long to answer as the caller waits, such as receivers of notifications.
func (n *Network) Patient() http.RoundTripper { return &connections{network: n, patient: true} }

// connections are those of a Transport, and of another one once the trust is another one; and those over SSH, which go by no authority
// and through no proxy.
type connections struct {
	network *Network // nil = as the system and the environment say
	ssh     sshgit.Transport
	patient bool // that only the context of a request bounds the wait for its answer
	mu      sync.Mutex
	trust   *trust
	now     *http.Transport // nil before the first request
}

// RoundTrip implements http.RoundTripper.
func (c *connections) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme == sshgit.Scheme {
		return c.ssh.RoundTrip(req)
	}
	return c.transport().RoundTrip(req)
}

func (c *connections) transport() *http.Transport {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.network == nil {
		if c.now == nil {
			c.now = NewTransport()
		}
		return c.now
	}
	if t := c.network.trust.Load(); c.trust != t {
		if c.now != nil {
			c.now.CloseIdleConnections()
		}
		c.trust, c.now = t, c.network.Transport()
		if c.patient {
			c.now.ResponseHeaderTimeout = 0
		}
	}
	return c.now
}

// CloseIdleConnections is what http.Client asks for.
func (c *connections) CloseIdleConnections() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.now != nil {
		c.now.CloseIdleConnections()
	}
	c.ssh.CloseIdleConnections()
}
