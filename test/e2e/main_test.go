// Package e2e tests Sentry in a real cluster: a real API server with real Tekton, and a real Gitea. `make e2e`
// makes the cluster and runs them; docs/testing.md says how to run them against another cluster.
package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// env is what the tests are told about the cluster; test/cluster/up.sh and kind-up.sh write it.
var env struct {
	kubeconfig, giteaURL, giteaUser, giteaToken, image, gitImage, deployImage, killAPIServer, audit, tagImage, sentry string
}

func TestMain(m *testing.M) {
	missing := []string{}
	for name, value := range map[string]*string{
		"KUBECONFIG":                &env.kubeconfig,
		"SENTRY_E2E_GITEA_URL":      &env.giteaURL,
		"SENTRY_E2E_GITEA_USER":     &env.giteaUser,
		"SENTRY_E2E_GITEA_TOKEN":    &env.giteaToken,
		"SENTRY_E2E_IMAGE":          &env.image,
		"SENTRY_E2E_GIT_IMAGE":      &env.gitImage,
		"SENTRY_E2E_DEPLOY_IMAGE":   &env.deployImage,
		"SENTRY_E2E_KILL_APISERVER": &env.killAPIServer,
		"SENTRY_E2E_AUDIT":          &env.audit,
		"SENTRY_E2E_TAG_IMAGE":      &env.tagImage,
	} {
		if *value = os.Getenv(name); *value == "" {
			missing = append(missing, name)
		}
	}
	env.sentry, _ = filepath.Abs("../../bin/sentry")
	if _, err := os.Stat(env.sentry); err != nil {
		missing = append(missing, "bin/sentry (make build)")
	}
	if _, err := os.Stat("../../bin/helm"); err != nil {
		missing = append(missing, "bin/helm (make bin/helm)")
	}
	if len(missing) > 0 {
		fmt.Fprintf(os.Stderr, "these tests need a cluster, and these are missing: %s\nRun them with: make e2e\n", strings.Join(missing, ", "))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// command runs a program and returns its stdout; the error holds its stderr.
func command(ctx context.Context, stdin, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin = strings.NewReader(stdin)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, &stderr)
	}
	return stdout.String(), nil
}

// run is command for what must succeed.
func run(t *testing.T, stdin, name string, args ...string) string {
	t.Helper()
	out, err := command(t.Context(), stdin, name, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func kubectl(t *testing.T, args ...string) string {
	t.Helper()
	return run(t, "", "kubectl", args...)
}

func apply(t *testing.T, manifest string) {
	t.Helper()
	run(t, manifest, "kubectl", "apply", "-f", "-")
}

// get decodes a kubectl get -o json.
func get[T any](t *testing.T, args ...string) T {
	t.Helper()
	var value T
	out := kubectl(t, append([]string{"get", "-o", "json"}, args...)...)
	if err := json.Unmarshal([]byte(out), &value); err != nil {
		t.Fatalf("kubectl get %v: %v", args, err)
	}
	return value
}

// await returns when the condition holds. Until then the condition says what it sees, which is what the
// test reports when the time is up.
func await(t *testing.T, limit time.Duration, what string, condition func() (ok bool, seen string)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	tick := time.NewTicker(300 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, seen := condition()
		if ok {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("after %s: %s did not come true; last seen: %s", limit, what, seen)
		}
	}
}

// namespace makes a namespace that enforces the restricted Pod Security Standard, with the deployer's
// account and the credentials, and deletes it when the test ends.
func namespace(t *testing.T, name string) {
	t.Helper()
	run(t, "", "kubectl", "delete", "namespace", name, "--ignore-not-found", "--wait")
	t.Cleanup(func() {
		if t.Failed() {
			return // left for a look
		}
		_, _ = command(context.Background(), "", "kubectl", "delete", "namespace", name, "--wait=false")
	})
	apply(t, fmt.Sprintf(`
apiVersion: v1
kind: Namespace
metadata:
  name: %[1]s
  labels: {pod-security.kubernetes.io/enforce: restricted}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: sentry-deployer, namespace: %[1]s}
---
apiVersion: v1
kind: Secret
metadata: {name: sentry-credentials, namespace: %[1]s}
stringData: {GITEA_USERNAME: %[2]q, GITEA_TOKEN: %[3]q}
---
apiVersion: v1
kind: Secret
metadata: {name: sentry-key, namespace: %[1]s}
`, name, env.giteaUser, env.giteaToken))
}
