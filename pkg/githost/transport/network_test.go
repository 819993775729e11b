package transport_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
	"github.com/tekton-sentry/sentry/pkg/githost/transport"
	"github.com/tekton-sentry/sentry/pkg/secret"
)

const proxyPassword = "s3cret@:/pw"

func TestNetwork(t *testing.T) {
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"} {
		t.Setenv(name, "")
	}
	there := githosttest.NewPrivateNetwork(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "hello")
	}), "ada", proxyPassword)
	without := secret.New(there.Proxy, there.Proxy)
	with := secret.New("${PROXY}", there.Authorized)
	through := []string{"CONNECT git.example:443"}
	tests := []struct {
		name   string
		global config.Global
		env    string // HTTPS_PROXY and HTTP_PROXY
		url    string
		asked  []string
		err    string
		kind   githost.Kind
	}{
		{"CA and proxy", config.Global{CA: there.CA, Proxy: config.Proxy{HTTPS: with}}, "", "https://git.example/", through, "", ""},
		{"the environment's proxy", config.Global{CA: there.CA}, there.Authorized, "https://git.example/", through, "", ""},
		{"the file goes before the environment", config.Global{CA: there.CA, Proxy: config.Proxy{HTTPS: with}}, "http://127.0.0.1:1", "https://git.example/", through, "", ""},
		{"without TLS", config.Global{Proxy: config.Proxy{HTTP: with}}, "", "http://git.example/", []string{"GET git.example"}, "", ""},
		{"no CA", config.Global{Proxy: config.Proxy{HTTPS: with}}, "", "https://git.example/", through, "global.ca", githost.Invalid},
		{"no password", config.Global{CA: there.CA, Proxy: config.Proxy{HTTPS: without}}, "", "https://git.example/", nil, "HTTP 407: the proxy wants a credential", githost.Denied},
		{"no password, without TLS", config.Global{Proxy: config.Proxy{HTTP: without}}, "", "http://git.example/", nil, "HTTP 407: the proxy wants a credential", githost.Denied},
		{"not from here", config.Global{Proxy: config.Proxy{HTTPS: with}}, "", "https://other.example/", []string{"CONNECT other.example:443"}, "HTTP 403: the proxy does not let Sentry reach other.example:443", githost.Denied},
		{"none for the host", config.Global{Proxy: config.Proxy{HTTPS: with, None: "other.test, .example"}}, "", "https://git.example/", nil, "straight to git.example:443", githost.Temporary},
		{"none in the cluster", config.Global{Proxy: config.Proxy{HTTPS: with}}, "", "https://gitea.gitea.svc/", nil, "straight to gitea.gitea.svc:443", githost.Temporary},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("HTTPS_PROXY", tt.env)
			before := len(there.Asked())
			base := transport.NewNetwork(tt.global).Transport()
			defer base.CloseIdleConnections()
			dial := base.DialContext
			base.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
				if strings.HasPrefix(address, "127.0.0.1:") {
					return dial(ctx, network, address)
				}
				return nil, errors.New("straight to " + address)
			}
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, tt.url, nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := base.RoundTrip(req)
			var said *githost.Error
			if err != nil {
				said = githost.WrapError("h", err)
			} else {
				resp.Body.Close()
				if resp.StatusCode != http.StatusOK {
					said = transport.StatusError("h", resp, nil)
				}
			}
			if tt.err == "" && said != nil || tt.err != "" && (said == nil || said.Kind != tt.kind || !strings.Contains(said.Error(), tt.err)) {
				t.Errorf("%s: error %v, want %q of kind %q", tt.url, said, tt.err, tt.kind)
			}
			if said != nil && strings.Contains(said.Error(), "s3cret") {
				t.Errorf("%s: the password is in %v", tt.url, said)
			}
			if got := there.Asked()[before:]; !slices.Equal(got, tt.asked) {
				t.Errorf("%s: the proxy let through %q, want %q", tt.url, got, tt.asked)
			}
		})
	}
}

// A password that is replaced is used by connections that were made before.
func TestNetworkUsesANewPassword(t *testing.T) {
	there := githosttest.NewPrivateNetwork(t, http.NotFoundHandler(), "ada", proxyPassword)
	g := config.Global{CA: there.CA, Proxy: config.Proxy{HTTPS: secret.New("${PROXY}", strings.Replace(there.Authorized, "s3cret", "old", 1))}}
	n := transport.NewNetwork(g)
	base := n.Transport()
	defer base.CloseIdleConnections()
	ask := func() error {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://git.example/", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := base.RoundTrip(req)
		if err == nil {
			resp.Body.Close()
		}
		return err
	}
	if err := ask(); err == nil {
		t.Fatal("the old password was taken, so this test proves nothing")
	}
	n.Use(config.Global{CA: there.CA, Proxy: config.Proxy{HTTPS: secret.New("${PROXY}", there.Authorized)}})
	if err := ask(); err != nil {
		t.Errorf("with the new password: %v", err)
	}
}

// An authority that comes is trusted by requests to come, and one that goes is not, also where a connection is open that was
// made while it was.
func TestNetworkUsesAnotherAuthority(t *testing.T) {
	there := githosttest.NewPrivateNetwork(t, http.NotFoundHandler(), "ada", proxyPassword)
	without := config.Global{Proxy: config.Proxy{HTTPS: secret.New("${PROXY}", there.Authorized)}}
	with := without
	with.CA = there.CA
	n := transport.NewNetwork(without)
	client := http.Client{Transport: n.Connections()}
	defer client.CloseIdleConnections()
	ask := func() error {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://git.example/", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err == nil {
			_, _ = io.Copy(io.Discard, resp.Body) // so that the connection is kept
			resp.Body.Close()
		}
		return err
	}
	for i, step := range []struct {
		global  config.Global
		trusted bool
		tunnels int // by then
	}{{without, false, 1}, {with, true, 2}, {with, true, 2}, {without, false, 3}, {with, true, 4}} {
		n.Use(step.global)
		if err := ask(); (err == nil) != step.trusted {
			t.Errorf("step %d: %v, want trust to be %t", i, err, step.trusted)
		}
		if got := len(there.Asked()); got != step.tunnels {
			t.Errorf("step %d: %d connections, want %d", i, got, step.tunnels)
		}
	}
}
