package pipelinerun

import (
	"fmt"
	"maps"
	"slices"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun/internal/shell"
)

// environment returns the lines that give the commands their variables. They are in the script, since Tekton and the
// kubelet would expand $(…) in the texts elsewhere.
func environment(env config.Env) string {
	var pairs [][2]string
	for _, name := range slices.Sorted(maps.Keys(env)) {
		pairs = append(pairs, [2]string{name, env[name]})
	}
	return shell.Facts("export ", pairs)
}

// giveObjects has the commands' step see the Secrets and ConfigMaps of a deployment, and no other step. Of two
// variables of one name the later one counts, which is that of a Secret.
func giveObjects(spec *v1.TaskSpec, step *v1.Step, d *config.Deploy) {
	for i, o := range d.ConfigMaps {
		name, optional := corev1.LocalObjectReference{Name: o.Name}, optional(o)
		add(spec, step, o, fmt.Sprintf("config-map-%d", i+1), corev1.EnvFromSource{
			ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: name, Optional: optional},
		}, corev1.VolumeSource{
			ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: name, Items: items(o), Optional: optional},
		}, func(key string) *corev1.EnvVarSource {
			return &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{LocalObjectReference: name, Key: key, Optional: optional}}
		})
	}
	for i, o := range d.Secrets {
		name, optional := corev1.LocalObjectReference{Name: o.Name}, optional(o)
		add(spec, step, o, fmt.Sprintf("secret-%d", i+1), corev1.EnvFromSource{
			SecretRef: &corev1.SecretEnvSource{LocalObjectReference: name, Optional: optional},
		}, corev1.VolumeSource{
			Secret: &corev1.SecretVolumeSource{SecretName: o.Name, Items: items(o), Optional: optional},
		}, func(key string) *corev1.EnvVarSource {
			return &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: name, Key: key, Optional: optional}}
		})
	}
}

// add adds one object: as files, as a variable for each of its keys, or with whatever keys it has.
func add(spec *v1.TaskSpec, step *v1.Step, o config.Object, volume string, all corev1.EnvFromSource, files corev1.VolumeSource, one func(key string) *corev1.EnvVarSource) {
	switch {
	case o.Mount != "":
		spec.Volumes = append(spec.Volumes, corev1.Volume{Name: volume, VolumeSource: files})
		step.VolumeMounts = append(step.VolumeMounts, corev1.VolumeMount{Name: volume, MountPath: o.Mount, ReadOnly: true})
	case len(o.Keys) > 0:
		for _, key := range o.Keys {
			step.Env = append(step.Env, corev1.EnvVar{Name: key, ValueFrom: one(key)})
		}
	default:
		step.EnvFrom = append(step.EnvFrom, all)
	}
}

// optional is nil where the object has to be there, so that the run says no more than it must.
func optional(o config.Object) *bool {
	if o.Optional {
		return &o.Optional
	}
	return nil
}

// items are the keys that become files; nil is all.
func items(o config.Object) []corev1.KeyToPath {
	var items []corev1.KeyToPath
	for _, key := range o.Keys {
		items = append(items, corev1.KeyToPath{Key: key, Path: key})
	}
	return items
}
