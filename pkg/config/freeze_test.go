package config

import (
	"strings"
	"testing"
	"time"
)

// TestWindows: what global, a group and a repository say of windows holds together, and what means nothing is said.
func TestWindows(t *testing.T) {
	const file = `
global: {not_on: 2026-12-24 - 2026-12-26, max_runs: 7}
groups: {g: {not_on: [Sat, "Sun 10:00 - 12:00"], priority: 3}, bare: {}}
repositories:
  - {name: a, group: g, monitor: {repo_url: https://github.com/h/a, branches: [main]}, deploy: {qa_repo_url: https://github.com/h/q, commands: [x], priority: 5, not_on: Mon}}
  - {name: b, group: bare, monitor: {repo_url: https://github.com/h/b, branches: [main]}, deploy: {qa_repo_url: https://github.com/h/q, commands: [x]}}
  - {name: c, monitor: {repo_url: https://github.com/h/c, branches: [main]}, deploy: {qa_repo_url: https://github.com/h/q, commands: [x], priority: -5, not_on: Mon}}
  - {name: d, monitor: {repo_url: https://github.com/h/d, branches: [main]}, deploy: {qa_repo_url: https://github.com/h/q, commands: [x]}}
`
	c, err := Parse([]byte(file), options())
	if err != nil {
		t.Fatal(err)
	}
	if c.Global.MaxRuns != 7 {
		t.Errorf("max_runs is %d", c.Global.MaxRuns)
	}
	days := map[string]time.Time{
		"sat": time.Date(2026, 11, 28, 11, 0, 0, 0, time.UTC), "sun": time.Date(2026, 11, 29, 11, 0, 0, 0, time.UTC),
		"mon": time.Date(2026, 11, 30, 11, 0, 0, 0, time.UTC), "feast": time.Date(2026, 12, 25, 11, 0, 0, 0, time.UTC),
	}
	for name, want := range map[string]struct {
		frozen   string
		priority int
	}{"a": {"feast sat sun", 3}, "b": {"feast", 0}, "c": {"feast mon", -5}, "d": {"feast", 0}} {
		r, _ := c.Lookup(name)
		g := c.GroupOf(r)
		var frozen []string
		for _, day := range []string{"feast", "mon", "sat", "sun"} {
			if _, in := g.NotOn.At(days[day]); in {
				frozen = append(frozen, day)
			}
		}
		if strings.Join(frozen, " ") != want.frozen || g.Priority != want.priority {
			t.Errorf("%s: frozen on %v with priority %d, want %v", name, frozen, g.Priority, want)
		}
	}
	var warnings []string
	for _, w := range c.Warnings {
		warnings = append(warnings, w.String())
	}
	all := strings.Join(warnings, "\n")
	for _, want := range []string{
		"repositories[0].deploy.not_on: means nothing in a group, whose members run together; want it in groups.g, or left out",
		"repositories[0].deploy.priority: means nothing in a group",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("no warning %q among\n%s", want, all)
		}
	}
	if len(warnings) != 2 {
		t.Errorf("%d warnings:\n%s", len(warnings), all)
	}
}
