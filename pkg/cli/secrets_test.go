package cli

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/tekton-sentry/sentry/pkg/audit"
	"github.com/tekton-sentry/sentry/pkg/githost/gitea/giteatest"
	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
	"github.com/tekton-sentry/sentry/pkg/githost/sshgit/sshgittest"
	"github.com/tekton-sentry/sentry/pkg/kube/kubetest"
)

// planted are secrets, by where they are.
var planted = map[string]string{
	"the token of a repository":       "tok-4f1d9a7be2",
	"the token of the QA repository":  "tok-a08c3e55f1",
	"the secret of webhooks":          "hook-5e7719bc04aa31",
	"webhook_url":                     "ring-93bd11c6e0",
	"report.slack":                    "chat-c7725ab9d3",
	"report.webhook":                  "prog-18fe60a4b7",
	"report.cloudevents":              "evnt-6d02b8c91f",
	"global.traces.headers":           "span-1c93e7f0d8",
	"global.proxy":                    "prox-e31f7790ac",
	"the kubeconfig":                  "kube-b5590d17e6",
	"a variable that nothing names":   "env-27ac81f90d",
	"a file beside the variables":     "file-d60b3f8e12",
	"a URL in a file that is refused": "url-70e1c5a92b",
	"a token in a file":               "lit-f48b02d6c9",
}

// plantedKey is a private key.
var plantedKey = func() (private string) {
	block, err := ssh.MarshalPrivateKey(ed25519.NewKeyFromSeed([]byte("a key of thirty-two bytes, planted")[:ed25519.SeedSize]), "")
	if err != nil {
		panic(err)
	}
	private = string(pem.EncodeToMemory(block))
	planted["an SSH key"] = strings.Split(private, "\n")[2]
	return private
}()

// place is the world of one Sentry, all of whose servers repeat in errors what they were sent.
type place struct {
	t       *testing.T
	cluster *kubetest.Server
	gitea   *giteatest.API
	dir     string
	format  string
	args    []string
	echo    bool // every server fails

	mu   sync.Mutex
	told strings.Builder // all that was printed, sent and written
	log  lines           // of `sentry watch`
}

const (
	runsPath = "/apis/tekton.dev/v1/namespaces/test/pipelineruns"
	sha1     = "0123456789012345678901234567890123456789"
	sha2     = "1123456789012345678901234567890123456789"
	sha3     = "2123456789012345678901234567890123456789"
)

// note keeps what came out of Sentry.
func (p *place) note(what, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(&p.told, "=== %s\n%s\n", what, text)
}

// parrot returns what a server says that repeats all of a request.
func parrot(r *http.Request) string {
	token := r.Header.Get("Authorization")
	_, word, _ := strings.Cut(token, " ")
	plain, _ := base64.StdEncoding.DecodeString(word)
	return fmt.Sprintf("no %s %s for %q %q %q", r.Method, r.URL, token, word, plain)
}

