package local_test

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/engine/local"
)

func TestLiveOutput(t *testing.T) {
	task := shell("front", "echo one; echo two >&2; printf 'no end'; exit 3")
	task.TaskSpec.Steps = append(task.TaskSpec.Steps, step("never", "echo must not run"))
	tr := newTrial(t)
	tr.run(pipelineRun("run", task))
	want := `[front : main] one
[front : main] two
[front : main] no end
[front] Failed: "step-main" exited with code 3
PipelineRun run: Failed: Tasks Completed: 1 (Failed: 1, Cancelled 0), Skipped: 0
`
	if got := tr.out.String(); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// TestOutputIsLive reads a line before the step has ended.
func TestOutputIsLive(t *testing.T) {
	tr := newTrial(t)
	tr.create(pipelineRun("run", shell("a", "echo first; exec sleep 1000")))
	tr.prints("[a : main] first\n")
}

// alone notices when it is written to by two at once.
type alone struct {
	io.Writer
	inside   atomic.Int32
	together atomic.Bool
}

func (w *alone) Write(p []byte) (int, error) {
	if w.inside.Add(1) > 1 {
		w.together.Store(true)
	}
	defer w.inside.Add(-1)
	runtime.Gosched()
	return w.Writer.Write(p)
}

func TestLinesStayWhole(t *testing.T) {
	script := `i=0; while [ $i -lt 500 ]; do echo "line $i of NAME abcdefghijklmnopqrstuvwxyz"; i=$((i+1)); done`
	out := &syncBuffer{}
	w := &alone{Writer: out}
	tr := &trial{Engine: local.New(local.Options{Dir: t.TempDir(), Out: w}), t: t, out: out}
	defer tr.Close()
	a := shell("a", strings.ReplaceAll(script, "NAME", "a"))
	b := shell("b", strings.ReplaceAll(script, "NAME", "b"))
	tr.run(pipelineRun("run", a, b))
	if w.together.Load() {
		t.Error("two lines were written at the same time, want one at a time")
	}
	whole := regexp.MustCompile(`^\[([ab]) : main\] line \d+ of ([ab]) abcdefghijklmnopqrstuvwxyz$`)
	lines := strings.Split(strings.TrimSuffix(tr.out.String(), "\n"), "\n")
	for _, line := range lines[:len(lines)-1] {
		if m := whole.FindStringSubmatch(line); m == nil || m[1] != m[2] {
			t.Fatalf("not a whole line of one task: %q", line)
		}
	}
	if len(lines) != 1001 {
		t.Errorf("got %d lines, want 1000 and the run's end", len(lines))
	}
}

// slow takes its time with the first line: until the process that wrote it is gone.
type slow struct {
	syncBuffer
	t    *testing.T
	seen string // a file that tells the process that its line is being written
}

func (w *slow) Write(p []byte) (int, error) {
	if m := pidPattern.FindSubmatch(p); m != nil {
		pid, err := strconv.Atoi(string(m[1]))
		if err != nil {
			return 0, err
		}
		if err := os.WriteFile(w.seen, nil, 0o600); err != nil {
			return 0, err
		}
		eventually(w.t, "the process should end", func() bool { return gone(pid) })
	}
	return w.syncBuffer.Write(p)
}

func TestSlowReaderLosesNothing(t *testing.T) {
	w := &slow{t: t, seen: filepath.Join(t.TempDir(), "seen")}
	tr := &trial{Engine: local.New(local.Options{Dir: t.TempDir(), Out: w}), t: t, out: &w.syncBuffer}
	defer tr.Close()
	tr.run(pipelineRun("run", shell("a", "echo pid $$; until [ -e "+w.seen+" ]; do sleep 0.01; done; echo last words")))
	if !strings.Contains(tr.out.String(), "[a : main] last words\n") {
		t.Errorf("output lacks the last words:\n%s", tr.out)
	}
}

func TestLongLineIsSplit(t *testing.T) {
	tr := newTrial(t)
	tr.run(pipelineRun("run", shell("a", `head -c 150000 /dev/zero | tr '\0' x; echo; echo after`)))
	prefix := "[a : main] "
	want := prefix + strings.Repeat("x", 64<<10) + "\n" + prefix + strings.Repeat("x", 64<<10) + "\n" +
		prefix + strings.Repeat("x", 150000-128<<10) + "\n" + prefix + "after\n"
	if got := tr.out.String(); !strings.HasPrefix(got, want) {
		t.Errorf("got lines of %v bytes, want 65536, 65536 and 18928 after the prefix, and \"after\"", lengths(got))
	}
}

func lengths(text string) []int {
	var n []int
	for line := range strings.Lines(text) {
		n = append(n, len(line)-1)
	}
	return n
}
