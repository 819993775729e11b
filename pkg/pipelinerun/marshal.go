package pipelinerun

import (
	"bytes"
	"fmt"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"gopkg.in/yaml.v3"
	"k8s.io/apimachinery/pkg/runtime"
)

// Marshal returns the PipelineRun as YAML that `kubectl create -f` takes, sorted by key: without the
// status, and without the null and empty fields that the Go types give.
func Marshal(pr *v1.PipelineRun) ([]byte, error) {
	object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(pr)
	if err != nil {
		return nil, fmt.Errorf("encode PipelineRun %s: %w", pr.Name, err)
	}
	delete(object, "status")
	prune(object)
	// Not sigs.k8s.io/yaml: that one cannot write a DEL or a C1 control character, which a command may hold.
	var text bytes.Buffer
	encoder := yaml.NewEncoder(&text)
	encoder.SetIndent(2)
	if err := encoder.Encode(object); err != nil {
		return nil, fmt.Errorf("encode PipelineRun %s as YAML: %w", pr.Name, err)
	}
	return text.Bytes(), nil
}

// prune drops nulls and empty maps, except the one that means something: emptyDir: {}.
func prune(value any) {
	switch v := value.(type) {
	case map[string]any:
		for key, child := range v {
			prune(child)
			m, isMap := child.(map[string]any)
			if child == nil || isMap && len(m) == 0 && key != "emptyDir" {
				delete(v, key)
			}
		}
	case []any:
		for _, child := range v {
			prune(child)
		}
	}
}