func newPlace(t *testing.T, format string) *place {
	p := &place{t: t, dir: t.TempDir(), format: format}
	p.cluster, _ = kubetest.New(t)
	p.cluster.User = "kubernetes-admin"
	p.cluster.Fault = p.apiServer
	api := httptest.NewServer(p.cluster)
	t.Cleanup(api.Close)
	host := func(token string) (*giteatest.API, string) {
		g := giteatest.New()
		g.SetToken(token)
		g.Push("team/app", "main", sha1)
		g.Push("team/qa", "main", strings.Repeat("f", 40))
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if p.fails() || strings.Contains(r.URL.Path, "broken") {
				w.WriteHeader(http.StatusInternalServerError)
				_, _ = io.WriteString(w, parrot(r))
				return
			}
			if r.Method == http.MethodPost && strings.Contains(r.URL.Path, "/statuses/") {
				body, _ := io.ReadAll(r.Body)
				p.note("commit status", string(body))
				r.Body = io.NopCloser(bytes.NewReader(body))
			}
			g.ServeHTTP(w, r)
		}))
		t.Cleanup(server.Close)
		return g, server.URL
	}
	g, app := host(planted["the token of a repository"])
	p.gitea = g
	_, qa := host(planted["the token of the QA repository"])
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		p.note("message", string(body)) // its URL is the receiver's own
		if p.fails() {
			http.Redirect(w, r, "/elsewhere?"+r.URL.Path, http.StatusTemporaryRedirect)
		}
	}))
	t.Cleanup(receiver.Close)

	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		p.note("traces", string(body))
		if p.fails() {
			http.Error(w, parrot(r), http.StatusUnauthorized)
		}
	}))
	t.Cleanup(collector.Close)
	keyed := &sshgittest.Server{Run: func(c ssh.Channel, command string) {
		_, _ = fmt.Fprintf(c.Stderr(), "ERROR: no %s for %s\n", command, plantedKey)
		sshgittest.Exit(c, 1)
	}}
	key, err := ssh.ParsePrivateKey([]byte(plantedKey))
	if err != nil {
		t.Fatal(err)
	}
	keyed.Allowed = []ssh.PublicKey{key.PublicKey()}
	keyed.Start(t)

	variables := filepath.Join(p.dir, "variables")
	for name, text := range map[string]string{
		"GIT_TOKEN": planted["the token of a repository"], "QA_TOKEN": planted["the token of the QA repository"], "HOOK_SECRET": planted["the secret of webhooks"],
		"RING": receiver.URL + "/" + planted["webhook_url"], "CHAT": receiver.URL + "/" + planted["report.slack"],
		"PROGRAM": receiver.URL + "/" + planted["report.webhook"], "EVENTS": receiver.URL + "/" + planted["report.cloudevents"],
		"SPANS": "Authorization=Bearer%20" + planted["global.traces.headers"],
		"PROXY": "http://sentry:" + planted["global.proxy"] + "@127.0.0.1:9", "OTHER": planted["a file beside the variables"],
		"SSH_KEY": plantedKey, "KNOWN_HOSTS": keyed.KnownHosts(),
	} {
		if err := os.MkdirAll(variables, 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(variables, name), text)
	}
	t.Setenv("OTHER_TOKEN", planted["a variable that nothing names"])
	t.Setenv("HOME", p.dir)
	write(t, filepath.Join(p.dir, "kubeconfig"), fmt.Sprintf(`{apiVersion: v1, kind: Config, current-context: c, clusters: [{name: c, cluster: {server: %q}}],
contexts: [{name: c, context: {cluster: c, namespace: test, user: u}}], users: [{name: u, user: {token: %s}}]}`, api.URL, planted["the kubeconfig"]))
	text := fmt.Sprintf(`repositories:
  - name: app
    monitor: {repo_url: %[1]s/team/app, branches: [main], repo_type: gitea, auth: {token: "${GIT_TOKEN}"}}
    deploy: &deploy {qa_repo_url: %[2]s/team/qa, repo_type: gitea, auth: {token: "${QA_TOKEN}"}, commands: [env, make]}
    webhook_url: "${RING}"
  - name: broken
    monitor: {repo_url: %[1]s/team/broken, branches: [main], repo_type: gitea, auth: {token: "${GIT_TOKEN}"}}
    deploy: *deploy
  - name: keyed
    monitor: {repo_url: "ssh://git@%[4]s/team/app", branches: [main], auth: {ssh_key: "${SSH_KEY}", known_hosts: "${KNOWN_HOSTS}"}}
    deploy: *deploy
global: {on_first_seen: deploy, keep_runs: 1, log_level: debug, proxy: {https_proxy: "${PROXY}"}, traces: {endpoint: %[3]s/v1/traces, headers: "${SPANS}"}}
webhooks: {secret: "${HOOK_SECRET}"}
report: {commit_status: true, slack: {url: "${CHAT}", on: [every]}, webhook: {url: "${PROGRAM}", on: [every]}, cloudevents: {url: "${EVENTS}", on: [every]}}
`, app, qa, collector.URL, keyed.Address)
	write(t, filepath.Join(p.dir, "sentry.yaml"), text)
	write(t, filepath.Join(p.dir, "older.yaml"), strings.Replace(text, "[env, make]", "[make]", 1))
	write(t, filepath.Join(p.dir, "url.yaml"), strings.Replace(text, "http://", "http://ada:"+planted["a URL in a file that is refused"]+"@", 2))
	write(t, filepath.Join(p.dir, "literal.yaml"), strings.Replace(text, "${QA_TOKEN}", planted["a token in a file"], 1))
	p.args = []string{"--env-dir", variables, "--kubeconfig", filepath.Join(p.dir, "kubeconfig"), "--log-format", format}
	return p
}

