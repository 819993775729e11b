package reporting_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tekton-sentry/sentry/pkg/cli/reporting"
	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/config/section"
	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/engine/tekton"
	"github.com/tekton-sentry/sentry/pkg/githost/gitea/giteatest"
	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
	"github.com/tekton-sentry/sentry/pkg/githost/hosts"
	"github.com/tekton-sentry/sentry/pkg/githost/poller"
	"github.com/tekton-sentry/sentry/pkg/instance"
	"github.com/tekton-sentry/sentry/pkg/kube"
	"github.com/tekton-sentry/sentry/pkg/kube/kubetest"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/plan/naming"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/repo/repotest"
	"github.com/tekton-sentry/sentry/pkg/result"
	"github.com/tekton-sentry/sentry/pkg/secret"
	"github.com/tekton-sentry/sentry/pkg/state"
	"github.com/tekton-sentry/sentry/pkg/watch"
)

const (
	runs  = "/apis/tekton.dev/v1/namespaces/test/pipelineruns/"
	tasks = "/apis/tekton.dev/v1/namespaces/test/taskruns/"
	token = "hunter2-hunter2"
)

var key = naming.Key{Secret: strings.Repeat("k", 32)}

// world is a cluster, a Gitea and a chat, on fake time.
type world struct {
	t       *testing.T
	server  *kubetest.Server
	cluster *kube.Cluster
	gitea   *giteatest.API
	cfg     *config.Config
	log     strings.Builder
	report  *reporting.Reporter // of the last start

	mu      sync.Mutex
	changed chan struct{} // closed when the runs are to be looked at again
	chat    []string
	down    bool                                        // the Gitea is
	trouble func(*http.Request) (*http.Response, error) // with statuses; nil = none
	reader  *poller.Reader                              // of the last start

	historyDown bool          // the API server does not give the history
	slow        time.Duration // what it takes to read the key
	lists       int
}

func newWorld(t *testing.T) *world {
	yes := true
	w := &world{t: t, gitea: giteatest.New(), changed: make(chan struct{})}
	w.server, w.cluster = kubetest.NewPiped(t)
	w.server.Fault = w.fault
	w.gitea.SetToken(token)
	w.gitea.SetClock(time.Now)
	w.cfg = &config.Config{Repositories: []config.Repository{{
		Name:    "web",
		Project: "web",
		Monitor: config.Monitor{Source: config.Source{URL: "https://gitea.example/o/web", Type: config.Gitea, Auth: config.Auth{Token: secret.New("${T}", token)}}},
		Deploy: &config.Deploy{Source: config.Source{URL: "https://gitea.example/o/qa", Type: config.Gitea}, Branch: "main",
			Commands: []string{"make"}, Image: "alpine", ServiceAccount: "s", Timeout: time.Minute},
		Report: &section.Report{CommitStatus: &yes, Slack: section.Receiver{URL: secret.New("${CHAT}", "https://chat.example/s3cret")}},
	}}, Global: config.Global{TmpDir: "/tmp/sentry", GitImage: "git", Image: "alpine", ServiceAccount: "s"}}
	return w
}

// fault answers a watch: it is over when something changed, and the runs are listed again then.
func (w *world) fault(rw http.ResponseWriter, r *http.Request) bool {
	if w.historyDown && strings.HasSuffix(r.URL.Path, "/configmaps/sentry-history") {
		kubetest.Refuse(rw, http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable, "down")
		return true
	}
	if r.URL.Query().Get("watch") == "" {
		if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/pipelineruns") {
			w.mu.Lock()
			w.lists++
			w.mu.Unlock()
		}
		return false
	}
	w.mu.Lock()
	changed := w.changed
	w.mu.Unlock()
	rw.Header().Set("Content-Type", "application/json")
	rw.(http.Flusher).Flush()
	seconds, _ := strconv.Atoi(r.URL.Query().Get("timeoutSeconds"))
	select {
	case <-changed:
		_, _ = io.WriteString(rw, `{"type":"ERROR","object":{"kind":"Status","code":410}}`)
	case <-time.After(time.Duration(seconds) * time.Second):
	case <-r.Context().Done():
	}
	return true
}

