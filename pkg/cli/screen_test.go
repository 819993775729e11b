package cli

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tekton-sentry/sentry/pkg/kube/kubetest"
)

func TestScreen(t *testing.T) {
	for in, want := range map[string]string{
		"two\n\tlines, ä→日\n":         "two\n\tlines, ä→日\n",
		"\x1b[2J\r\x00\x7f\a\b":       `\u001b[2J\u000d\u0000\u007f\u0007\u0008`,
		"\u009b2J \u202e\u200b\ufeff": `\u009b2J \u202e\u200b\ufeff`,
		"\U000e0001":                  `\udb40\udc01`,
		"no \xff\x9bUTF-8":            "no \ufffd\ufffdUTF-8",
	} {
		var out bytes.Buffer
		n, err := screen{&out}.Write([]byte(in))
		if out.String() != want || n != len(in) || err != nil {
			t.Errorf("%q is written as %q, %d, %v, want %q, %d", in, &out, n, err, want, len(in))
		}
	}
}

// A log in JSON stays JSON, with the same text.
func TestScreenKeepsJSON(t *testing.T) {
	const hostile = "\x1b[2J\u009b\u202e\U000e0001\x7f"
	var out bytes.Buffer
	slog.New(slog.NewJSONHandler(screen{&out}, nil)).Info(hostile)
	if strings.ContainsFunc(out.String(), hidden) {
		t.Errorf("written raw: %q", &out)
	}
	var line struct{ Msg string }
	if err := json.Unmarshal(out.Bytes(), &line); err != nil || line.Msg != hostile {
		t.Errorf("%s is read as %q, %v, want %q", &out, line.Msg, err, hostile)
	}
}

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
	if want := `\u001b[2Jno\u009b\u202e way`; code != exitFailed || !strings.Contains(stderr.String(), want) || strings.ContainsFunc(stderr.String(), hidden) {
		t.Errorf("exit code %d, stderr %q, want it to hold %s and nothing raw", code, &stderr, want)
	}
}
