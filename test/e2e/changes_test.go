package e2e

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"

	"github.com/tekton-sentry/sentry/pkg/pipelinerun"
)

// TestWhatIsAChange has one real repository watched in four ways: two services by their paths, releases by their tags, and all but the commits
// that say that nothing should run.
func TestWhatIsAChange(t *testing.T) {
	t.Parallel()
	const ns = "sentry-changes"
	giteaCredentials(t)
	namespace(t, ns)
	app := newRepo(t, ns, map[string]string{"README": "a monorepo"})
	text := "repositories:"
	for name, what := range map[string]string{
		"api":     "branches: [main], paths: ['services/api/**', '!*.md']",
		"web":     "branches: [main], paths: ['services/web/**', '!*.md']",
		"release": `tags: ['v\d+']`,
		"all":     `branches: [main], ignore: '\[skip ci\]'`,
	} {
		text += strings.Replace(soakRepository(name, "", "gitea", app.url, app.url, "true"), `branches: [main, "dev.*"]`, what, 1)
	}
	file := filepath.Join(t.TempDir(), "sentry.yaml")
	write(t, file, text+soakGlobal())
	account := (&pollerAccount{t: t, ns: ns, role: pollerRole(t)}).kubeconfig("poller")
	sentry := watch(t, file, ns, account)
	sentry.awaitSaid("cycle done")

	var want []string
	// runs waits until the units have run, and once more for each of those named now. A run that should not be is seen then, or at a later step.
	runs := func(what string, units ...string) {
		t.Helper()
		want = append(want, units...)
		slices.Sort(want)
		await(t, 2*time.Minute, "the runs after "+what, func() (bool, string) {
			var got []string
			for _, r := range get[v1.PipelineRunList](t, "-n", ns, "pipelineruns").Items {
				unit, _, _ := strings.Cut(r.Labels[pipelinerun.LabelUnit], "..") // what follows tells tags apart that differ in letters
				got = append(got, unit)
			}
			slices.Sort(got)
			return slices.Equal(got, want), fmt.Sprintf("%q, want %q\n%s", got, want, sentry.said())
		})
	}
	tag := func(name string, args ...string) {
		app.git(append(append([]string{"tag", "--force"}, args...), name)...)
		app.git("push", "--quiet", "--force", "origin", "refs/tags/"+name)
	}
	app.push("main", map[string]string{"services/api/main.go": "1"})
	runs("a commit to one service", "api.main", "all.main")
	app.push("main", map[string]string{"services/web/main.go": "1", "services/api/README.md": "text"})
	runs("a commit to the other service, and a text of the first", "web.main", "all.main")
	app.push("main", map[string]string{"README": "more"})
	runs("a commit to neither", "all.main")
	app.git("commit", "--quiet", "--allow-empty", "-m", "nothing [skip ci]")
	app.git("push", "--quiet", "origin", "HEAD:refs/heads/main")
	sentry.awaitSaid("matches monitor.ignore")
	tag("v1", "--annotate", "--message", "the first release")
	runs("a commit that is ignored, and an annotated tag", "release.tag-v1")
	tag("nightly")
	app.push("main", map[string]string{"services/api/main.go": "2", "services/web/main.go": "2"})
	runs("a tag that does not match, and a commit to both", "api.main", "web.main", "all.main")
	was := app.git("rev-parse", "v1^{commit}")
	tag("v1")
	runs("a tag that moved", "release.tag-v1")
	sentry.awaitSaid("refs/tags/v1=" + was[:7] + "..")
}
