package tekton

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tekton-sentry/sentry/pkg/instance"
	"github.com/tekton-sentry/sentry/pkg/kube/kubetest"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun"
	"github.com/tekton-sentry/sentry/pkg/result"
)

// listener is Ends at work beside an API server, on fake time.
type listener struct {
	server  *kubetest.Server
	watches []func(w http.ResponseWriter, r *http.Request) // how each watch is answered, in their order; then silently
	watched int
	lists   int
	asked   func(r *http.Request) // is called for each request; nil = none
	refused string                // the run of which the API server takes no mark
	told    []string              // "run: reason"
	log     strings.Builder
}

func (l *listener) fault(w http.ResponseWriter, r *http.Request) bool {
	query := r.URL.Query()
	if l.asked != nil {
		l.asked(r)
	}
	switch {
	case l.refused != "" && r.Method == http.MethodPatch && strings.HasSuffix(r.URL.Path, "/"+l.refused):
		refuse(http.StatusUnprocessableEntity, metav1.StatusReasonInvalid)(w, r)
		return true
	case query.Get("watch") != "" && query.Get("fieldSelector") == "":
		answer := silent
		if l.watched < len(l.watches) {
			answer = l.watches[l.watched]
		}
		l.watched++
		answer(w, r)
		return true
	case r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/pipelineruns"):
		l.lists++
	}
	return false
}

// listen has Ends work for a while, after the runs that prepare puts there.
func (l *listener) listen(t *testing.T, prepare func(), forTime time.Duration) {
	t.Helper()
	server, c := kubetest.NewPiped(t)
	l.server = server
	server.Fault = l.fault
	prepare()
	ctx, cancel := context.WithTimeout(t.Context(), forTime)
	defer cancel()
	New(c, "", instance.Instance{}).Ends(ctx, slog.New(slog.NewTextHandler(&l.log, nil)), func(r result.Result) {
		l.told = append(l.told, r.Unit+" "+r.Name+": "+r.Reason)
	})
	slices.Sort(l.told) // runs are looked at side by side
}

// put puts a run of unit a there, created so long ago.
func (l *listener) put(name string, age time.Duration, status string) {
	putRun(l.server, "a", name, time.Now().Add(-age).Format(time.RFC3339), status)
}

// annotate gives a run the annotation that its end was told of the run `of`.
func (l *listener) annotate(name, of string) {
	annotations := l.server.Get(runsPath + "/" + name)["metadata"].(kubetest.Object)["annotations"].(kubetest.Object)
	annotations[pipelinerun.AnnotationTold] = of
}

// events answers a watch with an event of each run, as it stands then, and keeps it open. Only the first table of a watch tells
// the columns. A - before a name says that the run was deleted.
func (l *listener) events(names ...string) func(w http.ResponseWriter, r *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		columns := `"columnDefinitions":[{"name":"Name"},{"name":"Succeeded"},{"name":"Reason"}],`
		fmt.Fprintf(w, `{"type":"BOOKMARK","object":{"kind":"Table",%s"metadata":{"resourceVersion":"7"},"rows":[{"cells":["",null,null],"object":{}}]}}`, columns)
		for _, name := range names {
			kind := "MODIFIED"
			if gone, ok := strings.CutPrefix(name, "-"); ok {
				kind, name = "DELETED", gone
			}
			run := l.server.Get(runsPath + "/" + name)
			meta, _ := json.Marshal(run["metadata"])
			status := run["status"].(kubetest.Object)["conditions"].([]kubetest.Object)[0]["status"]
			fmt.Fprintf(w, `{"type":%q,"object":{"kind":"Table","metadata":{"resourceVersion":"8"},"rows":[{"cells":[%q,%q,"R"],"object":{"metadata":%s}}]}}`, kind, name, status, meta)
		}
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}
}

func TestEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &listener{}
		l.watches = []func(http.ResponseWriter, *http.Request){
			func(w http.ResponseWriter, r *http.Request) {
				l.put("active", time.Hour, "True")
				l.events("active", "failed", "failed")(w, r)
			},
		}
		l.listen(t, func() {
			l.put("failed", time.Hour, "False")
			l.put("known", time.Hour, "False")
			l.annotate("known", "known")
			l.put("again", time.Hour, "True") // runs known again, with all its annotations
			l.annotate("again", "known")
			l.put("old", 25*time.Hour, "False")
			l.put("active", time.Hour, "Unknown")
			foreign := l.server.Get(runsPath + "/old")
			text, _ := json.Marshal(foreign)
			var other kubetest.Object
			_ = json.Unmarshal(text, &other)
			other["metadata"].(kubetest.Object)["labels"].(kubetest.Object)[pipelinerun.LabelInstance] = "b"
			l.server.Put(runsPath+"/other", other)
		}, time.Hour)
		want := []string{"a active: RTrue", "a again: RTrue", "a failed: RFalse"}
		if !slices.Equal(l.told, want) {
			t.Errorf("told %q, want %q", l.told, want)
		}
		writes := l.server.Writes()
		want = []string{"PATCH active", "PATCH again", "PATCH failed", "POST active.sentry.uid-of-active", "POST again.sentry.uid-of-again", "POST failed.sentry.uid-of-failed"}
		if len(writes) != 7 || writes[0] != "POST sentry-history" || !slices.Equal(slices.Sorted(slices.Values(writes[1:])), want) {
			t.Errorf("wrote %q, want the history once, and then an Event and a mark of each of which was told", writes)
		}
		if l.lists != 1 || l.watched < 5 || l.watched > 13 || l.log.Len() > 0 {
			t.Errorf("an hour took %d lists and %d watches, want one list and a watch every five to ten minutes\n%s", l.lists, l.watched, &l.log)
		}
	})
}

// What the API server forgot or refuses is listed again, and trouble is a line of the log as it begins.
func TestEndsInTrouble(t *testing.T) {
	gone := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","status":"Failure","code":410,"reason":"Expired"}}`)
	}
	for name, tt := range map[string]struct {
		answer func(http.ResponseWriter, *http.Request)
		within time.Duration // of which the end is told
		lines  int
	}{
		"the version is too old":         {gone, 10 * time.Second, 0},
		"the version is refused":         {refuse(http.StatusGone, metav1.StatusReasonExpired), 10 * time.Second, 0},
		"the API server is down":         {refuse(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable), 3 * time.Minute, 1},
		"the connection is cut":          {cut, 10 * time.Second, 0},
		"the event is endless":           {endless, 10 * time.Second, 1},
		"the answer is a page":           {loginPage, 10 * time.Second, 1},
		"the watch is not allowed":       {refuse(http.StatusForbidden, metav1.StatusReasonForbidden), 10 * time.Second, 1},
		"the event is no table of these": {noTable, 10 * time.Second, 1},
		"the watch is not answered":      {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, 2 * time.Minute, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := &listener{}
				l.watches = []func(http.ResponseWriter, *http.Request){tt.answer, tt.answer, tt.answer, func(w http.ResponseWriter, r *http.Request) {
					l.put("late", time.Minute, "False")
					l.events("late")(w, r)
				}}
				l.listen(t, func() { l.put("late", time.Minute, "Unknown") }, tt.within)
				if !slices.Equal(l.told, []string{"a late: RFalse"}) {
					t.Errorf("within %s it told %q, want the end of the run", tt.within, l.told)
				}
				if lines := strings.Count(l.log.String(), "\n"); lines != tt.lines {
					t.Errorf("%d lines of the log, want %d:\n%s", lines, tt.lines, &l.log)
				}
			})
		})
	}
}

// What only a person can mend costs the API server little, however long that takes.
func TestEndsThatAreNotAllowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &listener{}
		for range 100 {
			l.watches = append(l.watches, refuse(http.StatusForbidden, metav1.StatusReasonForbidden))
		}
		l.listen(t, func() {}, 2*time.Hour)
		if l.watched > 22 || strings.Count(l.log.String(), "\n") != 1 {
			t.Errorf("two hours took %d watches, want ten until they are ten minutes apart, and a line of the log:\n%s", l.watched, &l.log)
		}
	})
}

