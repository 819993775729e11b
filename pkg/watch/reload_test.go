package watch

import (
	"strings"
	"testing"
	"testing/synctest"
)

// A configuration that is applied to a Sentry that runs leads to the same runs and the same state as a start with it.
func TestReloadIsAsARestart(t *testing.T) {
	const before = `
group g
group h
repository a group=g
repository b group=g
repository c
start
push a main 1
push b main 1
push c main 1
push c dev-1 1
push d main 1
cycle
push a main 2
push c dev-1 2
cycle
`
	// Changes that came before and after, a run that is active, and one that the state does not know.
	const after = `
CHANGE
push b main 3
push c main 3
cycle
end well
cycle
push a main 4
push b main 4
push c dev-1 4
push d main 4
cycle
end well
cycle
cycle
`
	const unsaved = "push c main 5\nfail-save\ncycle\n"
	for name, change := range map[string]string{
		"nothing":                      "",
		"a repository comes":           "repository d",
		"a repository comes, deployed": "repository d\nglobal on_first_seen=deploy",
		"a repository goes":            "take-out c",
		"a member goes":                "take-out b",
		"it goes and comes back":       "take-out c\nCHANGE\ncycle\nrepository c",
		"another name":                 "rename c web",
		"a member's other name":        "rename a web",
		"into a group":                 "repository c group=g",
		"out of a group":               "repository b",
		"a group dissolves":            "repository a\nrepository b",
		"to another group":             "repository a group=h\nrepository b group=h",
		"while its run is not known":   unsaved + "repository c group=g",
		"gone while it is not known":   unsaved + "take-out c",
		"renamed while it is not":      unsaved + "rename c web",
	} {
		t.Run(name, func(t *testing.T) {
			var ends []string
			for _, how := range []string{"start", "reload"} {
				synctest.Test(t, func(t *testing.T) {
					s := newStory(t)
					s.play(strings.ReplaceAll(before+change+after, "CHANGE", how))
					ends = append(ends, s.play("runs\nstate\n"))
				})
			}
			if ends[0] != ends[1] || !strings.Contains(ends[0], "c@dev-1") && !strings.Contains(ends[0], "web@dev-1") && !strings.Contains(change, "take-out c") {
				t.Errorf("after a start:\n%s\nafter a reload:\n%s", ends[0], ends[1])
			}
		})
	}
}
