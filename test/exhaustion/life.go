package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/tekton-sentry/sentry/pkg/githost/gitea/giteatest"
)

// phase is a state of the unit, from what brings it there until Sentry has nothing more to do about it.
type phase int32

const (
	isNew    phase = iota // nothing is remembered
	due                   // a commit was pushed
	waiting               // another one was, while the run of the first is there
	running               // the first run began
	ended                 // the first run succeeded, and the second commit is due
	reported              // the second run succeeded
	again                 // Sentry starts anew, and nothing is owed
	over                  // what is asked now is asked by the test
)

var phases = []string{"new", "due", "waiting", "running", "ended", "reported", "started again", "over"}

func (p phase) String() string { return phases[p] }

const (
	firstSHA  = "1111111111111111111111111111111111111111"
	secondSHA = "2222222222222222222222222222222222222222"
	// owed is how long all that is owed may take after a fault: two cycles by default.
	owed = 2 * time.Minute
	// still is how often a host is asked in which nothing is written, until nothing is under way.
	still = 3
)

const configuration = `repositories:
  - name: app
    monitor: {repo_url: %[1]s/team/app, branches: [main], repo_type: gitea, auth: {token: "${TOKEN}"}}
    deploy: {qa_repo_url: %[1]s/team/qa, repo_type: gitea, auth: {token: "${TOKEN}"}, commands: [make]}
report: {commit_status: true}
`

const kubeconfig = `apiVersion: v1
kind: Config
current-context: c
clusters: [{name: c, cluster: {server: %q, certificate-authority-data: %s}}]
users: [{name: u, user: {token: %s}}]
contexts: [{name: c, context: {cluster: c, user: u, namespace: %s}}]
`

// life is one unit from the first start to the end of its second run, in a namespace of its own, with one fault.
type life struct {
	server  *server
	program string
	dir, ns string
	host    *giteatest.API
	api, in *proxy // in is before the host
	now     atomic.Int32
	log     lines
	ctx     context.Context

	mu     sync.Mutex
	cmd    *exec.Cmd
	ending bool
	starts int
	gone   chan struct{} // closed once Sentry has ended, as it should
}

// lines is what Sentry printed.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// outcome is how a life went.
type outcome struct {
	points  []point       // of all requests, as they came
	reached bool          // the fault was
	late    time.Duration // from the fault until all that was owed in its phase was there
	starts  int           // of Sentry
	err     error
	log     string
}

// live lives one life. The fault is at the point; none where that is zero.
func live(ctx context.Context, s *server, program, dir, ns string, at point, f fault) (o outcome) {
	l := &life{server: s, program: program, dir: filepath.Join(dir, ns), ns: ns, host: giteatest.New(), ctx: ctx}
	phaseNow := func() phase { return phase(l.now.Load()) }
	var err error
	if l.api, err = newProxy("api", s.forward, phaseNow, true); err != nil {
		return outcome{err: err}
	}
	defer l.api.close()
	if l.in, err = newProxy("host", l.host, phaseNow, false); err != nil {
		return outcome{err: err}
	}
	defer l.in.close()
	for _, p := range []*proxy{l.api, l.in} {
		if p.side == at.side {
			p.want, p.fault = at, f
		}
	}
	err = l.play(&o)
	o.err = errors.Join(err, l.stop())
	o.points = append(l.api.points(), l.in.points()...)
	o.reached = !l.fault().IsZero()
	o.starts, o.log = l.starts, l.log.String()
	return o
}

// fault is when it was.
func (l *life) fault() time.Time {
	_, _, a := l.api.counts()
	_, _, b := l.in.counts()
	if a.IsZero() {
		return b
	}
	return a
}

