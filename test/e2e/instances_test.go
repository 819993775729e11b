package e2e

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"

	"github.com/tekton-sentry/sentry/pkg/instance"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun"
)

// TestInstances has two Sentrys share a namespace, one of them without a name, and then gives that one a name by the
// commands of docs/configuration.md. Each deploys each commit once.
func TestInstances(t *testing.T) {
	t.Parallel()
	const ns = "sentry-instances"
	giteaCredentials(t)
	namespace(t, ns)
	repository := newRepo(t, "sentry-instances", map[string]string{"README": "an application"})
	file := filepath.Join(t.TempDir(), "sentry.yaml")
	write(t, file, "repositories:\n"+soakRepository("app", "", "gitea", repository.url, repository.url, "true"))
	cycle := func(name string) {
		t.Helper()
		args := []string{"watch", "--once", "-c", file, "-n", ns}
		if name != "" {
			args = append(args, "--instance", name)
		}
		run(t, "", env.sentry, args...)
	}
	// deployed returns the commits of the instance's runs, sorted.
	deployed := func(name string) []string {
		t.Helper()
		selector := "!" + pipelinerun.LabelInstance
		if name != "" {
			selector = pipelinerun.LabelInstance + "=" + name
		}
		var commits []string
		for _, pr := range get[v1.PipelineRunList](t, "-n", ns, "pipelineruns", "-l", selector).Items {
			for _, c := range newRan(t, &pr).trigger.Refs {
				commits = append(commits, string(c.New))
			}
		}
		slices.Sort(commits)
		return commits
	}
	ended := func() {
		t.Helper()
		for _, pr := range get[v1.PipelineRunList](t, "-n", ns, "pipelineruns").Items {
			awaitEnd(t, ns, pr.Name)
		}
	}
	kubectl(t, "-n", ns, "create", "secret", "generic", instance.Instance{Name: "green"}.Key()) // namespace made the other one
	cycle("")
	cycle("green")
	first := repository.push("main", map[string]string{"pushed": "first"})
	cycle("")
	cycle("green")
	for _, name := range []string{"", "green"} {
		if got := deployed(name); !slices.Equal(got, []string{first}) {
			t.Errorf("the Sentry %q deployed %v, want %s", name, got, first)
		}
	}

	script := fmt.Sprintf(`set -e
for o in $(kubectl -n %[1]s get configmap,secret -o name | grep -E '/sentry-(state(-[0-9]+)?|history|key)$'); do
  kubectl -n %[1]s get "$o" -o yaml |
    sed '/^  uid:/d; /^  resourceVersion:/d; s/^  name: sentry-/&blue-/' | kubectl -n %[1]s create -f -
done
kubectl -n %[1]s label pipelineruns -l 'app.kubernetes.io/managed-by=sentry,!app.kubernetes.io/instance' app.kubernetes.io/instance=blue
`, ns)
	run(t, "", "sh", "-c", script)
	cycle("blue")
	second := repository.push("main", map[string]string{"pushed": "second"})
	ended()
	for range 2 {
		cycle("blue")
		cycle("green")
	}
	both := []string{first, second}
	slices.Sort(both)
	for _, name := range []string{"blue", "green"} {
		if got := deployed(name); !slices.Equal(got, both) {
			t.Errorf("the Sentry %q deployed %v, want %v, each once", name, got, both)
		}
	}
	if got := deployed(""); len(got) > 0 {
		t.Errorf("runs without a name are left: %v", got)
	}
	status := run(t, "", env.sentry, "status", "-c", file, "-n", ns, "--instance", "blue")
	if n := strings.Count(status, "app.main"); n < 2 {
		t.Errorf("status --instance blue shows %d runs, want 2:\n%s", n, status)
	}
}
