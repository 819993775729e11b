package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// watched is a Sentry that watches, and whose log the test reads. One that was killed may be started again and goes on with the log.
type watched struct {
	t    *testing.T
	args []string
	file string // of the log
	kill func() // what was killed may be killed again
}

// watch starts a Sentry that looks at what the file says every two seconds, with these rights, until the test ends.
func watch(t *testing.T, file, ns, account string, args ...string) *watched {
	t.Helper()
	w := &watched{t: t, file: filepath.Join(t.TempDir(), "log"),
		args: append([]string{"watch", "--interval", "2s", "-c", file, "-n", ns, "--kubeconfig", account}, args...)}
	w.start()
	t.Cleanup(func() { w.kill() })
	return w
}

func (w *watched) start() {
	w.t.Helper()
	log, err := os.OpenFile(w.file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		w.t.Fatal(err)
	}
	defer log.Close() // the child has its own
	cmd := exec.CommandContext(w.t.Context(), env.sentry, w.args...)
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.kill = func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
}

func (w *watched) said() string {
	text, _ := os.ReadFile(w.file)
	return string(text)
}

func (w *watched) awaitSaid(what string) {
	w.t.Helper()
	await(w.t, 2*time.Minute, "the log to say "+what, func() (bool, string) { return strings.Contains(w.said(), what), w.said() })
}
