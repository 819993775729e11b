package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"

	"github.com/tekton-sentry/sentry/pkg/instance"
)

// installedConfig watches one repository, and deploys with the given lines of `global`.
const installedConfig = `
repositories:
  - name: quick
    monitor: {repo_url: %[1]s, branches: [main], repo_type: git, auth: {username: "${GITEA_USERNAME}", token: "${GITEA_TOKEN}"}}
    deploy: {qa_repo_url: %[1]s, repo_type: git, auth: {username: "${GITEA_USERNAME}", token: "${GITEA_TOKEN}"}, commands: ['true']}
global:
%[2]s
`

// testImages are the lines of `global` that name the images of the tests.
func testImages() string {
	return fmt.Sprintf("  image: %s\n  git_image: %s\n", env.deployImage, env.gitImage)
}

// makeNamespaces makes the namespaces of an installation that does not make them itself, and their Secrets.
func makeNamespaces(t *testing.T) {
	t.Helper()
	for _, ns := range []string{home, runsIn} {
		kubectl(t, "create", "namespace", ns)
		kubectl(t, "label", "namespace", ns, "pod-security.kubernetes.io/enforce=restricted")
	}
	createCredentials(t)
}

func rolledOut(t *testing.T) {
	t.Helper()
	kubectl(t, "-n", home, "rollout", "status", "deployment/sentry", "--timeout=120s")
}

// deploysOnce pushes, and wants one successful run of the commit. It returns the commit.
func deploysOnce(t *testing.T, repo *gitRepo, what string) string {
	t.Helper()
	sha := repo.push("main", map[string]string{"change": what})
	if pr := awaitRun(t, "quick", sha); !pr.IsSuccessful() {
		t.Fatalf("%s: run %s: %+v\n%s", what, pr.Name, pr.Status.Conditions, kubectl(t, "-n", runsIn, "get", "events"))
	}
	return sha
}

// epoch tells one state from another that began anew.
func epoch(t *testing.T) string {
	t.Helper()
	data := fmt.Sprint(get[corev1.ConfigMap](t, "-n", home, "configmap", instance.Instance{}.State()).Data)
	found := regexp.MustCompile(`"epoch": *"([^"]+)"`).FindStringSubmatch(data)
	if found == nil {
		t.Fatalf("the state has no epoch: %s", data)
	}
	return found[1]
}

// TestHelm installs the chart, has it grow to three replicas, goes back, removes and installs it again. Each commit gets one run.
func TestHelm(t *testing.T) {
	t.Parallel()
	helm, err := filepath.Abs("../../bin/helm")
	if err != nil {
		t.Fatal(err)
	}
	quick := newRepo(t, "helm-quick", map[string]string{"README": "an application"})
	clearInstallation(t)
	kubectl(t, "delete", "clusterrole", "sentry-deployer", "--ignore-not-found")
	t.Cleanup(func() {
		_, _ = command(context.Background(), "", "kubectl", "delete", "clusterrole", "sentry-deployer", "--ignore-not-found")
	})
	config := filepath.Join(t.TempDir(), "sentry.yaml")
	write(t, config, fmt.Sprintf(installedConfig, quick.url, testImages()))
	colon := strings.LastIndex(env.image, ":")
	chart := func(args ...string) {
		t.Helper()
		run(t, "", helm, append(args, "--namespace", home)...)
	}
	values := []string{"sentry", "../../charts/sentry", "--create-namespace", "--set-file", "config=" + config,
		"--set", "image.repository=" + env.image[:colon] + ",image.tag=" + env.image[colon+1:], "--set", "extraEnv[0].name=SENTRY_INTERVAL,extraEnv[0].value=2s"}
	chart(append([]string{"install"}, values...)...)
	createCredentials(t)
	kubectl(t, "-n", home, "rollout", "restart", "deployment/sentry")
	rolledOut(t)
	awaitRemembered(t, "quick")
	began := epoch(t)
	key := func() string {
		return fmt.Sprint(get[corev1.Secret](t, "-n", home, "secret", instance.Instance{}.Key()).Data)
	}
	made := key()
	commits := []string{deploysOnce(t, quick, "installed")}

	chart(append([]string{"upgrade", "--force"}, values...)...) // replaces each object
	if key() != made {
		t.Error("the key changed by an upgrade that replaces")
	}
	chart(append([]string{"upgrade", "--set", "replicas=3"}, values...)...)
	rolledOut(t)
	commits = append(commits, deploysOnce(t, quick, "three replicas"))
	if leases := kubectl(t, "-n", home, "get", "leases", "-o", "name"); strings.Count(leases, "lease.") != 3 {
		t.Errorf("the Leases of three replicas are %q", leases)
	}

	chart("rollback", "sentry", "1") // to before there was a key
	rolledOut(t)
	if key() != made {
		t.Error("the key changed by a rollback")
	}
	commits = append(commits, deploysOnce(t, quick, "rolled back"))

	chart("uninstall", "sentry", "--wait")
	away := quick.push("main", map[string]string{"change": "while it is away"})
	chart(append([]string{"install"}, values...)...)
	rolledOut(t)
	commits = append(commits, away, deploysOnce(t, quick, "installed again"))
	if now := epoch(t); now != began {
		t.Errorf("the epoch was %s and is %s: the state began anew", began, now)
	}
	for i, sha := range commits {
		if n := len(runsOf(t, "quick", sha)); n > 1 || n == 0 && sha != away { // which may be overtaken
			t.Errorf("commit %d has %d runs", i, n)
		}
	}
}