func (p *place) fails() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.echo
}

// apiServer is what the API server does beside what kubetest's does.
func (p *place) apiServer(w http.ResponseWriter, r *http.Request) bool {
	switch {
	case p.fails():
		kubetest.Refuse(w, http.StatusInternalServerError, "InternalError", parrot(r))
		return true
	case r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/pipelineruns"):
		var run kubetest.Object
		_ = json.NewDecoder(r.Body).Decode(&run)
		meta := run["metadata"].(kubetest.Object)
		meta["creationTimestamp"], meta["uid"] = time.Now().UTC().Format(time.RFC3339), meta["name"]
		text, _ := json.Marshal(run)
		r.Body = io.NopCloser(bytes.NewReader(text))
	case strings.HasSuffix(r.URL.Path, "/log"):
		_, _ = fmt.Fprintf(w, "$ git push https://ada:%[1]s@git.example\n%[1]s\ncommand 1 of 2 failed with exit code 1: push %[1]s\n", planted["the token of the QA repository"])
		return true
	case r.URL.Query().Get("watch") != "": // it works, and ends soon, and the runs are listed again then
		w.Header().Set("Content-Type", "application/json")
		columns := []kubetest.Object{{"name": "Name"}, {"name": "Succeeded"}, {"name": "Reason"}, {"name": "StartTime"}, {"name": "CompletionTime"}}
		_ = json.NewEncoder(w).Encode(kubetest.Object{"type": "MODIFIED", "object": kubetest.Object{"columnDefinitions": columns}})
		w.(http.Flusher).Flush()
		select {
		case <-time.After(100 * time.Millisecond):
		case <-r.Context().Done():
		}
		_, _ = io.WriteString(w, `{"type":"ERROR","object":{"kind":"Status","code":410}}`)
		return true
	}
	return false
}

// sentry runs one command line, and keeps what it prints.
func (p *place) sentry(want int, args ...string) string {
	p.t.Helper()
	if !slices.Contains(args, "-c") {
		args = append(args, "-c", filepath.Join(p.dir, "sentry.yaml"))
	}
	var out, log bytes.Buffer
	code := Main(p.t.Context(), append(args, p.args...), Streams{Out: &out, Err: &log})
	p.note("sentry "+strings.Join(args, " "), out.String()+log.String())
	if code != want {
		p.t.Errorf("sentry %s: exit code %d, want %d\n%s%s", args, code, want, &out, &log)
	}
	return out.String() + log.String()
}

// await returns once the condition is true.
func (p *place) await(what string, condition func() bool) {
	p.t.Helper()
	for end := time.Now().Add(time.Minute); !condition(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			p.t.Fatalf("%s did not come true\n%s", what, p.log.text())
		}
	}
}

// said counts the lines of the log of `sentry watch` that have all the texts.
func (p *place) said(texts ...string) (found int) {
	for line := range strings.Lines(p.log.text()) {
		missing := slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(line, text) })
		if !missing {
			found++
		}
	}
	return found
}

// made awaits a run that is not among the known ones, and returns its name.
func (p *place) made(known ...string) (name string) {
	p.t.Helper()
	p.await("another run", func() bool {
		for _, name = range p.cluster.Names(runsPath) {
			if !slices.Contains(known, name) {
				return true
			}
		}
		return false
	})
	return name
}

