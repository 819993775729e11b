package kubesink

import (
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/event"
	"github.com/tekton-sentry/sentry/pkg/instance"
	"github.com/tekton-sentry/sentry/pkg/kube/kubetest"
)

const eventsOf = "/api/v1/namespaces/test/events"

// Changes of the configuration are Events, on the ConfigMap that each Sentry has. Nothing else is one.
func TestSink(t *testing.T) {
	s, c := kubetest.New(t)
	s.Put("/api/v1/namespaces/test/configmaps/sentry-b-state", kubetest.Object{"metadata": map[string]any{"name": "sentry-b-state", "uid": "u-1"}})
	var log strings.Builder
	sink := Sink(c, instance.Instance{Name: "b"}, slog.New(slog.NewTextHandler(&log, nil)))
	for _, tt := range []struct {
		event event.Event
		want  string
	}{
		{event.ConfigurationChanged{Changes: []string{"a: 1 -> 2", "+ b"}}, "Normal ConfigurationUsed the configuration changed, and the new one is used: a: 1 -> 2; + b"},
		{event.ConfigurationChanged{}, "Normal ConfigurationUsed the configuration says what is used"},
		{event.ConfigurationRefused{Why: "line 1"}, "Warning ConfigurationRefused the configuration changed and cannot be used; Sentry goes on as before: line 1"},
		{event.CycleDone{}, ""},
	} {
		sink(t.Context(), []event.Event{tt.event})
		got := ""
		for _, name := range s.Names(eventsOf) {
			e := s.Get(eventsOf + "/" + name)
			on := e["involvedObject"].(map[string]any)
			if on["kind"] != "ConfigMap" || on["name"] != "sentry-b-state" || on["uid"] != "u-1" || !strings.HasPrefix(name, "sentry-b-state.") {
				t.Errorf("%s is on %v", name, on)
			}
			got = fmt.Sprint(got, e["type"], " ", e["reason"], " ", e["message"])
			s.Put(eventsOf+"/"+name, nil)
		}
		if got != tt.want {
			t.Errorf("%#v: the Events are %q, want %q", tt.event, got, tt.want)
		}
	}
	sink(t.Context(), []event.Event{event.ConfigurationRefused{Why: strings.Repeat("ä", 2000)}})
	for _, name := range s.Names(eventsOf) {
		if n := len(s.Get(eventsOf + "/" + name)["message"].(string)); n > 1024 {
			t.Errorf("an Event of %d bytes, of which Kubernetes takes 1024", n)
		}
	}
	if log.Len() > 0 {
		t.Errorf("the log says %s", log.String())
	}
}

// A Role without the right costs the Events, and one line.
func TestSinkWithoutTheRight(t *testing.T) {
	s, c := kubetest.New(t)
	s.Fault = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPost {
			http.Error(w, "forbidden", http.StatusForbidden)
		}
		return r.Method == http.MethodPost
	}
	var log strings.Builder
	sink := Sink(c, instance.Instance{}, slog.New(slog.NewTextHandler(&log, nil)))
	for range 3 {
		sink(t.Context(), []event.Event{event.ConfigurationRefused{Why: "line 1"}})
	}
	if strings.Count(log.String(), "\n") != 1 || !strings.Contains(log.String(), "changes of the configuration are not Kubernetes Events") {
		t.Errorf("the log says\n%s\nwant one line", log.String())
	}
}
