package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"
	"knative.dev/pkg/apis"

	"github.com/tekton-sentry/sentry/pkg/instance"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun"
)

// The namespaces that the manifests install Sentry into, and that its runs are in.
const (
	home   = "sentry"
	runsIn = "sentry-runs"
)

// pollerOnly is in the poller's Secret alone, as the credentials of the watched repositories are.
const pollerOnly = "canary-of-the-poller"

const qaShow = `#!/bin/sh
for name in REPO PROJECT_NAME GROUP REPO_URL BRANCH SHA PREVIOUS_SHA SUCCEEDED_SHA QA_SHA RUN; do
  eval "printf 'FACT %s=%s\n' $name \"\$SENTRY_$name\""
done
test -z "${SENTRY_GIT_TOKEN:-}" && test -z "${GITEA_TOKEN:-}" && echo "no token in sight"
`

const qaTask = `apiVersion: tekton.dev/v1
kind: Task
metadata: {name: applied-by-a-deployment}
spec:
  steps: [{name: nothing, image: scratch, command: ["true"]}]
`

const deployedConfig = `
repositories:
  - name: app
    monitor:
      repo_url: %[1]s
      branches: [main, "dev.*"]
      repo_type: gitea
      auth: {username: "${GITEA_USERNAME}", token: "${GITEA_TOKEN}"}
    deploy:
      qa_repo_url: %[2]s
      repo_type: gitea
      auth: {username: "${GITEA_USERNAME}", token: "${GITEA_TOKEN}"}
      project_name: shop
      commands:
        - cd ci
        - export GREETING='from one shell'
        - ./show.sh
        - echo "$GREETING, in $(basename "$PWD")"
        - kubectl apply -f task.yaml
  - name: quick
    monitor: {repo_url: %[3]s, branches: [main], repo_type: git, auth: {username: "${GITEA_USERNAME}", token: "${GITEA_TOKEN}"}}
    deploy:
      qa_repo_url: %[2]s
      repo_type: gitea
      auth: {username: "${GITEA_USERNAME}", token: "${GITEA_TOKEN}"}
      commands: ['true']
global:
  image: %[4]s
  git_image: %[5]s
  keep_runs: 100
`

// TestDeployment has Sentry run in the cluster as the manifests install it.
func TestDeployment(t *testing.T) {
	t.Parallel()
	app := newRepo(t, "app", map[string]string{"README": "an application"})
	qa := newRepo(t, "qa", map[string]string{"ci/show.sh": qaShow, "ci/task.yaml": qaTask})
	quick := newRepo(t, "quick", map[string]string{"README": "another"})
	config := fmt.Sprintf(deployedConfig, app.url, qa.url, quick.url, env.deployImage, env.gitImage)
	installSentry(t, config)
	awaitRemembered(t, "app", "quick")
	first := app.git("rev-parse", "HEAD")

	for _, branch := range []string{"main", "dev-x", "dev-$(HOME)'`date`"} {
		t.Run("push to "+branch, func(t *testing.T) {
			sha := app.push(branch, map[string]string{"change": branch})
			pr := awaitRun(t, "app", sha)
			if !pr.IsSuccessful() {
				t.Fatalf("run %s: %+v\n%s", pr.Name, pr.Status.GetCondition(apis.ConditionSucceeded), kubectl(t, "-n", runsIn, "get", "events"))
			}
			previous := ""
			if branch == "main" {
				previous = first
			}
			checkLogs(t, pr.Name, []string{
				"FACT REPO=app", "FACT PROJECT_NAME=shop", "FACT GROUP=", "FACT REPO_URL=" + app.url, "FACT BRANCH=" + branch,
				"FACT SHA=" + sha, "FACT PREVIOUS_SHA=" + previous, "FACT QA_SHA=" + qa.git("rev-parse", "HEAD"), "FACT RUN=" + pr.Name,
				"no token in sight", "from one shell, in ci", "applied-by-a-deployment",
			})
		})
	}
	t.Run("the token is replaced", func(t *testing.T) { checkTokenReplaced(t, quick) })
	t.Run("the configuration changes", func(t *testing.T) { checkReload(t, config, qa.url) })
	t.Run("no token anywhere", func(t *testing.T) { checkNoToken(t) })
	t.Run("killed in the middle", func(t *testing.T) { checkKilled(t, quick) })
	t.Run("status", func(t *testing.T) {
		out := run(t, "", env.sentry, "status", "-n", home, "--run-namespace", runsIn)
		for _, want := range []string{"app", "dev-x", "quick", "Succeeded"} {
			if !strings.Contains(out, want) {
				t.Errorf("sentry status does not tell %q:\n%s", want, out)
			}
		}
	})
}

