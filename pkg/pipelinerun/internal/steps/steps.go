// Package steps fills in what stands open in the steps of the Tasks in folder tekton/.
package steps

import (
	"fmt"
	"strings"
	"unicode/utf8"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/tekton-sentry/sentry/pkg/secret"
)

// Places in the scripts of deploy.yaml, each a line of its own.
const (
	Facts      = "# {{facts}}\n"
	Commands   = "# {{commands}}\n"
	SSH        = "# {{ssh}}\n"
	LFS        = "# {{lfs}}\n"
	Submodules = "# {{submodules}}\n"
)

// Fill replaces a place in the step's script by text.
func Fill(step *v1.Step, place, text string) error {
	before, after, found := strings.Cut(step.Script, place)
	if !found {
		return fmt.Errorf("step %s has no line %q", step.Name, strings.TrimSpace(place))
	}
	if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
		return fmt.Errorf("the text for step %s is not UTF-8 or holds a NUL, which neither YAML nor a shell can", step.Name)
	}
	step.Script = before + text + after
	return nil
}

// FromSecret is a variable that has its value from a key of the Secret: the one that the value is written as.
func FromSecret(name, secretName string, v secret.Value) corev1.EnvVar {
	return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
		LocalObjectReference: corev1.LocalObjectReference{Name: secretName},
		Key:                  v.Variable(),
	}}}
}
