package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// podTrial is a namespace whose runs' pods have to fit, and a repository that is deployed there.
type podTrial struct {
	t    *testing.T
	ns   string
	repo *gitRepo
}

func newPodTrial(t *testing.T, ns string) *podTrial {
	t.Helper()
	namespace(t, ns)
	giteaCredentials(t)
	return &podTrial{t, ns, newRepo(t, ns, map[string]string{"README": "an application"})}
}

// file writes a configuration with these `pod` and deployment settings.
func (p *podTrial) file(pod, deploy string) string {
	p.t.Helper()
	file := filepath.Join(p.t.TempDir(), "sentry.yaml")
	write(p.t, file, fmt.Sprintf(`
repositories:
  - name: web
    monitor: {repo_url: %[1]q, branches: [main], repo_type: gitea, auth: {username: "${GITEA_USERNAME}", token: "${GITEA_TOKEN}"}}
    deploy:
      qa_repo_url: %[1]q
      repo_type: gitea
      auth: {username: "${GITEA_USERNAME}", token: "${GITEA_TOKEN}"}
      %[3]s
global: {image: %[4]s, git_image: %[5]s, pod: %[2]s}
`, p.repo.url, pod, deploy, env.deployImage, env.gitImage))
	return file
}

// deploy triggers a run, follows it to its end, and returns what that said and whether it succeeded.
func (p *podTrial) deploy(pod, deploy string) (said string, ok bool) {
	p.t.Helper()
	out, err := command(p.t.Context(), "", env.sentry, "trigger", "web", "--follow", "-c", p.file(pod, deploy), "-n", p.ns)
	return fmt.Sprint(out, err), err == nil
}

// pod returns the pod of the newest run.
func (p *podTrial) pod() corev1.Pod {
	p.t.Helper()
	pods := get[corev1.PodList](p.t, "-n", p.ns, "pods", "--sort-by=.metadata.creationTimestamp").Items
	if len(pods) == 0 {
		p.t.Fatalf("there is no pod in %s", p.ns)
	}
	return pods[len(pods)-1]
}

// quota makes a ResourceQuota, and waits until it counts.
func (p *podTrial) quota(name, hard string) {
	p.t.Helper()
	kubectl(p.t, "-n", p.ns, "create", "quota", name, "--hard="+hard)
	await(p.t, time.Minute, "the quota counts", func() (bool, string) {
		used := kubectl(p.t, "-n", p.ns, "get", "quota", name, "-o", "jsonpath={.status.used}")
		return used != "", used
	})
}

// logs returns what the containers of the newest pod wrote.
func (p *podTrial) logs() string {
	p.t.Helper()
	return kubectl(p.t, "-n", p.ns, "logs", p.pod().Name, "--all-containers")
}

const commandsTrue = `commands: ["true"]`

// TestQuotaOnResources deploys where a quota bounds CPU and memory: each container has to say its share.
func TestQuotaOnResources(t *testing.T) {
	t.Parallel()
	p := newPodTrial(t, "sentry-pods-quota")
	p.quota("compute", "requests.cpu=2,requests.memory=2Gi,limits.cpu=4,limits.memory=4Gi")
	if said, ok := p.deploy("{}", commandsTrue); ok || !strings.Contains(said, "must specify limits") {
		t.Errorf("a pod without resources under a quota: succeeded %v, want a failure that names what the quota wants:\n%s", ok, said)
	}
	apply(t, fmt.Sprintf(`
apiVersion: v1
kind: LimitRange
metadata: {name: defaults, namespace: %s}
spec:
  limits:
    - type: Container
      defaultRequest: {cpu: 10m, memory: 32Mi}
      default: {cpu: 500m, memory: 128Mi}
`, p.ns))
	const resources = `{resources: {clone: {requests: {cpu: 20m, memory: 48Mi}}, deploy: {limits: {memory: 200Mi}}}}`
	if said, ok := p.deploy(resources, commandsTrue); !ok {
		t.Fatalf("a pod that says its share failed:\n%s", said)
	}
	got := map[string]corev1.ResourceRequirements{}
	for _, c := range p.pod().Spec.Containers {
		got[c.Name] = c.Resources
	}
	requests, limits := got["step-clone"].Requests, got["step-deploy"].Limits
	if requests.Memory().String() != "48Mi" || limits.Memory().String() != "200Mi" {
		t.Errorf("the steps ask for %+v of memory, want what the file says", got)
	}
}

