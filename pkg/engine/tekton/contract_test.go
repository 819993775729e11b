package tekton

import (
	"fmt"
	"net/http"
	"testing"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tekton-sentry/sentry/pkg/engine/enginetest"
	"github.com/tekton-sentry/sentry/pkg/instance"
	"github.com/tekton-sentry/sentry/pkg/kube/kubetest"
	"github.com/tekton-sentry/sentry/pkg/plan"
)

// The API server refuses changes to a finished run, as Tekton's webhook does.
func TestEngine(t *testing.T) {
	enginetest.Test(t, func(t *testing.T) enginetest.Subject {
		s, c := kubetest.New(t)
		over := map[string]bool{}
		s.Fault = func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPatch && over[r.URL.Path] {
				kubetest.Refuse(w, http.StatusBadRequest, metav1.StatusReasonBadRequest, "it is done")
				return true
			}
			return false
		}
		return enginetest.Subject{
			Engine: New(c, "", instance.Instance{}), QAURL: "https://qa.example/qa", QASHA: "0123456789012345678901234567890123456789", Command: "true",
			End: func(run plan.Run, well bool) {
				path := runsPath + "/" + run.Name
				o := s.Get(path)
				// In the order of their numbers, as an API server's clock has it.
				o["metadata"].(kubetest.Object)["creationTimestamp"] = fmt.Sprintf("2026-01-01T00:%02d:00Z", run.Trigger.Refs[0].N)
				spec := o["spec"].(kubetest.Object)
				status := map[bool]string{true: "True", false: "False"}[well && spec["status"] != v1.PipelineRunSpecStatusCancelledRunFinally]
				o["status"] = kubetest.Object{
					"completionTime": "2026-01-01T01:00:00Z",
					"conditions":     []kubetest.Object{{"type": "Succeeded", "status": status, "reason": "R" + status}},
				}
				s.Put(path, o)
				over[path] = true
			},
		}
	})
}
