package e2e

import (
	"context"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/engine/tekton"
	"github.com/tekton-sentry/sentry/pkg/instance"
	"github.com/tekton-sentry/sentry/pkg/kube"
	"github.com/tekton-sentry/sentry/test/scenarios"
)

var createdLine = regexp.MustCompile(`(?m)^pipelinerun\.tekton\.dev/(\S+) created$`)

// TestScenarios runs the table that also drives the local engine, by `sentry trigger` on real Tekton.
func TestScenarios(t *testing.T) {
	t.Parallel()
	const ns = "sentry-scenarios"
	namespace(t, ns)
	app := newRepo(t, "scenario-app", map[string]string{"README": "an application"})
	qa := newRepo(t, "scenario-qa", map[string]string{"README": "nothing to see"})
	cluster, err := kube.Connect(kube.Options{Kubeconfig: env.kubeconfig, Namespace: ns, UserAgent: "sentry-e2e"})
	if err != nil {
		t.Fatal(err)
	}
	runs := tekton.New(cluster, "", instance.Instance{})
	giteaCredentials(t)
	place := scenarios.Place{
		RepoURL: func(string) string { return app.url }, QAURL: qa.url, Type: "gitea",
		Username: "${GITEA_USERNAME}", Token: "${GITEA_TOKEN}", Slack: 30,
		Global: map[string]any{"image": env.deployImage, "git_image": env.gitImage}, Modules: t.TempDir(),
	}
	limit := make(chan struct{}, 3) // runs at a time: more would make a small machine's pods overlap too little
	t.Run("group", func(t *testing.T) {
		for _, c := range scenarios.Cases() {
			t.Run(c.Name, func(t *testing.T) {
				t.Parallel()
				limit <- struct{}{}
				defer func() { <-limit }()
				file := filepath.Join(t.TempDir(), "sentry.yaml")
				write(t, file, string(c.Config(place)))
				out := run(t, "", env.sentry, "trigger", "--all", "-c", file, "-n", ns)
				match := createdLine.FindStringSubmatch(out)
				if match == nil {
					t.Fatalf("sentry trigger says no name:\n%s", out)
				}
				ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
				defer cancel()
				outcome, err := runs.Follow(ctx, match[1], func(engine.Outcome) {})
				if err != nil {
					t.Fatalf("%v\nlast seen: %+v", err, outcome)
				}
				if err := c.Check(outcome); err != nil {
					t.Errorf("%v\noutcome: %+v\n%s", err, outcome, logsOf(t, match[1], ns))
				}
			})
		}
	})
}

func logsOf(t *testing.T, name, ns string) string {
	out, _ := exec.CommandContext(t.Context(), "tkn", "pipelinerun", "logs", name, "-n", ns).CombinedOutput()
	return string(out)
}

// TestTriggerFollows checks the exit codes and the progress of `trigger --follow`.
func TestTriggerFollows(t *testing.T) {
	t.Parallel()
	const ns = "sentry-follow"
	namespace(t, ns)
	app := newRepo(t, "follow-app", map[string]string{"README": "an application"})
	giteaCredentials(t)
	for name, c := range map[string]struct{ command, want string }{
		"good": {"true", ""},
		"bad":  {"exit 7", "exit status 1"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "sentry.yaml")
			write(t, file, `
repositories:
  - name: `+name+`
    monitor: {repo_url: `+app.url+`, branches: [main], repo_type: git, auth: {username: "${GITEA_USERNAME}", token: "${GITEA_TOKEN}"}}
    deploy:
      qa_repo_url: `+app.url+`
      repo_type: gitea
      auth: {username: "${GITEA_USERNAME}", token: "${GITEA_TOKEN}"}
      commands: [`+c.command+`]
global: {image: `+env.deployImage+`, git_image: `+env.gitImage+`}
`)
			out, err := command(t.Context(), "", env.sentry, "trigger", name, "--follow", "-c", file, "-n", ns)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("sentry trigger --follow: error %v, want %q", err, c.want)
			}
			for _, text := range []string{"created", "tkn pipelinerun logs -f " + name, "[" + name + "] "} {
				if !strings.Contains(out, text) {
					t.Errorf("its output lacks %q:\n%s", text, out)
				}
			}
		})
	}
}
