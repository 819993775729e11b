package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// deploying is a host whose command notes the commits before and after, once it is told to end.
type deploying struct {
	host
	app, state string
	ready      string // a named pipe in which the command says that it runs
	gate       string // the command ends when this is there
	done       string // a file with a line for each deployment that came to its end
}

// newDeploying has seen the application's first commit.
func newDeploying(t *testing.T) deploying {
	t.Helper()
	dir := t.TempDir()
	d := deploying{ready: filepath.Join(dir, "ready"), gate: filepath.Join(dir, "gate"), done: filepath.Join(dir, "done"), state: filepath.Join(dir, "state.json")}
	if err := syscall.Mkfifo(d.ready, 0o600); err != nil {
		t.Fatal(err)
	}
	root, config := serve(t, fmt.Sprintf(`[ -e %[1]s ] || { echo >%[2]s; while :; do echo busy; sleep 0.1; done; }; echo "$SENTRY_PREVIOUS_SHA $SENTRY_SHA" >>%[3]s`,
		d.gate, d.ready, d.done))
	d.host, d.app = host{t, config, t.TempDir(), t.TempDir()}, filepath.Join(root, "app")
	d.run(0, "watch", "--once", "--state", d.state)
	return d
}

// git runs it in the application's repository and returns the head.
func (d deploying) git(args ...string) string {
	d.Helper()
	for _, args := range [][]string{args, {"rev-parse", "HEAD"}} {
		cmd := exec.Command("git", append([]string{"-c", "user.name=T", "-c", "user.email=t@example.com"}, args...)...)
		cmd.Dir = d.app
		out, err := cmd.CombinedOutput()
		if err != nil {
			d.Fatalf("git %v: %v\n%s", args, err, out)
		}
		if args[0] == "rev-parse" {
			return strings.TrimSpace(string(out))
		}
	}
	return ""
}

func (d deploying) commit() string {
	d.Helper()
	return d.git("commit", "-q", "--allow-empty", "-m", "next")
}

// busy starts a watch and returns when a command runs and a line of the log has the text; rest gives what the
// log has after that, when the process has ended.
func (d deploying) busy(text string, args ...string) (cmd *exec.Cmd, stdout io.Closer, rest func() string) {
	d.Helper()
	cmd, _ = d.sentry(append(args, "--state", d.state)...)
	cmd.Stderr = nil
	log, err := cmd.StderrPipe()
	if err != nil {
		d.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		d.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		d.Fatal(err)
	}
	if _, err := os.ReadFile(d.ready); err != nil {
		d.Fatal(err)
	}
	lines := bufio.NewReader(log)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			d.Fatalf("the log ended without %q: %v", text, err)
		}
		if strings.Contains(line, text) {
			break
		}
	}
	return cmd, out, func() string {
		left, _ := io.ReadAll(lines)
		_ = cmd.Wait()
		return string(left)
	}
}

// deployed checks which deployments came to their end, each as the commits before and after it.
func (d deploying) deployed(want ...string) {
	d.Helper()
	got, err := os.ReadFile(d.done)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.Fatal(err)
	}
	if lines := strings.Join(want, "\n"); strings.TrimSpace(string(got)) != lines {
		d.Errorf("deployed (before, after):\n%swant\n%s", got, lines)
	}
}

func (d deploying) openGate() {
	d.Helper()
	if err := os.WriteFile(d.gate, nil, 0o600); err != nil {
		d.Fatal(err)
	}
}

