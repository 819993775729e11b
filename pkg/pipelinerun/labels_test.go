package pipelinerun

import (
	"strings"
	"testing"
)

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
