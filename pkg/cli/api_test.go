package cli

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
	"sigs.k8s.io/yaml"

	"github.com/tekton-sentry/sentry/pkg/kube/kubetest"
)

// TestAPI has the page's API answer what the commands print as JSON, byte for byte, of the same cluster.
func TestAPI(t *testing.T) {
	cluster, _ := kubetest.New(t)
	server := httptest.NewServer(cluster)
	defer server.Close()
	dir := t.TempDir()
	kubeconfig, file := filepath.Join(dir, "cluster"), filepath.Join(dir, "sentry.yaml")
	writeKubeconfig(t, kubeconfig, server.URL)
	archive, err := txtar.ParseFile("testdata/script/status.txtar")
	if err != nil {
		t.Fatal(err)
	}
	put := func(path string, text []byte) {
		var o kubetest.Object
		if err := yaml.Unmarshal(text, &o); err != nil {
			t.Fatal(err)
		}
		cluster.Put(path, o)
	}
	for _, f := range archive.Files {
		switch f.Name {
		case "sentry.yaml":
			if err := os.WriteFile(file, f.Data, 0o600); err != nil {
				t.Fatal(err)
			}
		case "state.yaml":
			put("/api/v1/namespaces/test/configmaps/sentry-state", f.Data)
		case "run1.yaml":
			put("/apis/tekton.dev/v1/namespaces/test/pipelineruns/shop-1", f.Data)
		case "run2.yaml":
			put("/apis/tekton.dev/v1/namespaces/test/pipelineruns/lib-main-1", f.Data)
		}
	}
	put("/api/v1/namespaces/test/configmaps/sentry-history", []byte(`{metadata: {name: sentry-history}, data: {history.json: '{"version": 1, "runs": [
		{"name": "shop-1", "unit": "shop", "created": "2026-01-01T00:00:00Z", "seconds": 3600, "verdict": "failed", "reason": "Failed", "why": "api: <no space>",
		 "refs": [{"repository": "web", "branch": "main", "sha": "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"}],
		 "members": [{"task": "api", "repository": "api", "branch": "main", "sha": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "verdict": "failed", "output": ["a & b"]}]}]}'}}`))
	place := []string{"--kubeconfig", kubeconfig, "--config", file}
	run := func(args ...string) string {
		out, problems := &lines{}, &lines{}
		if got := Main(t.Context(), append(args, place...), Streams{Out: out, Err: problems}); got != exitDone {
			t.Fatalf("%v: exit code %d:\n%s", args, got, problems.text())
		}
		return out.text()
	}
	ctx, stop := context.WithCancel(t.Context())
	out, code := &lines{}, make(chan int)
	go func() {
		code <- Main(ctx, append([]string{"page", "--address", "127.0.0.1:0"}, place...), Streams{Out: out, Err: out})
	}()
	defer func() { stop(); <-code }()
	address := ""
	for end := time.Now().Add(time.Minute); address == "" && time.Now().Before(end); {
		address = regexp.MustCompile(`http://\S+|$`).FindString(out.text())
	}
	get := func(path string) string {
		resp, err := http.Get(address + "api/v1" + path)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		text, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s, %v\n%s", path, resp.Status, err, text)
		}
		return string(text)
	}
	for path, args := range map[string]string{
		"/status": "status", "/status?name=web&name=lib": "status web lib", "/status?limit=1": "status --runs 1", "/units/shop": "status shop", "/units/lib.main": "status lib.main",
		"/runs": "history", "/runs?name=api": "history api", "/statistics": "history --stats", "/statistics?name=shop": "history --stats shop",
		"/explain?name=shop": "explain shop", "/explain?name=lib@other": "explain lib@other",
	} {
		if got, want := get(path), run(append(strings.Fields(args), "-o", "json")...); got != want {
			t.Errorf("%s is\n%s\nand %s prints\n%s", path, got, args, want)
		}
	}
	// Of lists a part of the status is the same.
	var status map[string]json.RawMessage
	if err := json.Unmarshal([]byte(run("status", "-o", "json")), &status); err != nil {
		t.Fatal(err)
	}
	for _, list := range []string{"units", "problems"} {
		want := "{\n  \"" + list + "\": " + string(status[list]) + "\n}\n"
		if got := get("/" + list); got != want {
			t.Errorf("/%s is\n%s\nwant\n%s", list, got, want)
		}
	}
}
