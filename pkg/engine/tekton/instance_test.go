package tekton

import (
	"fmt"
	"slices"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/instance"
	"github.com/tekton-sentry/sentry/pkg/kube/kubetest"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun"
)

// Each instance lists, prunes and shows its own runs, and no others.
func TestInstances(t *testing.T) {
	s, c := kubetest.New(t)
	names := []string{"", "blue", "green"}
	for _, name := range names {
		for i := range 3 {
			run := fmt.Sprintf("%s-%d", name, i)
			putRun(s, "a", run, fmt.Sprintf("2026-01-01T00:0%d:00Z", i), "True")
			if name != "" {
				run := s.Get(runsPath + "/" + run)
				run["metadata"].(kubetest.Object)["labels"].(kubetest.Object)[pipelinerun.LabelInstance] = name
			}
		}
	}
	listed := func(e *Engine, units ...string) []string {
		runs, err := e.Runs(t.Context(), units)
		if err != nil {
			t.Fatal(err)
		}
		var all []string
		for _, r := range runs {
			all = append(all, r.Name)
		}
		return all
	}
	for _, name := range names {
		e := New(c, "", instance.Instance{Name: name})
		want := []string{name + "-0", name + "-1", name + "-2"}
		if got := listed(e); !slices.Equal(got, want) {
			t.Errorf("instance %q lists %v, want %v", name, got, want)
		}
		if got := listed(e, "a"); !slices.Equal(got, want) {
			t.Errorf("instance %q lists %v of the unit, want %v", name, got, want)
		}
	}
	blue := New(c, "", instance.Instance{Name: "blue"})
	if _, err := blue.Prune(t.Context(), "", 1); err != nil {
		t.Fatal(err)
	}
	if got, want := s.Writes(), []string{"POST sentry-blue-history", "DELETE blue-0", "DELETE blue-1"}; !slices.Equal(got, want) {
		t.Errorf("writes %v, want %v", got, want)
	}
	for _, name := range names {
		past, err := New(c, "", instance.Instance{Name: name}).History(t.Context(), "")
		if want := map[string]int{"blue": 2}[name]; err != nil || len(past) != want {
			t.Errorf("the history of instance %q has %d runs, %v, want %d", name, len(past), err, want)
		}
	}
}