// RoundTrip is the Gitea, and the chat.
func (w *world) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Host == "gitea.example" {
		w.mu.Lock()
		down, trouble := w.down, w.trouble
		w.mu.Unlock()
		if trouble != nil && strings.Contains(req.URL.Path, "/statuses/") {
			return trouble(req)
		}
		if down {
			return nil, errors.New("connection refused")
		}
		return githosttest.Answer(w.gitea, req), nil
	}
	body, _ := io.ReadAll(req.Body)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.chat = append(w.chat, string(body))
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: req}, nil
}

// start begins a Sentry, which knows its state by then. end ends it.
func (w *world) start() (end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	log := slog.New(slog.NewTextHandler(&w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	eng := tekton.New(w.cluster, "", instance.Instance{})
	reader := &poller.Reader{Hosts: hosts.All, Log: log, Base: w}
	w.reader = reader
	r := reporting.New(w.cfg, reporting.Options{
		Log: log, Engine: one{eng}, Reader: reader, Transport: w,
		Key: func(context.Context) (naming.Key, error) {
			time.Sleep(w.slow)
			return key, nil
		},
	})
	w.report = r
	var work sync.WaitGroup
	work.Go(func() {
		r.During(ctx, func() {
			eng.Ends(ctx, log, func(result.Result) {})
		})
	})
	synctest.Wait()
	if len(w.gitea.Requests()) > 0 && w.lists == 1 {
		w.t.Error("something was reported before it was known which runs are Sentry's")
	}
	store := r.Store(known{})
	if _, err := store.Load(ctx); err != nil {
		w.t.Fatal(err)
	}
	pass(time.Minute)
	return func() {
		cancel()
		work.Wait()
	}
}

// known is a store with a state.
type known struct{ watch.Store }

func (known) Load(context.Context) (state.Snapshot, error) { return state.Snapshot{Epoch: "k1"}, nil }

// pass lets time pass, and all be done that is to be done by then.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// look has the runs looked at, after a change of them.
func (w *world) look() {
	w.mu.Lock()
	close(w.changed)
	w.changed = make(chan struct{})
	w.mu.Unlock()
	pass(time.Minute)
}

// create has the nth run of the repository made at a commit.
func (w *world) create(n int, sha repo.SHA) (name string) {
	w.t.Helper()
	return w.make(sha, plan.Make(w.seen(n, sha)).Runs[0])
}

// byHand makes the run that a person asks for.
func (w *world) byHand(sha repo.SHA) (name string) {
	w.t.Helper()
	made, err := plan.Manual(w.seen(1, sha), nil, "main", "0123abcd")
	if err != nil {
		w.t.Fatal(err)
	}
	return w.make(sha, made[0])
}

// seen is what a cycle sees of a commit that the nth run of its branch deploys.
func (w *world) seen(n int, sha repo.SHA) plan.Input {
	return plan.Input{
		Config: w.cfg, Key: key, Now: time.Now(),
		Snapshot: state.Snapshot{Epoch: "k1", Repositories: map[string]state.Repository{"web": {Branches: state.NewBranches(map[string]state.Branch{"main": {SHA: digits("0"), N: n - 1}})}}},
		Observed: []repo.Observation{{Heads: map[string]repo.SHA{"main": sha}}},
	}
}

// make makes a planned run.
func (w *world) make(sha repo.SHA, planned plan.Run) (name string) {
	w.t.Helper()
	w.gitea.Push("o/web", "main", string(sha))
	run, err := planned.Pin([]repo.Observation{{Heads: map[string]repo.SHA{"main": digits("f")}}})
	if err == nil {
		_, err = tekton.New(w.cluster, "", instance.Instance{}).Create(w.t.Context(), w.cfg, run)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	w.change(run.Name, func(o kubetest.Object) {
		meta := o["metadata"].(kubetest.Object)
		meta["uid"], meta["creationTimestamp"] = uidOf(run.Name), time.Now().UTC().Format(time.RFC3339)
	})
	return run.Name
}

func uidOf(run string) string { return "uid-of-" + run }

// change changes a run.
func (w *world) change(name string, f func(o kubetest.Object)) {
	text, _ := json.Marshal(w.server.Get(runs + name))
	var o kubetest.Object
	_ = json.Unmarshal(text, &o)
	f(o)
	w.server.Put(runs+o["metadata"].(kubetest.Object)["name"].(string), o)
}

// end has a run end, and its step with the exit code.
func (w *world) end(name string, exit int) {
	var task string
	w.change(name, func(o kubetest.Object) {
		task = o["spec"].(kubetest.Object)["pipelineSpec"].(kubetest.Object)["tasks"].([]any)[0].(kubetest.Object)["name"].(string)
		o["status"] = kubetest.Object{"completionTime": time.Now().UTC().Format(time.RFC3339), "conditions": ended(exit)}
	})
	w.server.Put(tasks+name, taskRun(name, task, uidOf(name), exit))
}

// taskRun is one with the labels of a task of the run, that Tekton made for the PipelineRun with the UID.
func taskRun(run, task, uid string, exit int) kubetest.Object {
	now := time.Now().UTC().Format(time.RFC3339)
	return kubetest.Object{
		"metadata": kubetest.Object{
			"name": run, "labels": kubetest.Object{"tekton.dev/pipelineRun": run, "tekton.dev/pipelineTask": task}, "ownerReferences": kubetest.OwnedBy(uid),
		},
		"status": kubetest.Object{"conditions": ended(exit), "startTime": now, "completionTime": now, "podName": "p",
			"steps": []kubetest.Object{{"name": "deploy", "container": "step-deploy", "terminated": kubetest.Object{"exitCode": exit, "containerID": "c"}}}},
	}
}

func ended(exit int) []kubetest.Object {
	status := map[bool]string{true: "True", false: "False"}[exit == 0]
	return []kubetest.Object{{"type": "Succeeded", "status": status, "reason": "R", "message": "it ended"}}
}

func digits(d string) repo.SHA { return repo.SHA(strings.Repeat(d, 40)) }

// states returns the states of a commit, the oldest first.
func (w *world) states(sha repo.SHA) []string {
	var all []string
	for _, s := range w.gitea.StatusesOf("o/web", string(sha)) {
		all = append(all, s.Body["status"].(string))
	}
	return all
}

func (w *world) expect(sha repo.SHA, states ...string) {
	w.t.Helper()
	if got := w.states(sha); !slices.Equal(got, states) {
		w.t.Errorf("the commit was told %q, want %q\n%s", got, states, &w.log)
	}
}

// A commit is told of its deployment, and a chat of a failure and of what mends it, over as many restarts as there are. What is
// done costs nothing.
func TestReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		name := w.create(1, digits("a"))
		end := w.start()
		w.expect(digits("a"), "pending")
		end()
		end = w.start()
		w.expect(digits("a"), "pending")
		w.end(name, 7)
		w.look()
		w.expect(digits("a"), "pending", "failure")
		if len(w.chat) != 1 || !strings.Contains(w.chat[0], "failed") {
			t.Errorf("the chat was told %q, want the failure", w.chat)
		}
		second := w.create(2, digits("b"))
		w.look()
		end()
		w.end(second, 0)
		end = w.start()
		w.expect(digits("b"), "pending", "success")
		if len(w.chat) != 2 || !strings.Contains(w.chat[1], "deployed again after a failure") {
			t.Errorf("the chat was told %q, want that it is well again", w.chat)
		}
		end()
		w.server.Writes()
		requests := len(w.gitea.Requests())
		end = w.start()
		w.look()
		pass(24 * time.Hour)
		end()
		if writes := w.server.Writes(); len(writes) > 0 || len(w.gitea.Requests()) > requests || len(w.chat) != 2 {
			t.Errorf("what was reported cost %q, %d requests and %q", writes, len(w.gitea.Requests())-requests, w.chat[2:])
		}
		if log := w.log.String(); strings.Contains(log, "s3cret") || strings.Contains(log, token) || strings.Contains(log, "level=WARN") {
			t.Errorf("the log has\n%s", log)
		}
	})
}

