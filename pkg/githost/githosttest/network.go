package githosttest

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"
	"time"
)

// PrivateNetwork is a network as companies have it: a server at https://git.example, and http://git.example, that is
// reached through a proxy alone, and whose certificate is signed by an authority that nobody knows.
type PrivateNetwork struct {
	CA    string // the authority, in PEM
	Proxy string // http://HOST:PORT
	// Authorized is the proxy with its user and password.
	Authorized string

	address string // of the server, for TLS
	forward *httputil.ReverseProxy
	want    string // Proxy-Authorization
	mu      sync.Mutex
	asked   []string
}

// NewPrivateNetwork serves h there until the test ends. The proxy wants the password, if there is one.
func NewPrivateNetwork(t testing.TB, h http.Handler, user, password string) *PrivateNetwork {
	t.Helper()
	ca, certificate := private(t, "git.example")
	server := httptest.NewUnstartedServer(h)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	plain := httptest.NewServer(h)
	t.Cleanup(plain.Close)
	to, err := url.Parse(plain.URL)
	if err != nil {
		t.Fatal(err)
	}
	n := &PrivateNetwork{CA: ca, address: server.Listener.Addr().String(), forward: httputil.NewSingleHostReverseProxy(to)}
	proxy := httptest.NewServer(n)
	t.Cleanup(proxy.Close)
	n.Proxy = proxy.URL
	u, err := url.Parse(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	if password != "" {
		u.User = url.UserPassword(user, password)
		n.want = "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
	}
	n.Authorized = u.String()
	return n
}

// Asked returns what the proxy let through, as "METHOD HOST".
func (n *PrivateNetwork) Asked() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]string(nil), n.asked...)
}

// ServeHTTP is the proxy.
func (n *PrivateNetwork) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if n.want != "" && req.Header.Get("Proxy-Authorization") != n.want {
		w.Header().Set("Proxy-Authenticate", `Basic realm="proxy"`)
		http.Error(w, "who are you?", http.StatusProxyAuthRequired)
		return
	}
	n.mu.Lock()
	n.asked = append(n.asked, req.Method+" "+req.Host)
	n.mu.Unlock()
	switch {
	case req.Method == http.MethodConnect && req.Host == "git.example:443":
		n.tunnel(w, req)
	case req.Method != http.MethodConnect && req.Host == "git.example":
		n.forward.ServeHTTP(w, req)
	default:
		http.Error(w, "not from here", http.StatusForbidden)
	}
}

func (n *PrivateNetwork) tunnel(w http.ResponseWriter, req *http.Request) {
	server, err := new(net.Dialer).DialContext(req.Context(), "tcp", n.address)
	if err != nil {
		http.Error(w, "out of reach", http.StatusBadGateway)
		return
	}
	defer server.Close()
	client, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer client.Close()
	if _, err := io.WriteString(client, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { pass(server, buffered.Reader) })
	pass(client, bufio.NewReader(server))
	client.Close()
	both.Wait()
}

// pass copies one direction of a tunnel, and ends the other side's when there is no more.
func pass(to net.Conn, from io.Reader) {
	_, _ = io.Copy(to, from) // it ends with the connection
	if half, ok := to.(*net.TCPConn); ok {
		_ = half.CloseWrite()
	}
}

// private returns an authority of its own in PEM, and a certificate of the host that it signed.
func private(t testing.TB, host string) (ca string, certificate tls.Certificate) {
	t.Helper()
	check := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatal(err)
		}
	}
	key := func() *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		check(err)
		return k
	}
	caKey, hostKey := key(), key()
	authority := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Private CA"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, authority, authority, &caKey.PublicKey, caKey)
	check(err)
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
		NotBefore: authority.NotBefore, NotAfter: authority.NotAfter, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	signed, err := x509.CreateCertificate(rand.Reader, leaf, authority, &hostKey.PublicKey, caKey)
	check(err)
	pemText := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return string(pemText), tls.Certificate{Certificate: [][]byte{signed}, PrivateKey: hostKey}
}
