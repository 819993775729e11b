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

// TestEndsAreTold kills a Sentry while a run of two members works, of which the first fails. The next Sentry tells how it
// ended, the one after that does not tell it again.
func TestEndsAreTold(t *testing.T) {
	t.Parallel()
	const ns = "sentry-ends"
	giteaCredentials(t)
	namespace(t, ns)
	repository := newRepo(t, ns, map[string]string{"README": "an application"})
	file := filepath.Join(t.TempDir(), "sentry.yaml")
	write(t, file, "groups: {shop: {execution_strategy: sequential}}\nrepositories:"+
		soakRepository("web", "shop", "gitea", repository.url, repository.url, "sleep 5; exit 3")+
		soakRepository("mail", "shop", "gitea", repository.url, repository.url, "true")+soakGlobal())
	account := (&pollerAccount{t: t, ns: ns, role: pollerRole(t)}).kubeconfig("poller")
	const end = "[verdict=failed] [failed=web] [skipped=mail] [why="

	sentry := watch(t, file, ns, account)
	sentry.awaitSaid("first seen")
	repository.push("main", map[string]string{"pushed": "first"})
	sentry.awaitSaid("created pipeline run")
	sentry.kill()
	first := get[v1.PipelineRunList](t, "-n", ns, "pipelineruns").Items[0].Name
	awaitEnd(t, ns, first)
	if strings.Contains(sentry.said(), end) {
		t.Fatalf("the end was told before it came:\n%s", sentry.said())
	}

	sentry.start()
	sentry.awaitSaid("[run=" + first + "] " + end)
	if !strings.Contains(sentry.said(), `[why=web: command 1 of 1 failed with exit code 3: sleep 5; exit 3]`) {
		t.Errorf("the log does not say why the member failed:\n%s", sentry.said())
	}
	await(t, time.Minute, "the mark on the run", func() (bool, string) {
		mark := get[v1.PipelineRun](t, "-n", ns, "pipelinerun", first).Annotations["tekton-sentry.dev/told"]
		return mark == first, mark
	})
	sentry.kill()
	if said := kubectl(t, "-n", ns, "get", "events", "--field-selector", "source=sentry", "-o", "jsonpath={.items[*].reason} {.items[*].message}"); !strings.HasPrefix(said, "Failed failed: web: command 1 of 1") {
		t.Errorf("the Events say %q, want one that the run failed, and why", said)
	}
	var past struct{ Runs []result.Result }
	text := kubectl(t, "-n", ns, "get", "configmap", "sentry-history", "-o", `jsonpath={.data.history\.json}`)
	if err := json.Unmarshal([]byte(text), &past); err != nil || len(past.Runs) != 1 || len(past.Runs[0].Members) != 2 {
		t.Fatalf("the history is %s, %v, want the run with its members", text, err)
	}
	web, mail := past.Runs[0].Members[0], past.Runs[0].Members[1]
	if web.Verdict != result.Failed || web.Exit != 3 || web.SHA == "" || web.QA == "" || len(web.Output) < 2 {
		t.Errorf("the history has of the member that failed %+v", web)
	}
	if mail.Verdict != result.Skipped || mail.Why != "web, for which it waits, failed" {
		t.Errorf("the history has of the member that was skipped %+v", mail)
	}

	sentry.start()
	repository.push("main", map[string]string{"pushed": "second"})
	await(t, 2*time.Minute, "the end of the second run to be told", func() (bool, string) { return strings.Count(sentry.said(), end) == 2, sentry.said() })
	if n := strings.Count(sentry.said(), fmt.Sprintf("[run=%s] %s", first, end)); n != 1 {
		t.Errorf("the end of the first run was told %d times, want once:\n%s", n, sentry.said())
	}
}
