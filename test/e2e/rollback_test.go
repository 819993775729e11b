package e2e

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"

	"github.com/tekton-sentry/sentry/pkg/result"
)

// TestRollback pushes a commit that fails to deploy. Its rollback commands run in the cluster with the last good commit, which stays
// that, and the history says so. A run that is cancelled rolls nothing back.
func TestRollback(t *testing.T) {
	t.Parallel()
	const ns = "sentry-rollback"
	giteaCredentials(t)
	namespace(t, ns)
	app := newRepo(t, ns, map[string]string{"pushed": "first"})
	file := filepath.Join(t.TempDir(), "sentry.yaml")
	write(t, file, fmt.Sprintf(`
repositories:
  - name: app
    monitor: {repo_url: %[1]s, branches: [main], repo_type: gitea, auth: {username: "${GITEA_USERNAME}", token: "${GITEA_TOKEN}"}}
    deploy:
      qa_repo_url: %[1]s
      repo_type: gitea
      auth: {username: "${GITEA_USERNAME}", token: "${GITEA_TOKEN}"}
      checkout: true
      commands:
        - pushed=$(cat "$SENTRY_APP_DIR/pushed")
        - test "$pushed" != hangs || sleep 3600
        - test "$pushed" != bad
      rollback_commands:
        - echo "back from $SENTRY_SHA to $SENTRY_SUCCEEDED_SHA, which was $(cat "$SENTRY_APP_DIR/pushed")"
%[2]s`, app.url, soakGlobal()))
	account := (&pollerAccount{t: t, ns: ns, role: pollerRole(t)}).kubeconfig("poller")
	watch(t, file, ns, account).awaitSaid("cycle done")
	ended := func(n int) result.Result {
		t.Helper()
		var newest result.Result
		await(t, 3*time.Minute, fmt.Sprintf("%d runs in the history", n), func() (bool, string) {
			var answer struct{ Runs []result.Result }
			out, err := command(t.Context(), "", env.sentry, "history", "app", "-o", "json", "-c", file, "-n", ns)
			if err == nil {
				err = json.Unmarshal([]byte(out), &answer)
			}
			if len(answer.Runs) == n {
				newest = answer.Runs[0]
			}
			return len(newest.Members) > 0, fmt.Sprint(out, err) // one that just ended is listed before it is in the history
		})
		return newest
	}

	good := app.push("main", map[string]string{"pushed": "good"})
	if r := ended(1); r.Verdict != result.Succeeded || r.Members[0].Rollback != "" {
		t.Fatalf("the good run is in the history as %+v", r)
	}
	bad := app.push("main", map[string]string{"pushed": "bad"})
	r := ended(2)
	if r.Verdict != result.Failed || r.Members[0].Verdict != result.Failed || r.Members[0].Rollback != result.Succeeded || !strings.HasSuffix(r.Why, "; rolled back") {
		t.Errorf("the bad run is in the history as %+v", r)
	}
	if printed, want := logsOf(t, r.Name, ns), fmt.Sprintf("[sentry-rollback-app : rollback] back from %s to %s, which was good\n", bad, good); !strings.Contains(printed, want) {
		t.Errorf("the run printed\n%s\nwant\n%s", printed, want)
	}

	app.push("main", map[string]string{"pushed": "hangs"})
	var runs []v1.PipelineRun
	await(t, 2*time.Minute, "a deployment that hangs", func() (bool, string) {
		runs = get[v1.PipelineRunList](t, "-n", ns, "pipelineruns", "--sort-by=.metadata.creationTimestamp").Items
		printed := logsNow(t, runs[len(runs)-1].Name, ns)
		return len(runs) == 3 && strings.Contains(printed, "sleep 3600"), printed
	})
	script := runs[2].Spec.PipelineSpec.Tasks[0].TaskSpec.Steps[2].Script
	if want := "export SENTRY_SUCCEEDED_SHA='" + good + "'"; !strings.Contains(script, want) {
		t.Errorf("after a rollback the next run does not say %s:\n%s", want, script)
	}
	run(t, "", env.sentry, "cancel", "app", "-c", file, "-n", ns)
	if r := ended(3); r.Verdict != result.Cancelled || r.Members[0].Rollback != "" {
		t.Errorf("the run that was cancelled is in the history as %+v", r)
	}
	for _, tr := range get[v1.TaskRunList](t, "-n", ns, "taskruns", "-l", "tekton.dev/pipelineRun="+runs[2].Name).Items {
		if task := tr.Labels["tekton.dev/pipelineTask"]; task != "app" {
			t.Errorf("the run that was cancelled ran %s", task)
		}
	}
}

// logsNow returns what the pods of a run have printed so far, as far as they have begun.
func logsNow(t *testing.T, name, ns string) string {
	out, _ := command(t.Context(), "", "kubectl", "-n", ns, "logs", "--all-containers", "-l", "tekton.dev/pipelineRun="+name)
	return out
}
