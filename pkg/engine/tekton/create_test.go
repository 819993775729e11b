package tekton

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/instance"
	"github.com/tekton-sentry/sentry/pkg/kube"
	"github.com/tekton-sentry/sentry/pkg/kube/kubetest"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun"
)

// triggerOf is the trigger annotation of a run for a commit of rag/main.
func triggerOf(sha string) string {
	return `{"refs":[{"repository":"rag","branch":"main","n":1,"new":"` + strings.Repeat(sha, 40) + `"}],"seen":"2026-01-01T00:00:00Z"}`
}

func newRun(trigger string) *v1.PipelineRun {
	return &v1.PipelineRun{
		TypeMeta: metav1.TypeMeta{APIVersion: "tekton.dev/v1", Kind: "PipelineRun"},
		ObjectMeta: metav1.ObjectMeta{
			Name:        "run",
			Labels:      map[string]string{pipelinerun.LabelManagedBy: pipelinerun.ManagedBy, pipelinerun.LabelUnit: "a"},
			Annotations: map[string]string{pipelinerun.AnnotationTrigger: trigger},
		},
	}
}

func signed(signature string) *v1.PipelineRun {
	pr := newRun(triggerOf("a"))
	pr.Annotations[pipelinerun.AnnotationSignature] = signature
	return pr
}

func TestCreate(t *testing.T) {
	for name, tt := range map[string]struct {
		there   *v1.PipelineRun // under the name of the run that is to be made
		created bool
		want    error
		writes  []string
	}{
		"none":                      {nil, true, nil, []string{"POST run"}},
		"of an earlier attempt":     {newRun(triggerOf("a")), false, nil, nil},
		"for another commit":        {newRun(triggerOf("b")), false, engine.ErrNameTaken, nil},
		"of something else":         {newRun(""), false, engine.ErrNameTaken, nil},
		"with an edited annotation": {newRun("{"), false, engine.ErrNameTaken, nil},
		"with a wrong signature":    {signed("0"), false, engine.ErrNameTaken, nil},
	} {
		s, c := kubetest.New(t)
		e := New(c, "", instance.Instance{})
		if tt.there != nil {
			if _, err := e.create(t.Context(), tt.there); err != nil {
				t.Fatal(err)
			}
			s.Writes()
		}
		created, err := e.create(t.Context(), newRun(triggerOf("a")))
		if writes := s.Writes(); created != tt.created || !errors.Is(err, tt.want) || !slices.Equal(writes, tt.writes) {
			t.Errorf("where there is a run %s: created %v, %v, writes %v, want %v, %v, %v", name, created, err, writes, tt.created, tt.want, tt.writes)
		}
	}
}

// Neither is the run known to be there, nor that the name is another's: the next cycle asks again.
func TestCreateThatIsInDoubt(t *testing.T) {
	s, c := kubetest.New(t)
	e := New(c, "", instance.Instance{})
	if _, err := e.create(t.Context(), newRun(triggerOf("a"))); err != nil {
		t.Fatal(err)
	}
	s.Fault = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodGet {
			return false
		}
		kubetest.Refuse(w, http.StatusInternalServerError, metav1.StatusReasonInternalError, "etcd is away")
		return true
	}
	created, err := e.create(t.Context(), newRun(triggerOf("a")))
	if created || !kube.IsTemporary(err) || errors.Is(err, engine.ErrNameTaken) || !strings.Contains(err.Error(), "PipelineRun test/run") {
		t.Errorf("a run that exists and cannot be read: %v, %v, want a temporary error on it", created, err)
	}
}

