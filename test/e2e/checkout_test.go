package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCheckout deploys a private application together with a private QA repository, to which commands push a tag. Nothing
// but the steps that clone has a credential until that is asked for.
func TestCheckout(t *testing.T) {
	t.Parallel()
	p := newPodTrial(t, "sentry-checkout")
	if err := os.Setenv("APP_TOKEN", env.giteaToken); err != nil {
		t.Fatal(err)
	}
	qa := newRepo(t, p.ns+"-qa", map[string]string{"whose": "QA"})
	deploy := func(settings string, commands ...string) (string, bool) {
		t.Helper()
		file := filepath.Join(t.TempDir(), "sentry.yaml")
		write(t, file, fmt.Sprintf(`
repositories:
  - name: web
    monitor: {repo_url: %q, branches: [main], repo_type: gitea, auth: {username: "${GITEA_USERNAME}", token: "${APP_TOKEN}"}}
    deploy:
      qa_repo_url: %q
      repo_type: gitea
      auth: {username: "${GITEA_USERNAME}", token: "${GITEA_TOKEN}"}
      %s
      commands: [%s]
global: {image: %s, git_image: %s}
`, p.repo.url, qa.url, settings, "'"+strings.Join(commands, "', '")+"'", env.deployImage, env.gitImage))
		out, err := command(t.Context(), "", env.sentry, "trigger", "web", "--follow", "-c", file, "-n", p.ns)
		return fmt.Sprint(out, err), err == nil
	}

	if said, ok := deploy("checkout: true", "true"); ok || !strings.Contains(said, "APP_TOKEN") {
		t.Errorf("without the key of the application: succeeded %v, want a failure that names it:\n%s", ok, said)
	}
	kubectl(t, "-n", p.ns, "patch", "secret", "sentry-credentials", "--type=merge", "-p", fmt.Sprintf(`{"stringData":{"APP_TOKEN":%q}}`, env.giteaToken))

	said, ok := deploy("checkout: true",
		`test "$(cat whose) $(cat "$SENTRY_APP_DIR/README")" = "QA an application"`,
		`test "$(git -C "$SENTRY_APP_DIR" rev-parse HEAD)" = "$SENTRY_SHA"`,
		`test -z "$(env | grep -i token)"`,
		`! GIT_TERMINAL_PROMPT=0 git push origin HEAD:refs/tags/never`)
	if !ok {
		t.Errorf("checkout: true:\n%s\n%s", said, p.logs())
	}
	var keys []string // of Secrets, by container
	for _, c := range p.pod().Spec.Containers {
		for _, e := range c.Env {
			if e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil {
				keys = append(keys, c.Name+" "+e.ValueFrom.SecretKeyRef.Key)
			}
		}
	}
	const want = "step-clone GITEA_USERNAME, step-clone GITEA_TOKEN, step-checkout GITEA_USERNAME, step-checkout APP_TOKEN"
	if got := strings.Join(keys, ", "); got != want {
		t.Errorf("the pod has %s, want %s", got, want)
	}

	said, ok = deploy("checkout: true\n      git_credential: true",
		`git push -q origin HEAD:refs/tags/deployed`, `git -C "$SENTRY_APP_DIR" fetch -q --unshallow origin main`,
		`! grep -r "$SENTRY_GIT_TOKEN" "$SENTRY_DIR"`)
	if !ok {
		t.Errorf("git_credential: true:\n%s\n%s", said, p.logs())
	}
	if tags := qa.git("ls-remote", "origin", "refs/tags/*"); !strings.Contains(tags, qa.git("rev-parse", "HEAD")+"\trefs/tags/deployed") || strings.Contains(tags, "never") {
		t.Errorf("the QA repository has the tags %q, want only the one that a command pushed", tags)
	}
	if logs := p.logs(); strings.Contains(logs, env.giteaToken) {
		t.Errorf("the token is in the log:\n%s", strings.ReplaceAll(logs, env.giteaToken, "TOKEN"))
	}
}
