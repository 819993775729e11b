package pipelinerun

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	tektonconfig "github.com/tektoncd/pipeline/pkg/apis/config"
	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"knative.dev/pkg/apis"
)

// Bounds of one PipelineRun, each with room below the point where something breaks.
const (
	// MaxMembers is how many deployments a run may have: the CPU that Tekton's scheduler spends on a run
	// grows with the cube of its tasks (measured: 100 tasks 0.2 s, 300 5 s, 500 23 s).
	MaxMembers = 150
	// MaxSize is how many bytes of JSON. The status holds the spec once more, but not the annotations, and etcd takes 1.5 MiB: what
	// members say in an annotation, some 200 bytes each, came on top of 512 KiB.
	MaxSize = 560 << 10
	// MaxScript is how many bytes the scripts of one task may have: they travel in base64 in one argument
	// of a process, which Linux bounds at 128 KiB.
	MaxScript = 64 << 10
)

// Validate says why a cluster would refuse the PipelineRun, or take it and then hang: all of what Tekton's
// webhook checks, with the feature flags of a new installation and, where nothing in it needs beta, with
// "stable" as well; what the webhook leaves to the pod's creation; and the bounds.
func Validate(ctx context.Context, pr *v1.PipelineRun) error {
	if pr.Spec.PipelineSpec == nil && pr.Spec.PipelineRef == nil {
		return fmt.Errorf("PipelineRun %s has neither pipelineSpec nor pipelineRef", pr.Name)
	}
	errs := []error{CheckSize(pr), checkMetadata(pr), checkTaskRunSpecs(pr)}
	tasks := allTasks(pr)
	levels := []string{tektonconfig.BetaAPIFields, tektonconfig.StableAPIFields}
	for i := range tasks {
		errs = append(errs, checkTask(&tasks[i]))
		if tasks[i].OnError != "" || tasks[i].TaskRef != nil && tasks[i].TaskRef.Resolver != "" {
			levels = levels[:1]
		}
	}
	if pr.Spec.PipelineRef != nil && pr.Spec.PipelineRef.Resolver != "" {
		levels = levels[:1]
	}
	for _, level := range levels {
		if err := askTekton(ctx, pr, level); err != nil {
			errs = append(errs, err)
			break // the second would say the same again
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("PipelineRun %s: %w", pr.Name, err)
	}
	return nil
}

// tasksOf returns the tasks of a run, but not those in finally; none of a Pipeline that it refers to.
func tasksOf(pr *v1.PipelineRun) []v1.PipelineTask {
	if pr.Spec.PipelineSpec == nil {
		return nil
	}
	return pr.Spec.PipelineSpec.Tasks
}

// allTasks returns the same with those in finally.
func allTasks(pr *v1.PipelineRun) []v1.PipelineTask {
	if pr.Spec.PipelineSpec == nil {
		return nil
	}
	return slices.Concat(pr.Spec.PipelineSpec.Tasks, pr.Spec.PipelineSpec.Finally)
}

// askTekton runs what the webhook runs, on a copy, since it fills in defaults.
func askTekton(ctx context.Context, pr *v1.PipelineRun, level string) error {
	flags, err := tektonconfig.NewFeatureFlagsFromMap(map[string]string{"enable-api-fields": level})
	if err != nil {
		return fmt.Errorf("enable-api-fields %s: %w", level, err)
	}
	defaults, err := tektonconfig.NewDefaultsFromMap(nil)
	if err != nil {
		return fmt.Errorf("defaults of Tekton: %w", err)
	}
	ctx = tektonconfig.ToContext(ctx, &tektonconfig.Config{FeatureFlags: flags, Defaults: defaults})
	ctx = apis.WithinCreate(ctx)
	pr = pr.DeepCopy()
	pr.SetDefaults(ctx)
	if err := pr.Validate(ctx); err != nil {
		return fmt.Errorf("refused by Tekton with enable-api-fields %s: %w", level, err)
	}
	return nil
}

// CheckSize says why a cluster would take the PipelineRun, or not, and then hang: the bounds of a whole run.
func CheckSize(pr *v1.PipelineRun) error { return checkSize(pr, MaxMembers) }

func checkSize(pr *v1.PipelineRun, most int) error {
	members := 0
	for _, t := range tasksOf(pr) {
		if !NeverRuns(t.Name) && t.Name != CheckTask {
			members++
		}
	}
	if members > most {
		return fmt.Errorf("%d deployments in one run, and Tekton's scheduler takes at most %d in reasonable time: split the group", members, most)
	}
	text, err := json.Marshal(pr)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	if len(text) > MaxSize {
		return fmt.Errorf("%d KiB for %d deployments, want at most %d KiB: split the group, or move commands into scripts of the QA repository",
			len(text)>>10, members, MaxSize>>10)
	}
	return nil
}

func checkMetadata(pr *v1.PipelineRun) error {
	errs := metavalidation.ValidateLabels(pr.Labels, field.NewPath("metadata", "labels"))
	for _, t := range allTasks(pr) {
		if t.TaskSpec != nil {
			at := field.NewPath("tasks").Key(t.Name).Child("taskSpec", "metadata", "labels")
			errs = append(errs, metavalidation.ValidateLabels(t.TaskSpec.Metadata.Labels, at)...)
		}
	}
	for _, why := range validation.IsDNS1123Label(pr.Name) {
		errs = append(errs, field.Invalid(field.NewPath("metadata", "name"), pr.Name, why))
	}
	if pr.Namespace != "" {
		for _, why := range validation.IsDNS1123Label(pr.Namespace) {
			errs = append(errs, field.Invalid(field.NewPath("metadata", "namespace"), pr.Namespace, why))
		}
	}
	if err := errs.ToAggregate(); err != nil {
		return err
	}
	return nil
}

func checkTaskRunSpecs(pr *v1.PipelineRun) error {
	known := map[string]bool{}
	for _, t := range allTasks(pr) {
		known[t.Name] = true
	}
	errs := []error{checkServiceAccount("taskRunTemplate", pr.Spec.TaskRunTemplate.ServiceAccountName)}
	for _, s := range pr.Spec.TaskRunSpecs {
		if !known[s.PipelineTaskName] {
			errs = append(errs, fmt.Errorf("taskRunSpecs: no task is called %q", s.PipelineTaskName))
		}
		errs = append(errs, checkServiceAccount("taskRunSpecs of "+s.PipelineTaskName, s.ServiceAccountName))
	}
	return errors.Join(errs...)
}

func checkServiceAccount(where, name string) error {
	if why := validation.IsDNS1123Subdomain(name); name != "" && why != nil {
		return fmt.Errorf("%s: service account %q: %s", where, name, why[0])
	}
	return nil
}

func checkTask(t *v1.PipelineTask) error {
	if t.TaskSpec == nil && t.TaskRef != nil {
		return nil
	}
	if t.TaskSpec == nil {
		return fmt.Errorf("task %s has neither taskSpec nor taskRef", t.Name)
	}
	var errs []error
	volumes := map[string]bool{}
	for _, v := range t.TaskSpec.Volumes {
		volumes[v.Name] = true
	}
	size := 0
	if t.TaskSpec.StepTemplate != nil {
		errs = append(errs, checkVariables("task "+t.Name, t.TaskSpec.StepTemplate.Env))
	}
	for _, step := range t.TaskSpec.Steps {
		size += len(step.Script)
		where := fmt.Sprintf("task %s: step %s", t.Name, step.Name)
		errs = append(errs, checkVariables(where, step.Env))
		for _, m := range step.VolumeMounts {
			if !volumes[m.Name] {
				errs = append(errs, fmt.Errorf("%s: no volume is called %q", where, m.Name))
			}
			if !path.IsAbs(m.MountPath) || strings.Contains(m.MountPath, ":") {
				errs = append(errs, fmt.Errorf("%s: mount path %q, want an absolute one without a colon", where, m.MountPath))
			}
		}
	}
	if size > MaxScript {
		errs = append(errs, fmt.Errorf("task %s: scripts of %d KiB, want at most %d KiB: move commands into a script of the QA repository",
			t.Name, size>>10, MaxScript>>10))
	}
	return errors.Join(errs...)
}

func checkVariables(where string, env []corev1.EnvVar) error {
	var errs []error
	for _, e := range env {
		if err := checkEnv(e); err != nil {
			errs = append(errs, fmt.Errorf("%s: variable %s: %w", where, e.Name, err))
		}
	}
	return errors.Join(errs...)
}

func checkEnv(e corev1.EnvVar) error {
	if why := validation.IsEnvVarName(e.Name); why != nil {
		return errors.New(why[0])
	}
	if e.Name == envNetwork && e.Value == refNetwork {
		return nil
	}
	if strings.Contains(e.Value, "$") {
		return fmt.Errorf("value %q: Tekton and the kubelet would expand the $ in it", e.Value)
	}
	if e.ValueFrom == nil || e.ValueFrom.SecretKeyRef == nil {
		return nil
	}
	ref := e.ValueFrom.SecretKeyRef
	if why := validation.IsDNS1123Subdomain(ref.Name); why != nil {
		return fmt.Errorf("secret %q: %s", ref.Name, why[0])
	}
	if why := validation.IsConfigMapKey(ref.Key); why != nil {
		return fmt.Errorf("key %q of secret %s: %s", ref.Key, ref.Name, why[0])
	}
	return nil
}