// installation is held by the test whose Sentry is in the manifests' namespaces, one at a time.
var installation sync.Mutex

// installSentry applies the manifests with our image, configuration and a shorter interval.
func installSentry(t *testing.T, config string) {
	t.Helper()
	clearInstallation(t)
	kubectl(t, "apply", "-k", kustomized(t, config))
	createCredentials(t)
	kubectl(t, "-n", home, "rollout", "restart", "deployment/sentry")
	kubectl(t, "-n", home, "rollout", "status", "deployment/sentry", "--timeout=120s")
}

// clearInstallation holds the manifests' namespaces for the test, and empties them.
func clearInstallation(t *testing.T) {
	t.Helper()
	installation.Lock()
	t.Cleanup(installation.Unlock)
	run(t, "", "kubectl", "delete", "namespace", home, runsIn, "--ignore-not-found", "--wait")
	t.Cleanup(func() {
		if t.Failed() {
			// The test's own context is over.
			log, err := command(context.Background(), "", "kubectl", "-n", home, "logs", "deployment/sentry", "--tail=100")
			t.Logf("Sentry's log: %v\n%s", err, log)
		}
	})
}

// kustomized returns a folder with an overlay over the manifests and these components of them.
func kustomized(t *testing.T, config string, components ...string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "base"), os.DirFS("../../manifests")); err != nil {
		t.Fatal(err)
	}
	colon := strings.LastIndex(env.image, ":")
	name, tag := env.image[:colon], env.image[colon+1:]
	for i, c := range components {
		components[i] = "base/" + c
	}
	write(t, filepath.Join(dir, "base", "sentry.yaml"), config)
	write(t, filepath.Join(dir, "kustomization.yaml"), fmt.Sprintf(`
resources: [base]
components: [%s]
images: [{name: ghcr.io/tekton-sentry/sentry, newName: %s, newTag: %q}]
patches:
  - target: {kind: Deployment, name: sentry}
    patch: |
      - {op: add, path: /spec/template/spec/containers/0/args/-, value: --interval=2s}
`, strings.Join(components, ", "), name, tag))
	return dir
}

