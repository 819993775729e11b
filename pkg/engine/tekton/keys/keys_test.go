package keys

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tekton-sentry/sentry/pkg/instance"
	"github.com/tekton-sentry/sentry/pkg/kube/kubetest"
)

var keyPath = "/api/v1/namespaces/test/secrets/" + instance.Instance{}.Key()

func TestKeys(t *testing.T) {
	for name, before := range map[string]kubetest.Object{
		"no Secret":    nil,
		"empty Secret": {"kind": "Secret", "apiVersion": "v1", "metadata": kubetest.Object{"name": instance.Instance{}.Key()}},
	} {
		server, cluster := kubetest.New(t)
		if before != nil {
			server.Put(keyPath, before)
		}
		first, err := Of(cluster, instance.Instance{})(t.Context())
		if err != nil || len(first.Secret) != 64 || first.Since.IsZero() {
			t.Fatalf("%s: key of %d characters since %v, %v", name, len(first.Secret), first.Since, err)
		}
		if writes := server.Writes(); len(writes) != 1 {
			t.Errorf("%s: writes %v, want one", name, writes)
		}
		asked := 0
		server.Fault = func(http.ResponseWriter, *http.Request) bool { asked++; return false }
		keys := Of(cluster, instance.Instance{}) // of another process
		for range 3 {
			if again, err := keys(t.Context()); err != nil || again.Secret != first.Secret || !again.Since.Equal(first.Since) {
				t.Errorf("%s: the next Sentry has another key: %v", name, err)
			}
		}
		if asked != 1 {
			t.Errorf("%s: %d requests for three cycles, want 1", name, asked)
		}
	}
}

// Two Sentrys start at once: both must have the key that is stored.
func TestKeysOfTwo(t *testing.T) {
	server, cluster := kubetest.New(t)
	server.Put(keyPath, kubetest.Object{"kind": "Secret", "apiVersion": "v1", "metadata": kubetest.Object{"name": instance.Instance{}.Key()}})
	theirs := base64.StdEncoding.EncodeToString([]byte(`{"secret":"` + strings.Repeat("ab", 32) + `","since":"2026-01-01T00:00:00Z"}`))
	server.Fault = func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut {
			server.Fault = nil
			server.Put(keyPath, kubetest.Object{"kind": "Secret", "apiVersion": "v1", "metadata": kubetest.Object{"name": instance.Instance{}.Key()}, "data": kubetest.Object{keyField: theirs}})
		}
		return false
	}
	key, err := Of(cluster, instance.Instance{})(t.Context())
	if err != nil || key.Secret != strings.Repeat("ab", 32) {
		t.Errorf("the second one has a key of its own, %v", err)
	}
}

func TestKeysRefused(t *testing.T) {
	data := func(text string) kubetest.Object {
		return kubetest.Object{"kind": "Secret", "apiVersion": "v1", "metadata": kubetest.Object{"name": instance.Instance{}.Key()}, "data": kubetest.Object{keyField: base64.StdEncoding.EncodeToString([]byte(text))}}
	}
	for name, tt := range map[string]struct {
		secret kubetest.Object
		status int
		want   []string
	}{
		"forbidden": {nil, http.StatusForbidden, []string{"Secret test/sentry-key", "apply the manifests"}},
		"no JSON":   {data("hunter2"), 0, []string{"holds no key", "kubectl -n test patch secret sentry-key"}},
		"short":     {data(`{"secret":"hunter2"}`), 0, []string{"holds no key"}},
	} {
		server, cluster := kubetest.New(t)
		if tt.secret != nil {
			server.Put(keyPath, tt.secret)
		}
		if tt.status != 0 {
			server.Fault = func(w http.ResponseWriter, _ *http.Request) bool {
				kubetest.Refuse(w, tt.status, metav1.StatusReasonForbidden, "secrets is forbidden")
				return true
			}
		}
		keys := Of(cluster, instance.Instance{})
		_, err := keys(t.Context())
		if err == nil || slices.ContainsFunc(tt.want, func(part string) bool { return !strings.Contains(err.Error(), part) }) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: error %v, want one with %q and not with what the Secret holds", name, err, tt.want)
		}
		server.Fault = nil
		server.Put(keyPath, nil)
		if _, err := keys(t.Context()); err != nil {
			t.Errorf("%s: once it is mended: %v", name, err)
		}
	}
}

// A key belongs to its instance, also where two have the same.
func TestKeyOfAnInstance(t *testing.T) {
	s, c := kubetest.New(t)
	for _, name := range []string{"", "blue"} {
		of := instance.Instance{Name: name}
		s.Put("/api/v1/namespaces/test/secrets/"+of.Key(), kubetest.Object{"kind": "Secret", "apiVersion": "v1", "metadata": kubetest.Object{"name": of.Key()}})
		if key, err := Of(c, of)(t.Context()); err != nil || key.Instance != name || len(key.Secret) != 2*keyBytes {
			t.Errorf("the key of %q is of %q, %v", name, key.Instance, err)
		}
	}
}
