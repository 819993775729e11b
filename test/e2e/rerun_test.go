package e2e

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"

	"github.com/tekton-sentry/sentry/pkg/result"
)

// TestRunAgain has two of a group of five fail. `rerun --failed` runs exactly those two at the same commits, although a newer one
// was pushed, and `rollback` brings back what the last good run deployed.
func TestRunAgain(t *testing.T) {
	t.Parallel()
	const ns = "sentry-again"
	giteaCredentials(t)
	namespace(t, ns)
	app := newRepo(t, ns, map[string]string{"README": "an application"})
	file := filepath.Join(t.TempDir(), "sentry.yaml")
	text := "groups: {shop: {execution_strategy: parallel}}\nrepositories:"
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		// What is deployed of b and d is refused while a ConfigMap says so.
		text += fmt.Sprintf(`
  - name: %[1]s
    group: shop
    monitor: {repo_url: %[2]s, branches: [main], repo_type: gitea, auth: {username: "${GITEA_USERNAME}", token: "${GITEA_TOKEN}"}}
    deploy:
      qa_repo_url: %[2]s
      repo_type: gitea
      auth: {username: "${GITEA_USERNAME}", token: "${GITEA_TOKEN}"}
      config_maps: [{name: broken-%[1]s, optional: true}]
      commands: ['test -z "$BROKEN"']
`, name, app.url)
	}
	write(t, file, text+soakGlobal())
	account := (&pollerAccount{t: t, ns: ns, role: pollerRole(t)}).kubeconfig("poller")
	sentry := watch(t, file, ns, account)
	sentry.awaitSaid("cycle done")
	past := func(n int) []result.Result {
		t.Helper()
		var all []result.Result
		await(t, 3*time.Minute, fmt.Sprintf("%d runs in the history", n), func() (bool, string) {
			var answer struct{ Runs []result.Result }
			out, err := command(t.Context(), "", env.sentry, "history", "shop", "-o", "json", "-c", file, "-n", ns)
			if err == nil {
				err = json.Unmarshal([]byte(out), &answer)
			}
			all = answer.Runs
			return len(all) >= n && len(all[0].Members) > 0, fmt.Sprint(out, err) // one that just ended is listed before it is in the history
		})
		return all
	}
	again := func(args ...string) v1.PipelineRun {
		t.Helper()
		before := get[v1.PipelineRunList](t, "-n", ns, "pipelineruns").Items
		args = append(args, "--follow", "-c", file, "-n", ns)
		if out, err := command(t.Context(), "", env.sentry, args...); err != nil {
			t.Fatalf("sentry %v: %v\n%s", args, err, out)
		}
		for _, pr := range get[v1.PipelineRunList](t, "-n", ns, "pipelineruns").Items {
			if !slices.ContainsFunc(before, func(b v1.PipelineRun) bool { return b.Name == pr.Name }) {
				return pr
			}
		}
		t.Fatalf("sentry %v made no run", args)
		return v1.PipelineRun{}
	}
	deployed := func(pr v1.PipelineRun) string {
		var members []string
		for _, task := range pr.Spec.PipelineSpec.Tasks {
			script := task.TaskSpec.Steps[len(task.TaskSpec.Steps)-1].Script
			_, sha, _ := strings.Cut(script, "export SENTRY_SHA='")
			members = append(members, task.Name+" "+sha[:40])
		}
		return strings.Join(members, ", ")
	}
	all := func(sha string) string {
		return fmt.Sprintf("a %[1]s, b %[1]s, c %[1]s, d %[1]s, e %[1]s", sha)
	}

	good := app.push("main", map[string]string{"pushed": "good"})
	past(1)
	for _, name := range []string{"b", "d"} {
		kubectl(t, "-n", ns, "create", "configmap", "broken-"+name, "--from-literal=BROKEN="+name)
	}
	bad := app.push("main", map[string]string{"pushed": "bad"})
	if r := past(2)[0]; r.Verdict != result.Failed || fmt.Sprint(r.Tasks(result.Failed)) != "[b d]" {
		t.Fatalf("the run with two that fail is in the history as %+v", r)
	}
	kubectl(t, "-n", ns, "delete", "configmap", "broken-b", "broken-d")
	if got, want := deployed(again("rerun", "shop", "--failed")), fmt.Sprintf("b %[1]s, d %[1]s", bad); got != want {
		t.Errorf("rerun --failed deployed %s, want %s", got, want)
	}
	// Who had it done is what the API server says, in the history and in the log of the Sentry that watches.
	who := strings.TrimSpace(kubectl(t, "auth", "whoami", "-o", "jsonpath={.status.userInfo.username}"))
	if by := past(3)[0].By; by.Cause != "rerun" || by.Who != who || who == "" {
		t.Errorf("the history says that the run was made by %+v, want a rerun of %s", by, who)
	}
	sentry.awaitSaid("[by=rerun] [who=" + who + "]")
	if got := deployed(again("rollback", "shop", "--yes")); got != all(good) {
		t.Errorf("rollback deployed %s, want %s", got, all(good))
	}
	// What a person deploys counts as deployed: the commands of the next push are told.
	past(4)
	app.push("main", map[string]string{"pushed": "next"})
	past(5)
	next := get[v1.PipelineRunList](t, "-n", ns, "pipelineruns", "--sort-by=.metadata.creationTimestamp").Items
	script := next[len(next)-1].Spec.PipelineSpec.Tasks[0].TaskSpec.Steps[1].Script
	for _, want := range []string{"export SENTRY_PREVIOUS_SHA='" + bad + "'", "export SENTRY_SUCCEEDED_SHA='" + good + "'"} {
		if !strings.Contains(script, want) {
			t.Errorf("the next run does not say %s:\n%s", want, script)
		}
	}
}