// A failure, and the success that mends it, are found ended together, as after a night. The chat is told of both, in any order of reading.
func TestRecoveryBesideItsFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		first := w.create(1, digits("a"))
		pass(time.Minute)
		second := w.create(2, digits("b"))
		w.end(first, 7)
		w.end(second, 0)
		task := w.server.Get(tasks + first)
		w.server.Put(tasks+first, kubetest.Object{"metadata": task["metadata"]}) // it ends some seconds after its run
		time.AfterFunc(20*time.Second, func() { w.server.Put(tasks+first, task) })
		end := w.start()
		end()
		if len(w.chat) != 2 || !strings.Contains(w.chat[0], "failed") || !strings.Contains(w.chat[1], "deployed again after a failure") {
			t.Errorf("the chat was told %q, want the failure, and that it is well again", w.chat)
		}
	})
}

// A host is down while a run ends, of which the log tells. The chat hears of it once, however often the run is looked at meanwhile; and
// the commit does after the next start, which tells the chat again under the same name.
func TestOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.down = true
		name := w.create(1, digits("a"))
		end := w.start()
		w.end(name, 7)
		w.look()
		w.look()
		w.look()
		if annotations := w.server.Get(runs + name)["metadata"].(kubetest.Object)["annotations"].(kubetest.Object); len(w.chat) != 1 ||
			annotations["tekton-sentry.dev/told"] != name || annotations["tekton-sentry.dev/reported"] != name+" due" {
			t.Errorf("the chat was told %q and the run is marked %v", w.chat, annotations)
		}
		end()
		w.expect(digits("a"))
		w.down = false
		end = w.start()
		end()
		w.expect(digits("a"), "failure")
		if len(w.chat) > 2 || w.chat[0] != w.chat[len(w.chat)-1] {
			t.Errorf("the chat was told %q, want the same once more at most", w.chat)
		}
	})
}

