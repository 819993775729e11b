package config

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What is written in another way is the same: merges, aliases, quotes, nothing for a key.
func TestSettings(t *testing.T) {
	const one = `
groups: {g: {pod: {labels: {a: b}}}}
repositories:
  - name: rag
    group: g
    monitor: {repo_url: https://github.com/company/rag, branches: [1.10], auth: {token: "${GITHUB_TOKEN}"}}
    deploy: {qa_repo_url: https://gitlab.com/qa/pipelines, commands: [./run], timeout: 60}
`
	const other = `
x: &x {qa_repo_url: https://gitlab.com/qa/pipelines, commands: ["./run"], timeout: 10}
groups:
  g:
    pod:
      labels: {"a": "b"}
    on_busy:
repositories:
  - name: "rag"
    group: &g g
    monitor:
      auth: {token: '${GITHUB_TOKEN}'}
      repo_url: "https://github.com/company/rag"
      branches:
        - '1.10'
    deploy: {<<: *x, timeout: "60"}
`
	got, err := Settings(Files{{Text: []byte(one)}}, Known)
	if err != nil {
		t.Fatal(err)
	}
	want, err := Settings(Files{{Text: []byte(other)}}, Known)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(Setting{})); diff != "" {
		t.Errorf("the two files say different things (-other +one):\n%s", diff)
	}
	for key, want := range map[string]string{
		"polling_interval": "60", "groups.g.on_busy": "queue", "repositories.rag.deploy.timeout": "60", "repositories.rag.monitor.branches": `["1.10"]`,
		"groups.g.pod.labels": `{"a":"b"}`, "repositories.rag.monitor.auth.token": "${GITHUB_TOKEN}", "global.keep_runs": "20",
	} {
		if got[key].Text != want {
			t.Errorf("%s is %q, want %q", key, got[key].Text, want)
		}
	}
}

// A valid file may hold an alias within itself where nobody reads it.
func TestSettingsWithoutAnEnd(t *testing.T) {
	const file = `
global: {<<: {pod: &p {labels: *p}, keep_runs: 7}, pod: {labels: {a: b}}}
repositories:
  - name: rag
    monitor: {repo_url: https://github.com/company/rag, branches: [main]}
    deploy: {qa_repo_url: https://gitlab.com/qa/pipelines, commands: [./run]}
`
	if _, err := Parse([]byte(file), Options{Hosts: Known}); err != nil {
		t.Fatalf("%v, want a valid file, since this is what Settings is for\n%s", err, file)
	}
	got, err := Settings(Files{{Text: []byte(file)}}, Known)
	if err != nil || got["global.pod.labels"].Text != `{"a":"b"}` || got["global.keep_runs"].Text != "7" {
		t.Errorf("global.pod.labels is %q and global.keep_runs %q, %v, want what the file says, merged\n%s", got["global.pod.labels"].Text, got["global.keep_runs"].Text, err, file)
	}
}

// Each valid file of the tests has settings, and none shows a secret.
func TestSettingsOfEveryFile(t *testing.T) {
	for name, data := range corpus(t) {
		if _, err := Parse(data, options()); err != nil {
			continue
		}
		all, err := Settings(Files{{Text: data}}, Known)
		if err != nil || len(all) < 5 {
			t.Errorf("%s: %d settings, %v", name, len(all), err)
		}
	}
	data, err := os.ReadFile(filepath.Join("..", "..", "examples", "sentry.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	all, err := Settings(Files{{Text: data}}, Known)
	if err != nil {
		t.Fatal(err)
	}
	for path, fields := range sections() {
		for _, f := range fields {
			if path != "global" || f.Default == "" {
				continue
			}
			if _, ok := all["global."+f.Key]; !ok {
				t.Errorf("global.%s is no setting of the example", f.Key)
			}
		}
	}
}

// What a Task is run with is compared key by key.
func TestSettingsOfATask(t *testing.T) {
	got, err := Settings(Files{{Text: []byte(`repositories:
  - name: rag
    monitor: {repo_url: https://github.com/company/rag, branches: [main]}
    deploy: {task: {name: deploy-rag, params: {sha: "{{sha}}"}}}
`)}}, Known)
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{"name": "deploy-rag", "params": `{"sha":"{{sha}}"}`} {
		if s := got["repositories.rag.deploy.task."+key]; s.Text != want {
			t.Errorf("deploy.task.%s is %q, want %q", key, s.Text, want)
		}
	}
}
