package e2e

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
)

// TestGlances pushes to a real Gitea under a Sentry whose next cycle is ten minutes away, and which nothing tells of the pushes. Each
// has its run all the same, and how long that took is in the log.
func TestGlances(t *testing.T) {
	t.Parallel()
	const ns, repositories, pushes = "sentry-glances", 5, 10
	giteaCredentials(t)
	namespace(t, ns)
	var apps []*gitRepo
	text := "polling_interval: 600\nrepositories:"
	for i := range repositories {
		app := newRepo(t, fmt.Sprintf("%s-%d", ns, i), map[string]string{"README": "an application"})
		apps = append(apps, app)
		text += soakRepository(fmt.Sprintf("app-%d", i), "", "gitea", app.url, app.url, "true")
	}
	file := filepath.Join(t.TempDir(), "sentry.yaml")
	write(t, file, text+soakGlobal())
	account := (&pollerAccount{t: t, ns: ns, role: pollerRole(t)}).kubeconfig("poller")
	sentry := watch(t, file, ns, account, "--interval", "10m", "-v")
	sentry.awaitSaid("cycle done")
	created := func() int { return len(get[v1.PipelineRunList](t, "-n", ns, "pipelineruns").Items) }
	var took []time.Duration
	for i := range pushes {
		app, before := apps[1+i%(repositories-1)], created()
		app.push("main", map[string]string{"pushed": fmt.Sprint(i)})
		pushed := time.Now()
		await(t, 2*time.Minute, "the run of a push that no cycle sees", func() (bool, string) { return created() > before, sentry.said() })
		took = append(took, time.Since(pushed))
	}
	slices.Sort(took)
	t.Logf("push to PipelineRun by glances every 5 s, %d pushes: median %s, longest %s", pushes, took[pushes/2], took[pushes-1])
}