// createCredentials makes the Secrets that the configurations of these tests name.
func createCredentials(t *testing.T) {
	t.Helper()
	for _, ns := range []string{home, runsIn} {
		secret := []string{"-n", ns, "create", "secret", "generic", "sentry-credentials", "--from-literal=GITEA_USERNAME=" + env.giteaUser, "--from-literal=GITEA_TOKEN=" + env.giteaToken}
		if ns == home {
			secret = append(secret, "--from-literal=POLLER_ONLY="+pollerOnly)
		}
		kubectl(t, secret...)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// awaitRemembered returns when the state holds the repositories' heads.
func awaitRemembered(t *testing.T, repositories ...string) {
	t.Helper()
	await(t, time.Minute, "the first look at the repositories", func() (bool, string) {
		out, err := command(t.Context(), "", "kubectl", "-n", home, "get", "configmap", instance.Instance{}.State(), "-o", "jsonpath={.data}")
		if err != nil {
			return false, err.Error()
		}
		for _, name := range repositories {
			if !strings.Contains(out, name) {
				return false, out
			}
		}
		return true, ""
	})
}

// runsOf returns the PipelineRuns that the repository's commit triggered.
func runsOf(t *testing.T, repository, sha string) []v1.PipelineRun {
	t.Helper()
	var runs []v1.PipelineRun
	for _, pr := range get[v1.PipelineRunList](t, "-n", runsIn, "pipelineruns", "-l", "app.kubernetes.io/managed-by=sentry").Items {
		trigger, err := pipelinerun.TriggerOf(&pr)
		if err != nil {
			t.Fatalf("%s: %v", pr.Name, err)
		}
		for _, c := range trigger.Refs {
			if c.Repository == repository && string(c.New) == sha {
				runs = append(runs, pr)
			}
		}
	}
	return runs
}

// awaitRun returns the one run of the commit when it has ended.
func awaitRun(t *testing.T, repository, sha string) v1.PipelineRun {
	t.Helper()
	var done v1.PipelineRun
	await(t, 3*time.Minute, "a finished run of "+repository+" at "+sha, func() (bool, string) {
		runs := runsOf(t, repository, sha)
		if len(runs) > 1 {
			t.Fatalf("%d runs of %s at %s, want one", len(runs), repository, sha)
		}
		if len(runs) == 0 {
			return false, "no run"
		}
		done = runs[0]
		return done.IsDone(), fmt.Sprint(done.Status.GetCondition(apis.ConditionSucceeded))
	})
	return done
}

// checkLogs has tkn print the run's logs, which must hold the texts in their order.
func checkLogs(t *testing.T, name string, want []string) {
	t.Helper()
	logs := run(t, "", "tkn", "pipelinerun", "logs", name, "-n", runsIn)
	rest := logs
	for _, text := range want {
		i := strings.Index(rest, text+"\n")
		if i < 0 {
			i = strings.Index(rest, text)
		}
		if i < 0 {
			t.Errorf("tkn pipelinerun logs %s: %q is not there, or not in order:\n%s", name, text, logs)
			return
		}
		rest = rest[i+len(text):]
	}
}

// checkNoToken looks for the token in everything that people other than the Secret's readers can read.
func checkNoToken(t *testing.T) {
	everything := ""
	for _, ns := range []string{home, runsIn} {
		everything += kubectl(t, "-n", ns, "get", "pipelineruns,taskruns,pods,configmaps,deployments,events", "-o", "yaml")
	}
	everything += kubectl(t, "-n", home, "logs", "deployment/sentry", "--tail=-1")
	for _, pod := range get[corev1.PodList](t, "-n", runsIn, "pods", "-l", "tekton.dev/pipelineRun").Items {
		everything += kubectl(t, "-n", runsIn, "logs", pod.Name, "--all-containers")
	}
	if len(everything) < 10_000 {
		t.Fatalf("only %d bytes to look at; is this the right namespace?", len(everything))
	}
	key := get[corev1.Secret](t, "-n", home, "secret", instance.Instance{}.Key()).Data["key.json"]
	var stored struct{ Secret string }
	if err := json.Unmarshal(key, &stored); err != nil || len(stored.Secret) < 64 {
		t.Fatalf("Secret %s holds no key: %v", instance.Instance{}.Key(), err)
	}
	for i, line := range strings.Split(everything, "\n") {
		for what, secret := range map[string]string{"token": env.giteaToken, "poller's own secret": pollerOnly, "key": stored.Secret} {
			if strings.Contains(line, secret) {
				t.Errorf("line %d holds the %s: %s", i, what, strings.ReplaceAll(line, secret, "…"))
			}
		}
	}
}

// checkKilled kills Sentry's pod around each of several pushes: each commit must get exactly one run.
func checkKilled(t *testing.T, quick *gitRepo) {
	var shas []string
	for i := range 6 {
		sha := quick.push("main", map[string]string{"n": fmt.Sprint(i)})
		shas = append(shas, sha)
		// Three kills come at once, before Sentry has seen the push or while it works on it; three come as
		// soon as the run exists, when it may not be remembered yet.
		if i%2 == 1 {
			await(t, time.Minute, "a run", func() (bool, string) { return len(runsOf(t, "quick", sha)) > 0, "none" })
		}
		kubectl(t, "-n", home, "delete", "pod", "-l", "app.kubernetes.io/name=sentry", "--grace-period=0", "--force")
		awaitRun(t, "quick", sha)
	}
	kubectl(t, "-n", home, "rollout", "status", "deployment/sentry", "--timeout=120s")
	for _, sha := range shas {
		if n := len(runsOf(t, "quick", sha)); n != 1 {
			t.Errorf("commit %s has %d runs, want 1", sha, n)
		}
	}
	await(t, time.Minute, "the last commit to be remembered", func() (bool, string) {
		out := kubectl(t, "-n", home, "get", "configmap", instance.Instance{}.State(), "-o", "jsonpath={.data}")
		return strings.Contains(out, shas[len(shas)-1]), out
	})
}
