package tekton_test

import (
	"os/exec"
	"strings"
	"testing"

	tektonconfig "github.com/tektoncd/pipeline/pkg/apis/config"
	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"knative.dev/pkg/apis"
	"sigs.k8s.io/yaml"

	"github.com/tekton-sentry/sentry/tekton"
)

// `kubectl apply -f` takes each file as it is, and a shell can read its scripts.
func TestTasksAreValidAsTheyStand(t *testing.T) {
	for name, text := range map[string][]byte{"deploy.yaml": tekton.Deploy, "verdict.yaml": tekton.Verdict} {
		var task v1.Task
		if err := yaml.UnmarshalStrict(text, &task); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		flags, err := tektonconfig.NewFeatureFlagsFromMap(map[string]string{"enable-api-fields": "stable"})
		if err != nil {
			t.Fatal(err)
		}
		ctx := apis.WithinCreate(tektonconfig.ToContext(t.Context(), &tektonconfig.Config{FeatureFlags: flags}))
		task.SetDefaults(ctx)
		if err := task.Validate(ctx); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, step := range task.Spec.Steps {
			cmd := exec.Command("sh", "-n")
			cmd.Stdin = strings.NewReader(strings.ReplaceAll(step.Script, "$(params.ended)", "a=Succeeded"))
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s, step %s: sh -n: %v\n%s", name, step.Name, err, out)
			}
		}
	}
}

// The steps evaluate these as they are, below a set -eu or without one.
func TestScriptsAreShell(t *testing.T) {
	for name, text := range map[string]string{"ca.sh": tekton.CA, "proxy.sh": tekton.Proxy, "lfs.sh": tekton.LFS, "submodules.sh": tekton.Submodules, "credential.sh": tekton.Credential} {
		cmd := exec.Command("sh", "-n")
		cmd.Stdin = strings.NewReader(text)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: sh -n: %v\n%s", name, err, out)
		}
		if strings.Contains(text, "$(") || strings.Contains(text, "$$") {
			t.Errorf("%s has a text that Tekton or the kubelet would expand", name)
		}
	}
}
