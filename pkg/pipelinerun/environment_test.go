package pipelinerun

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/tekton-sentry/sentry/pkg/config"
)

// The texts of env reach the commands, and what they start, to the byte.
func TestEnvironmentOfTheCommands(t *testing.T) {
	texts := append(append([]string{"$(HOME)", "$(params.x)", `a'b"c`, "two\nlines\n", "`id`", "$$", "${HOME}", `\n`, "", "-n", "日本語"}, hostile...), random(100)...)
	m := testMember("rag")
	m.Repository.Deploy.Env = config.Env{}
	for i, text := range texts {
		m.Repository.Deploy.Env[fmt.Sprintf("V%d", i)] = text
	}
	m.Repository.Deploy.Commands = []string{fmt.Sprintf(
		`i=0; while [ $i -lt %d ]; do sh -c "printf '%%s|<%%s>|' \"\$V$i\" $i"; i=$((i+1)); done`, len(texts))}
	var want strings.Builder
	for i, text := range texts {
		fmt.Fprintf(&want, "%s|<%d>|", text, i)
	}
	clone, step := stepsOf(t, m)
	if strings.Contains(step.Script, "$(") || strings.Contains(clone.Script, "V0=") {
		t.Error("the script of the commands holds $(, or the clone has the variables too")
	}
	for _, sh := range shells(t) {
		got := run(t, process(t, sh, step, emptyClone(t)))
		if _, values, _ := strings.Cut(got.stdout, "\n"); values != want.String() || got.code != 0 {
			t.Errorf("%v: got %q, %q\nwant %q", sh, values, got.stderr, want.String())
		}
	}
}

// What the commands need is in their step alone: the clone speaks to a server that somebody else runs.
func TestObjectsAreForTheCommands(t *testing.T) {
	m := testMember("rag")
	m.Repository.Deploy.Secrets = []config.Object{
		{Name: "login"}, {Name: "one", Keys: []string{"TOKEN"}}, {Name: "kubeconfig", Mount: "/secrets/kubeconfig", Keys: []string{"config"}},
		{Name: "perhaps", Mount: "/secrets/perhaps", Optional: true},
	}
	m.Repository.Deploy.ConfigMaps = []config.Object{
		{Name: "settings", Optional: true}, {Name: "one", Keys: []string{"TIER"}, Optional: true}, {Name: "files", Mount: "/settings"},
	}
	pr, err := Generate(testConfig(), testRun(config.Alone(), m))
	if err != nil {
		t.Fatal(err)
	}
	if err := Validate(t.Context(), pr); err != nil {
		t.Fatal(err)
	}
	spec := pr.Spec.PipelineSpec.Tasks[0].TaskSpec
	clone, deploy := spec.Steps[0], spec.Steps[1]
	plain, plainDeploy := stepsOf(t, testMember("rag"))
	if diff := cmp.Diff(plain, clone); diff != "" {
		t.Errorf("the clone differs (-without +with):\n%s", diff)
	}
	sources := map[string]corev1.VolumeSource{}
	for _, v := range spec.Volumes {
		sources[v.Name] = v.VolumeSource
	}
	name := func(n string) corev1.LocalObjectReference { return corev1.LocalObjectReference{Name: n} }
	if diff := cmp.Diff([]corev1.EnvFromSource{
		{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: name("settings"), Optional: new(true)}},
		{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: name("login")}},
	}, deploy.EnvFrom); diff != "" {
		t.Errorf("all keys (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]corev1.EnvVar{
		{Name: "TIER", ValueFrom: &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{LocalObjectReference: name("one"), Key: "TIER", Optional: new(true)}}},
		{Name: "TOKEN", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: name("one"), Key: "TOKEN"}}},
	}, deploy.Env[len(plainDeploy.Env):]); diff != "" {
		t.Errorf("single keys (-want +got):\n%s", diff)
	}
	mounted := map[string]corev1.VolumeSource{}
	for _, mount := range deploy.VolumeMounts[len(plainDeploy.VolumeMounts):] {
		mounted[mount.MountPath] = sources[mount.Name]
		if !mount.ReadOnly {
			t.Errorf("%s can be written to", mount.MountPath)
		}
	}
	if diff := cmp.Diff(map[string]corev1.VolumeSource{
		"/secrets/kubeconfig": {Secret: &corev1.SecretVolumeSource{SecretName: "kubeconfig", Items: []corev1.KeyToPath{{Key: "config", Path: "config"}}}},
		"/secrets/perhaps":    {Secret: &corev1.SecretVolumeSource{SecretName: "perhaps", Optional: new(true)}},
		"/settings":           {ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: name("files")}},
	}, mounted); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}
