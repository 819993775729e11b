package engine_test

import (
	"testing"

	"github.com/tekton-sentry/sentry/pkg/engine"
)

func TestPrinted(t *testing.T) {
	for name, tt := range map[string]struct {
		lines   []string
		message string
		command string
		exit    int
	}{
		"a command":         {[]string{"$ make deploy", "no such target", "command 2 of 3 failed with exit code 2: make deploy"}, "command 2 of 3 failed with exit code 2: make deploy", "2 of 3: make deploy", 2},
		"one without name":  {[]string{"command ? of ? failed with exit code 1: the last one above"}, "command ? of ? failed with exit code 1: the last one above", "? of ?: the last one above", 1},
		"no command":        {[]string{"fatal: could not read from remote"}, "exited with code 128", "", 0},
		"nothing":           {nil, "exited with code 128", "", 0},
		"another exit code": {[]string{"command 1 of 1 failed with exit code 3: hunter2"}, "exited with code 128", "", 128},
	} {
		task := engine.Task{Message: "exited with code 128"}
		if name == "another exit code" {
			task.Exit = 128
		}
		task.Printed(tt.lines)
		if task.Message != tt.message || task.Command != tt.command || task.Exit != tt.exit || len(task.Output) != len(tt.lines) {
			t.Errorf("%s: %+v", name, task)
		}
	}
}
