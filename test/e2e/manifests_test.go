package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestComponents builds each variant that the manifests offer.
func TestComponents(t *testing.T) {
	whole := kubectl(t, "kustomize", "../../manifests")
	for component, tt := range map[string]struct{ gone, stays string }{
		"one-namespace":            {"namespace: sentry-runs\n|SENTRY_RUN_NAMESPACE", "name: sentry-runs\n"},
		"webhooks":                 {"", "value: :8080"},
		"replicas":                 {"type: Recreate", "name: SENTRY_REPLICA"},
		"openshift":                {"runAsUser|runAsGroup", "runAsNonRoot: true"},
		"deployer-without-secrets": {"  - configmaps\n  - secrets\n", "  - configmaps\n"},
	} {
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS("../../manifests")); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, "kustomization.yaml")
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		write(t, file, string(text)+"components: ["+component+"]\n")
		built := kubectl(t, "kustomize", dir)
		for gone := range strings.FieldsFuncSeq(tt.gone, func(r rune) bool { return r == '|' }) {
			if !strings.Contains(whole, gone) || strings.Contains(built, gone) {
				t.Errorf("with the component %s, %q is there still, or never was:\n%s", component, gone, built)
			}
		}
		if !strings.Contains(built, tt.stays) {
			t.Errorf("with the component %s, %q is gone:\n%s", component, tt.stays, built)
		}
	}
}
