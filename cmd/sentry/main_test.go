package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
)

func TestMain(m *testing.M) {
	if os.Getenv("SENTRY_TEST_MAIN") != "" {
		main()
	}
	os.Exit(m.Run())
}

// serve makes the repository app and a configuration that runs the command for it, and returns the root of
// the Git server and the configuration file.
func serve(t *testing.T, command string) (root, config string) {
	t.Helper()
	root = t.TempDir()
	git := exec.CommandContext(t.Context(), "sh", "-c", `git init -q -b main app && cd app &&
		git -c user.name=T -c user.email=t@example.com commit -q --allow-empty -m first`)
	git.Dir = root
	if out, err := git.CombinedOutput(); err != nil {
		t.Fatalf("make a repository: %v\n%s", err, out)
	}
	server := httptest.NewServer(githosttest.GitHandler(root))
	t.Cleanup(server.Close)
	config = filepath.Join(root, "sentry.yaml")
	text := fmt.Sprintf(`repositories:
  - name: app
    monitor: {repo_url: "%[1]s/app", repo_type: git, branches: [main]}
    deploy:
      qa_repo_url: %[1]s/app
      repo_type: git
      commands: [%q]
`, server.URL, command)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return root, config
}

// TestLocalRunIsCleanedUp ends Sentry in the middle of a local run, in all the ways in which a terminal or a
// pipe does that: the run must end with it, and its directories must go.
func TestLocalRunIsCleanedUp(t *testing.T) {
	_, config := serve(t, "while :; do echo busy; sleep 0.1; done")
	for name, end := range map[string]func(*os.Process, io.Closer) error{
		"Ctrl-C":            func(p *os.Process, _ io.Closer) error { return p.Signal(os.Interrupt) },
		"SIGTERM":           func(p *os.Process, _ io.Closer) error { return p.Signal(syscall.SIGTERM) },
		"terminal closed":   func(p *os.Process, _ io.Closer) error { return p.Signal(syscall.SIGHUP) },
		"reader of it left": func(_ *os.Process, stdout io.Closer) error { return stdout.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tmp := t.TempDir()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "trigger", "app", "--local", "-c", config)
			cmd.Env = append(os.Environ(), "SENTRY_TEST_MAIN=1", "TMPDIR="+tmp, "HOME="+t.TempDir())
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			stdout, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewScanner(stdout)
			for lines.Scan() && lines.Text() != "[app : deploy] busy" {
			}
			if err := end(cmd.Process, stdout); err != nil {
				t.Fatal(err)
			}
			for lines.Scan() {
			}
			if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 1 {
				t.Errorf("ended with %v, want exit status 1; stderr:\n%s", err, &stderr)
			}
			if got := stderr.String(); !strings.Contains(got, "interrupted") {
				t.Errorf("stderr is %q, want a word on the interruption", got)
			}
			if left, err := os.ReadDir(tmp); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v %v", left, err)
			}
		})
	}
}

// SIGHUP has a Sentry that watches look at its configuration and its repositories, and ends it neither then nor while it ends by
// another signal.
func TestHangup(t *testing.T) {
	_, config := serve(t, "true")
	h := host{t, config, t.TempDir(), t.TempDir()}
	cmd, _ := h.sentry("watch", "--interval", "1h", "-v")
	cmd.Stderr = nil
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stderr)
	var said strings.Builder
	cycle := func() {
		for lines.Scan() {
			if fmt.Fprintln(&said, lines.Text()); strings.Contains(lines.Text(), "cycle done") {
				return
			}
		}
		t.Errorf("it ended:\n%s", &said)
	}
	cycle()
	for range 2 {
		if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		cycle()
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	var hanging sync.WaitGroup
	hanging.Go(func() {
		for {
			select {
			case <-ended:
				return
			case <-time.After(time.Millisecond):
				_ = cmd.Process.Signal(syscall.SIGHUP) // it may have ended
			}
		}
	})
	for lines.Scan() {
		fmt.Fprintln(&said, lines.Text())
	}
	err = cmd.Wait()
	close(ended)
	hanging.Wait()
	if err != nil {
		t.Errorf("ended with %v, want exit code 0:\n%s", err, &said)
	}
}