// For an hour a host takes no status. Heads are read as ever meanwhile, at once, and nobody else gets the token. What may go away is told
// once when the host is well again, and what no try mends is given up; the next run is told in either case.
func TestStatusesInTroubleForAnHour(t *testing.T) {
	says := func(status int, header ...string) func(*http.Request) (*http.Response, error) {
		return func(req *http.Request) (*http.Response, error) {
			resp := &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("{}")), Request: req}
			for i := 0; i < len(header); i += 2 {
				resp.Header.Set(header[i], header[i+1])
			}
			return resp, nil
		}
	}
	for name, tt := range map[string]struct {
		trouble func(*http.Request) (*http.Response, error)
		goes    bool
	}{
		"hangs": {func(req *http.Request) (*http.Response, error) {
			<-req.Context().Done()
			return nil, req.Context().Err()
		}, true},
		"500":                     {says(http.StatusInternalServerError), true},
		"503":                     {says(http.StatusServiceUnavailable, "Retry-After", "600"), true},
		"429":                     {says(http.StatusTooManyRequests, "Retry-After", "60"), true},
		"401":                     {says(http.StatusUnauthorized), false},
		"404":                     {says(http.StatusNotFound), false},
		"redirects to another":    {says(http.StatusTemporaryRedirect, "Location", "https://elsewhere.example/login"), false},
		"redirects within itself": {says(http.StatusFound, "Location", "https://gitea.example/login"), false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.cfg.Repositories[0].Report.Slack = section.Receiver{}
				w.trouble = tt.trouble
				end := w.start()
				run := w.create(1, digits("a"))
				w.look()
				w.end(run, 7)
				w.look()
				monitor := w.cfg.Repositories[0].Monitor
				monitor.Branches = repotest.Patterns(t, "main")
				for range 60 {
					began := time.Now()
					o := w.reader.Heads(t.Context(), []config.Monitor{monitor})[0]
					if took := time.Since(began); o.Err != nil || took > time.Second {
						t.Fatalf("read after %s: %v", took, o.Err)
					}
					pass(time.Minute)
				}
				w.mu.Lock()
				w.trouble = nil
				w.mu.Unlock()
				pass(20 * time.Minute)
				if tt.goes {
					w.expect(digits("a"), "failure")
				} else {
					w.expect(digits("a"))
				}
				second := w.create(2, digits("b"))
				w.look()
				w.end(second, 0)
				w.look()
				end()
				w.expect(digits("b"), "pending", "success")
				if len(w.chat) > 0 { // each other host counts as one
					t.Errorf("another host was asked %d times", len(w.chat))
				}
				if log := w.log.String(); strings.Contains(log, token) {
					t.Errorf("the log has the token:\n%s", log)
				}
			})
		})
	}
}