// end ends a run, and awaits the lines that tell of it.
func (p *place) end(name, reason, says string) {
	p.t.Helper()
	text, _ := json.Marshal(p.cluster.Get(runsPath + "/" + name))
	var run kubetest.Object
	_ = json.Unmarshal(text, &run)
	status := map[bool]string{true: "True", false: "False"}[reason == "Succeeded"]
	message := "could not fetch https://ada:" + planted["the token of the QA repository"] + "@git.example"
	ended := kubetest.Object{"conditions": []kubetest.Object{{"type": "Succeeded", "status": status, "reason": reason, "message": message}},
		"completionTime": time.Now().UTC().Format(time.RFC3339)}
	if reason == "Failed" {
		pod := kubetest.Object{"podName": name + "-app-pod", "conditions": ended["conditions"], "steps": []kubetest.Object{
			{"name": "deploy", "container": "step-deploy", "terminated": kubetest.Object{"exitCode": 1, "reason": "Error", "containerID": "containerd://0"}},
		}, "taskSpec": kubetest.Object{"steps": []kubetest.Object{{"name": "deploy"}}}}
		p.cluster.Put("/apis/tekton.dev/v1/namespaces/test/taskruns/"+name+"-app", kubetest.Object{"metadata": kubetest.Object{
			"name": name + "-app", "namespace": "test", "labels": kubetest.Object{"tekton.dev/pipelineRun": name, "tekton.dev/pipelineTask": "app"},
			"ownerReferences": []kubetest.Object{{"apiVersion": "tekton.dev/v1", "kind": "PipelineRun", "name": name, "uid": name, "controller": true}},
		}, "status": pod})
		ended["childReferences"] = []kubetest.Object{{"kind": "TaskRun", "name": name + "-app", "pipelineTaskName": "app"}}
	}
	run["status"] = ended
	p.cluster.Put(runsPath+"/"+name, run)
	p.await("the end of "+name, func() bool {
		byHand := p.said(name, "created pipeline run") == 0 // whose commits are told nothing
		return p.said(name, says) > 0 && (byHand || p.said(name, "reported a run", "kind", "commit_status") > 0)
	})
}

// Whatever goes on and goes wrong, no secret is in anything that Sentry prints, sends or writes. All that it does to others is
// told with its verb and with whoever had it done, and each run is followed by its name from its change on.
func TestNoSecretIsTold(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		t.Run(format, func(t *testing.T) {
			p := newPlace(t, format)
			p.play()
			p.mu.Lock()
			told := p.told.String()
			p.mu.Unlock()
			key := p.cluster.Get("/api/v1/namespaces/test/secrets/sentry-key")
			if key == nil {
				t.Fatalf("there is no key of the runs: %v", p.cluster.Names("/api/v1/namespaces/test/secrets"))
			}
			secrets := map[string]string{}
			for where, text := range planted {
				secrets[where] = text
			}
			for name, value := range key["data"].(kubetest.Object) {
				secrets["the key of the runs, "+name] = fmt.Sprint(value)
			}
			for where, text := range secrets {
				for _, form := range []string{text, base64.StdEncoding.EncodeToString([]byte(text))} {
					if i := strings.Index(told, form); i >= 0 {
						part := told[strings.LastIndex(told[:i], "=== "):i]
						t.Errorf("%s is told by %.100q:\n…%s", where, part, told[max(0, i-300):min(len(told), i+300)])
					}
				}
			}
			for _, verb := range audit.Verbs {
				if !regexp.MustCompile(`\[audit=` + string(verb) + `\] \[by=[a-z_]+\]|"audit":"` + string(verb) + `","by":"[a-z_]+"`).MatchString(told) {
					t.Errorf("nobody was told that something was %s", verb)
				}
			}
		})
	}
}