// play goes through all phases, and then looks whether all is there that should be, once.
func (l *life) play(o *outcome) error {
	if err := l.prepare(); err != nil {
		return err
	}
	steps := []struct {
		of   phase
		do   func() error
		done func() (string, bool)
	}{
		{isNew, l.start, func() (string, bool) { return l.exists("configmaps") }},
		{due, func() error { return l.push(firstSHA) }, func() (string, bool) { return l.deployed(firstSHA, "pending") }},
		{waiting, func() error { return l.push(secondSHA) }, func() (string, bool) { return "", true }},
		{running, func() error { return l.tekton(firstSHA, "Unknown", "Running") }, func() (string, bool) { return "", true }},
		{ended, func() error { return l.tekton(firstSHA, "True", "Succeeded") }, func() (string, bool) {
			if what, ok := l.deployed(firstSHA, "success"); !ok {
				return what, false
			}
			return l.deployed(secondSHA, "pending")
		}},
		{reported, func() error { return l.tekton(secondSHA, "True", "Succeeded") }, func() (string, bool) { return l.deployed(secondSHA, "success") }},
		{again, func() error { return errors.Join(l.stop(), l.start()) }, func() (string, bool) { return "", true }},
	}
	for _, step := range steps {
		l.now.Store(int32(step.of))
		if err := step.do(); err != nil {
			return fmt.Errorf("%s: %w", step.of, err)
		}
		late, err := l.owed(step.done)
		o.late = max(o.late, late)
		if err != nil {
			return fmt.Errorf("%s: %w", step.of, err)
		}
	}
	l.now.Store(int32(over))
	return l.account()
}

// owed waits until what is owed is there and Sentry is still, and returns how long after the fault that was, where the fault was in this phase.
func (l *life) owed(done func() (string, bool)) (late time.Duration, err error) {
	begun, faulty := time.Now(), !l.fault().IsZero()
	since := func() time.Time {
		if f := l.fault(); f.After(begun) {
			return f
		}
		return begun
	}
	reads, writes := -1, 0
	for {
		what, ok := done()
		hostReads, hostWrites, _ := l.in.counts()
		_, apiWrites, _ := l.api.counts()
		switch {
		case !ok:
			reads = -1
		case reads < 0 || writes != hostWrites+apiWrites:
			reads, writes = hostReads, hostWrites+apiWrites
			if !faulty && !l.fault().IsZero() {
				late = time.Since(l.fault())
			}
		case hostReads >= reads+still:
			return late, nil
		default:
			what = "Sentry to be still"
		}
		if time.Since(since()) > owed {
			return late, fmt.Errorf("waited %s for %s", owed, what)
		}
		select {
		case <-l.ctx.Done():
			return late, l.ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (l *life) prepare() error {
	if err := os.MkdirAll(l.dir, 0o700); err != nil {
		return err
	}
	code, answer, err := l.server.do(l.ctx, http.MethodPost, "/api/v1/namespaces", "application/json", fmt.Appendf(nil, `{"metadata":{"name":%q}}`, l.ns))
	if err != nil || code != http.StatusCreated {
		return fmt.Errorf("make the namespace: %d %s %w", code, answer, err)
	}
	l.host.SetToken("hush")
	l.host.Push("team/app", "main", strings.Repeat("9", 40))
	l.host.Push("team/qa", "main", strings.Repeat("f", 40))
	return errors.Join(
		os.WriteFile(l.path("sentry.yaml"), fmt.Appendf(nil, configuration, "http://"+l.in.address), 0o600),
		os.WriteFile(l.path("kubeconfig"), fmt.Appendf(nil, kubeconfig, "https://"+l.api.address, authority(), token, l.ns), 0o600),
	)
}

func (l *life) path(name string) string { return filepath.Join(l.dir, name) }

// push pushes a commit, which stays on a branch that nobody watches, too: hosts take statuses of commits that they have.
func (l *life) push(sha string) error {
	l.host.Push("team/app", "kept-"+sha[:1], sha)
	l.host.Push("team/app", "main", sha)
	return nil
}

// start starts Sentry, and again when it ends by itself, as a kubelet does.
func (l *life) start() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ending, l.gone = false, make(chan struct{})
	if err := l.exec(); err != nil {
		return err
	}
	go l.keep(l.gone)
	return nil
}

func (l *life) exec() error {
	l.starts++
	l.cmd = exec.Command(l.program, "watch", "--interval", "1s", "-c", l.path("sentry.yaml"), "--kubeconfig", l.path("kubeconfig"))
	l.cmd.Env = append(os.Environ(), "TOKEN=hush")
	l.cmd.Stdout, l.cmd.Stderr = &l.log, &l.log
	return l.cmd.Start()
}

// keep waits for Sentry's end, and starts it again unless that was asked for.
func (l *life) keep(gone chan struct{}) {
	defer close(gone)
	for {
		_ = l.cmd.Wait() // how it ended is in what it printed
		if l.over() {
			return
		}
		time.Sleep(time.Second) // as a kubelet waits before it starts a container again
		if !l.restart() {
			return
		}
	}
}

// over reports whether Sentry is to end.
func (l *life) over() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ending || l.ctx.Err() != nil
}

func (l *life) restart() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.ending && l.exec() == nil
}

