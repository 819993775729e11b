package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// execProbes are the probes that people's manifests have, to the letter, in place of ours.
const execProbes = `
spec:
  template:
    spec:
      containers:
      - name: sentry
        livenessProbe:
          httpGet: null
          exec:
            command: ["./sentry", "-action=validate"]
          initialDelaySeconds: 30
          periodSeconds: 60
        readinessProbe:
          httpGet: null
          exec:
            command: ["./sentry", "-action=validate"]
          initialDelaySeconds: 10
          periodSeconds: 30
`

// TestProbes has the kubelet probe Sentry: as our manifests say, and as those of people who come from the older tool. Its Git
// host is one that is down all the time.
func TestProbes(t *testing.T) {
	t.Parallel()
	installSentry(t, fmt.Sprintf(`
repositories:
  - name: down
    monitor: {repo_url: "https://down.invalid/app", branches: [main], repo_type: git}
    deploy: {qa_repo_url: "https://down.invalid/qa", repo_type: git, commands: ["true"]}
global: {image: %s}
`, env.deployImage)) // which waits until the pod is ready
	t.Run("over HTTP", func(t *testing.T) {
		for path, want := range map[string]string{
			"livez":  "[+]loop ok: ",
			"readyz": "[+]configuration ok: 1 repositories, polled every 2s\n[+]api-server ok: ",
		} {
			out := kubectl(t, "get", "--raw", fmt.Sprintf("/api/v1/namespaces/%s/pods/%s:8081/proxy/%s", home, sentryPod(t).Name, path))
			if !strings.Contains(out, want) || !strings.HasSuffix(out, path+" check passed\n") {
				t.Errorf("/%s says\n%s", path, out)
			}
		}
		probed(t, 100*time.Second)
	})
	t.Run("by the older command line", func(t *testing.T) {
		kubectl(t, "-n", home, "patch", "deployment", "sentry", "--patch", execProbes)
		kubectl(t, "-n", home, "rollout", "status", "deployment/sentry", "--timeout=120s")
		if out := kubectl(t, "-n", home, "exec", "deployment/sentry", "--", "./sentry", "-action=validate"); !strings.Contains(out, "valid: repositories: 1") {
			t.Errorf("the probe prints %q", out)
		}
		probed(t, 100*time.Second)
	})
}

// sentryPod returns the one pod of Sentry.
func sentryPod(t *testing.T) corev1.Pod {
	t.Helper()
	var pods []corev1.Pod
	await(t, time.Minute, "one pod of Sentry", func() (bool, string) {
		pods = get[corev1.PodList](t, "-n", home, "pods", "-l", "app.kubernetes.io/name=sentry", "--field-selector", "status.phase=Running").Items
		return len(pods) == 1, fmt.Sprintf("%d pods", len(pods))
	})
	return pods[0]
}

// probed holds that no probe of the pod fails until it has run for so long, in which each was made several times.
func probed(t *testing.T, long time.Duration) {
	t.Helper()
	name := sentryPod(t).Name
	await(t, long+time.Minute, "a pod of Sentry that has run for "+long.String(), func() (bool, string) {
		pod := sentryPod(t)
		status := pod.Status.ContainerStatuses[0]
		if pod.Name != name || status.RestartCount > 0 || !status.Ready || status.State.Running == nil {
			t.Fatalf("the pod %s, which was %s: %+v", pod.Name, name, status)
		}
		ran := time.Since(status.State.Running.StartedAt.Time)
		return ran > long, ran.String()
	})
	if out := kubectl(t, "-n", home, "get", "events", "--field-selector", "involvedObject.name="+name+",reason=Unhealthy"); strings.Contains(out, "Liveness") {
		t.Errorf("probes failed:\n%s", out)
	}
}