// Whoever may create PipelineRuns in the namespace can tell a commit nothing: neither by a copy of a run of Sentry's, nor by one that
// says of itself that it deploys something else.
func TestForged(t *testing.T) {
	for name, forge := range map[string]func(o kubetest.Object, annotations kubetest.Object){
		"a copy": func(o, annotations kubetest.Object) {
			o["metadata"].(kubetest.Object)["name"] = "copy"
			annotations["tekton-sentry.dev/reported"] = "copy due"
		},
		"other members": func(_, annotations kubetest.Object) {
			annotations["tekton-sentry.dev/members"] = strings.ReplaceAll(annotations["tekton-sentry.dev/members"].(string), string(digits("b")), string(digits("a")))
		},
		"no signature": func(_, annotations kubetest.Object) { delete(annotations, "tekton-sentry.dev/signature") },
		"another trigger": func(_, annotations kubetest.Object) {
			annotations["tekton-sentry.dev/trigger"] = strings.ReplaceAll(annotations["tekton-sentry.dev/trigger"].(string), string(digits("b")), string(digits("a")))
		},
		"no mark":            func(_, annotations kubetest.Object) { delete(annotations, "tekton-sentry.dev/reported") },
		"the mark of others": func(_, annotations kubetest.Object) { annotations["tekton-sentry.dev/reported"] = "other due" },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.gitea.Push("o/web", "main", string(digits("a")))
				run := w.create(1, digits("b"))
				w.change(run, func(o kubetest.Object) {
					forge(o, o["metadata"].(kubetest.Object)["annotations"].(kubetest.Object))
				})
				if name == "a copy" {
					w.server.Put(runs+run, nil)
					run = "copy"
				}
				end := w.start()
				w.end(run, 1)
				w.look()
				end()
				w.expect(digits("a"))
				w.expect(digits("b"))
				if len(w.chat) > 0 {
					t.Errorf("the chat was told %q", w.chat)
				}
			})
		})
	}
}

// Whoever may create PipelineRuns can give the TaskRuns of one any label, such as those of a run of Sentry's. What became of them is
// nothing that its commits are told.
func TestPlantedTaskRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		run := w.create(1, digits("a"))
		end := w.start()
		w.end(run, 7)
		task := w.server.Get(tasks + run)["metadata"].(kubetest.Object)["labels"].(kubetest.Object)["tekton.dev/pipelineTask"].(string)
		w.server.Put(tasks+"zz-planted", taskRun(run, task, uidOf("other"), 0))
		w.look()
		end()
		w.expect(digits("a"), "pending", "failure")
	})
}

