package kube_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"k8s.io/client-go/rest"

	"github.com/tekton-sentry/sentry/pkg/kube"
	"github.com/tekton-sentry/sentry/pkg/kube/kubetest"
)

// kubeconfig writes one with two contexts; user is the YAML of what both log in with.
func kubeconfig(t *testing.T, url, user string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "kubeconfig")
	write(t, file, fmt.Sprintf(`{apiVersion: v1, kind: Config, current-context: one,
clusters: [{name: c, cluster: {server: %q, insecure-skip-tls-verify: true}}],
users: [{name: u, user: {%s}}],
contexts: [{name: one, context: {cluster: c, user: u, namespace: first}}, {name: two, context: {cluster: c, user: u}}]}`, url, user))
	return file
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// The kubelet replaces a pod's token on disk before it expires, while Sentry runs on.
func TestTokenThatIsRenewedOnDisk(t *testing.T) {
	accepted := "old"
	var tried []string
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		tried = append(tried, token)
		if token != accepted {
			kubetest.Refuse(w, http.StatusUnauthorized, metav1.StatusReasonUnauthorized, "Unauthorized")
			return
		}
		kubetest.Refuse(w, http.StatusNotFound, metav1.StatusReasonNotFound, "no such ConfigMap")
	}))
	t.Cleanup(server.Close)
	token := filepath.Join(t.TempDir(), "token")
	write(t, token, "old")
	c, err := kube.Connect(kube.Options{Kubeconfig: kubeconfig(t, server.URL, fmt.Sprintf("tokenFile: %q", token))})
	if err != nil {
		t.Fatal(err)
	}
	get := func() error {
		_, err := c.GetConfigMap(t.Context(), "ns", "x")
		return err
	}
	if err := get(); err != nil {
		t.Fatalf("with the first token: %v", err)
	}
	// The old one is refused at once, also when it was read less than a minute ago.
	write(t, token, "new")
	accepted = "new"
	if err := get(); err == nil || !strings.Contains(err.Error(), "has expired") || kube.IsTemporary(err) {
		t.Errorf("with the expired token: %v, want an error that says so and is not temporary", err)
	}
	if err := get(); err != nil {
		t.Errorf("after the token was renewed on disk: %v", err)
	}
	if want := []string{"old", "old", "new"}; !slices.Equal(tried, want) {
		t.Errorf("tokens tried: %q, want %q", tried, want)
	}
}

func TestConnectNamespace(t *testing.T) {
	file := kubeconfig(t, "http://127.0.0.1:1", "")
	for _, tt := range []struct {
		options kube.Options
		want    string
	}{
		{kube.Options{}, "first"},
		{kube.Options{Context: "two"}, "default"},
		{kube.Options{Namespace: "mine"}, "mine"},
		{kube.Options{Context: "two", Namespace: "mine"}, "mine"},
	} {
		tt.options.Kubeconfig = file
		c, err := kube.Connect(tt.options)
		if err != nil || c.Namespace != tt.want {
			t.Errorf("Connect(%+v): namespace %+v, %v, want %s", tt.options, c, err, tt.want)
		}
	}
}

func TestConnectRefuses(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	good := kubeconfig(t, "http://127.0.0.1:1", "")
	broken := filepath.Join(t.TempDir(), "broken")
	write(t, broken, "{")
	for _, tt := range []struct {
		name, env string
		options   kube.Options
		want      string
	}{
		{"nothing", "", kube.Options{}, "no cluster is configured: set KUBECONFIG, or give --kubeconfig"},
		{"a variable that leads nowhere", "/nowhere/config", kube.Options{}, "no cluster is configured in /nowhere/config, which KUBECONFIG names"},
		{"a file that is not there", "", kube.Options{Kubeconfig: "/nowhere/config"}, "/nowhere/config: no such file"},
		{"no such context", "", kube.Options{Kubeconfig: good, Context: "three"}, `"three" does not exist`},
		{"no YAML", "", kube.Options{Kubeconfig: broken}, "read the kubeconfig"},
	} {
		t.Setenv("KUBECONFIG", tt.env)
		if _, err := kube.Connect(tt.options); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

// Whoever wants to know whether the API server answers is told of each request, whatever the answer is. A caller that gives up
// says nothing of the server.
func TestAnswered(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/hangs") {
			<-r.Context().Done()
			return
		}
		kubetest.Refuse(w, http.StatusForbidden, metav1.StatusReasonForbidden, "no")
	}))
	defer server.Close()
	type mark struct{}
	told := make(chan string, 10)
	c, err := kube.Connect(kube.Options{Kubeconfig: kubeconfig(t, server.URL, ""), Answered: func(ctx context.Context, err error) {
		told <- fmt.Sprint(ctx.Value(mark{}), " ", err == nil)
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.WithValue(t.Context(), mark{}, "marked")
	_, _ = c.GetConfigMap(ctx, "ns", "refused")
	if got := <-told; got != "marked true" {
		t.Errorf("of a request that is refused it is told %q", got)
	}
	gone, cancel := context.WithCancel(ctx)
	cancel()
	_, _ = c.GetConfigMap(gone, "ns", "hangs")
	late, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
	defer cancel()
	_, _ = c.GetConfigMap(late, "ns", "hangs")
	server.Close()
	_, _ = c.GetConfigMap(ctx, "ns", "refused")
	for _, what := range []string{"that had no answer in time", "to a server that is gone"} {
		if got := <-told; got != "marked false" {
			t.Errorf("of a request %s it is told %q", what, got)
		}
	}
	if len(told) > 0 {
		t.Errorf("it is told also %q", <-told)
	}
}

// What works beside Sentry has few requests a second, and Sentry itself enough.
func TestRequestsPerSecond(t *testing.T) {
	for given, want := range map[float32]float32{0: 50, 20: 20} {
		c, err := kube.Connect(kube.Options{Kubeconfig: kubeconfig(t, "https://example.com", "token: a"), PerSecond: given})
		if err != nil {
			t.Fatal(err)
		}
		for _, client := range []rest.Interface{c.Core, c.Tekton} {
			if got := client.GetRateLimiter().QPS(); got != want {
				t.Errorf("with PerSecond %v there are %v, want %v", given, got, want)
			}
		}
	}
}
