package cli

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tekton-sentry/sentry/pkg/kube/kubetest"
)

// A Sentry whose Git host is down is alive and ready. It is not ready while its API server is, or refuses the state; and says so
// until that ends.
func TestHealth(t *testing.T) {
	cluster, _ := kubetest.New(t)
	var fault atomic.Pointer[func(http.ResponseWriter)]
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f := fault.Load(); f != nil && r.URL.Query().Get("watch") == "" {
			(*f)(w)
			return
		}
		cluster.ServeHTTP(w, r)
	}))
	defer api.Close()
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	writeKubeconfig(t, kubeconfig, api.URL)
	down := httptest.NewServer(http.NotFoundHandler())
	down.Close()

	ctx, stop := context.WithCancel(t.Context())
	out, code := &lines{}, make(chan int, 1)
	go func() {
		code <- Main(ctx, []string{"watch", "--interval", "1s", "--kubeconfig", kubeconfig, "--health", "127.0.0.1:0", "--config", hookFile(t, down.URL, "")},
			Streams{Out: out, Err: out})
	}()
	address := ""
	ask := func(path string) (int, string) {
		t.Helper()
		resp, err := http.Get("http://" + address + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(body)
	}
	await := func(what string, condition func() bool) {
		t.Helper()
		for end := time.Now().Add(time.Minute); !condition(); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				_, body := ask("/readyz")
				t.Fatalf("%s did not come true; /readyz:\n%s\nlog:\n%s", what, body, out.text())
			}
		}
	}
	await("an address in the log", func() bool {
		if at := regexp.MustCompile(`answering probes.*address=(\S+)\]`).FindStringSubmatch(out.text()); at != nil {
			address = at[1]
		}
		return address != ""
	})
	readyz := func(status int, line string) func() bool {
		return func() bool {
			got, body := ask("/readyz")
			if alive, why := ask("/livez"); alive != http.StatusOK {
				t.Errorf("/livez answers %d\n%s", alive, why)
			}
			return got == status && strings.Contains(body, line)
		}
	}
	await("a cycle in which the Git host is down", func() bool { return strings.Contains(out.text(), "failing=1") })
	await("a ready Sentry beside it", readyz(http.StatusOK, "[+]configuration ok: 1 repositories, polled every 1s\n[+]api-server ok: answered "))
	cut := func(w http.ResponseWriter) {
		c, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			c.Close()
		}
	}
	fault.Store(&cut)
	await("an API server that does not answer", readyz(http.StatusServiceUnavailable, "[-]api-server failed: "))
	refuse := func(w http.ResponseWriter) { http.Error(w, "no", http.StatusForbidden) }
	fault.Store(&refuse)
	await("an API server that refuses the state", readyz(http.StatusServiceUnavailable, "[-]state failed: read ConfigMap test/sentry-state: "))
	fault.Store(nil)
	await("a ready Sentry after that", readyz(http.StatusOK, "[+]state ok: read or written "))
	stop()
	if got := <-code; got != exitDone {
		t.Errorf("exit code %d, want 0:\n%s", got, out.text())
	}
	if c, err := net.Dial("tcp", address); err == nil {
		c.Close()
		t.Error("it listens still")
	}
}

func TestHealthIsRefused(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for want, tt := range map[string]struct {
		args []string
		code int
	}{
		"--health does not go with --once":           {[]string{"--health", "127.0.0.1:0", "--once"}, exitUsage},
		"--health and --listen want an address each": {[]string{"--health", ":8080", "--listen", ":8080"}, exitUsage},
		"--health: listen at":                        {[]string{"--health", taken.Addr().String()}, exitFailed},
	} {
		out := &lines{}
		args := append([]string{"watch", "--local", "--config", hookFile(t, "http://127.0.0.1:1", ""), "--state", filepath.Join(t.TempDir(), "state.json")}, tt.args...)
		if code := Main(t.Context(), args, Streams{Out: out, Err: out}); code != tt.code || !strings.Contains(out.text(), want) {
			t.Errorf("%v: exit code %d, want %d and %q:\n%s", tt.args, code, tt.code, want, out.text())
		}
	}
}

// On one machine there is no API server to look at, and an error after the address was taken ends Sentry all the same.
func TestHealthOnOneMachine(t *testing.T) {
	out, file := &lines{}, hookFile(t, "http://127.0.0.1:1", "")
	args := []string{"watch", "--local", "--health", "127.0.0.1:0", "--config", file, "--state", filepath.Join(file, "state.json")}
	if code := Main(t.Context(), args, Streams{Out: out, Err: out}); code != exitFailed {
		t.Errorf("with a state file in what is no directory: exit code %d:\n%s", code, out.text())
	}
	ctx, stop := context.WithCancel(t.Context())
	code := make(chan int, 1)
	out = &lines{}
	args[len(args)-1] = filepath.Join(t.TempDir(), "state.json")
	go func() { code <- Main(ctx, args, Streams{Out: out, Err: out}) }()
	defer func() { stop(); <-code }()
	at := regexp.MustCompile(`answering probes.*address=(\S+)\]`)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if found := at.FindStringSubmatch(out.text()); found != nil {
			resp, err := http.Get("http://" + found[1] + "/readyz")
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK && !strings.Contains(string(body), "api-server") {
				return
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("it is not ready:\n%s", out.text())
		}
	}
}