// Whoever may create PipelineRuns can make one whose event is too large. The runs after it are told of all the same.
func TestEndsBesideAnEventThatIsTooLarge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &listener{}
		made := "0" // the version from which a watch meets the event
		answer := func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("resourceVersion") == made {
				endless(w, r)
				return
			}
			silent(w, r)
		}
		l.watches = []func(http.ResponseWriter, *http.Request){func(w http.ResponseWriter, r *http.Request) {
			made = r.URL.Query().Get("resourceVersion")
			l.put("after", time.Minute, "True")
			answer(w, r)
		}, answer, answer, answer}
		l.listen(t, func() { l.put("before", time.Minute, "Unknown") }, time.Minute)
		if want := []string{"a after: RTrue"}; !slices.Equal(l.told, want) {
			t.Errorf("within a minute it told %q, want %q\n%s", l.told, want, &l.log)
		}
	})
}

// A run that cannot be marked, such as one with as many annotations as there may be, keeps no other run's end back, and is told once.
func TestEndsOfARunThatCannotBeMarked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &listener{refused: "full"}
		l.watches = []func(http.ResponseWriter, *http.Request){
			l.events("full"), refuse(http.StatusGone, metav1.StatusReasonExpired), l.events("late"),
		}
		l.watches[0] = func(w http.ResponseWriter, r *http.Request) {
			ctx, cancel := context.WithTimeout(r.Context(), time.Minute)
			defer cancel()
			l.events("full")(w, r.WithContext(ctx))
		}
		l.watches[2] = func(w http.ResponseWriter, r *http.Request) {
			l.put("late", time.Minute, "False")
			l.events("late")(w, r)
		}
		l.listen(t, func() {
			l.put("full", 2*time.Hour, "False")
			l.put("next", time.Hour, "False")
			l.put("late", time.Minute, "Unknown")
		}, time.Hour)
		want := []string{"a full: RFalse", "a late: RFalse", "a next: RFalse"}
		if !slices.Equal(l.told, want) {
			t.Errorf("told %q, want %q", l.told, want)
		}
		if lines := strings.Count(l.log.String(), "\n"); lines != 1 || !strings.Contains(l.log.String(), "full") {
			t.Errorf("%d lines of the log, want one that names the run:\n%s", lines, &l.log)
		}
	})
}

// An event holds 256 KiB of annotations, each byte of which may take six in JSON.
func TestEndsOfARunAsLargeAsCanBe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &listener{}
		l.watches = []func(http.ResponseWriter, *http.Request){func(w http.ResponseWriter, r *http.Request) {
			l.put("large", time.Minute, "False")
			l.server.Get(runsPath + "/large")["metadata"].(kubetest.Object)["annotations"].(kubetest.Object)["a"] = strings.Repeat("<", 250<<10)
			l.events("large")(w, r)
		}}
		l.listen(t, func() { l.put("large", time.Minute, "Unknown") }, time.Minute)
		if !slices.Equal(l.told, []string{"a large: RFalse"}) {
			t.Errorf("told %q, want the end of the run", l.told)
		}
	})
}

// endless is a watch whose one event does not end.
func endless(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprint(w, `{"type":"`)
	for r.Context().Err() == nil {
		if _, err := w.Write([]byte(strings.Repeat("x", 64<<10))); err != nil {
			return
		}
	}
}

// loginPage is what a proxy answers in place of the API server.
func loginPage(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>Log in</html>") }

// noTable is a watch of an API server that knows none of the columns.
func noTable(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprint(w, `{"type":"MODIFIED","object":{"kind":"PipelineRun","metadata":{"name":"late"}}}`)
	w.(http.Flusher).Flush()
	<-r.Context().Done()
}
