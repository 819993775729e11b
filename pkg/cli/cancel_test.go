package cli

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/audit"
	"github.com/tekton-sentry/sentry/pkg/kube/kubetest"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun"
)

// Who cancels a run stands on it before it ends: Sentry tells of its end at once. Where that cannot be noted, it is cancelled all the same.
func TestCancelNamesItsPersonFirst(t *testing.T) {
	const run = "/apis/tekton.dev/v1/namespaces/test/pipelineruns/app-main-1"
	for name, refused := range map[string]bool{"noted": false, "not noted": true} {
		t.Run(name, func(t *testing.T) {
			cluster, _ := kubetest.New(t)
			var patches []string
			cluster.Fault = func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method != http.MethodPatch {
					return false
				}
				annotations, _ := cluster.Get(run)["metadata"].(kubetest.Object)["annotations"].(kubetest.Object)
				patches = append(patches, fmt.Sprint("noted before: ", annotations[audit.AnnotationCancelled] != nil))
				if refused && len(patches) == 1 {
					kubetest.Refuse(w, http.StatusForbidden, "Forbidden", "not you")
					return true
				}
				return false
			}
			cluster.Put(run, kubetest.Object{
				"metadata": kubetest.Object{"name": "app-main-1", "creationTimestamp": "2026-01-01T00:00:00Z",
					"labels":      kubetest.Object{pipelinerun.LabelManagedBy: pipelinerun.ManagedBy, pipelinerun.LabelUnit: "app.main"},
					"annotations": kubetest.Object{pipelinerun.AnnotationTrigger: `{"refs":[{"repository":"app","branch":"main","n":1,"new":"` + strings.Repeat("a", 40) + `"}]}`}},
			})
			api := httptest.NewServer(cluster)
			defer api.Close()
			dir := t.TempDir()
			writeKubeconfig(t, filepath.Join(dir, "kubeconfig"), api.URL)
			t.Setenv("GITEA_TOKEN", "t0ken")
			t.Setenv("CHAT", "https://chat.example/s3cret")
			write(t, filepath.Join(dir, "sentry.yaml"), fmt.Sprintf(reportsOf, "https://gitea.example"))
			out := &lines{}
			code := Main(t.Context(), []string{"cancel", "app", "--config", filepath.Join(dir, "sentry.yaml"), "--kubeconfig", filepath.Join(dir, "kubeconfig")},
				Streams{Out: out, Err: out})
			want := []string{"noted before: false", fmt.Sprint("noted before: ", !refused)}
			if spec, _ := cluster.Get(run)["spec"].(kubetest.Object); code != exitDone || !slices.Equal(patches, want) || spec["status"] != "CancelledRunFinally" {
				t.Errorf("exit code %d, %q of the run %v, want %q:\n%s", code, patches, spec, want, out.text())
			}
		})
	}
}
