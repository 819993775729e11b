package logs

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tekton-sentry/sentry/pkg/kube/kubetest"
)

const tekton = "/apis/tekton.dev/v1/namespaces/test/"

// cluster has the run r of three tasks: web, whose pod printed, api, whose pod is gone, and db, which got none.
func cluster(t *testing.T) (*kubetest.Server, *Reader, *bytes.Buffer) {
	server, c := kubetest.New(t)
	server.Put(tekton+"pipelineruns/r", kubetest.Object{"metadata": kubetest.Object{"name": "r", "uid": "uid-of-r"}, "status": ended("False", "")})
	for i, tt := range []struct{ task, pod, status, message string }{
		{"web", "web-pod", "True", ""}, {"api", "api-pod", "False", "exit code 1"}, {"db", "", "False", "exceeded quota"},
	} {
		status := ended(tt.status, tt.message)
		status["podName"] = tt.pod
		status["taskSpec"] = kubetest.Object{"steps": []kubetest.Object{{"name": "clone"}, {"name": ""}}}
		server.Put(tekton+"taskruns/r-"+tt.task, kubetest.Object{
			"metadata": kubetest.Object{
				"name": "r-" + tt.task, "creationTimestamp": fmt.Sprintf("2026-03-01T12:00:0%dZ", i),
				"labels": kubetest.Object{labelPipelineRun: "r", labelPipelineTask: tt.task}, "ownerReferences": kubetest.OwnedBy("uid-of-r"),
			},
			"status": status,
		})
	}
	// Anybody's PipelineRun can give its TaskRuns these labels.
	planted := ended("False", "planted")
	planted["taskSpec"] = kubetest.Object{"steps": []kubetest.Object{{"name": "planted"}}}
	server.Put(tekton+"taskruns/planted", kubetest.Object{
		"metadata": kubetest.Object{
			"name": "planted", "labels": kubetest.Object{labelPipelineRun: "r", labelPipelineTask: "planted"}, "ownerReferences": kubetest.OwnedBy("uid-of-other"),
		},
		"status": planted,
	})
	server.Fault = func(w http.ResponseWriter, r *http.Request) bool {
		switch {
		case !strings.HasSuffix(r.URL.Path, "/log"):
			return false
		case !strings.HasSuffix(r.URL.Path, "/pods/web-pod/log"):
			kubetest.Refuse(w, http.StatusNotFound, metav1.StatusReasonNotFound, "pod not found")
			return true
		}
		fmt.Fprintf(w, "one of %s\ntwo\n", r.URL.Query().Get("container"))
		return true
	}
	var out bytes.Buffer
	return server, &Reader{Cluster: c, Namespace: "test", Run: "r", Out: &out, Every: time.Millisecond}, &out
}

func ended(status, message string) kubetest.Object {
	return kubetest.Object{"conditions": []kubetest.Object{{"type": "Succeeded", "status": status, "message": message}}}
}

const webLines = "[web : clone] one of step-clone\n[web : clone] two\n[web : unnamed-1] one of step-unnamed-1\n[web : unnamed-1] two\n"

// ofWeb returns the lines of the task web. Where a run is followed, those of others may come between them.
func ofWeb(printed string) string {
	var b strings.Builder
	for line := range strings.Lines(printed) {
		if strings.HasPrefix(line, "[web ") {
			b.WriteString(line)
		}
	}
	return b.String()
}

func TestPrint(t *testing.T) {
	_, r, out := cluster(t)
	r.Kept = func(task string) []string {
		if task == "api" {
			return []string{"make: *** no rule"}
		}
		return nil
	}
	const rest = "[api] its pod is gone; these are the last lines, which the history keeps\n[api] make: *** no rule\n" +
		"[db] its pod is gone, or never was: exceeded quota\n"
	if err := r.Print(t.Context()); err != nil || out.String() != webLines+rest {
		t.Errorf("printed\n%swant\n%s; error %v", out, webLines+rest, err)
	}
	out.Reset()
	r.Failed = true
	if err := r.Print(t.Context()); err != nil || out.String() != rest {
		t.Errorf("of what failed it printed\n%swant\n%s; error %v", out, rest, err)
	}
	r.Run = "none"
	if err := r.Print(t.Context()); err == nil || !strings.Contains(err.Error(), "read PipelineRun test/none") {
		t.Errorf("of a run that is not there: %v", err)
	}
}

