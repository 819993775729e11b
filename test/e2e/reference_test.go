package e2e

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"knative.dev/pkg/apis"
)

// ofTheCluster are a Task and a Pipeline that were there before Sentry. The Task prints what it is told, as a variable.
const ofTheCluster = `
apiVersion: tekton.dev/v1
kind: Task
metadata: {name: deploy-it, namespace: %[1]s}
spec:
  params: [{name: branch}, {name: revision}, {name: places, type: array, default: []}]
  workspaces: [{name: settings, optional: true}]
  steps:
    - name: deploy
      image: %[2]s
      env: [{name: BRANCH, value: $(params.branch)}, {name: REVISION, value: $(params.revision)}, {name: SETTINGS, value: $(workspaces.settings.path)}]
      args: ["$(params.places[*])"]
      securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
      script: |
        #!/bin/sh
        echo "told: $BRANCH $REVISION $*"
        [ -z "$SETTINGS" ] || cat "$SETTINGS/greeting"
---
apiVersion: tekton.dev/v1
kind: Pipeline
metadata: {name: publish, namespace: %[1]s}
spec:
  params: [{name: revision}]
  tasks:
    - name: deploy
      taskRef: {name: deploy-it}
      params: [{name: branch, value: "of the pipeline"}, {name: revision, value: $(params.revision)}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: web-settings, namespace: %[1]s}
data: {greeting: "hello from the workspace\n"}
`

// TestTasksOfTheCluster runs a group of commands and a Task, and a Pipeline. A branch that Tekton would expand is left out.
func TestTasksOfTheCluster(t *testing.T) {
	t.Parallel()
	p := newPodTrial(t, "sentry-tasks")
	apply(t, fmt.Sprintf(ofTheCluster, p.ns, env.deployImage))
	web := newRepo(t, p.ns+"-web", map[string]string{"README": "another application"})
	file := filepath.Join(t.TempDir(), "sentry.yaml")
	source := `repo_type: gitea, auth: {username: "${GITEA_USERNAME}", token: "${GITEA_TOKEN}"}`
	write(t, file, fmt.Sprintf(`
groups: {shop: {execution_strategy: sequential, deploy: changed}}
repositories:
  - name: app
    group: shop
    monitor: {repo_url: %[1]q, branches: [main], %[3]s}
    deploy: {qa_repo_url: %[1]q, %[3]s, commands: ['echo "commands ran"']}
  - name: web
    group: shop
    monitor: {repo_url: %[2]q, branches: [main, "feat/.*"], %[3]s}
    deploy:
      task:
        name: deploy-it
        params: {branch: "{{branch}}", revision: "{{sha}}", places: [staging, "{{repo}}"]}
        workspaces: {settings: {configMap: {name: web-settings}}}
  - name: docs
    monitor: {repo_url: %[1]q, branches: [main], %[3]s}
    deploy: {pipeline: {name: publish, params: {revision: "{{sha}}"}}}
global: {image: %[4]s, git_image: %[5]s}
`, p.repo.url, web.url, source, env.deployImage, env.gitImage))

	follow := func(name string) string {
		t.Helper()
		return run(t, "", env.sentry, "trigger", name, "--follow", "-c", file, "-n", p.ns)
	}
	p.expect(follow("shop"), "shop", "commands ran", "told: main "+web.git("rev-parse", "HEAD")+" staging web", "hello from the workspace")
	p.expect(follow("docs"), "docs.main", "told: of the pipeline "+p.repo.git("rev-parse", "HEAD"))
	if found := kubectl(t, "-n", p.ns, "get", "taskruns", "-l", "tekton-sentry.dev/repository=web", "-o", "name"); strings.Count(found, "\n") != 1 {
		t.Errorf("TaskRuns of web by their label: %q, want one", found)
	}

	const hostile = "feat/$(context.taskRun.name)"
	watch := func() { _, _ = command(t.Context(), "", env.sentry, "watch", "--once", "-c", file, "-n", p.ns) }
	watch() // the first sight
	before := get[v1.PipelineRunList](t, "-n", p.ns, "pipelineruns").Items
	p.repo.push("main", map[string]string{"pushed": "1"})
	web.push("main", map[string]string{"pushed": "1"})
	web.push(hostile, map[string]string{"pushed": "2"})
	watch()
	var tasks []string
	for _, pr := range get[v1.PipelineRunList](t, "-n", p.ns, "pipelineruns").Items {
		if slices.ContainsFunc(before, func(old v1.PipelineRun) bool { return old.Name == pr.Name }) {
			continue
		}
		awaitEnd(t, p.ns, pr.Name)
		if pr = get[v1.PipelineRun](t, "-n", p.ns, "pipelinerun", pr.Name); !pr.Status.GetCondition(apis.ConditionSucceeded).IsTrue() {
			t.Errorf("%s did not succeed: %s", pr.Name, pr.Status.GetCondition(apis.ConditionSucceeded))
		}
		if pr.Spec.PipelineSpec != nil {
			for _, task := range pr.Spec.PipelineSpec.Tasks {
				tasks = append(tasks, task.Name)
			}
		}
	}
	if !slices.Equal(tasks, []string{"app", "web"}) {
		t.Errorf("deployed %q of the group, want app and web, each its main alone", tasks)
	}
	status := run(t, "", env.sentry, "status", "-o", "json", "-c", file, "-n", p.ns)
	if !strings.Contains(status, "no param of a Task or Pipeline can hold the name of web@"+hostile) {
		t.Errorf("sentry status tells nothing of %s:\n%s", hostile, status)
	}
}

// expect holds the pods of a unit to what they printed.
func (p *podTrial) expect(said, unit string, want ...string) {
	p.t.Helper()
	logs := kubectl(p.t, "-n", p.ns, "logs", "-l", "tekton-sentry.dev/unit="+unit, "--all-containers", "--tail=-1")
	for _, text := range want {
		if !strings.Contains(logs, text) {
			p.t.Errorf("unit %s printed\n%s\nwant %q; trigger --follow said\n%s", unit, logs, text, said)
		}
	}
}