// stop ends Sentry as Kubernetes does.
func (l *life) stop() error {
	l.mu.Lock()
	gone := l.gone
	if gone == nil {
		l.mu.Unlock()
		return nil
	}
	l.ending, l.gone = true, nil
	_ = l.cmd.Process.Signal(syscall.SIGTERM)
	process := l.cmd.Process
	l.mu.Unlock()
	select {
	case <-gone:
		return nil
	case <-time.After(30 * time.Second):
		_ = process.Kill()
		<-gone
		return errors.New("it did not end within 30 s of SIGTERM")
	}
}

// object is what is read of one.
type object struct {
	Metadata struct {
		Name        string            `json:"name"`
		UID         string            `json:"uid"`
		Annotations map[string]string `json:"annotations"`
	} `json:"metadata"`
	Spec struct {
		PipelineSpec struct {
			Tasks []struct {
				Name string `json:"name"`
			} `json:"tasks"`
		} `json:"pipelineSpec"`
	} `json:"spec"`
}

func (l *life) list(group, kind string) (items []object, err error) {
	code, answer, err := l.server.do(l.ctx, http.MethodGet, group+"/namespaces/"+l.ns+"/"+kind, "", nil)
	if err != nil || code != http.StatusOK {
		return nil, fmt.Errorf("list %s: %d %s %w", kind, code, answer, err)
	}
	var list struct{ Items []object }
	return list.Items, json.Unmarshal(answer, &list)
}

// exists counts objects that Sentry made.
func (l *life) exists(kind string) (what string, ok bool) {
	all, err := l.list("/api/v1", kind)
	return fmt.Sprintf("%s, of which there are %d (%v)", kind, len(all), err), len(all) > 0
}

// runsOf returns the runs that deploy a commit.
func (l *life) runsOf(sha string) (found []object, err error) {
	all, err := l.list("/apis/tekton.dev/v1", "pipelineruns")
	for _, r := range all {
		if strings.Contains(r.Metadata.Annotations["tekton-sentry.dev/members"], `"sha":"`+sha) {
			found = append(found, r)
		}
	}
	return found, err
}

// deployed says whether a run of the commit is there, and whether the commit's last status is the one.
func (l *life) deployed(sha, state string) (string, bool) {
	if runs, _ := l.runsOf(sha); len(runs) == 0 {
		return "a run of " + sha[:7], false
	}
	all := l.statuses(sha)
	return fmt.Sprintf("the status %s of %s, which has %q", state, sha[:7], all), len(all) > 0 && all[len(all)-1] == state
}

func (l *life) statuses(sha string) (states []string) {
	for _, s := range l.host.StatusesOf("team/app", sha) {
		states = append(states, fmt.Sprint(s.Body["status"]))
	}
	return states
}