// A run that is followed is read until it has ended: a step that waits is waited for, a task that begins later is found.
func TestFollow(t *testing.T) {
	server, r, out := cluster(t)
	r.Follow = true
	server.Put(tekton+"pipelineruns/r", kubetest.Object{"metadata": kubetest.Object{"name": "r", "uid": "uid-of-r"}, "status": ended("Unknown", "")})
	web := server.Get(tekton + "taskruns/r-web")
	server.Put(tekton+"taskruns/r-web", nil)
	prints := server.Fault
	var lists, asked atomic.Int32
	server.Fault = func(w http.ResponseWriter, req *http.Request) bool {
		if strings.HasSuffix(req.URL.Path, "/taskruns") && lists.Add(1) == 3 {
			server.Put(tekton+"taskruns/r-web", web)
		}
		if !strings.HasSuffix(req.URL.Path, "/web-pod/log") {
			return prints(w, req)
		}
		switch n := asked.Add(1); {
		case req.URL.Query().Get("follow") != "true":
			t.Error("the log is not followed")
		case n == 1:
			kubetest.Refuse(w, http.StatusBadRequest, metav1.StatusReasonBadRequest, "container step-clone is waiting to start: PodInitializing")
			return true
		case n == 3:
			defer server.Put(tekton+"pipelineruns/r", kubetest.Object{"metadata": kubetest.Object{"name": "r", "uid": "uid-of-r"}, "status": ended("True", "")})
		}
		return prints(w, req)
	}
	if err := r.Print(t.Context()); err != nil || ofWeb(out.String()) != webLines {
		t.Errorf("printed\n%swant of web\n%s; error %v", out, webLines, err)
	}
}

// A step that begins and ends between two looks has printed, too.
func TestFollowAStepThatEndsBetweenTwoLooks(t *testing.T) {
	server, r, out := cluster(t)
	r.Follow = true
	over := server.Get(tekton + "pipelineruns/r")
	server.Put(tekton+"pipelineruns/r", kubetest.Object{"metadata": kubetest.Object{"name": "r", "uid": "uid-of-r"}, "status": ended("Unknown", "")})
	prints := server.Fault
	var asked atomic.Int32
	server.Fault = func(w http.ResponseWriter, req *http.Request) bool {
		if strings.HasSuffix(req.URL.Path, "/web-pod/log") && asked.Add(1) == 1 {
			kubetest.Refuse(w, http.StatusBadRequest, metav1.StatusReasonBadRequest, "container step-clone is waiting to start: PodInitializing")
			server.Put(tekton+"pipelineruns/r", over)
			return true
		}
		return prints(w, req)
	}
	if err := r.Print(t.Context()); err != nil || ofWeb(out.String()) != webLines {
		t.Errorf("printed\n%swant of web\n%s; error %v", out, webLines, err)
	}
}

// An API server that is replaced, and a connection that is cut within a line, cost a wait and no line; it is told once.
func TestFollowInTrouble(t *testing.T) {
	server, r, out := cluster(t)
	r.Follow = true
	var told []error
	r.Trouble = func(err error) { told = append(told, err) }
	over := server.Get(tekton + "pipelineruns/r")
	server.Put(tekton+"pipelineruns/r", kubetest.Object{"metadata": kubetest.Object{"name": "r", "uid": "uid-of-r"}, "status": ended("Unknown", "")})
	prints := server.Fault
	var requests, asked atomic.Int32
	server.Fault = func(w http.ResponseWriter, req *http.Request) bool {
		if !strings.HasSuffix(req.URL.Path, "/log") && requests.Add(1) <= 2 {
			kubetest.Refuse(w, http.StatusInternalServerError, metav1.StatusReasonInternalError, "etcdserver: leader changed")
			return true
		}
		if !strings.HasSuffix(req.URL.Path, "/web-pod/log") {
			return prints(w, req)
		}
		switch asked.Add(1) {
		case 1:
			kubetest.Refuse(w, http.StatusInternalServerError, metav1.StatusReasonInternalError, "dial the kubelet")
			return true
		case 2:
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, "one of step-clone\ntw")
			return true
		case 3:
			server.Put(tekton+"pipelineruns/r", over)
		}
		return prints(w, req)
	}
	want := strings.Replace(webLines, "[web : clone] two\n", "[web : clone] tw\n[web : clone] o\n", 1)
	if err := r.Print(t.Context()); err != nil || !strings.Contains(out.String(), want) {
		t.Errorf("printed\n%swant\n%s; error %v", out, want, err)
	}
	if len(told) != 1 || !strings.Contains(told[0].Error(), "leader changed") {
		t.Errorf("told %v, want the first failure", told)
	}
}

