package act

import (
	"fmt"
	"strings"
	"testing"
)

// The end of a log is shown however long its last line is, and no part of a credential that stands where it is cut.
func TestTail(t *testing.T) {
	hide := func(text string) string { return strings.ReplaceAll(text, "hunter2", "[hidden]") }
	long := strings.Repeat("x", MaxLog)
	for name, c := range map[string]struct {
		printed string
		lines   int
		end     string
	}{
		"a long last line":         {"[web] before\n[web] " + long + "\n", 1, "xxx"},
		"a short one behind":       {"[web] " + long + "\n[web] end\n", 1, "[web] end"},
		"an empty one behind":      {"[web] " + long + "\n\n", 2, ""},
		"one line of several":      {strings.Repeat(long, 9) + "\n", 1, "xxx"},
		"a credential at the cut":  {"before hunter2" + strings.Repeat("x", MaxLog-3) + "\n", 1, "xxx"},
		"many lines":               {strings.Repeat("[web] line\n", 50_000), MaxLog/11 - 1, "[web] line"},
		"nothing":                  {"", 0, ""},
		"what is less than that":   {"one\ntwo\n", 2, "two"},
		"no newline at the end":    {"one\ntwo", 2, "two"},
		"a character that is wide": {strings.Repeat("é", MaxLog) + "\n", 1, "é"},
	} {
		var a tail
		for part := range strings.Lines(c.printed) {
			fmt.Fprint(&a, part)
		}
		got := a.lines(hide)
		if text := strings.Join(got, "\n"); len(got) < c.lines || c.lines < 3 && len(got) > c.lines || !strings.HasSuffix(text, c.end) || len(text) > MaxLog+8 ||
			strings.Contains(text, "ter2") {
			t.Errorf("%s: %d lines, want %d, of %d bytes, which end with %q", name, len(got), c.lines, len(text), text[max(0, len(text)-20):])
		}
	}
}
