package tekton

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/instance"
	"github.com/tekton-sentry/sentry/pkg/kube"
	"github.com/tekton-sentry/sentry/pkg/kube/kubetest"
)

// story is a run that is active until end, and what the API server does meanwhile.
type story struct {
	server *kubetest.Server
	end    time.Duration // after the start
	began  time.Time
	reads  int
	// watched answers a watch, and read the n-th read of the run, counted from 1; false leaves it to the server.
	watched func(w http.ResponseWriter, r *http.Request)
	read    func(w http.ResponseWriter, r *http.Request, n int) bool
}

func (s *story) fault(w http.ResponseWriter, r *http.Request) bool {
	switch {
	case r.URL.Query().Get("watch") != "":
		s.watched(w, r)
		return true
	case strings.HasSuffix(r.URL.Path, "/taskruns"):
		return false
	}
	s.reads++
	if time.Since(s.began) >= s.end {
		putRun(s.server, "a", "run", "2026-01-01T00:00:00Z", "True")
	}
	return s.read != nil && s.read(w, r, s.reads)
}

// follow follows the story's run on fake time and returns how long that took.
func (s *story) follow(ctx context.Context, t *testing.T) (engine.Outcome, []bool, time.Duration, error) {
	t.Helper()
	server, c := kubetest.NewPiped(t)
	putRun(server, "a", "run", "2026-01-01T00:00:00Z", "Unknown")
	s.server, s.began = server, time.Now()
	server.Fault = s.fault
	var done []bool
	out, err := New(c, "", instance.Instance{}).Follow(ctx, "run", func(o engine.Outcome) { done = append(done, o.Done) })
	return out, done, time.Since(s.began), err
}

func refuse(code int, reason metav1.StatusReason) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) { kubetest.Refuse(w, code, reason, "no") }
}

// silent is a watch that tells nothing until the reader goes.
func silent(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.(http.Flusher).Flush()
	<-r.Context().Done()
}

// cut is a connection that ends in the middle of an answer.
func cut(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.(http.Flusher).Flush()
	panic(http.ErrAbortHandler)
}

// A run that goes on is followed to its end, whatever the watch does.
func TestFollowOutlivesItsWatch(t *testing.T) {
	event := func(kind, object string) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprintf(w, `{"type":%q,"object":%s}`, kind, object)
		}
	}
	for name, watched := range map[string]func(http.ResponseWriter, *http.Request){
		"tells nothing":        silent,
		"ends at once":         func(http.ResponseWriter, *http.Request) {},
		"is cut":               cut,
		"is refused by a 503":  refuse(503, metav1.StatusReasonServiceUnavailable),
		"is refused by a 429":  refuse(429, metav1.StatusReasonTooManyRequests),
		"is not allowed":       refuse(403, metav1.StatusReasonForbidden),
		"is of an old version": event("ERROR", `{"kind":"Status","apiVersion":"v1","status":"Failure","code":410,"reason":"Expired"}`),
		"tells nonsense":       event("MODIFIED", `[]`),
		"tells a change":       event("MODIFIED", `{"kind":"PipelineRun","apiVersion":"tekton.dev/v1","metadata":{"name":"run"}}`),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &story{end: 100 * time.Second, watched: watched}
				if name == "tells a change" { // else the run would be read again and again at once
					s.watched = func(w http.ResponseWriter, r *http.Request) { time.Sleep(time.Second); watched(w, r) }
				}
				out, done, elapsed, err := s.follow(t.Context(), t)
				if err != nil || !out.Done || !out.Succeeded || len(done) == 0 || !done[len(done)-1] {
					t.Errorf("followed to %+v, %v, progress %v, want its end", out, err, done)
				}
				if elapsed > 3*time.Minute || s.reads > 150 {
					t.Errorf("a run of %s was followed for %s with %d reads", s.end, elapsed, s.reads)
				}
			})
		})
	}
}

func TestFollowSitsTroubleOut(t *testing.T) {
	for name, trouble := range map[string]func(http.ResponseWriter, *http.Request){
		"no answer":    func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"cut":          cut,
		"slow answers": nil,
		"500":          refuse(500, metav1.StatusReasonInternalError),
		"503":          refuse(503, metav1.StatusReasonServiceUnavailable),
		"429":          refuse(429, metav1.StatusReasonTooManyRequests),
		"409":          refuse(409, metav1.StatusReasonConflict),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &story{end: 5 * time.Minute, watched: silent}
				s.read = func(w http.ResponseWriter, r *http.Request, _ int) bool {
					if since := time.Since(s.began); since < time.Second || since > 3*time.Minute {
						return false
					}
					if trouble == nil {
						time.Sleep(slowRead)
						return false
					}
					trouble(w, r)
					return true
				}
				out, _, elapsed, err := s.follow(t.Context(), t)
				if err != nil || !out.Succeeded {
					t.Errorf("with trouble from the first second to the third minute: %+v, %v, want its end", out, err)
				}
				if elapsed > 8*time.Minute {
					t.Errorf("a run of %s was followed for %s", s.end, elapsed)
				}
			})
		})
	}
}

