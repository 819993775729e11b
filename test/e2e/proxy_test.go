package e2e

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// trouble is what an apiProxy does to the requests that come.
type trouble string

const (
	refused  trouble = "refused"  // nothing listens, and what was connected is cut
	hangs    trouble = "hangs"    // no answer comes
	unheard  trouble = "unheard"  // the API server does what it is asked, and the answer is lost
	failing  trouble = "failing"  // 503
	throttle trouble = "throttle" // 429, try again in a second
)

var troubles = []trouble{refused, hangs, unheard, failing, throttle}

// apiProxy stands between one Sentry and the real API server, with TLS and HTTP/2 as that has. It can be in
// trouble, and can say when Sentry is in the middle of a write.
type apiProxy struct {
	t         *testing.T
	address   string
	tls       tls.Certificate
	forward   *httputil.ReverseProxy
	slow      time.Duration // each request waits a random time of up to this
	gone      chan struct{} // closed when nobody waits for answers any more
	mu        sync.Mutex
	random    *rand.Rand
	server    *http.Server // nil while refused
	now       trouble      // "" = none
	recovered chan struct{}
	trap      *trap
	writes    int                                               // that the API server answered
	first     func(w http.ResponseWriter, r *http.Request) bool // sees requests first; true: it answered
}

// trap is a point in Sentry's work: its next write but skip, before the API server gets it or after.
type trap struct {
	skip   int
	after  bool
	sprung chan struct{}
}

func newAPIProxy(t *testing.T, seed uint64, slow time.Duration) *apiProxy {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", env.kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	target, err := url.Parse(config.Host)
	if err != nil {
		t.Fatal(err)
	}
	// Sentry's own credential passes through; ours is not added.
	transport, err := rest.TransportFor(rest.AnonymousClientConfig(config))
	if err != nil {
		t.Fatal(err)
	}
	certified := httptest.NewTLSServer(nil)
	certified.Close()
	p := &apiProxy{
		t: t, address: "127.0.0.1:0", tls: certified.TLS.Certificates[0], slow: slow, gone: make(chan struct{}),
		random: rand.New(rand.NewPCG(seed, 2)),
		forward: &httputil.ReverseProxy{
			Rewrite:      func(r *httputil.ProxyRequest) { r.SetURL(target) },
			Transport:    transport,
			ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
		},
	}
	if err := p.listen(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		close(p.gone)
		p.recover()
		_ = p.server.Close()
	})
	return p
}

// kubeconfig writes one that leads here and has the token.
func (p *apiProxy) kubeconfig(token, ns string) string {
	file := filepath.Join(p.t.TempDir(), "kubeconfig")
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.tls.Certificate[0]})
	caFile := filepath.Join(filepath.Dir(file), "ca.crt")
	write(p.t, caFile, string(ca))
	write(p.t, file, fmt.Sprintf(`
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://%s", certificate-authority: %s}}]
users: [{name: u, user: {token: %q}}]
contexts: [{name: x, context: {cluster: c, user: u, namespace: %s}}]
current-context: x
`, p.address, caFile, token, ns))
	return file
}

// listen starts the server, at the same address each time. The lock is held, or nobody else is there yet.
func (p *apiProxy) listen() error {
	l, err := net.Listen("tcp", p.address)
	if err != nil {
		return err
	}
	p.address = l.Addr().String()
	server := &http.Server{
		Handler: p, ErrorLog: log.New(io.Discard, "", 0),
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{p.tls}, MinVersion: tls.VersionTLS12},
	}
	p.server = server
	go func() { _ = server.ServeTLS(l, "", "") }()
	return nil
}

// begin puts the proxy into trouble.
func (p *apiProxy) begin(what trouble) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now, p.recovered = what, make(chan struct{})
	if what == refused {
		_ = p.server.Close()
		p.server = nil
	}
}

// recover ends the trouble, if there is any.
func (p *apiProxy) recover() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.now == "" {
		return
	}
	p.now = ""
	close(p.recovered)
	if p.server == nil {
		if err := p.listen(); err != nil {
			p.t.Errorf("the proxy cannot listen again: %v", err)
		}
	}
}

// set sets a trap and returns the channel that is closed when Sentry is in it, where it stays.
func (p *apiProxy) set(skip int, after bool) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.trap = &trap{skip: skip, after: after, sprung: make(chan struct{})}
	return p.trap.sprung
}

// intercept has f see all requests first; nil: nobody.
func (p *apiProxy) intercept(f func(w http.ResponseWriter, r *http.Request) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.first = f
}

// unset takes the trap away.
func (p *apiProxy) unset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.trap = nil
}

// fate returns what happens to one request.
func (p *apiProxy) fate(write bool) (now trouble, recovered <-chan struct{}, caught *trap, wait time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if write && p.trap != nil && p.now == "" {
		if p.trap.skip--; p.trap.skip < 0 {
			caught, p.trap = p.trap, nil
		}
	}
	return p.now, p.recovered, caught, time.Duration(p.random.Int64N(int64(p.slow)))
}

// ServeHTTP implements http.Handler.
func (p *apiProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	first := p.first
	p.mu.Unlock()
	if first != nil && first(w, r) {
		return
	}
	writes := r.Method != http.MethodGet
	now, recovered, caught, wait := p.fate(writes)
	select {
	case <-time.After(wait):
	case <-r.Context().Done():
		panic(http.ErrAbortHandler)
	}
	switch {
	case caught != nil:
		if caught.after {
			p.perform(r)
		}
		close(caught.sprung)
		p.hang(r, nil)
	case now == hangs:
		p.hang(r, recovered)
	case now == unheard && writes:
		p.perform(r)
		panic(http.ErrAbortHandler)
	case now == failing:
		http.Error(w, "no backend", http.StatusServiceUnavailable)
	case now == throttle:
		w.Header().Set("Retry-After", "1")
		http.Error(w, "too many requests", http.StatusTooManyRequests)
	default:
		p.forward.ServeHTTP(w, r)
	}
	if writes {
		p.mu.Lock()
		p.writes++
		p.mu.Unlock()
	}
}

// perform has the API server do the request, and keeps the answer to itself.
func (p *apiProxy) perform(r *http.Request) {
	p.forward.ServeHTTP(httptest.NewRecorder(), r.WithContext(context.WithoutCancel(r.Context())))
}

// hang gives no answer until Sentry is gone or the trouble over.
func (p *apiProxy) hang(r *http.Request, recovered <-chan struct{}) {
	select {
	case <-r.Context().Done():
	case <-recovered:
	case <-p.gone:
	}
	panic(http.ErrAbortHandler)
}
