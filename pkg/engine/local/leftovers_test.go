package local_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tekton-sentry/sentry/pkg/engine/local"
)

// A test binary with this variable is a Sentry that runs the script of the other variable in the directory,
// until it is killed.
const (
	engineVariable = "SENTRY_TEST_ENGINE"
	scriptVariable = "SENTRY_TEST_SCRIPT"
)

func becomeEngine() {
	dir := os.Getenv(engineVariable)
	os.Unsetenv(engineVariable) // or the daemon that a step starts would be one too
	e := local.New(local.Options{Dir: dir, Out: os.Stdout, Env: os.Environ()})
	if _, err := local.Start(e, context.Background(), pipelineRun("run", shell("a", os.Getenv(scriptVariable)))); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	select {}
}

// other is an engine in a process of its own.
type other struct {
	*exec.Cmd
	trial
}

// newOther starts the script in another engine that works in dir, and returns when it has printed "ready".
func newOther(t *testing.T, dir, script string) *other {
	t.Helper()
	o := &other{Cmd: exec.Command(os.Args[0]), trial: trial{t: t, out: &syncBuffer{}}}
	o.Env = append(os.Environ(), engineVariable+"="+dir, scriptVariable+"="+script)
	pipe, err := o.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := o.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		o.kill()
		for _, pid := range o.pids() {
			_ = syscall.Kill(-pid, syscall.SIGKILL) // the group, where it leads one
		}
	})
	for lines := bufio.NewScanner(pipe); lines.Scan(); {
		fmt.Fprintln(o.out, lines.Text())
		if strings.HasSuffix(lines.Text(), "ready") {
			return o
		}
	}
	t.Fatalf("the other engine has ended:\n%s", o.out)
	return nil
}

// kill ends the other engine as the kernel does when memory runs out, and leaves its steps alone.
func (o *other) kill() {
	_ = o.Process.Kill()
	_ = o.Wait()
}

// dirs returns what the directory holds.
func dirs(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	names := []string{}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// leftovers returns what RemoveLeftovers logs.
func leftovers(t *testing.T, dir string) string {
	t.Helper()
	var log bytes.Buffer
	e := local.New(local.Options{Dir: dir, Grace: 100 * time.Millisecond, Log: slog.New(slog.NewTextHandler(&log, nil))})
	defer e.Close()
	if err := e.RemoveLeftovers(t.Context()); err != nil {
		t.Errorf("RemoveLeftovers() = %v", err)
	}
	return log.String()
}

func TestRemoveLeftovers(t *testing.T) {
	dir := t.TempDir()
	// A step with a background process and files that cannot be written, neither of which heeds SIGTERM.
	const busy = `trap '' TERM
mkdir -p deep/er; chmod -R a-w deep
sleep 1000 &
echo "pid $$ pid $!."; echo ready
while :; do sleep 1000; done`
	dead := newOther(t, dir, busy)
	living := newOther(t, dir, busy)
	theirs := dirs(t, dir)
	if len(theirs) != 2 {
		t.Fatalf("two engines work in %v, want two directories", theirs)
	}
	if log := leftovers(t, dir); log != "" || len(dirs(t, dir)) != 2 {
		t.Errorf("beside two living engines: the directory holds %v, the log\n%s", dirs(t, dir), log)
	}
	dead.kill()
	for _, pid := range dead.pids() {
		if gone(pid) {
			t.Fatalf("process %d ended with its engine: this test shows nothing", pid)
		}
	}
	log := leftovers(t, dir)
	left := dirs(t, dir)
	if len(left) != 1 || strings.Contains(log, left[0]) {
		t.Errorf("after one of two engines was killed the directory holds %v, want that of the living one; the log:\n%s", left, log)
	}
	for _, name := range theirs {
		if name != left[0] && !strings.Contains(log, name) {
			t.Errorf("the log does not tell that %s was removed:\n%s", name, log)
		}
	}
	if runtime.GOOS == "linux" {
		for _, pid := range dead.pids() {
			eventually(t, fmt.Sprintf("process %d should be gone", pid), func() bool { return gone(pid) })
		}
		if !strings.Contains(log, "processes=") {
			t.Errorf("the log does not tell of the processes:\n%s", log)
		}
	}
	for _, pid := range living.pids() {
		if gone(pid) {
			t.Errorf("process %d of the living engine is gone", pid)
		}
	}
	if log := leftovers(t, dir); log != "" {
		t.Errorf("the second time the log has\n%s", log)
	}
}

// A daemon outlives its step, and its Sentry too.
func TestLeftoverDaemon(t *testing.T) {
	t.Setenv(daemonVariable, "quiet")
	dir := t.TempDir()
	o := newOther(t, dir, os.Args[0]+"; echo ready; exec sleep 1000")
	o.kill()
	leftovers(t, dir)
	if left := dirs(t, dir); len(left) > 0 {
		t.Errorf("the directory holds %v, want nothing", left)
	}
	if pids := o.pids(); len(pids) != 1 || gone(pids[0]) {
		t.Errorf("the daemons %v are gone, want one that goes on", pids)
	}
}

// What only looks like a leftover stays: people's own files, and what others put into a directory for
// temporary files.
func TestWhatIsNoLeftoverStays(t *testing.T) {
	const lock = "sentry-task.lock"
	dir, precious := t.TempDir(), t.TempDir()
	put := func(path string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	link := func(to, at string) {
		t.Helper()
		if err := os.Symlink(to, at); err != nil {
			t.Fatal(err)
		}
	}
	put(filepath.Join(dir, "sentry-notes", "of mine"))
	put(filepath.Join(dir, "sentry-file"))
	put(filepath.Join(precious, lock))
	link(precious, filepath.Join(dir, "sentry-link"))
	put(filepath.Join(dir, "sentry-linked", "of mine"))
	link(filepath.Join(precious, lock), filepath.Join(dir, "sentry-linked", lock))
	put(filepath.Join(dir, "sentry-shared", lock))
	if err := os.Chmod(filepath.Join(dir, "sentry-shared"), 0o777); err != nil {
		t.Fatal(err)
	}
	want := 5
	if os.Geteuid() == 0 {
		put(filepath.Join(dir, "sentry-theirs", lock))
		if err := os.Chown(filepath.Join(dir, "sentry-theirs"), 65534, 65534); err != nil {
			t.Fatal(err)
		}
		want++
	}
	log := leftovers(t, dir)
	if left := dirs(t, dir); len(left) != want || log != "" {
		t.Errorf("left are %v, want all %d; the log:\n%s", left, want, log)
	}
	if left := dirs(t, precious); len(left) != 1 {
		t.Errorf("what a link leads to holds %v, want its file", left)
	}
}
