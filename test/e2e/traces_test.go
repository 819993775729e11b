package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/tekton-sentry/sentry/pkg/traces"
)

// collector takes traces from Sentry and from Tekton.
type collector struct {
	mu    sync.Mutex
	spans []*tracepb.Span
}

// ServeHTTP implements http.Handler.
func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var data tracepb.TracesData
	if err != nil || proto.Unmarshal(body, &data) != nil || r.URL.Path != "/v1/traces" {
		http.Error(w, "that is no trace", http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, of := range data.ResourceSpans {
		for _, scope := range of.ScopeSpans {
			c.spans = append(c.spans, scope.Spans...)
		}
	}
}

// below returns the names of the spans of a run's trace, each once, with those first that are below its root.
func (c *collector) below(run string) (direct, all []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	trace, root := traces.Of(run)
	for _, s := range c.spans {
		if !bytes.Equal(s.TraceId, trace[:]) {
			continue
		}
		all = append(all, s.Name)
		if bytes.Equal(s.ParentSpanId, root[:]) {
			direct = append(direct, s.Name)
		}
	}
	slices.Sort(direct)
	slices.Sort(all)
	return slices.Compact(direct), slices.Compact(all)
}

// TestTraces has Sentry and a real Tekton send their traces to one receiver: the spans of Tekton's controllers are in the trace that
// Sentry tells of, below its root.
func TestTraces(t *testing.T) {
	const ns = "sentry-traces"
	giteaCredentials(t)
	namespace(t, ns)
	got := &collector{}
	server := httptest.NewUnstartedServer(got)
	_ = server.Listener.Close()
	listener, err := net.Listen("tcp", reachable(t))
	if err != nil {
		t.Fatal(err)
	}
	server.Listener = listener
	server.Start()
	t.Cleanup(server.Close)
	tracing := func(patch string) {
		run(t, "", "kubectl", "-n", "tekton-pipelines", "patch", "configmap", "config-tracing", "--type=merge", "-p", patch)
	}
	tracing(fmt.Sprintf(`{"data": {"enabled": "true", "endpoint": "%s/v1/traces"}}`, server.URL))
	defer tracing(`{"data": {"enabled": null, "endpoint": null}}`)

	app := newRepo(t, ns, map[string]string{"README": "an application"})
	file := filepath.Join(t.TempDir(), "sentry.yaml")
	global := strings.Replace(soakGlobal(), "global: {", fmt.Sprintf("global: {traces: {endpoint: %q}, ", server.URL), 1)
	write(t, file, "repositories:"+soakRepository("app", "", "gitea", app.url, app.url, "true")+global)
	sentry := watch(t, file, ns, (&pollerAccount{t: t, ns: ns, role: pollerRole(t)}).kubeconfig("poller"))
	sentry.awaitSaid("cycle done")
	app.push("main", map[string]string{"pushed": "1"})
	sentry.awaitSaid("the run succeeded")

	runs := get[v1.PipelineRunList](t, "-n", ns, "pipelineruns").Items
	if len(runs) != 1 {
		t.Fatalf("%d runs, want 1", len(runs))
	}
	var carrier map[string]string
	if err := json.Unmarshal([]byte(runs[0].Annotations[traces.Annotation]), &carrier); err != nil || carrier["traceparent"] != runs[0].Status.SpanContext["traceparent"] {
		t.Errorf("the annotation is %q (%v), and Tekton has %v", runs[0].Annotations[traces.Annotation], err, runs[0].Status.SpanContext)
	}
	want := []string{"look", "plan", "create", "app", "PipelineRun:ReconcileKind"}
	await(t, time.Minute, "the spans of both", func() (bool, string) {
		direct, all := got.below(runs[0].Name)
		missing := slices.ContainsFunc(want, func(name string) bool { return !slices.Contains(direct, name) })
		return !missing && slices.Contains(all, "RUN app.main") && slices.Contains(all, "TaskRun:ReconcileKind"), fmt.Sprint(direct, all, sentry.said())
	})
	if strings.Contains(sentry.said(), "traces are not taken") {
		t.Errorf("Sentry lost traces:\n%s", sentry.said())
	}
}
