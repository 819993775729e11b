package tekton

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/instance"
	"github.com/tekton-sentry/sentry/pkg/kube/kubetest"
)

func exited(name string, code int32, reason string) v1.StepState {
	s := v1.StepState{Name: name, Container: "step-" + name}
	s.Terminated = &corev1.ContainerStateTerminated{ExitCode: code, Reason: reason}
	if !strings.HasPrefix(reason, "TaskRun") {
		s.Terminated.ContainerID = "containerd://0"
	}
	return s
}

// What a step printed that failed names the command. It is asked for once a deployment, bounded, and the outcome is as true
// without it.
func TestPrinted(t *testing.T) {
	for name, tt := range map[string]struct {
		code    int // of the API server's answer
		message string
		lines   int
		err     string
	}{
		"there":       {http.StatusOK, "command 2 of 3 failed with exit code 137: make [redacted]; the step deploy was OOMKilled, as it needs more memory than it may have: raise limits.memory in pod.resources", 3, ""},
		"gone":        {http.StatusNotFound, "exited", 0, ""},
		"not allowed": {http.StatusForbidden, "exited", 0, "read what test/r-web-pod printed"},
	} {
		s, c := kubetest.New(t)
		tr := v1.TaskRun{ObjectMeta: metav1.ObjectMeta{Name: "r-web", Labels: map[string]string{labelPipelineTask: "web"}}, Status: v1.TaskRunStatus{TaskRunStatusFields: v1.TaskRunStatusFields{PodName: "r-web-pod", Steps: []v1.StepState{exited("deploy", 137, "OOMKilled")}}}}
		asked := []string{}
		s.Fault = func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.HasSuffix(r.URL.Path, "/log") {
				return false
			}
			asked = append(asked, r.URL.Path+" "+r.URL.Query().Encode())
			if tt.code != http.StatusOK {
				kubetest.Refuse(w, tt.code, map[int]metav1.StatusReason{404: metav1.StatusReasonNotFound, 403: metav1.StatusReasonForbidden}[tt.code], "no")
				return true
			}
			fmt.Fprint(w, "$ make deploy\nno such target\ncommand 2 of 3 failed with exit code 137: make hush\n")
			return true
		}
		out := engine.Outcome{Name: "r", Tasks: []engine.Task{{Name: "web", Result: engine.Failed, Message: "exited"}, {Name: "api", Result: engine.Succeeded}}}
		e := New(c, "", instance.Instance{})
		e.Hide = func(text string) string { return strings.ReplaceAll(text, "hush", "[redacted]") }
		got, err := e.printed(context.Background(), out, []v1.TaskRun{tr})
		if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s: %v, want %q", name, err, tt.err)
		}
		if task := got.Tasks[0]; task.Message != tt.message || len(task.Output) != tt.lines {
			t.Errorf("%s: %+v", name, task)
		}
		if want := "/api/v1/namespaces/test/pods/r-web-pod/log container=step-deploy&limitBytes=65536&tailLines=10"; len(asked) != 1 || asked[0] != want {
			t.Errorf("%s: asked for %q, want %q", name, asked, want)
		}
	}
}