// TestQuotaOnPods follows a run whose pod waits for a quota: it is told why, and goes on when there is room.
func TestQuotaOnPods(t *testing.T) {
	t.Parallel()
	p := newPodTrial(t, "sentry-pods-throttle")
	p.quota("team", "pods=0")
	out := filepath.Join(t.TempDir(), "out")
	log, err := os.Create(out)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	follow := exec.CommandContext(t.Context(), env.sentry, "trigger", "web", "--follow", "-c", p.file("{}", commandsTrue), "-n", p.ns)
	follow.Stdout, follow.Stderr = log, log
	if err := follow.Start(); err != nil {
		t.Fatal(err)
	}
	await(t, time.Minute, "people are told what the run waits for", func() (bool, string) {
		text, err := os.ReadFile(out)
		return strings.Contains(string(text), "waits: ExceededResourceQuota"), fmt.Sprint(string(text), err)
	})
	kubectl(t, "-n", p.ns, "delete", "quota", "team")
	if err := follow.Wait(); err != nil {
		text, _ := os.ReadFile(out)
		t.Errorf("once there is room: %v\n%s", err, text)
	}
}

// TestNodesAndSecretsOfPods shows that the pod asks for its node and for the Secret of its images.
func TestNodesAndSecretsOfPods(t *testing.T) {
	t.Parallel()
	p := newPodTrial(t, "sentry-pods-nodes")
	kubectl(t, "-n", p.ns, "create", "secret", "docker-registry", "registry", "--docker-server=registry.example.com", "--docker-username=a", "--docker-password=b")
	const good = `{node_selector: {kubernetes.io/os: linux}, image_pull_secrets: [registry], annotations: {example.com/team: web}}`
	if said, ok := p.deploy(good, commandsTrue); !ok {
		t.Fatalf("a pod whose node there is failed:\n%s", said)
	}
	pod := p.pod()
	if s := pod.Spec; s.NodeSelector["kubernetes.io/os"] != "linux" || len(s.ImagePullSecrets) != 1 || s.ImagePullSecrets[0].Name != "registry" || pod.Annotations["example.com/team"] != "web" {
		t.Errorf("the pod has the node selector %v, the secrets %v and the annotations %v", s.NodeSelector, s.ImagePullSecrets, pod.Annotations)
	}
	said, ok := p.deploy(`{node_selector: {pool: none}}`, "timeout: 15\n      "+commandsTrue)
	if ok || !strings.Contains(said, "didn't match Pod's node affinity/selector") || !strings.Contains(said, "TimedOut") {
		t.Errorf("a pod without a node: succeeded %v, want that it waits for one until its timeout:\n%s", ok, said)
	}
}

// TestCredentialsOfTheServiceAccount has commands use a Git credential that a cluster keeps in the usual way of Tekton:
// a Secret that is annotated for it, at the ServiceAccount of the deployments.
func TestCredentialsOfTheServiceAccount(t *testing.T) {
	t.Parallel()
	p := newPodTrial(t, "sentry-pods-home")
	kubectl(t, "-n", p.ns, "create", "secret", "generic", "tekton-git", "--type=kubernetes.io/basic-auth",
		"--from-literal=username="+env.giteaUser, "--from-literal=password="+env.giteaToken)
	kubectl(t, "-n", p.ns, "annotate", "secret", "tekton-git", "tekton.dev/git-0="+env.giteaURL)
	kubectl(t, "-n", p.ns, "patch", "serviceaccount", "sentry-deployer", "-p", `{"secrets":[{"name":"tekton-git"}]}`)
	if said, ok := p.deploy("{}", fmt.Sprintf("image: %s\n      commands: [git ls-remote %s refs/heads/main]", env.gitImage, p.repo.url)); !ok {
		t.Errorf("commands that have a credential by Tekton's annotation failed:\n%s\n%s", said, p.logs())
	}
}