// tekton does what Tekton does to the run of a commit.
func (l *life) tekton(sha, status, reason string) error {
	runs, err := l.runsOf(sha)
	if err != nil || len(runs) != 1 {
		return fmt.Errorf("%d runs of %s, want 1: %w", len(runs), sha[:7], err)
	}
	r, now := runs[0], time.Now().UTC().Format(time.RFC3339)
	name := r.Metadata.Name + "-" + r.Spec.PipelineSpec.Tasks[0].Name
	conditions := []map[string]string{{"type": "Succeeded", "status": status, "reason": reason, "message": "by the test", "lastTransitionTime": now}}
	of := map[string]any{"conditions": conditions, "startTime": now}
	if status != "Unknown" {
		of["completionTime"] = now
	}
	base := "/apis/tekton.dev/v1/namespaces/" + l.ns
	task, _ := json.Marshal(map[string]any{
		"apiVersion": "tekton.dev/v1", "kind": "TaskRun",
		"metadata": map[string]any{
			"name":            name,
			"labels":          map[string]string{"tekton.dev/pipelineRun": r.Metadata.Name, "tekton.dev/pipelineTask": r.Spec.PipelineSpec.Tasks[0].Name},
			"ownerReferences": []map[string]any{{"apiVersion": "tekton.dev/v1", "kind": "PipelineRun", "name": r.Metadata.Name, "uid": r.Metadata.UID, "controller": true}},
		},
	})
	if code, answer, err := l.server.do(l.ctx, http.MethodPost, base+"/taskruns", "application/json", task); err != nil || code != http.StatusCreated && code != http.StatusConflict {
		return fmt.Errorf("make the TaskRun: %d %s %w", code, answer, err)
	}
	of["podName"] = name + "-pod"
	text, _ := json.Marshal(map[string]any{"status": of})
	if err := l.patch(base+"/taskruns/"+name+"/status", text); err != nil {
		return err
	}
	delete(of, "podName")
	of["childReferences"] = []map[string]string{{"apiVersion": "tekton.dev/v1", "kind": "TaskRun", "name": name, "pipelineTaskName": r.Spec.PipelineSpec.Tasks[0].Name}}
	text, _ = json.Marshal(map[string]any{"status": of})
	return l.patch(base+"/pipelineruns/"+r.Metadata.Name+"/status", text)
}

func (l *life) patch(path string, text []byte) error {
	code, answer, err := l.server.do(l.ctx, http.MethodPatch, path, "application/merge-patch+json", text)
	if err != nil || code != http.StatusOK {
		return fmt.Errorf("patch %s: %d %s %w", path, code, answer, err)
	}
	return nil
}

// account looks whether each commit was deployed once, is told of as it should be, and is in the history once.
func (l *life) account() error {
	all, err := l.list("/apis/tekton.dev/v1", "pipelineruns")
	errs := []error{err}
	if len(all) != 2 {
		errs = append(errs, fmt.Errorf("%d runs, want 2", len(all)))
	}
	for _, sha := range []string{firstSHA, secondSHA} {
		if runs, err := l.runsOf(sha); err != nil || len(runs) != 1 {
			errs = append(errs, fmt.Errorf("%d runs of %s, want 1: %w", len(runs), sha[:7], err))
		}
		if got := l.statuses(sha); !slices.Equal(got, []string{"pending", "success"}) && !l.repeated(got) {
			errs = append(errs, fmt.Errorf("the statuses of %s are %q, want pending and success", sha[:7], got))
		}
	}
	cmd := exec.CommandContext(l.ctx, l.program, "history", "-o", "name", "-c", l.path("sentry.yaml"), "--kubeconfig", l.path("kubeconfig"))
	cmd.Env = append(os.Environ(), "TOKEN=hush")
	out, err := cmd.CombinedOutput()
	if n := len(strings.Fields(string(out))); err != nil || n != 2 {
		errs = append(errs, fmt.Errorf("the history has\n%swant 2 runs: %w", out, err))
	}
	return errors.Join(errs...)
}

// repeated says that statuses are there twice for a reason that nobody can know: the network brought one twice, or the API server told of a run
// as it was before it was reported, which none does that works.
func (l *life) repeated(states []string) bool {
	want := []string{"pending", "success"}
	return l.in.fault == twice && slices.Equal(slices.Compact(slices.Clone(states)), want) ||
		l.api.fault == stale && slices.Equal(states, slices.Concat(want, want))
}
