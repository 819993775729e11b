package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/tekton-sentry/sentry/pkg/instance"
)

// setConfiguration edits the ConfigMap that is mounted into Sentry's pod.
func setConfiguration(t *testing.T, text string) {
	t.Helper()
	patch, err := json.Marshal(map[string]any{"data": map[string]string{"sentry.yaml": text}})
	if err != nil {
		t.Fatal(err)
	}
	kubectl(t, "-n", home, "patch", "configmap", "sentry-config", "--type=merge", "-p", string(patch))
}

// checkReload edits the configuration of a Sentry in the cluster: what is valid is used without a restart, and of what is not
// people are told.
func checkReload(t *testing.T, config, qa string) {
	const kubelet = 3 * time.Minute // it brings a change of a mounted ConfigMap within about one
	pods := func() string {
		return kubectl(t, "-n", home, "get", "pods", "-l", "app.kubernetes.io/name=sentry", "-o", "jsonpath={range .items[*]}{.metadata.name} {.status.containerStatuses[0].restartCount}{end}")
	}
	events := func(reason string) bool {
		on := get[corev1.EventList](t, "-n", home, "events", "--field-selector", "reason="+reason+",involvedObject.name="+instance.Instance{}.State())
		return len(on.Items) > 0
	}
	before := pods()
	late := newRepo(t, "late", map[string]string{"README": "a repository that comes later"})
	changed := strings.Replace(config, "repositories:\n", fmt.Sprintf(`repositories:
  - name: late
    monitor: {repo_url: %s, branches: [main], repo_type: git, auth: {username: "${GITEA_USERNAME}", token: "${GITEA_TOKEN}"}}
    deploy: {qa_repo_url: %s, repo_type: gitea, auth: {username: "${GITEA_USERNAME}", token: "${GITEA_TOKEN}"}, commands: ['true']}
`, late.url, qa), 1)
	setConfiguration(t, changed)
	await(t, kubelet, "the new repository to be seen", func() (bool, string) {
		out := run(t, "", env.sentry, "status", "-n", home, "--run-namespace", runsIn, "-o", "wide")
		return strings.Contains(out, "late"), out
	})
	sha := late.push("main", map[string]string{"change": "one"})
	awaitRun(t, "late", sha)

	setConfiguration(t, strings.Replace(changed, "branches: [main]", "branches: []", 1))
	await(t, kubelet, "the mistake to be told of", func() (bool, string) {
		out := run(t, "", env.sentry, "status", "-n", home, "--run-namespace", runsIn)
		return strings.Contains(out, "not used, and Sentry goes on as before") && strings.Contains(out, "branches") && events("ConfigurationRefused"), out
	})
	sha = late.push("main", map[string]string{"change": "two"})
	awaitRun(t, "late", sha)
	setConfiguration(t, config)
	await(t, kubelet, "the mistake to be gone", func() (bool, string) {
		out := run(t, "", env.sentry, "status", "-n", home, "--run-namespace", runsIn)
		return !strings.Contains(out, "not used") && events("ConfigurationUsed"), out
	})
	if now := pods(); now != before {
		t.Errorf("pods and their restarts are %q, and %q before: want the same", now, before)
	}
}
