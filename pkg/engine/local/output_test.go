package local_test

import (
	"regexp"
	"strings"
	"testing"
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

func TestLinesStayWhole(t *testing.T) {
	script := `i=0; while [ $i -lt 200 ]; do echo "line $i of NAME abcdefghijklmnopqrstuvwxyz"; i=$((i+1)); done`
	tr := newTrial(t)
	a := shell("a", strings.ReplaceAll(script, "NAME", "a"))
	b := shell("b", strings.ReplaceAll(script, "NAME", "b"))
	tr.run(pipelineRun("run", a, b))
	whole := regexp.MustCompile(`^\[([ab]) : main\] line \d+ of ([ab]) abcdefghijklmnopqrstuvwxyz$`)
	lines := strings.Split(strings.TrimSuffix(tr.out.String(), "\n"), "\n")
	for _, line := range lines[:len(lines)-1] {
		if m := whole.FindStringSubmatch(line); m == nil || m[1] != m[2] {
			t.Fatalf("not a whole line of one task: %q", line)
		}
	}
	if len(lines) != 401 {
		t.Errorf("got %d lines, want 400 and the run's end", len(lines))
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
