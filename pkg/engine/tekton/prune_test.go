package tekton

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tekton-sentry/sentry/pkg/instance"
	"github.com/tekton-sentry/sentry/pkg/kube"
	"github.com/tekton-sentry/sentry/pkg/kube/kubetest"
	"github.com/tekton-sentry/sentry/pkg/result"
)

const runsPath = "/apis/tekton.dev/v1/namespaces/test/pipelineruns"

func putRun(s *kubetest.Server, unit, name, created, status string) {
	s.Put(runsPath+"/"+name, kubetest.Object{
		"metadata": kubetest.Object{
			"name": name, "uid": "uid-of-" + name, "creationTimestamp": created,
			"labels": kubetest.Object{"app.kubernetes.io/managed-by": "sentry", "tekton-sentry.dev/unit": unit},
			"annotations": kubetest.Object{"tekton-sentry.dev/trigger": `{"refs":[{"repository":"rag","branch":"main","n":1,"new":"` +
				strings.Repeat("a", 40) + `"}],"seen":"2026-01-01T00:00:00Z"}`},
		},
		"spec": kubetest.Object{"pipelineSpec": kubetest.Object{
			"tasks": []kubetest.Object{{"name": "rag"}, {"name": "web"}}, "finally": []kubetest.Object{{"name": "sentry-verdict"}},
		}},
		"status": kubetest.Object{
			"completionTime": "2026-01-01T01:00:00Z",
			"conditions":     []kubetest.Object{{"type": "Succeeded", "status": status, "reason": "R" + status}},
		},
	})
}

func fill(s *kubetest.Server) {
	for i, status := range []string{"False", "True", "False", "True", "Unknown"} {
		for _, unit := range []string{"a", "b"} {
			putRun(s, unit, fmt.Sprintf("%s%d", unit, i), fmt.Sprintf("2026-01-01T00:0%d:00Z", i), status)
		}
	}
	for task, status := range map[string]string{"rag": "False", "web": "True", "sentry-verdict": "False"} {
		s.Put("/apis/tekton.dev/v1/namespaces/test/taskruns/"+task, kubetest.Object{
			"metadata": kubetest.Object{"name": task, "labels": kubetest.Object{labelPipelineRun: "a0", labelPipelineTask: task}, "ownerReferences": kubetest.OwnedBy("uid-of-a0")},
			"status":   kubetest.Object{"conditions": []kubetest.Object{{"type": "Succeeded", "status": status}}},
		})
	}
}