// host is where the tests of several Sentrys have them: one TMPDIR and one home.
type host struct {
	*testing.T
	config, tmp, home string
}

// sentry returns a command on this machine, and what it will write to stderr.
func (h host) sentry(args ...string) (*exec.Cmd, *bytes.Buffer) {
	cmd := exec.CommandContext(h.Context(), os.Args[0], append(args, "--local", "-c", h.config)...)
	cmd.Env = append(os.Environ(), "SENTRY_TEST_MAIN=1", "TMPDIR="+h.tmp, "HOME="+h.home, "XDG_STATE_HOME=")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	return cmd, &stderr
}

// run runs a command to its end, which must be with the exit code, and returns its stderr.
func (h host) run(code int, args ...string) string {
	h.Helper()
	cmd, stderr := h.sentry(args...)
	if err := cmd.Run(); cmd.ProcessState.ExitCode() != code {
		h.Errorf("sentry %s: %v, want exit code %d\n%s", strings.Join(args, " "), err, code, stderr)
	}
	return stderr.String()
}

// A Sentry that is killed cannot clean up: the next one does, whatever it is started for.
func TestNextStartCleansUp(t *testing.T) {
	ready := filepath.Join(t.TempDir(), "ready")
	if err := syscall.Mkfifo(ready, 0o600); err != nil {
		t.Fatal(err)
	}
	_, config := serve(t, "echo $$ >"+ready+"; exec sleep 1000")
	h := host{t, config, t.TempDir(), t.TempDir()}
	killed, _ := h.sentry("trigger", "--all")
	if err := killed.Start(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(ready)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGKILL) })
	_ = killed.Process.Kill()
	_ = killed.Wait()
	if left, err := os.ReadDir(h.tmp); len(left) != 1 || syscall.Kill(pid, 0) != nil {
		t.Fatalf("the killed Sentry left %v, %v and process %d is gone: this test shows nothing", left, err, pid)
	}
	stderr := h.run(0, "watch", "--once")
	if left, err := os.ReadDir(h.tmp); err != nil || len(left) > 0 {
		t.Errorf("after the next start there is %v, %v; want nothing", left, err)
	}
	if !strings.Contains(stderr, "removed what a Sentry that was killed left") {
		t.Errorf("stderr does not tell what was removed:\n%s", stderr)
	}
	if runtime.GOOS == "linux" && !strings.Contains(stderr, "[processes=") {
		t.Errorf("stderr does not tell of the processes that were ended:\n%s", stderr)
	}
}

// Two that watch with one state would run every commit twice.
func TestOneWatchAState(t *testing.T) {
	_, config := serve(t, "true")
	h := host{t, config, t.TempDir(), t.TempDir()}
	first, _ := h.sentry("watch")
	first.Stderr = nil
	log, err := first.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(log); lines.Scan() && !strings.Contains(lines.Text(), "cycle done"); {
	}
	if stderr := h.run(1, "watch", "--once"); !strings.Contains(stderr, fmt.Sprintf("process %d", first.Process.Pid)) {
		t.Errorf("the second one says %q, want the first one's process %d", stderr, first.Process.Pid)
	}
	states, err := filepath.Glob(filepath.Join(h.home, ".local", "state", "sentry", "*.json"))
	if err != nil || len(states) != 1 {
		t.Fatalf("state files %v, %v, want one", states, err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(states[0], link); err != nil {
		t.Fatal(err)
	}
	if stderr := h.run(1, "watch", "--once", "--state", link); !strings.Contains(stderr, fmt.Sprintf("process %d", first.Process.Pid)) {
		t.Errorf("by a link, the second one says %q, want the first one's process %d", stderr, first.Process.Pid)
	}
	h.run(0, "status")
	h.run(0, "trigger", "--all")
	_ = first.Process.Kill()
	_ = first.Wait()
	h.run(0, "watch", "--once")
}