func (p *place) play() {
	t := p.t
	for _, command := range []string{"validate", "validate --online", "render", "render --offline", "schema", "check", "diff " + filepath.Join(p.dir, "older.yaml")} {
		failing := []string{"validate --online", "render", "check"} // for broken, and what this cluster lacks
		if strings.HasPrefix(command, "diff ") || slices.Contains(failing, command) {
			p.sentry(exitFailed, append(strings.Fields(command), "-v")...)
			continue
		}
		p.sentry(exitDone, append(strings.Fields(command), "-v")...)
	}
	for _, file := range []string{"url.yaml", "literal.yaml"} {
		for _, command := range []string{"validate", "render", "watch", "trigger app"} {
			p.sentry(exitUsage, append(strings.Fields(command), "-c", filepath.Join(p.dir, file))...)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	code := make(chan int, 1)
	go func() {
		code <- Main(ctx, append([]string{"watch", "--interval", "1s", "-c", filepath.Join(p.dir, "sentry.yaml"), "--listen", "localhost:0", "--health", "127.0.0.1:0"}, p.args...),
			Streams{Out: &p.log, Err: &p.log})
	}()
	changed := p.made()
	p.end(changed, "Succeeded", "the run succeeded")

	p.gitea.Push("team/app", "main", sha2)
	failed := p.made(changed)
	p.end(failed, "Failed", "the run did not succeed")
	p.await("the history", func() bool { return strings.Contains(p.sentry(exitDone, "history", "-o", "json"), failed) })
	for _, command := range []string{"status", "status -o json", "status -o wide", "explain app", "history", "history --stats", "logs app", "logs app --failed"} {
		p.sentry(exitDone, strings.Fields(command)...)
	}
	p.sentry(exitDone, "pause", "app", "--reason", "the database moves")
	p.sentry(exitDone, "resume", "app")
	p.sentry(exitDone, "rollback", "app", "--yes")
	back := p.made(changed, failed)
	p.sentry(exitDone, "cancel", "app")
	p.end(back, "Cancelled", "the run was cancelled")
	p.sentry(exitDone, "rerun", "app")
	again := p.made(changed, failed, back)
	p.end(again, "Succeeded", "the run succeeded")
	p.sentry(exitDone, "trigger", "app")
	p.end(p.made(changed, failed, back, again), "Succeeded", "the run succeeded")
	p.gitea.Push("team/app", "main", sha3) // after which older runs are deleted
	for run, want := range map[string][]string{
		changed: {"a change was seen", "created pipeline run", "the run succeeded", "reported a run", "deleted an old pipeline run"},
		failed:  {"a change was seen", "created pipeline run", "the run did not succeed", "reported a run"},
	} {
		for _, text := range want {
			p.await(text, func() bool { return p.said(run, text) > 0 })
		}
	}
	// What a person had done is told by the Sentry that watches, too.
	for run, by := range map[string]string{back: "rollback", again: "rerun"} {
		if p.said(run, by, "kubernetes-admin") == 0 {
			t.Errorf("the log does not say that %s was a %s of kubernetes-admin", run, by)
		}
	}
	if p.said(back, "cancelled by kubernetes-admin") == 0 {
		t.Errorf("the log does not say who cancelled %s", back)
	}

	to := []string{"app", "--url", "http://sentry.example"}
	p.sentry(exitDone, append([]string{"webhooks", "ensure"}, to...)...)
	p.gitea.Change("team/app", func(r *githosttest.Repository) { r.Hooks[0].Body["active"] = false })
	p.sentry(exitDone, append([]string{"webhooks", "ensure"}, to...)...)
	p.sentry(exitDone, append([]string{"webhooks", "remove"}, to...)...)

	for _, at := range regexp.MustCompile(`(?:address=|"address":")([0-9.:]+)`).FindAllStringSubmatch(p.log.text(), -1) {
		for _, path := range []string{"/metrics", "/readyz", "/livez", "/webhooks/gitea"} {
			if resp, err := http.Get("http://" + at[1] + path); err == nil {
				body, _ := io.ReadAll(resp.Body)
				resp.Body.Close()
				p.note("GET "+path, string(body))
			}
		}
	}

	p.mu.Lock()
	p.echo = true
	p.mu.Unlock()
	p.await("trouble", func() bool { return p.said("the cycle failed") > 0 })
	for _, command := range []string{"status", "explain app", "history", "logs app", "trigger app", "rerun app", "cancel app", "pause app", "check", "render", "validate --online", "watch --once",
		"webhooks ensure --url http://sentry.example", "trigger app --local --state " + filepath.Join(p.dir, "state"), "watch --once --local --state " + filepath.Join(p.dir, "state")} {
		p.sentry(exitFailed, append(strings.Fields(command), "-v")...)
	}
	stop()
	if got := <-code; got != exitDone {
		t.Errorf("watch: exit code %d, want 0", got)
	}
	p.note("sentry watch", p.log.text())
	for _, path := range p.cluster.Names("") {
		if !strings.Contains(path, "/secrets/") {
			object := maps.Clone(p.cluster.Get("/" + path))
			delete(object, "status") // which Tekton writes
			text, _ := json.Marshal(object)
			p.note("/"+path, string(text))
		}
	}
	err := filepath.WalkDir(p.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.Contains(path, "state") {
			return err
		}
		text, err := os.ReadFile(path)
		p.note(path, string(text))
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
