package local

import (
	"fmt"
	"os"
	"path/filepath"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"
)

// object is a Secret or a ConfigMap of a cluster. On this machine the environment stands in for those that are variables,
// and for those that are files what is at the same path.
type object struct {
	kind, name string
	optional   bool
}

func secretObject(name string, optional *bool) object {
	return object{"Secret", name, optional != nil && *optional}
}

func configMapObject(name string, optional *bool) object {
	return object{"ConfigMap", name, optional != nil && *optional}
}

// keyOf returns the key that a variable has its value from.
func keyOf(from *corev1.EnvVarSource) (object, string) {
	if ref := from.SecretKeyRef; ref != nil {
		return secretObject(ref.Name, ref.Optional), ref.Key
	}
	ref := from.ConfigMapKeyRef
	return configMapObject(ref.Name, ref.Optional), ref.Key
}

// filesOf returns what a volume has its files from, and which of the keys; none means all. ok is false for other volumes.
func filesOf(v corev1.Volume) (from object, items []corev1.KeyToPath, ok bool) {
	switch {
	case v.Secret != nil:
		return secretObject(v.Secret.SecretName, v.Secret.Optional), v.Secret.Items, true
	case v.ConfigMap != nil:
		return configMapObject(v.ConfigMap.Name, v.ConfigMap.Optional), v.ConfigMap.Items, true
	}
	return object{}, nil, false
}

// missing says what a step needs of the cluster's objects and this machine has nothing for; "" for nothing.
func (e *Engine) missing(spec v1.TaskSpec, step v1.Step) string {
	for _, v := range vars(spec, step) {
		if v.ValueFrom == nil {
			continue
		}
		from, key := keyOf(v.ValueFrom)
		if _, ok := e.lookup(key); !ok && !from.optional {
			return fmt.Sprintf("CreateContainerConfigError: step %s needs the variable %s (a key of %s %s), which is not set in the environment",
				step.Name, key, from.kind, from.name)
		}
	}
	for _, m := range step.VolumeMounts {
		for _, v := range spec.Volumes {
			from, items, ok := filesOf(v)
			if !ok || v.Name != m.Name || from.optional {
				continue
			}
			paths := []string{m.MountPath}
			for _, item := range items {
				paths = append(paths, filepath.Join(m.MountPath, item.Path))
			}
			for _, path := range paths {
				if _, err := os.Stat(path); err != nil {
					return fmt.Sprintf("step %s mounts %s %s at %s, for which this machine has to have the same directory: %v",
						step.Name, from.kind, from.name, m.MountPath, err)
				}
			}
		}
	}
	return ""
}
