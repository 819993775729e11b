package docs

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tekton-sentry/sentry/test/tutorial"
)

// TestTutorial types what the tutorial says up to the part that needs a cluster, which test/e2e does.
func TestTutorial(t *testing.T) {
	blocks := tutorial.Read(t, filepath.Join(root, "docs/tutorial.md"))
	local := slices.IndexFunc(blocks, tutorial.Block.MakesCluster)
	if local < 8 {
		t.Fatalf("%d blocks come before the cluster, want more", local)
	}
	dir := tutorial.Checkout(t, root)
	tutorial.Run(t, dir, blocks[:local])
	for _, b := range blocks[:local] {
		if strings.Contains(b.Commands, "kubectl") {
			t.Errorf("a block needs a cluster before there is one:\n%s", b.Commands)
		}
	}
}
