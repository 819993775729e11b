package kube_test

import (
	"context"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tekton-sentry/sentry/pkg/kube"
)

const plain = `{apiVersion: v1, kind: Config, current-context: c,
clusters: [{name: c, cluster: {server: "https://10.0.0.1:6443"}}],
users: [{name: u, user: {token: t0p-secret}}],
contexts: [{name: c, context: {cluster: c, user: u, namespace: deploy}}]}`

// TestKubeconfig refuses what starts a program, reads a file, or believes any server, and repeats no secret of it.
func TestKubeconfig(t *testing.T) {
	change := func(old, now string) string {
		t.Helper()
		if !strings.Contains(plain, old) {
			t.Fatalf("the kubeconfig has no %q", old)
		}
		return strings.Replace(plain, old, now, 1)
	}
	user, cluster := "token: t0p-secret", `server: "https://10.0.0.1:6443"`
	for name, tt := range map[string]struct{ text, want string }{
		"as it should be":            {plain, ""},
		"of this machine":            {change("https://10.0.0.1:6443", "http://127.0.0.1:8001"), ""},
		"by a proxy":                 {change(cluster, cluster+`, proxy-url: "http://proxy.example:3128"`), ""},
		"an exec plug-in":            {change(user, user+`, exec: {apiVersion: client.authentication.k8s.io/v1, command: touch, args: [/tmp/owned], interactiveMode: Never}`), "exec plug-in"},
		"an auth provider":           {change(user, user+`, auth-provider: {name: gcp}`), "auth-provider"},
		"any certificate":            {change(cluster, cluster+`, insecure-skip-tls-verify: true`), "insecure-skip-tls-verify"},
		"a file of authorities":      {change(cluster, cluster+`, certificate-authority: /etc/passwd`), "certificate-authority"},
		"a file with a token":        {change(user, `tokenFile: /var/run/secrets/kubernetes.io/serviceaccount/token`), "tokenFile"},
		"a client certificate":       {change(user, user+`, client-certificate: /etc/passwd`), "client-certificate"},
		"a client key":               {change(user, user+`, client-key: ../../etc/passwd`), "client-key"},
		"no TLS":                     {change("https://10.0.0.1:6443", "http://10.0.0.1:6443"), "without TLS"},
		"a password in a URL":        {change("https://10.0.0.1:6443", "https://a:t0p-secret@10.0.0.1:6443"), "no plain URL"},
		"a proxy that is a file":     {change(cluster, cluster+`, proxy-url: "file:///etc/passwd"`), "proxy-url"},
		"no current context":         {change("current-context: c", `current-context: ""`), "current-context"},
		"another context":            {change("current-context: c", "current-context: d"), "current-context"},
		"no cluster":                 {change("cluster: c, user", "cluster: d, user"), "lacks the cluster"},
		"no user":                    {change("user: u", "user: v"), "lacks the user"},
		"nothing":                    {"", "no kubeconfig"},
		"no YAML":                    {"{t0p-secret", "no kubeconfig"},
		"a certificate that is none": {change(cluster, cluster+`, certificate-authority-data: dDBwLXNlY3JldA==`), ""},
		"too large":                  {plain + strings.Repeat("#", 64<<10), "64 KiB"},
		"aliases of aliases":         {"a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e,*e]\n", "no kubeconfig"},
	} {
		err := kube.CheckKubeconfig(tt.text)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
		_, connected := kube.ConnectBy(tt.text, kube.Options{})
		if tt.want != "" && connected == nil {
			t.Errorf("%s: it is connected all the same", name)
		}
		for _, err := range []error{err, connected} {
			if err != nil && strings.Contains(err.Error(), "t0p-secret") {
				t.Errorf("%s: the error repeats a secret: %v", name, err)
			}
		}
	}
	if got := kube.SecretsIn(plain); len(got) != 1 || got[0] != "t0p-secret" {
		t.Errorf("secrets are %q", got)
	}
}

// TestConnectBy sends the token of the kubeconfig to its server, and looks at nothing else.
func TestConnectBy(t *testing.T) {
	t.Setenv("KUBECONFIG", "/nowhere")
	var token string
	server := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { token = r.Header.Get("Authorization") }))
	defer server.Close()
	ca := base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	c, err := kube.ConnectBy(strings.Replace(plain, `"https://10.0.0.1:6443"`, server.URL+", certificate-authority-data: "+ca, 1), kube.Options{})
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Tekton.Get().Resource("pipelineruns").Do(t.Context()).Error()
	if token != "Bearer t0p-secret" || c.Namespace != "deploy" {
		t.Errorf("sent %q, in the namespace %q", token, c.Namespace)
	}
	if c, _ := kube.ConnectBy(plain, kube.Options{Namespace: "apps"}); c.Namespace != "apps" {
		t.Errorf("the namespace is %q, want the one that is asked for", c.Namespace)
	}
}

// TestSilence gives up what is read of a server that says nothing.
func TestSilence(t *testing.T) {
	silent := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-silent:
		case <-r.Context().Done():
		}
	}))
	defer server.Close()
	defer close(silent)
	c, err := kube.ConnectBy(strings.Replace(plain, "https://10.0.0.1:6443", server.URL, 1), kube.Options{ReadWithin: 10 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Tekton.Get().Resource("pipelineruns").Do(t.Context()).Error(); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want that the time was up", err)
	}
}

// TestStranger follows an API server that a configuration names nowhere else, and reads only so much of what it says.
func TestStranger(t *testing.T) {
	followed := false
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed = true }))
	defer other.Close()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/away") {
			http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		for range 40 {
			if _, err := w.Write(make([]byte, 1<<20)); err != nil {
				return
			}
		}
	}))
	defer server.Close()
	c, err := kube.ConnectBy(strings.Replace(plain, "https://10.0.0.1:6443", server.URL, 1), kube.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"away": "", "large": "more than 32 MiB"} {
		text, err := c.Tekton.Get().Namespace("test").Resource("pipelineruns").Name(name).Do(t.Context()).Raw()
		if err == nil || !strings.Contains(err.Error(), want) || followed {
			t.Errorf("%s: %d bytes, %v, another server was asked: %v", name, len(text), err, followed)
		}
	}
	proxied := strings.Replace(plain, "10.0.0.1:6443\"", "10.0.0.1:6443\", proxy-url: \"http://u:pr0xy-secret@proxy.example\"", 1)
	if got := kube.SecretsIn(proxied); !slices.Contains(got, "pr0xy-secret") {
		t.Errorf("the secrets are %q, want the proxy's password among them", got)
	}
}