// Trouble now and then is not taken for a server that stays away.
func TestFollowForgetsTroubleThatIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &story{end: 5 * time.Minute, watched: func(http.ResponseWriter, *http.Request) {}}
		s.read = func(w http.ResponseWriter, r *http.Request, n int) bool {
			if n%2 == 1 {
				return false
			}
			refuse(500, metav1.StatusReasonInternalError)(w, r)
			return true
		}
		if out, _, _, err := s.follow(t.Context(), t); err != nil || !out.Succeeded {
			t.Errorf("with every second read failing: %+v, %v, want its end", out, err)
		}
	})
}

// slowRead is less than callTimeout.
const slowRead = 25 * time.Second

func TestFollowGivesUp(t *testing.T) {
	for name, tt := range map[string]struct {
		trouble func(http.ResponseWriter, *http.Request)
		kind    string
		least   time.Duration // how long it must be tried
		most    time.Duration
	}{
		"the right was taken away":  {refuse(403, metav1.StatusReasonForbidden), kube.Denied, 0, time.Second},
		"the token has expired":     {refuse(401, metav1.StatusReasonUnauthorized), kube.Denied, 0, time.Second},
		"somebody deleted the run":  {refuse(404, metav1.StatusReasonNotFound), kube.Refused, 0, time.Second},
		"the API server stays away": {refuse(503, metav1.StatusReasonServiceUnavailable), kube.Temporary, 3 * time.Minute, 6 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &story{end: time.Hour, watched: func(http.ResponseWriter, *http.Request) {}}
				s.read = func(w http.ResponseWriter, r *http.Request, n int) bool {
					if n == 1 {
						return false
					}
					tt.trouble(w, r)
					return true
				}
				out, done, elapsed, err := s.follow(t.Context(), t)
				elapsed -= time.Second // after the watch that ended
				if k, ok := errors.AsType[*kube.Error](err); !ok || k.Kind != tt.kind || !strings.Contains(err.Error(), "test/run") {
					t.Errorf("error %v, want a %s one that names the run", err, tt.kind)
				}
				if out.Done || !slices.Equal(done, []bool{false}) {
					t.Errorf("outcome %+v, progress %v, want that of the one good read", out, done)
				}
				if elapsed < tt.least || elapsed > tt.most {
					t.Errorf("given up after %s, want after %s to %s", elapsed, tt.least, tt.most)
				}
			})
		})
	}
}

func TestFollowEndsWithItsContext(t *testing.T) {
	for name, s := range map[string]*story{
		"while it watches": {watched: silent},
		"between tries":    {watched: func(http.ResponseWriter, *http.Request) {}},
		"while it reads": {read: func(_ http.ResponseWriter, r *http.Request, _ int) bool {
			<-r.Context().Done()
			return true
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
				defer cancel()
				s.end = time.Hour
				if _, _, elapsed, err := s.follow(ctx, t); !errors.Is(err, context.DeadlineExceeded) || elapsed != 1500*time.Millisecond {
					t.Errorf("ended after %s with %v, want at once, with the context's error", elapsed, err)
				}
			})
		})
	}
}

// A run that was cancelled is finished before its tasks are, whose results people wait for. A task that never
// ends, as its pod's node went away, keeps nobody.
func TestFollowWaitsForTheTasks(t *testing.T) {
	for name, tt := range map[string]struct{ tasksEnd, want time.Duration }{
		"soon":  {5 * time.Second, 5 * time.Second},
		"never": {time.Hour, taskGrace + time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &story{watched: silent}
				s.read = func(http.ResponseWriter, *http.Request, int) bool {
					status := "Unknown"
					if time.Since(s.began) >= tt.tasksEnd {
						status = "False"
					}
					s.server.Get(runsPath + "/run")["spec"] = kubetest.Object{"pipelineSpec": kubetest.Object{"tasks": []kubetest.Object{{"name": "rag"}}}}
					s.server.Put("/apis/tekton.dev/v1/namespaces/test/taskruns/rag", kubetest.Object{
						"metadata": kubetest.Object{"name": "rag", "labels": kubetest.Object{labelPipelineRun: "run", labelPipelineTask: "rag"}, "ownerReferences": kubetest.OwnedBy("uid-of-run")},
						"status":   kubetest.Object{"conditions": []kubetest.Object{{"type": "Succeeded", "status": status}}},
					})
					return false
				}
				if out, _, elapsed, err := s.follow(t.Context(), t); err != nil || elapsed != tt.want {
					t.Errorf("the tasks end %s: %+v after %s, %v, want after %s", name, out, elapsed, err, tt.want)
				}
			})
		})
	}
}
