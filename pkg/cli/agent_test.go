package cli

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/cli/setup"
	"github.com/tekton-sentry/sentry/pkg/config"
)

// Who runs a Git host can tell from its log which Sentry asks.
func TestHostsAreToldTheVersion(t *testing.T) {
	agents := make(chan string, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		agents <- req.UserAgent()
		w.WriteHeader(http.StatusNotFound)
	}))
	defer server.Close()
	r := (&setup.Options{Version: version}).Reader(slog.New(slog.DiscardHandler), 0, nil)
	defer r.Close()
	r.Heads(t.Context(), []config.Monitor{{Source: config.Source{URL: server.URL + "/x", Type: config.Git}}})
	if got := <-agents; got != "sentry/"+version || version == "" {
		t.Errorf("a host is asked by %q, want sentry/ and the version", got)
	}
}
