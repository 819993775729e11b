package pipelinerun

import (
	"strings"
	"testing"
)

// The name of the Sentry is on its runs, and nothing where it has none.
func TestLabelOfTheInstance(t *testing.T) {
	cfg, run := groupRun(t, "deploy: changed", map[string]int{"a": 1}, map[string]string{"a": `"true"`})
	for _, name := range []string{"", "team-a"} {
		cfg.Global.Instance = name
		pr, err := Generate(cfg, run)
		if err != nil {
			t.Fatal(err)
		}
		if got, has := pr.Labels[LabelInstance]; got != name || has != (name != "") {
			t.Errorf("the run of %q has the label %q, %v", name, got, has)
		}
		if err := Validate(t.Context(), pr); err != nil {
			t.Error(err)
		}
	}
}

// Tekton's controller writes its own labels over ours: for an embedded pipeline, tekton.dev/pipeline is the
// run's name.
func TestLabelsLast(t *testing.T) {
	for _, file := range goldens(t) {
		for _, pr := range readGolden(t, file).runs {
			for key, value := range pr.Labels {
				if strings.HasPrefix(key, "tekton.dev/") {
					t.Errorf("%s: run %s has label %s=%s, which does not last", file, pr.Name, key, value)
				}
			}
			if pr.Labels[LabelUnit] == "" {
				t.Errorf("%s: run %s has no label %s", file, pr.Name, LabelUnit)
			}
		}
	}
}