func TestCancel(t *testing.T) {
	const running, ended = "Unknown", "True"
	for name, tt := range map[string]struct {
		status string // "": there is no such run
		on     string // the method of which the answer is the code
		code   int    // 0: all is served
		want   string
	}{
		"active":               {running, "", 0, ""},
		"gone":                 {"", "", 0, ""},
		"ended":                {ended, "", 0, ""},
		"ended in between":     {running, http.MethodPatch, 400, ""},
		"active and not ours":  {running, http.MethodPatch, 403, "cancel PipelineRun test/run"},
		"the webhook is away":  {running, http.MethodPatch, 500, "cancel PipelineRun test/run"},
		"the server is away":   {running, http.MethodGet, 503, "cancel PipelineRun test/run"},
		"gone, server is away": {"", http.MethodGet, 503, "cancel PipelineRun test/run"},
	} {
		s, c := kubetest.New(t)
		if tt.status != "" {
			putRun(s, "a", "run", "2026-01-01T00:00:00Z", tt.status)
		}
		s.Fault = func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPatch {
				// Only this status lets a cancelled run's finally tasks run.
				body, err := io.ReadAll(r.Body)
				r.Body = io.NopCloser(bytes.NewReader(body))
				if want := `{"metadata":{"annotations":{"tekton-sentry.dev/superseded":"newer"}},"spec":{"status":"CancelledRunFinally"}}`; err != nil || string(body) != want {
					t.Errorf("a run that is %s is patched with %s, %v, want %s", name, body, err, want)
				}
			}
			if r.Method != tt.on {
				return false
			}
			if tt.code == 400 {
				putRun(s, "a", "run", "2026-01-01T00:00:00Z", ended)
			}
			kubetest.Refuse(w, tt.code, metav1.StatusReasonUnknown, "no")
			return true
		}
		err := New(c, "", instance.Instance{}).Cancel(t.Context(), "run", "newer")
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("a run that is %s: %v, want %q", name, err, tt.want)
		}
	}
}

// What is cancelled is not rolled back, and a rollback that has begun goes on, also where it begins just then.
func TestCancelOfARunThatRollsBack(t *testing.T) {
	put := func(s *kubetest.Server, begun ...string) {
		putRun(s, "a", "run", "2026-01-01T00:00:00Z", "Unknown")
		run := s.Get(runsPath + "/run")
		run["spec"] = kubetest.Object{"pipelineSpec": kubetest.Object{
			"tasks": []kubetest.Object{{"name": "web"}}, "finally": []kubetest.Object{{"name": "sentry-verdict"}, {"name": "sentry-rollback-web"}},
		}}
		var children []kubetest.Object
		for _, task := range begun {
			children = append(children, kubetest.Object{"name": "run-" + task, "pipelineTaskName": task})
		}
		run["status"] = kubetest.Object{"conditions": run["status"].(kubetest.Object)["conditions"], "childReferences": children}
		s.Put(runsPath+"/run", run)
	}
	for name, tt := range map[string]struct {
		begun   []string // tasks
		between []string // that have begun when Sentry has looked
		want    v1.PipelineRunSpecStatus
	}{
		"nothing has begun":                    {nil, nil, "Cancelled"},
		"a deployment":                         {[]string{"web"}, nil, "Cancelled"},
		"the rollback":                         {[]string{"web", "sentry-rollback-web"}, nil, "CancelledRunFinally"},
		"the verdict alone":                    {[]string{"web", "sentry-verdict"}, nil, "CancelledRunFinally"},
		"the rollback, when Sentry has looked": {[]string{"web"}, []string{"web", "sentry-rollback-web"}, "CancelledRunFinally"},
	} {
		s, c := kubetest.New(t)
		put(s, tt.begun...)
		s.Fault = func(_ http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPatch && tt.between != nil {
				put(s, tt.between...)
				tt.between = nil
			}
			return false
		}
		if err := New(c, "", instance.Instance{}).Cancel(t.Context(), "run", "newer"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		run := s.Get(runsPath + "/run")
		if got := run["spec"].(kubetest.Object)["status"]; got != string(tt.want) {
			t.Errorf("%s: the run is %v, want %s", name, got, tt.want)
		}
		if got := run["metadata"].(kubetest.Object)["annotations"].(kubetest.Object)[pipelinerun.AnnotationSuperseded]; got != "newer" {
			t.Errorf("%s: the run says %v, want which run replaces it", name, got)
		}
	}
}

// What is noted on a run is read back as it was, whatever a person is called.
func TestAnnotate(t *testing.T) {
	s, c := kubetest.New(t)
	s.Put("/apis/tekton.dev/v1/namespaces/test/pipelineruns/run", kubetest.Object{"metadata": kubetest.Object{"name": "run"}})
	const text = "run \x7f \U000e0001 \" <b> \u2028"
	if err := New(c, "", instance.Instance{}).Annotate(t.Context(), "run", "example.com/note", text); err != nil {
		t.Fatal(err)
	}
	got := s.Get("/apis/tekton.dev/v1/namespaces/test/pipelineruns/run")["metadata"].(kubetest.Object)["annotations"].(kubetest.Object)["example.com/note"]
	if got != text {
		t.Errorf("got %q, want %q", got, text)
	}
}
