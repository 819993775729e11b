package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tekton-sentry/sentry/pkg/githost/gitea/giteatest"
	"github.com/tekton-sentry/sentry/pkg/kube/kubetest"
	"github.com/tekton-sentry/sentry/pkg/report/mark"
)

// reportsOf tells of an application on a host.
const reportsOf = `repositories:
  - name: app
    monitor: {repo_url: %[1]s/team/app, branches: [main], repo_type: gitea, auth: {token: "${GITEA_TOKEN}"}}
    deploy: {qa_repo_url: %[1]s/team/qa, repo_type: gitea, auth: {token: "${GITEA_TOKEN}"}, commands: [make]}
global: {on_first_seen: deploy}
report: {commit_status: true, target_url: "https://dash.example/{{run}}", slack: {url: "${CHAT}"}}
`

// TestWatchReports has a Sentry on a cluster tell a commit that it is deployed, and then that it failed, and a chat too.
func TestWatchReports(t *testing.T) {
	const runs, sha = "/apis/tekton.dev/v1/namespaces/test/pipelineruns", "0123456789012345678901234567890123456789"
	cluster, _ := kubetest.New(t)
	// A watch ends soon, and the runs are listed again then.
	cluster.Fault = func(w http.ResponseWriter, r *http.Request) bool {
		switch {
		case r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/pipelineruns"): // as an API server does
			var run kubetest.Object
			_ = json.NewDecoder(r.Body).Decode(&run)
			run["metadata"].(kubetest.Object)["creationTimestamp"] = time.Now().UTC().Format(time.RFC3339)
			text, _ := json.Marshal(run)
			r.Body = io.NopCloser(bytes.NewReader(text))
		case r.URL.Query().Get("watch") != "":
			w.Header().Set("Content-Type", "application/json")
			w.(http.Flusher).Flush()
			select {
			case <-time.After(100 * time.Millisecond):
			case <-r.Context().Done():
			}
			_, _ = io.WriteString(w, `{"type":"ERROR","object":{"kind":"Status","code":410}}`)
			return true
		}
		return false
	}
	api := httptest.NewServer(cluster)
	defer api.Close()

	gitea := giteatest.New()
	gitea.SetToken("t0ken")
	gitea.Push("team/app", "main", sha)
	gitea.Push("team/qa", "main", strings.Repeat("f", 40))
	told := make(chan string, 10) // what the commit and the chat are told
	host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && strings.Contains(r.URL.Path, "/statuses/") {
			body, _ := io.ReadAll(r.Body)
			r.Body = io.NopCloser(strings.NewReader(string(body)))
			defer func() { told <- string(body) }()
		}
		gitea.ServeHTTP(w, r)
	}))
	defer host.Close()
	chat := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		told <- string(body)
	}))
	defer chat.Close()

	dir := t.TempDir()
	t.Setenv("GITEA_TOKEN", "t0ken")
	t.Setenv("CHAT", chat.URL+"/s3cret")
	writeKubeconfig(t, filepath.Join(dir, "kubeconfig"), api.URL)
	write(t, filepath.Join(dir, "sentry.yaml"), fmt.Sprintf(reportsOf, host.URL))
	ctx, stop := context.WithCancel(t.Context())
	out, code := &lines{}, make(chan int)
	go func() {
		code <- Main(ctx, []string{"watch", "--interval", "1s", "--config", filepath.Join(dir, "sentry.yaml"), "--kubeconfig", filepath.Join(dir, "kubeconfig")},
			Streams{Out: out, Err: out})
	}()
	next := func(want ...string) string {
		t.Helper()
		select {
		case got := <-told:
			for _, w := range want {
				if !strings.Contains(got, w) {
					t.Errorf("told %s, want %q in it", got, w)
				}
			}
			return got
		case <-time.After(time.Minute):
			t.Fatalf("nobody was told with %q\n%s", want, out.text())
		}
		return ""
	}
	next(`"state":"pending"`, `"context":"sentry/app.main"`, "https://dash.example/app-main-")
	name := cluster.Names(runs)[0]
	text, _ := json.Marshal(cluster.Get(runs + "/" + name))
	var run kubetest.Object
	_ = json.Unmarshal(text, &run)
	run["status"] = kubetest.Object{"conditions": []kubetest.Object{{"type": "Succeeded", "status": "False", "reason": "CouldntGetTask", "message": "no such task"}}}
	cluster.Put(runs+"/"+name, run)
	both := next() + next()
	for _, want := range []string{`"state":"error"`, `"text":"app.main: failed: no such task`} {
		if !strings.Contains(both, want) {
			t.Errorf("told %s, want %q in it", both, want)
		}
	}
	stop()
	if got := <-code; got != exitDone || strings.Contains(out.text(), "s3cret") {
		t.Errorf("exit code %d, want 0:\n%s", got, out.text())
	}
	if statuses := gitea.StatusesOf("team/app", sha); len(statuses) != 2 {
		t.Errorf("%d statuses, want one for each state: %+v", len(statuses), statuses)
	}
}

// One cycle reports nothing, so that its runs are not kept until somebody does.
func TestOnceOwesNothing(t *testing.T) {
	cluster, _ := kubetest.New(t)
	api := httptest.NewServer(cluster)
	defer api.Close()
	gitea := giteatest.New()
	gitea.SetToken("t0ken")
	gitea.Push("team/app", "main", strings.Repeat("1", 40))
	gitea.Push("team/qa", "main", strings.Repeat("f", 40))
	host := httptest.NewServer(gitea)
	defer host.Close()
	dir := t.TempDir()
	t.Setenv("GITEA_TOKEN", "t0ken")
	t.Setenv("CHAT", "https://chat.example/s3cret")
	writeKubeconfig(t, filepath.Join(dir, "kubeconfig"), api.URL)
	write(t, filepath.Join(dir, "sentry.yaml"), fmt.Sprintf(reportsOf, host.URL))
	out := &lines{}
	code := Main(t.Context(), []string{"watch", "--once", "--config", filepath.Join(dir, "sentry.yaml"), "--kubeconfig", filepath.Join(dir, "kubeconfig")},
		Streams{Out: out, Err: out})
	names := cluster.Names("/apis/tekton.dev/v1/namespaces/test/pipelineruns")
	if code != exitDone || len(names) != 1 || !strings.Contains(out.text(), "nothing is reported") {
		t.Fatalf("exit code %d, runs %q:\n%s", code, names, out.text())
	}
	run := cluster.Get("/apis/tekton.dev/v1/namespaces/test/pipelineruns/" + names[0])
	if annotations := run["metadata"].(kubetest.Object)["annotations"].(kubetest.Object); annotations[mark.Annotation] != nil {
		t.Errorf("the run says %q", annotations[mark.Annotation])
	}
}