// TestOverlaysKeepTheState goes from one replica to several and back. Each commit gets one run.
func TestOverlaysKeepTheState(t *testing.T) {
	t.Parallel()
	quick := newRepo(t, "overlays-quick", map[string]string{"README": "an application"})
	config := fmt.Sprintf(installedConfig, quick.url, testImages())
	installSentry(t, config)
	t.Cleanup(func() { // after the test, and before another one has the installation
		_, _ = command(context.Background(), "", "kubectl", "delete", "priorityclass", "sentry", "--ignore-not-found")
	})
	awaitRemembered(t, "quick")
	began := epoch(t)
	key := get[corev1.Secret](t, "-n", home, "secret", instance.Instance{}.Key()).Data
	var commits []string
	for _, components := range [][]string{{"replicas", "priority"}, nil} {
		kubectl(t, "apply", "-k", kustomized(t, config, components...))
		rolledOut(t)
		commits = append(commits, deploysOnce(t, quick, fmt.Sprint("with ", components)))
	}
	if now := get[corev1.Secret](t, "-n", home, "secret", instance.Instance{}.Key()).Data; fmt.Sprint(now) != fmt.Sprint(key) {
		t.Error("the key changed")
	}
	if now := epoch(t); now != began {
		t.Errorf("the epoch was %s and is %s: the state began anew", began, now)
	}
	for i, sha := range commits {
		if n := len(runsOf(t, "quick", sha)); n != 1 {
			t.Errorf("commit %d has %d runs", i, n)
		}
	}
}

// TestNamespaced is installed by somebody who is an admin of the two namespaces and nothing else.
func TestNamespaced(t *testing.T) {
	t.Parallel()
	quick := newRepo(t, "namespaced-quick", map[string]string{"README": "an application"})
	clearInstallation(t)
	makeNamespaces(t)
	kubectl(t, "delete", "clusterrole", "sentry-deployer", "--ignore-not-found")
	for _, ns := range []string{home, runsIn} {
		kubectl(t, "-n", ns, "create", "rolebinding", "tenant", "--clusterrole=admin", "--user=tenant")
	}
	await(t, time.Minute, "the tenant's rights", func() (bool, string) {
		out, err := command(t.Context(), "", "kubectl", "auth", "can-i", "create", "deployments.apps", "-n", home, "--as=tenant")
		return err == nil, out
	})
	kubectl(t, "apply", "--as=tenant", "-k", kustomized(t, fmt.Sprintf(installedConfig, quick.url, testImages()), "namespaced"))
	rolledOut(t)
	awaitRemembered(t, "quick")
	deploysOnce(t, quick, "by a tenant")
	for _, role := range get[rbacv1.ClusterRoleList](t, "clusterroles").Items {
		if strings.HasPrefix(role.Name, "sentry") {
			t.Errorf("there is a ClusterRole %s", role.Name)
		}
	}
}

// TestAirGapped installs Sentry where all images come from one registry, which only the node's own store stands for.
func TestAirGapped(t *testing.T) {
	t.Parallel()
	const mirror = "mirror.example:5000/sentry"
	for image, from := range map[string]string{
		"tekton-sentry/sentry:e2e": env.image, "alpine/k8s:1.34.1": env.deployImage, "alpine/git:2.49.1": env.gitImage,
	} {
		tag := strings.Fields(env.tagImage)
		run(t, "", tag[0], append(tag[1:], from, mirror+"/"+image)...)
	}
	quick := newRepo(t, "air-gapped-quick", map[string]string{"README": "an application"})
	clearInstallation(t)
	makeNamespaces(t)
	dir := kustomized(t, fmt.Sprintf(installedConfig, quick.url, `  image_registry: "${IMAGE_REGISTRY:-}"`))
	write(t, filepath.Join(dir, "base", "registry", "registry.env"), "registry="+mirror+"\n")
	file := filepath.Join(dir, "base", "kustomization.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	write(t, file, strings.Replace(string(text), "newTag: latest", "newTag: e2e", 1))
	write(t, filepath.Join(dir, "kustomization.yaml"), "resources: [base]\ncomponents: [base/registry]\n")
	kubectl(t, "apply", "-k", dir)
	kubectl(t, "-n", home, "set", "env", "deployment/sentry", "SENTRY_INTERVAL=2s")
	rolledOut(t)
	awaitRemembered(t, "quick")
	sha := deploysOnce(t, quick, "behind walls")

	images := []string{get[appsv1.Deployment](t, "-n", home, "deployment", "sentry").Spec.Template.Spec.Containers[0].Image}
	for _, pr := range runsOf(t, "quick", sha) {
		for _, task := range pr.Spec.PipelineSpec.Tasks {
			images = append(images, stepImages(task.TaskSpec.Steps)...)
		}
	}
	for _, tr := range get[v1.TaskRunList](t, "-n", runsIn, "taskruns").Items {
		images = append(images, stepImages(tr.Status.TaskSpec.Steps)...)
	}
	for _, pod := range get[corev1.PodList](t, "-n", runsIn, "pods").Items {
		for _, c := range pod.Spec.Containers {
			images = append(images, c.Image)
		}
	}
	if len(images) < 7 {
		t.Errorf("only these images: %q", images)
	}
	for _, image := range images {
		if !strings.HasPrefix(image, mirror+"/") {
			t.Errorf("%s is not from %s", image, mirror)
		}
	}
}

func stepImages(steps []v1.Step) []string {
	var images []string
	for _, s := range steps {
		images = append(images, s.Image)
	}
	return images
}
