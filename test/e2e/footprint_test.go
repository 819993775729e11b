package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
)

// TestFootprint says how large the program is, and how much memory it takes when it watches a hundred
// repositories and keeps its state in the cluster.
func TestFootprint(t *testing.T) {
	const repositories, maxBinary, maxResident = 100, 40_000_000, 60_000_000
	info, err := os.Stat(env.sentry)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("binary: %.1f MB", float64(info.Size())/1e6)
	if info.Size() > maxBinary {
		t.Errorf("the binary has %d bytes, want at most %d", info.Size(), maxBinary)
	}

	const ns = "sentry-footprint"
	namespace(t, ns)
	root := t.TempDir()
	run(t, "", "git", "init", "--quiet", "--initial-branch=main", filepath.Join(root, "app"))
	run(t, "", "git", "-C", filepath.Join(root, "app"), "-c", "user.name=E2E", "-c", "user.email=e2e@example.com",
		"commit", "--quiet", "--allow-empty", "-m", "first")
	server := httptest.NewServer(githosttest.GitHandler(root))
	defer server.Close()
	var config strings.Builder
	config.WriteString("repositories:\n")
	for i := range repositories {
		if err := os.Symlink("app", filepath.Join(root, fmt.Sprint("app", i))); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&config, `
  - name: app%[1]d
    monitor: {repo_url: %[2]s/app%[1]d, branches: [main, "dev.*", "release/.*"], repo_type: git}
    deploy: {qa_repo_url: %[2]s/app, repo_type: git, commands: ["true"]}
`, i, server.URL)
	}
	file := filepath.Join(t.TempDir(), "sentry.yaml")
	write(t, file, config.String())

	watch := exec.CommandContext(t.Context(), env.sentry, "watch", "-v", "-c", file, "-n", ns, "--interval", "3s")
	log, writer := io.Pipe()
	watch.Stderr = writer
	if err := watch.Start(); err != nil {
		t.Fatal(err)
	}
	cycles := make(chan string, 100)
	go func() {
		buffer := make([]byte, 1<<16)
		for {
			n, err := log.Read(buffer)
			for range bytes.Count(buffer[:n], []byte("cycle done")) {
				cycles <- string(buffer[:n])
			}
			if err != nil {
				return
			}
		}
	}()
	for range 6 {
		select {
		case line := <-cycles:
			if !strings.Contains(line, "[failing=0]") {
				t.Fatalf("a cycle failed: %s", line)
			}
		case <-time.After(time.Minute):
			t.Fatal("no cycle in a minute")
		}
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", watch.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_ = watch.Process.Signal(syscall.SIGTERM)
	if err := watch.Wait(); err != nil {
		t.Errorf("sentry watch after SIGTERM: %v, want exit code 0", err)
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	kilobytes, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("resident after six cycles over %d repositories: %.1f MB", repositories, float64(kilobytes)*1024/1e6)
	if kilobytes*1024 > maxResident {
		t.Errorf("%d kB resident, want at most %d bytes", kilobytes, maxResident)
	}
}
