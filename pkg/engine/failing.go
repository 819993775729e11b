package engine

import (
	"regexp"
	"strconv"
	"strings"
)

// failing is what the step deploy says last of a command that failed: see tekton/deploy.yaml.
var failing = regexp.MustCompile(`^command (\d+|\?) of (\d+|\?) failed with exit code (\d+): (.*)$`)

// Printed takes over the last lines of what the step printed that failed. Where one of them names the command that failed,
// that is why the task ended so.
func (t *Task) Printed(lines []string) {
	t.Output = lines
	for i := len(lines) - 1; i >= 0; i-- {
		m := failing.FindStringSubmatch(strings.TrimRight(lines[i], "\r"))
		if m == nil || t.Exit != 0 && m[3] != strconv.Itoa(t.Exit) { // a command may print such a line, and be killed
			continue
		}
		t.Message, t.Command = m[0], m[1]+" of "+m[2]+": "+m[4]
		t.Exit, _ = strconv.Atoi(m[3])
		return
	}
}
