package kube_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tekton-sentry/sentry/pkg/kube"
	"github.com/tekton-sentry/sentry/pkg/kube/kubetest"
)

const (
	configMaps = "/api/v1/namespaces/test/configmaps"
	note       = configMaps + "/note"
)

func put(t *testing.T, c *kube.Cluster, was *corev1.ConfigMap, text string) (*corev1.ConfigMap, error) {
	t.Helper()
	return c.PutConfigMap(t.Context(), "test", "note", was, "k", []byte(text))
}

func read(t *testing.T, c *kube.Cluster) *corev1.ConfigMap {
	t.Helper()
	cm, err := c.GetConfigMap(t.Context(), "test", "note")
	if err != nil {
		t.Fatal(err)
	}
	return cm
}

func TestConfigMapIsComparedAndSwapped(t *testing.T) {
	server, c := kubetest.New(t)
	if cm := read(t, c); cm != nil {
		t.Fatalf("before it was made: %+v, want none", cm)
	}
	first, err := put(t, c, nil, "1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := put(t, c, nil, "x"); !errors.Is(err, kube.ErrConflict) {
		t.Errorf("made by somebody else meanwhile: %v, want a conflict", err)
	}
	second, err := put(t, c, first, "2")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := put(t, c, first, "x"); !errors.Is(err, kube.ErrConflict) {
		t.Errorf("written by somebody else meanwhile: %v, want a conflict", err)
	}
	if got := read(t, c).Data["k"]; got != "2" {
		t.Errorf("the ConfigMap holds %q, want what the last good write put there", got)
	}
	server.Put(note, nil)
	if _, err := put(t, c, second, "x"); !errors.Is(err, kube.ErrConflict) {
		t.Errorf("deleted by somebody else meanwhile: %v, want a conflict", err)
	}
	if names := server.Names(configMaps); len(names) > 0 {
		t.Errorf("ConfigMaps %v, want none: what was deleted is not made again unseen", names)
	}
}

func TestConfigMapKeepsWhatIsNotOurs(t *testing.T) {
	server, c := kubetest.New(t)
	server.Put(note, kubetest.Object{
		"metadata": kubetest.Object{"name": "note", "labels": kubetest.Object{"team": "a"}},
		"data":     kubetest.Object{"other": "o", "k": "1"},
	})
	was := read(t, c)
	if _, err := put(t, c, was, "2"); err != nil {
		t.Fatal(err)
	}
	cm := read(t, c)
	if cm.Data["other"] != "o" || cm.Data["k"] != "2" || cm.Labels["team"] != "a" || was.Data["k"] != "1" {
		t.Errorf("ConfigMap %v %v, want only k changed; the one that was read has k=%s, want it untouched", cm.Labels, cm.Data, was.Data["k"])
	}
}

func TestConfigMapErrorsNameIt(t *testing.T) {
	server, c := kubetest.New(t)
	server.Fault = func(w http.ResponseWriter, _ *http.Request) bool {
		kubetest.Refuse(w, http.StatusForbidden, metav1.StatusReasonForbidden, `user cannot use resource "configmaps"`)
		return true
	}
	_, getErr := c.GetConfigMap(t.Context(), "test", "note")
	_, putErr := put(t, c, nil, "secret-content")
	for _, err := range []error{getErr, putErr} {
		k, ok := errors.AsType[*kube.Error](err)
		if !ok || k.ProblemKind() != kube.Denied || !strings.Contains(err.Error(), "ConfigMap test/note") ||
			!strings.Contains(err.Error(), "manifests/rbac-sentry.yaml") || strings.Contains(err.Error(), "secret-content") {
			t.Errorf("error %v, want one that names the ConfigMap and the Role, and not the content", err)
		}
	}
}

// The state is asked for and written in every cycle, also while the API server is left alone otherwise.
func TestConfigMapsAreTriedInTrouble(t *testing.T) {
	server, c := kubetest.New(t)
	var sent []string
	server.Fault = func(w http.ResponseWriter, r *http.Request) bool {
		sent = append(sent, r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:])
		kubetest.Refuse(w, http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable, "no backend")
		return true
	}
	for range 5 {
		err := c.Tekton.Get().Namespace("test").Resource("pipelineruns").Name("run").Do(t.Context()).Error()
		if !kube.IsTemporary(kube.Explain(err)) {
			t.Errorf("a run: %v, want a temporary error", err)
		}
	}
	if _, err := c.GetConfigMap(t.Context(), "test", "note"); !kube.IsTemporary(err) {
		t.Errorf("the ConfigMap: %v, want a temporary error", err)
	}
	if want := []string{"run", "run", "run", "note"}; !slices.Equal(sent, want) {
		t.Errorf("requests sent: %v, want %v", sent, want)
	}
}

func TestConfigMapOfAServerThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, c := kubetest.NewPiped(t)
		server.Fault = func(_ http.ResponseWriter, r *http.Request) bool {
			<-r.Context().Done()
			return true
		}
		began := time.Now()
		_, err := c.GetConfigMap(t.Context(), "test", "note")
		if elapsed := time.Since(began); elapsed != 15*time.Second || !kube.IsTemporary(err) || !strings.Contains(err.Error(), "did not answer in time") {
			t.Errorf("after %s: %v, want a temporary error that says so, after 15s", elapsed, err)
		}
	})
}

func TestConfigMapCallEndsWithItsContext(t *testing.T) {
	server, c := kubetest.New(t)
	ctx, cancel := context.WithCancel(t.Context())
	server.Fault = func(_ http.ResponseWriter, r *http.Request) bool {
		cancel()
		<-r.Context().Done()
		return true
	}
	if _, err := c.GetConfigMap(ctx, "test", "note"); !errors.Is(err, context.Canceled) {
		t.Errorf("of a server that hangs, after the caller gave up: %v, want %v", err, context.Canceled)
	}
}