// Whoever kept a run that was pruned can make it again by its name, with its signatures, and have other commands end otherwise.
func TestMadeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		run := w.create(1, digits("a"))
		kept, _ := json.Marshal(w.server.Get(runs + run))
		end := w.start()
		w.end(run, 7)
		w.look()
		w.server.Put(runs+run, nil)
		var again kubetest.Object
		_ = json.Unmarshal(kept, &again)
		w.server.Put(runs+run, again)
		w.change(run, func(o kubetest.Object) {
			o["metadata"].(kubetest.Object)["creationTimestamp"] = time.Now().UTC().Format(time.RFC3339)
		})
		end()
		end = w.start()
		w.end(run, 0)
		w.look()
		end()
		w.expect(digits("a"), "pending", "failure")
		if len(w.chat) != 1 {
			t.Errorf("the chat was told %q, want the failure alone", w.chat)
		}
		if !strings.Contains(w.log.String(), "somebody made it again") {
			t.Errorf("the log does not say so:\n%s", &w.log)
		}
	})
}

// Nor while the history cannot be read, or as Sentry ends meanwhile.
func TestMadeAgainAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		end := w.start()
		var both []string
		for n, commit := range []string{"a", "b"} {
			run := w.create(n+1, digits(commit))
			w.look()
			w.end(run, 7)
			w.look()
			w.gitea.Push("o/web", commit, string(digits(commit))) // it stays known
			both = append(both, run)
		}
		end()
		for _, run := range both {
			w.change(run, func(o kubetest.Object) {
				meta := o["metadata"].(kubetest.Object)
				meta["annotations"].(kubetest.Object)["tekton-sentry.dev/reported"] = run + " due"
				meta["creationTimestamp"] = time.Now().UTC().Format(time.RFC3339)
			})
			w.end(run, 0)
		}
		w.historyDown, w.slow = true, time.Second
		w.start()()
		w.historyDown = false
		w.start()()
		for _, commit := range []string{"a", "b"} {
			w.expect(digits(commit), "pending", "failure")
		}
	})
}

// What is made again has no last word either, although the history has it.
func TestMadeAgainLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		first := w.create(1, digits("a"))
		end := w.start()
		w.end(first, 7)
		w.look()
		second := w.create(2, digits("a"))
		w.look()
		w.change(first, func(o kubetest.Object) {
			meta := o["metadata"].(kubetest.Object)
			delete(meta["annotations"].(kubetest.Object), "tekton-sentry.dev/told")
			meta["creationTimestamp"], meta["uid"] = time.Now().Add(time.Second).UTC().Format(time.RFC3339), uidOf("again")
		})
		pass(time.Minute)
		w.end(first, 0)
		w.look()
		end()
		w.end(second, 7)
		w.start()()
		w.expect(digits("a"), "pending", "failure", "pending", "failure")
	})
}

// A commit is deployed again, and the older run ends after the newer one, or after a restart. The chat hears of both, and the newer one
// has the last word beside the commit. Runs that others made beside them count for nothing.
func TestTheNewerRunHasTheLastWord(t *testing.T) {
	second := func(w *world) string { return w.create(2, digits("a")) }
	for name, tt := range map[string]struct {
		restart bool
		newer   func(*world) string
	}{
		"in one life":              {false, second},
		"after a restart":          {true, second},
		"by hand, after a restart": {true, func(w *world) string { return w.byHand(digits("a")) }},
		"after many more":          {true, func(w *world) string { return w.create(300, digits("a")) }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, restart := newWorld(t), tt.restart
				older := w.create(1, digits("a"))
				pass(time.Minute)
				newer := tt.newer(w)
				end := w.start()
				w.end(newer, 0)
				w.look()
				before := w.states(digits("a"))
				if restart {
					end()
				}
				w.end(older, 7)
				if restart {
					end = w.start()
				}
				w.look()
				end()
				if before[len(before)-1] != "success" || len(w.chat) != 1 {
					t.Errorf("the newer run told %q, and the chat was told %q", before, w.chat)
				}
				w.expect(digits("a"), before...)
			})
		})
	}
}

