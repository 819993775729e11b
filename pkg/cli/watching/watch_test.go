package watching

import (
	"bytes"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/cli/setup"
	"github.com/tekton-sentry/sentry/pkg/cli/usage"
	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/engine/local"
	"github.com/tekton-sentry/sentry/pkg/event"
	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
	"github.com/tekton-sentry/sentry/pkg/githost/hosts"
	"github.com/tekton-sentry/sentry/pkg/githost/transport"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/watch"
)

const oneRepository = `repositories:
  - name: web
    monitor: {repo_url: https://github.com/company/web, branches: [main], auth: {token: "${A_TOKEN}"}}
    deploy: {qa_repo_url: https://github.com/company/qa, commands: [./deploy]}
`

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// watchingFile is `sentry watch --local` of a file with this text, before its first cycle.
func watchingFile(t *testing.T, text string, log *bytes.Buffer) *watching {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sentry.yaml")
	write(t, path, text)
	o := &setup.Options{Config: usage.Paths{Names: []string{path}}, LogFormat: "text", Streams: setup.Streams{Out: log, Err: log}}
	cfg, logger, err := o.Load(config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	machine := local.New(local.Options{})
	t.Cleanup(func() { _ = machine.Close() })
	w := &watching{Options: o, log: logger, cfg: cfg, network: transport.NewNetwork(cfg.Global), reader: o.Reader(logger, cfg.Global.Sweep, nil), machine: machine}
	w.watcher = &watch.Watcher{Config: cfg}
	return w
}

// All that follows from the configuration follows from the one that is applied.
func TestApply(t *testing.T) {
	t.Setenv("A_TOKEN", "hush")
	t.Setenv("B_TOKEN", "hush, too")
	var log bytes.Buffer
	w := watchingFile(t, oneRepository, &log)
	there := githosttest.NewPrivateNetwork(t, http.NotFoundHandler(), "", "")
	text := strings.ReplaceAll(oneRepository, "A_TOKEN", "B_TOKEN") + "global: {log_level: debug, sweep: 120, ca: " + strconv.Quote(there.CA) + "}\n"
	changed, err := config.Parse([]byte(text), hosts.Options(nil))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.apply(changed); err != nil {
		t.Fatal(err)
	}
	w.log.Debug("now it is told")
	if !strings.Contains(log.String(), "now it is told") || w.Level.Level() != slog.LevelDebug {
		t.Errorf("the level is %s, want debug", w.Level.Level())
	}
	if s := w.reader.Sweep.Seconds(); s != 120 {
		t.Errorf("the sweep takes %v s, want 120", s)
	}
	if roots := w.network.Transport().TLSClientConfig.RootCAs; roots == nil {
		t.Error("the certificate authority is not trusted")
	}
}

// The commands name the namespace that the engine was made for, while the loop applies another configuration.
func TestCommandsWhileAConfigurationIsApplied(t *testing.T) {
	t.Setenv("A_TOKEN", "hush")
	var log bytes.Buffer
	w := watchingFile(t, oneRepository+"global: {run_namespace: runs}\n", &log)
	w.machine = nil // as on a cluster
	changed, err := config.Parse([]byte(oneRepository), hosts.Options(nil))
	if err != nil {
		t.Fatal(err)
	}
	follow, printed := w.sinks()["output"], make(chan struct{})
	go func() {
		defer close(printed)
		follow(t.Context(), []event.Event{event.RunCreated{Run: plan.Run{Name: "web-1"}}})
	}()
	if err := w.apply(changed); err != nil {
		t.Fatal(err)
	}
	<-printed
	if got, want := log.String(), "tkn pipelinerun logs -f web-1 -n runs\n"; got != want {
		t.Errorf("printed %q, want %q", got, want)
	}
}

// The password of a proxy that changed is used by the connections that there are.
func TestProxyPasswordIsReplaced(t *testing.T) {
	t.Setenv("A_TOKEN", "hush")
	dir := t.TempDir()
	write(t, filepath.Join(dir, "PROXY"), "http://ada:hush1@proxy.example")
	var log bytes.Buffer
	t.Setenv("PROXY", "http://ada:hush1@proxy.example")
	w := watchingFile(t, oneRepository+"global: {proxy: {https_proxy: \"${PROXY}\"}}\n", &log)
	w.Variables.Dir = dir
	if _, err := w.Variables.Read(); err != nil {
		t.Fatal(err)
	}
	base := w.network.Transport()
	write(t, filepath.Join(dir, "PROXY"), "http://ada:hush2@proxy.example")
	w.reloader().Look()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://git.example/", nil)
	if err != nil {
		t.Fatal(err)
	}
	if proxy, err := base.Proxy(req); err != nil || proxy == nil || proxy.User.String() != "ada:hush2" {
		t.Errorf("the proxy is not that with the new password, %v; log:\n%s", err, &log)
	}
	if strings.Contains(log.String(), "hush") {
		t.Errorf("a password is in the log:\n%s", &log)
	}
}
