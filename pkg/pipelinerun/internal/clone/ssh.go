package clone

import (
	"fmt"
	"slices"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/tekton-sentry/sentry/pkg/giturl"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun/internal/shell"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun/internal/steps"
	"github.com/tekton-sentry/sentry/tekton"
)

// Names of the volumes of a task that clones over SSH.
const (
	keyVolume  = "ssh"
	userVolume = "user"
)

// AnnotationUser holds the line of /etc/passwd of the user that a pod's steps run as: OpenSSH's client gives up where there is none.
const AnnotationUser = "tekton-sentry.dev/user"

// IsSSH reports whether the repository is cloned over SSH.
func (s Source) IsSSH() bool { return giturl.IsSSH(s.URL) }

// overSSH returns the way of a repository with an SSH address. The key is a variable of the step alone, and from there on a file in
// memory: OpenSSH reads no variable, and refuses a file of a Secret whose group may read it.
func (s Source) overSSH(start, secretName string) (way, error) {
	missing := func(key string) error {
		return fmt.Errorf("%s.auth.%s is missing, and nothing is cloned over SSH without it", s.section, key)
	}
	switch {
	case !s.Auth.SSHKey.IsSet():
		return way{}, missing("ssh_key")
	case s.Auth.SSHKey.Variable() == "":
		return way{}, s.writtenOut("ssh_key", secretName)
	case !s.Auth.KnownHosts.IsSet():
		return way{}, missing("known_hosts")
	}
	w := way{script: shell.WithoutComments(tekton.SSH), env: []corev1.EnvVar{steps.FromSecret(start+"_SSH_KEY", secretName, s.Auth.SSHKey)}}
	if s.Auth.SSHCertificate.IsSet() {
		w.env = append(w.env, steps.FromSecret(start+"_SSH_CERTIFICATE", secretName, s.Auth.SSHCertificate))
	}
	if s.Auth.KnownHosts.Variable() != "" {
		w.env = append(w.env, steps.FromSecret(start+"_KNOWN_HOSTS", secretName, s.Auth.KnownHosts))
	} else {
		w.facts = [][2]string{{"known_hosts", s.Auth.KnownHosts.Reveal()}}
	}
	return w, nil
}

// GiveSSH gives the steps that clone over SSH what that takes beside a script: room in memory for the key, and an entry of the user
// that they run as, which images lack. uid is nil where the cluster chooses; the container engine of one that does so
// writes the entry. It returns annotations of the pod. The first steps of spec clone what stands in cloned.
func GiveSSH(spec *v1.TaskSpec, cloned []Source, dir string, uid *int64) map[string]string {
	if !slices.ContainsFunc(cloned, Source.IsSSH) {
		return nil
	}
	give := func(v corev1.Volume, m corev1.VolumeMount, env ...corev1.EnvVar) {
		spec.Volumes = append(spec.Volumes, v)
		m.Name = v.Name
		for i, s := range cloned {
			if step := &spec.Steps[i]; s.IsSSH() {
				step.VolumeMounts, step.Env = append(step.VolumeMounts, m), append(step.Env, env...)
			}
		}
	}
	give(corev1.Volume{Name: keyVolume, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{Medium: corev1.StorageMediumMemory}}},
		corev1.VolumeMount{MountPath: dir + "/ssh"}, corev1.EnvVar{Name: "SENTRY_SSH", Value: dir + "/ssh"})
	if uid == nil {
		return nil
	}
	give(corev1.Volume{Name: userVolume, VolumeSource: corev1.VolumeSource{DownwardAPI: &corev1.DownwardAPIVolumeSource{
		Items: []corev1.DownwardAPIVolumeFile{{Path: "passwd", FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.annotations['" + AnnotationUser + "']"}}},
	}}}, corev1.VolumeMount{MountPath: "/etc/passwd", SubPath: "passwd", ReadOnly: true})
	return map[string]string{AnnotationUser: fmt.Sprintf("sentry:x:%d:%d::%s/home:/bin/sh", *uid, *uid, dir)}
}