// A copy of a run that somebody makes keeps the run itself from nothing that it has to say later.
func TestACopyHasNoLastWord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		run := w.create(1, digits("a"))
		pass(time.Minute)
		text, _ := json.Marshal(w.server.Get(runs + run))
		var o kubetest.Object
		_ = json.Unmarshal(text, &o)
		meta := o["metadata"].(kubetest.Object)
		meta["name"], meta["uid"], meta["creationTimestamp"] = "copy", uidOf("copy"), time.Now().UTC().Format(time.RFC3339)
		w.server.Put(runs+"copy", o)
		end := w.start()
		w.end("copy", 0)
		w.look()
		w.end(run, 7)
		w.look()
		end()
		w.expect(digits("a"), "pending", "failure")
	})
}

func TestConfigured(t *testing.T) {
	w := &config.Config{Repositories: []config.Repository{{}}}
	if reporting.Configured(w) {
		t.Error("an empty configuration reports something")
	}
	w.Repositories[0].Report = &section.Report{Webhook: section.Receiver{URL: secret.New("${U}", "https://hook.example")}}
	if !reporting.Configured(w) {
		t.Error("a webhook is nothing to report")
	}
}

// stranger is a run that somebody else made, with as many bytes of annotations.
func (w *world) stranger(name string, bytes int) {
	text := strings.Repeat("x", bytes)
	run := engine.Run{Existing: plan.Existing{Name: name, Unit: "web.main", Signature: text}}
	w.report.Seen(run, map[string]string{"tekton-sentry.dev/signature": text}, nil)
}

// Runs that others make take a bounded room, and none of that of Sentry's: what was told is not told again for them.
func TestStrangers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.down = true
		name := w.create(1, digits("a"))
		end := w.start()
		w.end(name, 7)
		w.look()
		for i := range 25_000 {
			w.stranger(fmt.Sprint("s", i), 0)
			if i%1000 == 0 {
				synctest.Wait()
			}
		}
		w.look()
		end()
		if len(w.chat) != 1 {
			t.Errorf("the chat was told %d times, want once", len(w.chat))
		}
	})
}

// Until it is known which runs are Sentry's, none is kept that has no room.
func TestRoomOfStrangers(t *testing.T) {
	w := newWorld(t)
	w.report = reporting.New(w.cfg, reporting.Options{Log: slog.New(slog.DiscardHandler), Engine: one{tekton.New(w.cluster, "", instance.Instance{})}})
	ctx, cancel := context.WithCancel(t.Context())
	w.report.During(ctx, func() {
		defer cancel()
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		for i := range 1000 {
			w.stranger(fmt.Sprint("s", i), 100<<10)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		if kept := int64(after.HeapAlloc) - int64(before.HeapAlloc); kept > 40<<20 {
			t.Errorf("%d MiB are kept of runs that others made", kept>>20)
		}
	})
}

// Each time that there is no room the log is told, and not only the first.
func TestFullAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		end := w.start()
		for i := range 2 {
			for range 3 {
				w.stranger("large", 17<<20)
			}
			w.create(i+1, digits(string('a'+rune(i))))
			w.look()
		}
		end()
		if n := strings.Count(w.log.String(), "so many runs wait"); n != 2 {
			t.Errorf("the log was told %d times, want 2\n%s", n, &w.log)
		}
	})
}

// one is the engine of one cluster, as that of all.
type one struct{ *tekton.Engine }

func (e one) Namespace(string) string  { return e.Engine.Namespace() }
func (e one) Report(to tekton.Reports) { e.Reports = to }
