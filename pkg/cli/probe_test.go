package cli

import (
	"bytes"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// A probe runs every 30 s beside the Sentry that it looks at. What it allocates follows what it costs, and is the same on each
// machine: a hundred repositories take 5 MB, and with Tekton's own checks of their runs 300 MB. `go test ./cmd/sentry -bench Probe`
// has the time.
func TestProbeIsCheap(t *testing.T) {
	var config strings.Builder
	config.WriteString("repositories:\n")
	for i := range 100 {
		fmt.Fprintf(&config, `- name: app%d
  monitor: {repo_url: https://git.example/app%[1]d, branches: [main, "dev.*"], repo_type: git}
  deploy: {qa_repo_url: https://git.example/qa, repo_type: git, commands: [cd ci, ./deploy.sh]}
`, i)
	}
	file := filepath.Join(t.TempDir(), "sentry.yaml")
	write(t, file, config.String())
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var out, errs bytes.Buffer
	if code := Main(t.Context(), []string{"-action=validate", "-config=" + file}, Streams{Out: &out, Err: &errs}); code != exitDone {
		t.Fatalf("exit code %d\n%s", code, &errs)
	}
	runtime.ReadMemStats(&after)
	if bytes := after.TotalAlloc - before.TotalAlloc; bytes > 20<<20 {
		t.Errorf("the probe allocates %d KB for 100 repositories, want at most 20 MiB", bytes>>10)
	}
}
