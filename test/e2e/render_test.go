package e2e

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// TestRenderIsAccepted sends what the goldens hold, and what `sentry render` makes of their configurations,
// to the real API server with Tekton's admission webhooks, which check and drop it.
func TestRenderIsAccepted(t *testing.T) {
	t.Parallel()
	const ns = "sentry-render"
	namespace(t, ns)
	goldens, err := filepath.Glob("../../pkg/pipelinerun/testdata/*.txtar")
	if err != nil || len(goldens) < 10 {
		t.Fatalf("%d goldens, %v: want at least 10", len(goldens), err)
	}
	for _, golden := range goldens {
		t.Run(strings.TrimSuffix(filepath.Base(golden), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range archive.Files {
				switch f.Name {
				case "want.yaml":
					dryRun(t, ns, string(f.Data))
				case "config.yaml":
					file := filepath.Join(t.TempDir(), "sentry.yaml")
					write(t, file, string(f.Data))
					dryRun(t, ns, run(t, "", env.sentry, "render", "--offline", "-c", file))
				}
			}
		})
	}
}

// dryRun has the API server check the objects. They may name a namespace of their own, which must not
// matter here.
func dryRun(t *testing.T, ns, manifests string) {
	t.Helper()
	var lines []string
	for line := range strings.Lines(manifests) {
		if !strings.HasPrefix(line, "  namespace: ") {
			lines = append(lines, line)
		}
	}
	run(t, strings.Join(lines, ""), "kubectl", "create", "--dry-run=server", "-n", ns, "-f", "-")
}

// TestRenderIsRefused shows that the dry run is no formality.
func TestRenderIsRefused(t *testing.T) {
	t.Parallel()
	const ns = "sentry-refused"
	namespace(t, ns)
	_, err := command(t.Context(), `
apiVersion: tekton.dev/v1
kind: PipelineRun
metadata: {name: broken}
spec:
  pipelineSpec:
    tasks:
      - {name: a, runAfter: [nobody], taskSpec: {steps: [{name: s, image: i, script: "echo $(params.unknown)"}]}}
`, "kubectl", "create", "--dry-run=server", "-n", ns, "-f", "-")
	if err == nil || !strings.Contains(err.Error(), "validation.webhook.pipeline.tekton.dev") {
		t.Errorf("a broken PipelineRun: %v, want a refusal by Tekton's webhook", err)
	}
}
