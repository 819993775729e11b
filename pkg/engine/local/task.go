package local

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"github.com/tektoncd/pipeline/pkg/substitution"
	corev1 "k8s.io/api/core/v1"

	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/engine/local/sandbox"
)

// preamble is what Tekton puts before a script that names no interpreter.
const preamble = "#!/bin/sh\nset -e\n"

// stopped is why a task is ended from outside: the cause of its context.
type stopped struct {
	result  engine.Result
	message string
}

func (s stopped) Error() string { return s.message }

// ending is how a task ended.
type ending struct {
	task *task
	stopped
	status  int      // exit status of the step that failed
	printed []string // its last lines
}

// runTask runs the steps of a task, one after the other, until one fails or ctx ends.
func (e *Engine) runTask(ctx context.Context, run string, pt v1.PipelineTask, params v1.Params) ending {
	spec := resolve(pt.TaskSpec.TaskSpec, params)
	for _, step := range spec.Steps {
		if missing := e.missing(spec, step); missing != "" {
			return failure("%s", missing)
		}
	}
	var volumes []string
	for _, v := range spec.Volumes {
		if v.EmptyDir != nil {
			volumes = append(volumes, v.Name)
		}
	}
	box, err := sandbox.New(e.Dir, run, volumes)
	if err != nil {
		return failure("make the task's directory: %v", err)
	}
	defer func() {
		if err := box.Remove(); err != nil {
			e.Log.Warn("a task's directory could not be removed", "run", run, "task", pt.Name, "err", err)
		}
	}()
	for _, step := range spec.Steps {
		status, last, err := 0, []string(nil), error(nil)
		if ctx.Err() == nil {
			status, last, err = e.runStep(ctx, pt.Name, spec, step, box)
		}
		if err == nil && status == 0 && ctx.Err() == nil {
			continue
		}
		end := stepEnding(ctx, pt, step, status, err)
		end.status, end.printed = status, last
		return end
	}
	return ending{stopped: stopped{engine.Succeeded, "All Steps have completed executing"}}
}

func failure(format string, args ...any) ending {
	return ending{stopped: stopped{engine.Failed, fmt.Sprintf(format, args...)}}
}

// stepEnding is the end of a task whose step failed, or that was stopped.
func stepEnding(ctx context.Context, pt v1.PipelineTask, step v1.Step, status int, err error) ending {
	var end ending
	switch {
	case errors.As(context.Cause(ctx), &end.stopped):
		return end
	case err != nil:
		end = failure("%q did not start: %v", "step-"+step.Name, err)
	default:
		end = failure("%q exited with code %d", "step-"+step.Name, status)
	}
	if pt.OnError == v1.PipelineTaskContinue {
		end.result = engine.Ignored
	}
	return end
}

// runStep runs one step and returns its exit status, and the last lines that it printed.
func (e *Engine) runStep(ctx context.Context, task string, spec v1.TaskSpec, step v1.Step, box sandbox.Sandbox) (status int, last []string, err error) {
	script := step.Script
	if !strings.HasPrefix(script, "#!") {
		script = preamble + script
	}
	file := filepath.Join(box.Dir, "script")
	if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
		return 0, nil, err
	}
	env, own := e.stepEnv(vars(spec, step), mountsOf(box, spec, step))
	args := append(interpreter(script), file)
	for _, a := range step.Args {
		args = append(args, expand(a, own))
	}
	status, err = sandbox.Process{
		Args: args, Env: append(env, box.Mark()), Dir: box.Dir, Grace: e.Grace,
		Print: func(r io.Reader) { last = e.out.copy(r, task, step.Name) },
	}.Run(ctx)
	return status, last, err
}

// interpreter returns what the script's first line names, with its argument: one at most, as for the kernel.
func interpreter(script string) []string {
	line, _, _ := strings.Cut(script, "\n")
	path, arg, _ := strings.Cut(strings.TrimSpace(strings.TrimPrefix(line, "#!")), " ")
	if arg = strings.TrimSpace(arg); arg != "" {
		return []string{path, arg}
	}
	return []string{path}
}

// vars returns the step's variables: the template's, then its own, which win.
func vars(spec v1.TaskSpec, step v1.Step) []corev1.EnvVar {
	var template []corev1.EnvVar
	if spec.StepTemplate != nil {
		template = slices.DeleteFunc(slices.Clone(spec.StepTemplate.Env), func(t corev1.EnvVar) bool {
			return slices.ContainsFunc(step.Env, func(v corev1.EnvVar) bool { return v.Name == t.Name })
		})
	}
	return slices.Concat(template, step.Env)
}

// mountsOf returns what the step mounts, longer paths first: they may lie inside of shorter ones.
func mountsOf(box sandbox.Sandbox, spec v1.TaskSpec, step v1.Step) []mount {
	declared := step.VolumeMounts
	if spec.StepTemplate != nil {
		declared = slices.Concat(declared, spec.StepTemplate.VolumeMounts)
	}
	var mounts []mount
	for _, m := range declared {
		if dir, ok := box.Volumes[m.Name]; ok {
			mounts = append(mounts, mount{path: strings.TrimRight(m.MountPath, "/"), dir: dir})
		}
	}
	slices.SortStableFunc(mounts, func(a, b mount) int { return cmp.Compare(len(b.path), len(a.path)) })
	return mounts
}

// resolve returns the task with its parameters filled in, in the places where Tekton does it.
func resolve(spec v1.TaskSpec, params v1.Params) v1.TaskSpec {
	values := map[string]string{}
	set := func(name, value string) {
		for _, pattern := range []string{`params.%s`, `params["%s"]`, `params['%s']`} {
			values[fmt.Sprintf(pattern, name)] = value
		}
	}
	for _, p := range spec.Params {
		if p.Default != nil {
			set(p.Name, p.Default.StringVal)
		}
	}
	for _, p := range params {
		set(p.Name, p.Value.StringVal)
	}
	resolved := *spec.DeepCopy()
	replaceEnv := func(env []corev1.EnvVar) {
		for i := range env {
			env[i].Value = substitution.ApplyReplacements(env[i].Value, values)
		}
	}
	if resolved.StepTemplate != nil {
		replaceEnv(resolved.StepTemplate.Env)
	}
	for i := range resolved.Steps {
		step := &resolved.Steps[i]
		replaceEnv(step.Env)
		step.Script = substitution.ApplyReplacements(step.Script, values)
		for j := range step.Args {
			step.Args[j] = substitution.ApplyReplacements(step.Args[j], values)
		}
	}
	return resolved
}
