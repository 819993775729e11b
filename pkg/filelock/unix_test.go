//go:build unix

package filelock

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// A test binary with this variable locks the file that it names, says so, and waits for its end.
const holderVariable = "SENTRY_TEST_LOCK"

func TestMain(m *testing.M) {
	if path := os.Getenv(holderVariable); path != "" {
		if _, err := Try(path); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("locked")
		select {}
	}
	os.Exit(m.Run())
}

// held returns the error of a lock that must be held.
func held(t *testing.T, path string) *HeldError {
	t.Helper()
	l, err := Try(path)
	h, ok := errors.AsType[*HeldError](err)
	if !ok {
		t.Fatalf("Try of a lock that is held = %v, %v; want a HeldError", l, err)
	}
	return h
}

func TestALockEndsWithItsProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), holderVariable+"="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "locked\n" {
		t.Fatalf("the other process says %q, %v", line, err)
	}
	if h := held(t, path); h.PID != cmd.Process.Pid || h.Path != path {
		t.Errorf("held by %d: %v; want process %d and the path", h.PID, h, cmd.Process.Pid)
	}
	if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	l, err := Try(path)
	if err != nil {
		t.Fatalf("Try after its holder was killed = %v", err)
	}
	l.Unlock()
}

// Somebody else's program writes no process ID, and a file may hold anything.
func TestAnUnknownHolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	l, err := Try(path)
	if err != nil {
		t.Fatal(err)
	}
	l.Unlock()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	if h := held(t, path); h.PID != 0 {
		t.Errorf("held by %d, want an unknown process and not the one before", h.PID)
	}
	for _, text := range []string{"nonsense", "-1", "0", "99999999999999999999999", "4194305"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if h := held(t, path); h.PID != 0 {
			t.Errorf("of %q: held by %d, want an unknown process", text, h.PID)
		}
	}
}

func TestALinkIsNotFollowed(t *testing.T) {
	dir := t.TempDir()
	target, link := filepath.Join(dir, "precious"), filepath.Join(dir, "lock")
	if err := os.WriteFile(target, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	if _, err := Try(link); err == nil {
		t.Error("Try of a symbolic link gave no error")
	}
	if got, err := os.ReadFile(target); string(got) != "precious" {
		t.Errorf("what the link leads to holds %q, %v", got, err)
	}
}
