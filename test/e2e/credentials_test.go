package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// checkTokenReplaced breaks the token in the Secret and mends it: the deployed Sentry says what is wrong, asks no more,
// and goes on by itself.
func checkTokenReplaced(t *testing.T, quick *gitRepo) {
	pods := kubectl(t, "-n", home, "get", "pods", "-l", "app.kubernetes.io/name=sentry", "-o", "name")
	problem := func() (string, bool) {
		out := run(t, "", env.sentry, "status", "-n", home, "--run-namespace", runsIn)
		return out, strings.Contains(out, "credential was refused")
	}
	setToken(t, strings.Repeat("0", len(env.giteaToken)))
	await(t, 2*time.Minute, "the wrong token to be refused", func() (bool, string) {
		out, ok := problem()
		return ok, out
	})
	sha := quick.push("main", map[string]string{"token": "replaced"})
	setToken(t, env.giteaToken)
	awaitRun(t, "quick", sha)
	await(t, time.Minute, "the problem to be gone", func() (bool, string) {
		out, ok := problem()
		return !ok, out
	})
	if now := kubectl(t, "-n", home, "get", "pods", "-l", "app.kubernetes.io/name=sentry", "-o", "name"); now != pods {
		t.Errorf("pods %q, and %q before: want the same, without a restart", now, pods)
	}
}

func setToken(t *testing.T, token string) {
	t.Helper()
	for _, ns := range []string{home, runsIn} {
		kubectl(t, "-n", ns, "patch", "secret", "sentry-credentials", "--type=merge", "-p", fmt.Sprintf(`{"stringData":{"GITEA_TOKEN":%q}}`, token))
	}
}