// What does not pass ends it: after a bounded number of tries, and at once where only a person can mend it.
func TestFollowEnds(t *testing.T) {
	for name, tt := range map[string]struct {
		code   int
		reason metav1.StatusReason
		tries  int32
	}{
		"trouble":  {http.StatusInternalServerError, metav1.StatusReasonInternalError, followTries},
		"no right": {http.StatusForbidden, metav1.StatusReasonForbidden, 1},
	} {
		server, r, _ := cluster(t)
		r.Follow = true
		var asked atomic.Int32
		server.Fault = func(w http.ResponseWriter, _ *http.Request) bool {
			asked.Add(1)
			kubetest.Refuse(w, tt.code, tt.reason, "no")
			return true
		}
		// Go's client sends a request again by itself where its connection was closed beneath it.
		if err := r.Print(t.Context()); err == nil || asked.Load() < tt.tries || asked.Load() > tt.tries+tt.tries/2 {
			t.Errorf("%s: %v after %d requests, want an error after some %d", name, err, asked.Load(), tt.tries)
		}
	}
}

func TestLongLine(t *testing.T) {
	var out bytes.Buffer
	r := &Reader{Out: &out}
	if err := r.lines(strings.NewReader(strings.Repeat("x", maxLine+1)+"\nend"), "web", "deploy"); err != nil {
		t.Fatal(err)
	}
	if lines := strings.Split(out.String(), "\n"); len(lines) != 4 || lines[1] != "[web : deploy] x" || lines[2] != "[web : deploy] end" {
		t.Errorf("a line that is too long became %d lines, the last ones %.100q", len(lines), lines[1:])
	}
}

// A credential that stands across two parts of a long line is hidden.
func TestLongLineWithACredential(t *testing.T) {
	for _, before := range []int{maxLine - 3, maxLine - maxSecret - 3, 2*maxLine - 3, 0} {
		var out bytes.Buffer
		r := &Reader{Out: &out, Hide: func(text string) string { return strings.ReplaceAll(text, "hunter2", "[hidden]") }}
		if err := r.lines(strings.NewReader(strings.Repeat("x", before)+"hunter2"+strings.Repeat("y", maxLine)), "web", "deploy"); err != nil {
			t.Fatal(err)
		}
		all := strings.ReplaceAll(strings.ReplaceAll(out.String(), "[web : deploy] ", ""), "\n", "")
		if want := strings.Repeat("x", before) + "[hidden]" + strings.Repeat("y", maxLine); all != want {
			t.Errorf("after %d bytes it is %d bytes, want %d", before, len(all), len(want))
		}
	}
}

// Of the end of a log no more is asked for than is wanted, and nothing that would cut off the end itself.
func TestTail(t *testing.T) {
	server, r, out := cluster(t)
	pods := server.Fault
	server.Fault = func(w http.ResponseWriter, req *http.Request) bool {
		if q := req.URL.Query(); strings.HasSuffix(req.URL.Path, "/log") && (q.Get("tailLines") != "5" || q.Has("limitBytes")) {
			t.Errorf("it asks for %q", req.URL.RawQuery)
		}
		return pods(w, req)
	}
	r.Tail = 5
	if err := r.Print(t.Context()); err != nil || ofWeb(out.String()) != webLines {
		t.Errorf("printed\n%s, error %v", out, err)
	}
}
