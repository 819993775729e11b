package cli

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tekton-sentry/sentry/pkg/kube/kubetest"
)

// What a server says in an error is shown without what it would do to a terminal.
func TestErrorsOfAServerOnAScreen(t *testing.T) {
	cluster, _ := kubetest.New(t)
	cluster.Fault = func(w http.ResponseWriter, _ *http.Request) bool {
		kubetest.Refuse(w, http.StatusForbidden, metav1.StatusReasonForbidden, "\x1b[2Jno\u009b\u202e way")
		return true
	}
	api := httptest.NewServer(cluster)
	defer api.Close()
	file := filepath.Join(t.TempDir(), "kubeconfig")
	writeKubeconfig(t, file, api.URL)
	var out, stderr bytes.Buffer
	code := Main(t.Context(), []string{"status", "--kubeconfig", file}, Streams{Out: &out, Err: &stderr})
	if want := `\u001b[2Jno\u009b\u202e way`; code != exitFailed || !strings.Contains(stderr.String(), want) || strings.ContainsAny(stderr.String(), "\x1b\u009b\u202e") {
		t.Errorf("exit code %d, stderr %q, want it to hold %s and nothing raw", code, &stderr, want)
	}
}
