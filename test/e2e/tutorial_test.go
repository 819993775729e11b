package e2e

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/tekton-sentry/sentry/test/tutorial"
)

// TestTutorial types what docs/tutorial.md says, from the first block to the last, and nothing else. The blocks that make
// a cluster and end it are those of `make e2e`.
func TestTutorial(t *testing.T) {
	const shop = "shop"
	installation.Lock()
	t.Cleanup(installation.Unlock)
	run(t, "", "kubectl", "delete", "namespace", home, runsIn, shop, "--ignore-not-found", "--wait")
	t.Cleanup(func() {
		if !t.Failed() {
			return
		}
		// The test's own context is over.
		for _, args := range [][]string{{"-n", home, "logs", "deployment/sentry", "--tail=100"}, {"-n", runsIn, "get", "taskruns", "-o", "yaml"}} {
			out, err := command(context.Background(), "", "kubectl", args...)
			t.Logf("kubectl %v: %v\n%s", args, err, out)
		}
	})
	client := giteaClient(t)
	for _, name := range []string{"tutorial-app", "tutorial-qa"} {
		_, _ = client.DeleteRepo(env.giteaUser, name) // of an earlier test
	}
	blocks := slices.DeleteFunc(tutorial.Read(t, "../../docs/tutorial.md"), tutorial.Block.MakesCluster)
	if !slices.ContainsFunc(blocks, func(b tutorial.Block) bool { return strings.Contains(b.Commands, "kubectl apply -k .") }) {
		t.Fatalf("none of the %d blocks installs Sentry", len(blocks))
	}
	tutorial.Run(t, tutorial.Checkout(t, "../.."), blocks)
	for _, namespace := range []string{home, runsIn, shop} {
		if out, err := command(t.Context(), "", "kubectl", "get", "namespace", namespace); err == nil {
			t.Errorf("after the last block the namespace %s is still there:\n%s", namespace, out)
		}
	}
}
