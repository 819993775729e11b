package tekton

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tekton-sentry/sentry/pkg/engine/tekton/record"
	"github.com/tekton-sentry/sentry/pkg/instance"
	"github.com/tekton-sentry/sentry/pkg/kube/kubetest"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun"
	"github.com/tekton-sentry/sentry/pkg/result"
)

// putTask puts a TaskRun of the run there.
func putTask(s *kubetest.Server, run, task string, conditions ...kubetest.Object) {
	s.Put("/apis/tekton.dev/v1/namespaces/test/taskruns/"+run+"-"+task, kubetest.Object{
		"metadata": kubetest.Object{
			"name": run + "-" + task, "labels": kubetest.Object{labelPipelineRun: run, labelPipelineTask: task}, "ownerReferences": kubetest.OwnedBy("uid-of-" + run),
		},
		"status": kubetest.Object{"conditions": conditions},
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
		New(c, "", instance.Instance{}).Ends(ctx, slog.New(slog.DiscardHandler), func(r result.Result) { told[r.Name] = time.Since(start) })
		if len(told) != 21 || told["well"] > time.Second || told["stuck-00"] < taskGrace || told["stuck-19"] > taskGrace+10*time.Second {
			t.Errorf("told after %v, want the run that is well at once, and the others after %s", told, taskGrace)
		}
	})
}

// What was told long ago costs nothing: an hour beside 10,000 finished runs is one list and some watches, no write, and hardly any
// memory.
func TestIdleBesideManyRuns(t *testing.T) {
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	synctest.Test(t, func(t *testing.T) {
		l := &listener{}
		var before, most uint64
		l.asked = func(r *http.Request) {
			if r.URL.Query().Get("continue") == "9950" || r.URL.Query().Get("watch") != "" { // the last page, or a watch
				most = max(most, heap())
			}
		}
		l.listen(t, func() {
			for i := range 10_000 {
				name := fmt.Sprintf("r-%05d", i)
				l.put(name, time.Hour, "True")
				l.annotate(name, name)
			}
			before = heap()
		}, time.Hour)
		if writes := l.server.Writes(); len(l.told) > 0 || len(writes) > 0 || l.lists != 200 {
			t.Errorf("told %d, %d writes and %d pages of lists, want the one list of 200 pages", len(l.told), len(writes), l.lists)
		}
		if grown := int64(most) - int64(before); most == 0 || grown > 5<<20 {
			t.Errorf("it takes %d KiB beside 10,000 runs, want less than 5 MiB", grown>>10)
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
			switch {
			case strings.HasSuffix(w, " sentry-history"):
				history++
			case strings.HasPrefix(w, "PATCH "):
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
			e.Ends(ctx, slog.New(slog.DiscardHandler), func(r result.Result) { got = r })
			past, err := e.History(t.Context(), "")
			if got.Verdict != want || err != nil || len(past) != 1 || past[0].Verdict != want {
				t.Errorf("the verdict is %q, and %+v, %v in the history, want %q", got.Verdict, past, err, want)
			}
			runs, err := e.Runs(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			if read, err := e.Result(t.Context(), runs[0]); err != nil || !reflect.DeepEqual(read, got) {
				t.Errorf("of the run itself it is read that it ended so: %+v, %v, want %+v as it was told", read, err, got)
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
		if writes := l.server.Writes(); len(l.told) != 1 || !slices.Equal(writes, []string{"POST a.sentry.uid-of-a", "PATCH a"}) {
			t.Errorf("told %q, wrote %q, want the end of a run, and its mark", l.told, writes)
		}
		if !strings.Contains(l.log.String(), "cannot be written to the history") {
			t.Errorf("the log does not say so:\n%s", &l.log)
		}
	})
}

// An Event on the run says how it ended, once however often that is told. A run that came again under its name has its own.
func TestEventOfAnEnd(t *testing.T) {
	s, c := kubetest.New(t)
	for _, uid := range []types.UID{"uid", "uid", "other"} {
		if err := record.End(t.Context(), c, "test", result.Result{Name: "r", Verdict: result.TimedOut, Why: "web: it took an hour"}, uid); err != nil {
			t.Fatal(err)
		}
	}
	const events = "/api/v1/namespaces/test/events"
	if names := s.Names(events); !slices.Equal(names, []string{"r.sentry.other", "r.sentry.uid"}) {
		t.Errorf("the Events are %q, want one of each run", names)
	}
	event := s.Get(events + "/r.sentry.uid")
	object := event["involvedObject"].(kubetest.Object)
	if event["type"] != "Warning" || event["reason"] != "TimedOut" || event["message"] != "timed out: web: it took an hour" || object["uid"] != "uid" || object["kind"] != "PipelineRun" {
		t.Errorf("the Event is %v", event)
	}
}

// Whoever gives Sentry neither Events nor logs is told so once, and how runs end all the same.
func TestEndsWithoutTheNewRights(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, c := kubetest.NewPiped(t)
		l := &listener{server: server}
		for i := range 3 {
			l.put(fmt.Sprint("r-", i), time.Hour, "True")
		}
		server.Fault = func(w http.ResponseWriter, r *http.Request) bool {
			if strings.HasSuffix(r.URL.Path, "/events") {
				refuse(http.StatusForbidden, metav1.StatusReasonForbidden)(w, r)
				return true
			}
			return l.fault(w, r)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		told := 0
		New(c, "", instance.Instance{}).Ends(ctx, slog.New(slog.NewTextHandler(&l.log, nil)), func(result.Result) { told++ })
		if told != 3 || strings.Count(l.log.String(), "\n") != 1 || !strings.Contains(l.log.String(), "not Kubernetes Events") || strings.Count(fmt.Sprint(server.Writes()), "PATCH") != 3 {
			t.Errorf("told %d, and the log says\n%s", told, &l.log)
		}
	})
}

// What is kept of runs that are deleted, and of their units, is bounded, however long one watch goes on.
func TestNothingIsKeptOfDeletedRuns(t *testing.T) {
	_, c := kubetest.New(t)
	e := New(c, "", instance.Instance{})
	e.Reports = &noted{}
	x := &ends{Engine: e, log: slog.New(slog.DiscardHandler), told: func(result.Result) {}, owed: map[string]*ended{}}
	l, done := x.judge(t.Context())
	for i := range 2 * maxLast {
		var r listed
		r.Metadata.Name, r.Metadata.UID = fmt.Sprint("r", i), types.UID(fmt.Sprint(i))
		r.Metadata.Labels = map[string]string{pipelinerun.LabelManagedBy: pipelinerun.ManagedBy, pipelinerun.LabelUnit: fmt.Sprint("u", i)}
		l.gone(r)
	}
	done()
	if most := maxLast + maxJudged; len(l.seen) > 0 || len(l.last) > most {
		t.Errorf("%d runs and %d units are kept, want none and %d at most", len(l.seen), len(l.last), most)
	}
}