func TestPruneRemembersWhatItDeletes(t *testing.T) {
	s, c := kubetest.New(t)
	fill(s)
	e := New(c, "", instance.Instance{})
	for range 2 { // the second time there is nothing to do
		if _, err := e.Prune(t.Context(), "a", 1); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := s.Writes(), []string{"POST sentry-history", "DELETE a0", "DELETE a1"}; !slices.Equal(got, want) {
		t.Errorf("writes %v, want %v", got, want)
	}
	if _, err := e.Prune(t.Context(), "", 1); err != nil {
		t.Fatal(err)
	}
	past, err := e.History(t.Context(), "")
	var names []string
	for _, p := range past {
		names = append(names, p.Name)
	}
	if want := []string{"b1", "a1", "b0", "a0"}; err != nil || len(names) != 4 || !slices.Equal(slices.Sorted(slices.Values(names)), slices.Sorted(slices.Values(want))) {
		t.Fatalf("history %v, %v, want %v", names, err, want)
	}
	past, err = e.History(t.Context(), "a")
	if err != nil || len(past) != 2 {
		t.Fatalf("history of a: %+v, %v, want two runs", past, err)
	}
	if p := past[1]; p.Name != "a0" || p.Seconds != 3600 || p.Reason != "RFalse" || p.Verdict != result.Failed || !slices.Equal(p.Tasks(result.Failed), []string{"rag"}) || p.Refs[0].Branch != "main" {
		t.Errorf("history %+v, want run a0 that took an hour and in which rag failed", p)
	}
}

// A run that is deleted may come again under its name, and is another one.
func TestPruneRemembersANameThatCameAgain(t *testing.T) {
	s, c := kubetest.New(t)
	e := New(c, "", instance.Instance{})
	for day := range 3 {
		putRun(s, "a", "again", fmt.Sprintf("2026-01-0%dT00:00:00Z", day+1), "True")
		if _, err := e.Prune(t.Context(), "a", 0); err != nil {
			t.Fatal(err)
		}
	}
	if past, err := e.History(t.Context(), "a"); err != nil || len(past) != 3 || !past[0].Created.After(past[1].Created) {
		t.Errorf("the history is %+v, %v, want the three runs of the name", past, err)
	}
}

// Labels are easily copied. A run that does not say why it exists was made by somebody else.
func TestPruneLeavesWhatIsNotSentrys(t *testing.T) {
	s, c := kubetest.New(t)
	for name, trigger := range map[string]string{"none": "", "no-json": "{", "no-refs": `{"manual":"somebody"}`} {
		s.Put(runsPath+"/"+name, kubetest.Object{
			"metadata": kubetest.Object{
				"name": name, "creationTimestamp": "2026-01-01T00:00:00Z",
				"labels":      kubetest.Object{"app.kubernetes.io/managed-by": "sentry", "tekton-sentry.dev/unit": "a"},
				"annotations": kubetest.Object{"tekton-sentry.dev/trigger": trigger},
			},
			"status": kubetest.Object{"conditions": []kubetest.Object{{"type": "Succeeded", "status": "True"}}},
		})
	}
	_, err := New(c, "", instance.Instance{}).Prune(t.Context(), "a", 0)
	if writes := s.Writes(); err != nil || len(writes) > 0 {
		t.Errorf("Prune: writes %v, %v, want none", writes, err)
	}
}

// What is still to be read or reported of a run that ended is not deleted with it; but for a day nobody waits longer.
func TestWhatIsOwedIsNotPruned(t *testing.T) {
	for name, tt := range map[string]struct {
		ended       time.Duration // ago
		annotations kubetest.Object
		kept        bool
	}{
		"read and reported":        {time.Minute, kubetest.Object{"tekton-sentry.dev/told": "r", "tekton-sentry.dev/reported": "r ended"}, false},
		"read, not to be reported": {time.Minute, kubetest.Object{"tekton-sentry.dev/told": "r"}, false},
		"not read":                 {time.Minute, kubetest.Object{}, true},
		"never read":               {time.Hour, kubetest.Object{}, false},
		"not reported":             {23 * time.Hour, kubetest.Object{"tekton-sentry.dev/told": "r", "tekton-sentry.dev/reported": "r pending"}, true},
		"never reported":           {25 * time.Hour, kubetest.Object{"tekton-sentry.dev/told": "r", "tekton-sentry.dev/reported": "r pending"}, false},
		"the mark of another run":  {time.Hour, kubetest.Object{"tekton-sentry.dev/told": "r", "tekton-sentry.dev/reported": "other due"}, false},
	} {
		s, c := kubetest.New(t)
		putRun(s, "a", "r", "2026-01-01T00:00:00Z", "True")
		run := s.Get(runsPath + "/r")
		run["status"].(kubetest.Object)["completionTime"] = time.Now().Add(-tt.ended).Format(time.RFC3339)
		maps.Copy(run["metadata"].(kubetest.Object)["annotations"].(kubetest.Object), tt.annotations)
		if _, err := New(c, "", instance.Instance{}).Prune(t.Context(), "a", 0); err != nil {
			t.Fatal(err)
		}
		if kept := s.Get(runsPath+"/r") != nil; kept != tt.kept {
			t.Errorf("%s: it is kept: %v, want %v", name, kept, tt.kept)
		}
	}
}

func TestNothingIsDeletedThatIsNotRemembered(t *testing.T) {
	s, c := kubetest.New(t)
	fill(s)
	s.Fault = func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, "configmaps") || r.Method == http.MethodGet {
			return false
		}
		kubetest.Refuse(w, http.StatusForbidden, metav1.StatusReasonForbidden, `user cannot create resource "configmaps"`)
		return true
	}
	_, err := New(c, "", instance.Instance{}).Prune(t.Context(), "", 1)
	if err == nil || !strings.Contains(err.Error(), "no run was deleted") || len(s.Writes()) > 0 {
		t.Errorf("Prune: %v, want that no run was deleted", err)
	}
}

// Each answer has its kind, and an API server that asks for it is left alone at once.
func TestTroubleOfTheAPIServer(t *testing.T) {
	for _, tt := range []struct {
		code   int
		reason metav1.StatusReason
		after  string
		kind   string
		sent   int // of five requests
	}{
		{400, metav1.StatusReasonBadRequest, "", kube.Refused, 5},
		{401, metav1.StatusReasonUnauthorized, "", kube.Denied, 5},
		{403, metav1.StatusReasonForbidden, "", kube.Denied, 5},
		{422, metav1.StatusReasonInvalid, "", kube.Refused, 5},
		{429, metav1.StatusReasonTooManyRequests, "3600", kube.Temporary, 1},
		{500, metav1.StatusReasonInternalError, "", kube.Temporary, 5},
		{503, metav1.StatusReasonServiceUnavailable, "", kube.Temporary, 3},
	} {
		s, c := kubetest.New(t)
		sent := 0
		s.Fault = func(w http.ResponseWriter, _ *http.Request) bool {
			sent++
			if tt.after != "" {
				w.Header().Set("Retry-After", tt.after)
			}
			kubetest.Refuse(w, tt.code, tt.reason, "no")
			return true
		}
		for range 5 {
			_, err := New(c, "", instance.Instance{}).Runs(t.Context(), []string{"a"})
			k, ok := errors.AsType[*kube.Error](err)
			if !ok || k.Kind != tt.kind {
				t.Errorf("%d: %v, want an error of kind %s", tt.code, err, tt.kind)
			}
		}
		if sent != tt.sent {
			t.Errorf("%d: %d of five requests were sent, want %d", tt.code, sent, tt.sent)
		}
	}
}

// BenchmarkDecodePage reads a page of runs with 5 KiB of metadata each; 10,000 runs are 200 pages.
func BenchmarkDecodePage(b *testing.B) {
	row := `{"cells":["a","True","Succeeded"],"object":{"metadata":{"name":"a","creationTimestamp":"2026-01-01T00:00:00Z","managedFields":[{"x":"` + strings.Repeat("x", 5<<10) + `"}]}}}`
	body := []byte(`{"kind":"Table","columnDefinitions":[{"name":"Name"},{"name":"Succeeded"},{"name":"Reason"}],"rows":[` + row + strings.Repeat(","+row, pageSize-1) + `]}`)
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if _, err := decodePage(body); err != nil {
			b.Fatal(err)
		}
	}
}
