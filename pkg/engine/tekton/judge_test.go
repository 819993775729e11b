package tekton

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tekton-sentry/sentry/pkg/instance"
	"github.com/tekton-sentry/sentry/pkg/kube/kubetest"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun"
	"github.com/tekton-sentry/sentry/pkg/result"
)

// putTask puts a TaskRun of the run there.
func putTask(s *kubetest.Server, run, task string, conditions ...kubetest.Object) {
	s.Put("/apis/tekton.dev/v1/namespaces/test/taskruns/"+run+"-"+task, kubetest.Object{
		"metadata": kubetest.Object{"name": run + "-" + task, "labels": kubetest.Object{labelPipelineRun: run, labelPipelineTask: task}},
		"status":   kubetest.Object{"conditions": conditions},
	})
}

// A run whose TaskRun does not end is told after half a minute, and keeps no other back meanwhile.
func TestATaskThatDoesNotEndHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, c := kubetest.NewPiped(t)
		l := &listener{server: server, watches: []func(http.ResponseWriter, *http.Request){silent}}
		server.Fault = l.fault
		for i := range 20 {
			l.put(fmt.Sprintf("stuck-%02d", i), time.Hour, "False")
			putTask(server, fmt.Sprintf("stuck-%02d", i), "rag", kubetest.Object{"type": "Succeeded", "status": "Unknown"})
		}
		l.put("well", time.Minute, "True")
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		told := map[string]time.Duration{}
		New(c, "", instance.Instance{}).Ends(ctx, slog.New(slog.DiscardHandler), as, func(r result.Result) { told[r.Name] = time.Since(start) })
		if len(told) != 21 || told["well"] > time.Second || told["stuck-00"] < taskGrace || told["stuck-19"] > taskGrace+10*time.Second {
			t.Errorf("told after %v, want the run that is well at once, and the others after %s", told, taskGrace)
		}
	})
}

// A start that finds very many runs which ended meanwhile writes the history a few times.
func TestManyEndsAtTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &listener{}
		l.listen(t, func() {
			for i := range 1000 {
				l.put(fmt.Sprintf("r-%04d", i), time.Hour, "True")
			}
		}, 10*time.Minute)
		history, marks := 0, 0
		for _, w := range l.server.Writes() {
			if strings.HasSuffix(w, " sentry-history") {
				history++
			} else {
				marks++
			}
		}
		if len(l.told) != 1000 || marks != 1000 || history == 0 || history > 20 {
			t.Errorf("of 1000 runs %d were told and %d marked, with %d writes of the history, want at most 20", len(l.told), marks, history)
		}
	})
}

// A run of Sentry's that is cancelled for a newer change is told apart from one that somebody cancelled.
func TestSuperseded(t *testing.T) {
	for annotation, want := range map[string]result.Verdict{"": result.Cancelled, "newer": result.Superseded} {
		synctest.Test(t, func(t *testing.T) {
			l := &listener{}
			var got result.Result
			server, c := kubetest.NewPiped(t)
			l.server = server
			l.put("old", time.Hour, "False")
			run := server.Get(runsPath + "/old")
			run["status"].(kubetest.Object)["conditions"].([]kubetest.Object)[0]["reason"] = "Cancelled"
			if annotation != "" {
				run["metadata"].(kubetest.Object)["annotations"].(kubetest.Object)[pipelinerun.AnnotationSuperseded] = annotation
			}
			server.Fault = l.fault
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			e := New(c, "", instance.Instance{})
			e.Ends(ctx, slog.New(slog.DiscardHandler), as, func(r result.Result) { got = r })
			past, err := e.History(t.Context(), "")
			if got.Verdict != want || err != nil || len(past) != 1 || past[0].Verdict != want {
				t.Errorf("the verdict is %q, and %+v, %v in the history, want %q", got.Verdict, past, err, want)
			}
		})
	}
}

// A history that cannot be written for good is told of, and keeps no run from being told and marked.
func TestEndsWithoutAHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &listener{}
		l.listen(t, func() {
			l.put("a", time.Hour, "True")
			l.server.Put("/api/v1/namespaces/test/configmaps/sentry-history", kubetest.Object{
				"metadata": kubetest.Object{"name": "sentry-history"}, "data": kubetest.Object{"history.json": "{"},
			})
		}, time.Minute)
		if writes := l.server.Writes(); len(l.told) != 1 || len(writes) != 1 || writes[0] != "PATCH a" {
			t.Errorf("told %q, wrote %q, want the end of a run, and its mark", l.told, writes)
		}
		if !strings.Contains(l.log.String(), "cannot be written to the history") {
			t.Errorf("the log does not say so:\n%s", &l.log)
		}
	})
}
