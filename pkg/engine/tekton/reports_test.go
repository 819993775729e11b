package tekton

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/instance"
	"github.com/tekton-sentry/sentry/pkg/kube/kubetest"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun"
	"github.com/tekton-sentry/sentry/pkg/result"
)

// noted is a Reports that everything is owed to, once.
type noted struct {
	mu   sync.Mutex
	seen []string // "run: verdict why"
}

func (n *noted) Owes(name string, _ map[string]string, over bool) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return !slices.ContainsFunc(n.seen, func(s string) bool {
		return s == name+": goes on" && !over || over && s != name+": goes on" && s[:len(name)] == name
	})
}

func (n *noted) Seen(run engine.Run, _ map[string]string, ended *result.Result) {
	n.mu.Lock()
	defer n.mu.Unlock()
	says := run.Name + ": goes on"
	if ended != nil {
		says = fmt.Sprintf("%s: %s %s", run.Name, ended.Verdict, ended.Why)
	}
	n.seen = append(n.seen, says)
}

// What is owed about runs is handed over as they begin, end and go, also where their end was told before; and nothing of runs that are
// others' or were long over.
func TestReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, c := kubetest.NewPiped(t)
		l := &listener{server: server}
		l.watches = []func(http.ResponseWriter, *http.Request){func(w http.ResponseWriter, r *http.Request) {
			w.(http.Flusher).Flush() // as an API server does when a watch begins
			time.Sleep(time.Minute)
			l.put("begins", 0, "Unknown")
			l.put("goes", time.Hour, "True")
			l.put("others", 0, "Unknown")
			labels := server.Get(runsPath + "/others")["metadata"].(kubetest.Object)["labels"].(kubetest.Object)
			labels[pipelinerun.LabelInstance] = "b"
			l.events("begins", "begins", "goes", "others", "-deleted", "-told")(w, r)
		}}
		server.Fault = l.fault
		l.put("goes", time.Hour, "Unknown")
		l.put("deleted", 48*time.Hour, "Unknown")
		server.Get(runsPath + "/deleted")["metadata"].(kubetest.Object)["creationTimestamp"] = time.Now().Add(-time.Hour).Format(time.RFC3339)
		l.put("old", 25*time.Hour, "True")
		l.put("told", time.Hour, "False")
		l.annotate("told", "told")
		l.put("ended", time.Hour, "False")
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		n := &noted{}
		e := New(c, "", instance.Instance{})
		e.Reports = n
		e.Ends(ctx, slog.New(slog.DiscardHandler), func(r result.Result) { l.told = append(l.told, r.Name) })
		slices.Sort(n.seen)
		want := []string{
			"begins: goes on", "deleted: cancelled its PipelineRun was deleted", "deleted: goes on", "ended: failed ", "goes: goes on", "goes: succeeded ", "told: failed ",
		}
		if !slices.Equal(n.seen, want) {
			t.Errorf("handed over %q, want %q", n.seen, want)
		}
		if slices.Sort(l.told); !slices.Equal(l.told, []string{"deleted", "ended", "goes"}) {
			t.Errorf("told of %q, want those that were not told", l.told)
		}
	})
}

// A run that went on for days, such as one in a queue, is told for a day after its end, whoever listened meanwhile.
func TestALongRunIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, c := kubetest.NewPiped(t)
		l := &listener{server: server}
		server.Fault = l.fault
		for name, ended := range map[string]time.Duration{"long": time.Hour, "longer": 23 * time.Hour, "over": 25 * time.Hour, "long-over": 60 * time.Hour} {
			l.put(name, 100*time.Hour, "False")
			server.Get(runsPath + "/" + name)["status"].(kubetest.Object)["completionTime"] = time.Now().Add(-ended).Format(time.RFC3339)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		n := &noted{}
		e := New(c, "", instance.Instance{})
		e.Reports = n
		e.Ends(ctx, slog.New(slog.DiscardHandler), func(r result.Result) { l.told = append(l.told, r.Name) })
		if slices.Sort(n.seen); !slices.Equal(n.seen, []string{"long: failed ", "longer: failed "}) {
			t.Errorf("handed over %q, want the runs that ended within a day", n.seen)
		}
		if slices.Sort(l.told); !slices.Equal(l.told, []string{"long", "longer"}) {
			t.Errorf("told of %q, want the runs that ended within a day", l.told)
		}
	})
}

// A run that is deleted between its end and its being read, or between two reads, is told as far as it is known, and is in the history.
func TestDeletedBeforeItWasRead(t *testing.T) {
	const why = "its PipelineRun was deleted before Sentry read how its deployments ended"
	for name, tt := range map[string]struct {
		status string
		reads  int // that there are before it is gone
		want   string
	}{
		"at once":                    {"False", 0, "gone: failed " + why},
		"well, at once":              {"True", 0, "gone: succeeded "},
		"while its task goes on yet": {"False", 2, "gone: failed "},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server, c := kubetest.NewPiped(t)
				l := &listener{server: server}
				l.put("gone", time.Minute, "Unknown")
				putTask(server, "gone", "rag", kubetest.Object{"type": "Succeeded", "status": "Unknown"})
				l.watches = []func(http.ResponseWriter, *http.Request){func(w http.ResponseWriter, r *http.Request) {
					l.put("gone", time.Minute, tt.status)
					l.events("gone")(w, r)
				}}
				read := 0
				server.Fault = func(w http.ResponseWriter, r *http.Request) bool {
					if r.Method == http.MethodGet && r.URL.Path == runsPath+"/gone" {
						if read++; read > tt.reads {
							server.Put(runsPath+"/gone", nil)
						}
					}
					return l.fault(w, r)
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				n := &noted{}
				e := New(c, "", instance.Instance{})
				e.Reports = n
				e.Ends(ctx, slog.New(slog.DiscardHandler), func(r result.Result) { l.told = append(l.told, r.Name) })
				if !slices.Equal(n.seen, []string{"gone: goes on", tt.want}) || !slices.Equal(l.told, []string{"gone"}) {
					t.Errorf("handed over %q, told of %q, want its end once, %q", n.seen, l.told, tt.want)
				}
				if past, err := e.History(t.Context(), ""); err != nil || len(past) != 1 {
					t.Errorf("the history is %+v, %v, want the run", past, err)
				}
			})
		})
	}
}
