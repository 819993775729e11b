package watch

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/plan"
)

// taskOf is an entry with a Task of the cluster, which is told the branch.
func taskOf(name, group string) string {
	return fmt.Sprintf(`
  - name: %[1]s
    group: %[2]s
    monitor: {repo_url: "https://%[1]s.example/x", branches: [".*"], repo_type: git}
    deploy: {task: {name: deploy-it, params: {branch: "{{branch}}"}}}
`, name, group)
}

// A Task of the cluster needs no QA repository, whether others of the cycle have one or not.
func TestTaskWithoutQARepository(t *testing.T) {
	for name, yaml := range map[string]string{
		"alone":              "repositories:" + taskOf("a", ""),
		"beside commands":    "repositories:" + taskOf("a", "") + entry("b", ""),
		"in a group of both": "groups: {g: {}}\nrepositories:" + taskOf("a", "g") + entry("b", "group: g"),
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, yaml)
			want := "a@main=2"
			w.set("a", "main", "1")
			w.set("b", "main", "1")
			w.cycle()
			w.set("a", "main", "2")
			if strings.Contains(yaml, "name: b") {
				w.set("b", "main", "3")
				want += " b@main=3"
			}
			if report := w.cycle(); report.Problems != 0 {
				t.Errorf("%d problems, want none\nlog:\n%s", report.Problems, &w.log)
			}
			w.check("a push", want)
			w.cycle()
			w.check("the cycle after", want)
		})
	}
}

// A branch that no param can hold is a problem of its unit, which an idle cycle does not write again, and costs nobody else a run.
func TestBranchThatNoParamCanHold(t *testing.T) {
	const hostile = "dev-$(params.x)"
	w := newWorld(t, "groups: {g: {deploy: changed}}\nrepositories:"+taskOf("a", "g")+entry("b", "group: g")+taskOf("c", ""))
	for _, name := range []string{"a", "b", "c"} {
		w.set(name, "main", "1")
	}
	w.cycle()
	for _, name := range []string{"a", "b", "c"} {
		w.set(name, "main", "2")
		w.set(name, hostile, "3")
	}
	w.cycle()
	w.check("a hostile branch of each", "a@main=2 b@dev-$(params.x)=3 b@main=2 c@main=2")
	w.finish()
	w.cycle()
	w.check("the cycle after", "a@main=2 b@dev-$(params.x)=3 b@main=2 c@main=2")
	writes := w.store.writes
	w.cycle()
	if w.store.writes != writes {
		t.Errorf("an idle cycle writes the state %d times, want not", w.store.writes-writes)
	}
	units := 0
	s, err := w.store.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for unit, p := range s.Problems() {
		units++
		if !strings.Contains(p.Message, hostile) || p.Kind != plan.CannotGenerate {
			t.Errorf("the problem of %s is %s: %s, want one that names the branch", unit, p.Kind, p.Message)
		}
	}
	if units != 2 {
		t.Errorf("%d units have a problem, want those of a and c", units)
	}
	w.set("a", "main", "4")
	w.set("b", "main", "5")
	w.cycle()
	w.check("what is pushed later", "a@main=2 a@main=4 b@dev-$(params.x)=3 b@main=2 b@main=5 c@main=2")
}