// A run that ended because Sentry did is made again by the next start, once.
func TestCutOffRunIsDeployedAgain(t *testing.T) {
	once, forever := []string{"watch", "--once"}, []string{"watch", "--interval", "1s"}
	signal := func(s os.Signal) func(*os.Process, io.Closer) error {
		return func(p *os.Process, _ io.Closer) error { return p.Signal(s) }
	}
	for name, test := range map[string]struct {
		args []string
		end  func(*os.Process, io.Closer) error
		code int
	}{
		"Ctrl-C":              {forever, signal(os.Interrupt), 1},
		"Ctrl-C of one cycle": {once, signal(os.Interrupt), 1},
		"SIGTERM":             {forever, signal(syscall.SIGTERM), 1},
		"reader left":         {forever, func(_ *os.Process, out io.Closer) error { return out.Close() }, 1},
		"head -1":             {once, func(_ *os.Process, out io.Closer) error { return out.Close() }, 1},
		"SIGKILL":             {forever, signal(syscall.SIGKILL), -1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDeploying(t)
			first := d.git("status")
			second := d.commit()
			cmd, out, rest := d.busy("created=1", test.args...)
			if err := test.end(cmd.Process, out); err != nil {
				t.Fatal(err)
			}
			log := rest()
			if code := cmd.ProcessState.ExitCode(); code != test.code {
				t.Errorf("exit code %d, want %d\n%s", code, test.code, log)
			}
			if test.code == 1 && !strings.Contains(log, "cut off, and deployed again by the next start: app-main-") {
				t.Errorf("the end of the log does not name the run:\n%s", log)
			}
			d.run(0, "status", "--state", d.state)
			d.openGate()
			if log := d.run(0, "watch", "--once", "--state", d.state); !strings.Contains(log, "the run was cut off") {
				t.Errorf("the next start does not tell of the run:\n%s", log)
			}
			d.run(0, "watch", "--once", "--state", d.state)
			d.deployed(first + " " + second)
			// The state goes on from there.
			third := d.commit()
			d.run(0, "watch", "--once", "--state", d.state)
			d.run(0, "watch", "--once", "--state", d.state)
			d.deployed(first+" "+second, second+" "+third)
		})
	}
}

// The branch may have moved while no Sentry was there: its head is deployed, even where that is the commit
// from before.
func TestCutOffRunAndAnotherHead(t *testing.T) {
	for name, move := range map[string]func(deploying) string{
		"a newer commit":         deploying.commit,
		"back to the one before": func(d deploying) string { return d.git("reset", "-q", "--hard", "HEAD~1") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDeploying(t)
			first := d.git("status")
			d.commit()
			cmd, _, rest := d.busy("created=1", "watch", "--once")
			_ = cmd.Process.Kill()
			rest()
			head := move(d)
			d.openGate()
			for range 2 {
				d.run(0, "watch", "--once", "--state", d.state)
			}
			d.deployed(first + " " + head)
		})
	}
}

// A state that cannot be written costs no deployment, and no commit is deployed a second time for it.
func TestStateThatCannotBeWritten(t *testing.T) {
	d := newDeploying(t)
	first := d.git("status")
	second := d.commit()
	d.openGate()
	watch := []string{"watch", "--once", "--state", d.state}

	// Where no run can be noted, as on a full disk, none starts.
	runs := d.state + ".runs"
	if err := os.WriteFile(runs, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if log := d.run(1, watch...); !strings.Contains(log, "not a directory") {
		t.Errorf("the log does not tell what is wrong:\n%s", log)
	}
	d.deployed()
	if err := os.Remove(runs); err != nil {
		t.Fatal(err)
	}

	// Where only the state itself cannot be written, the next starts know the run.
	obstacle := filepath.Join(d.state+".tmp", "x")
	if err := os.MkdirAll(obstacle, 0o700); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if log := d.run(1, watch...); !strings.Contains(log, "remember what was done") {
			t.Errorf("the log does not tell what is wrong:\n%s", log)
		}
		d.deployed(first + " " + second)
	}
	if err := os.RemoveAll(filepath.Dir(obstacle)); err != nil {
		t.Fatal(err)
	}
	d.run(0, watch...)
	d.deployed(first + " " + second)

	// The process may end before the state is written, too.
	third := d.commit()
	if err := os.Remove(d.gate); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(obstacle, 0o700); err != nil {
		t.Fatal(err)
	}
	cmd, _, rest := d.busy("the cycle failed", "watch")
	_ = cmd.Process.Kill()
	rest()
	if err := os.RemoveAll(filepath.Dir(obstacle)); err != nil {
		t.Fatal(err)
	}
	d.openGate()
	for range 2 {
		d.run(0, watch...)
	}
	d.deployed(first+" "+second, second+" "+third)
}
