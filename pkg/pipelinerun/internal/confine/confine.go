// Package confine keeps secrets from the runs of requests of forks, whose code is that of strangers. It takes away what it knows of,
// and refuses a run in which anything else would read a Secret. It is pure.
package confine

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tektoncd/pipeline/pkg/apis/pipeline/pod"
	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/tekton-sentry/sentry/pkg/config"
)

// ServiceAccount is that of such runs, which every namespace has. Pods get no token of it, but what Secrets it lists, which Tekton gives to steps.
const ServiceAccount = "default"

// ours begins the labels and annotations that Sentry gives to pods. A file cannot have others begin so.
const ours = "tekton-sentry.dev/"

// Deploy returns what of a deployment such a run has.
func Deploy(d *config.Deploy) *config.Deploy {
	confined := *d
	confined.Secrets, confined.GitCredential = nil, false
	return &confined
}

// Run takes from all pods of a run their ServiceAccount, and the labels and annotations of the file, by which others in the cluster give pods identities
// and secrets. It moves what all steps of a task read from a Secret, which is a proxy's
// password, to those that clone: no code of strangers runs in these. It is an error when anything else would still get a secret.
func Run(pr *v1.PipelineRun, cloning ...string) error {
	template := &pr.Spec.TaskRunTemplate
	template.ServiceAccountName, template.PodTemplate = ServiceAccount, withoutToken(template.PodTemplate)
	for i := range pr.Spec.TaskRunSpecs {
		own := &pr.Spec.TaskRunSpecs[i]
		own.ServiceAccountName, own.Metadata = "", nil
		if own.PodTemplate != nil {
			own.PodTemplate = withoutToken(own.PodTemplate)
		}
	}
	pr.Spec.TaskRunSpecs = slices.DeleteFunc(pr.Spec.TaskRunSpecs, func(own v1.PipelineTaskRunSpec) bool { return own.PodTemplate == nil })
	if len(pr.Spec.TaskRunSpecs) == 0 {
		pr.Spec.TaskRunSpecs = nil
	}
	if pr.Spec.PipelineRef != nil || pr.Spec.PipelineSpec == nil {
		return errors.New("a Pipeline of the cluster may have secrets of its own")
	}
	if len(pr.Spec.Workspaces) > 0 {
		return errors.New("it has workspaces, which may be Secrets")
	}
	for _, tasks := range [][]v1.PipelineTask{pr.Spec.PipelineSpec.Tasks, pr.Spec.PipelineSpec.Finally} {
		for i := range tasks {
			if err := task(&tasks[i], cloning); err != nil {
				return fmt.Errorf("task %s: %w", tasks[i].Name, err)
			}
		}
	}
	return nil
}

func withoutToken(t *pod.PodTemplate) *pod.PodTemplate {
	confined := pod.PodTemplate{}
	if t != nil {
		confined = *t
	}
	confined.AutomountServiceAccountToken = new(false)
	return &confined
}

func task(t *v1.PipelineTask, cloning []string) error {
	if t.TaskSpec == nil || len(t.Workspaces) > 0 || len(t.TaskSpec.Workspaces) > 0 {
		return errors.New("a Task of the cluster, or one with workspaces, may have secrets of its own")
	}
	for _, all := range []map[string]string{t.TaskSpec.Metadata.Labels, t.TaskSpec.Metadata.Annotations} {
		maps.DeleteFunc(all, func(name, _ string) bool { return !strings.HasPrefix(name, ours) })
	}
	spec := &t.TaskSpec.TaskSpec
	var moved []corev1.EnvVar
	if s := spec.StepTemplate; s != nil {
		s.Env = slices.DeleteFunc(s.Env, func(e corev1.EnvVar) bool {
			secret := isSecret(e)
			if secret {
				moved = append(moved, e)
			}
			return secret
		})
		if len(s.EnvFrom) > 0 || len(s.VolumeMounts) > 0 {
			return errors.New("all of its steps share what may be a Secret")
		}
	}
	for _, v := range spec.Volumes {
		if v.EmptyDir == nil && v.DownwardAPI == nil && v.ConfigMap == nil {
			return fmt.Errorf("the volume %s may hold a Secret", v.Name)
		}
	}
	if len(spec.Sidecars) > 0 {
		return errors.New("it has sidecars")
	}
	for i := range spec.Steps {
		s := &spec.Steps[i]
		if slices.Contains(cloning, s.Name) {
			s.Env = append(s.Env, moved...)
			continue
		}
		if slices.ContainsFunc(s.Env, isSecret) || slices.ContainsFunc(s.EnvFrom, func(e corev1.EnvFromSource) bool { return e.SecretRef != nil }) {
			return fmt.Errorf("the step %s would get a Secret", s.Name)
		}
		if s.Ref != nil {
			return fmt.Errorf("the step %s is the cluster's, and may have secrets of its own", s.Name)
		}
	}
	return nil
}

// isSecret reports whether a variable's value is that of a Secret.
func isSecret(e corev1.EnvVar) bool { return e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil }
