package pipelinerun

import (
	"errors"
	"slices"
	"strings"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/tekton-sentry/sentry/pkg/pipelinerun/internal/clone"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun/internal/confine"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun/internal/shell"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun/internal/steps"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

// job is what a task does for a member: it clones the QA repository, and the application where that is asked for, and runs
// commands.
type job struct {
	step     string // which runs the commands
	commands []string
	app      repo.SHA // the commit of the application; "" = there is none to clone
}

// deployment returns the spec of a task that does the job for a member as the user uid, nil for one that the cluster chooses, and
// annotations that its pod has to have.
func (b builder) deployment(m plan.Member, j job, uid *int64) (*v1.TaskSpec, map[string]string, error) {
	d, g := m.Repository.Deploy, b.cfg.Global
	if m.Untrusted() {
		d = confine.Deploy(d)
	}
	spec := b.deploy.DeepCopy()
	spec.Description = "" // the PipelineRun has one
	cloned := clone.Sources(m, j.app)
	if len(cloned) > 1 {
		checkout := *spec.Steps[0].DeepCopy()
		checkout.Name = CheckoutStep
		spec.Steps = slices.Insert(spec.Steps, 1, checkout)
	}
	for i := range spec.Steps {
		step, home := &spec.Steps[i], g.TmpDir+"/home"
		step.Script, step.Image = shell.WithoutComments(step.Script), g.GitImage
		step.Env[0].Value, step.Env[1].Value = g.TmpDir, home
		step.VolumeMounts[0].MountPath, step.VolumeMounts[1].MountPath = g.TmpDir, home
	}
	for i, s := range cloned {
		if err := s.Fill(&spec.Steps[i], g.CredentialsSecret, b.reach.line()); err != nil {
			return nil, nil, err
		}
	}
	annotations := clone.GiveSSH(spec, cloned, g.TmpDir, uid)
	deploy := &spec.Steps[len(cloned)]
	deploy.Name, deploy.Image = j.step, d.Image
	if d.Shell != "" {
		deploy.Script = "#!" + d.Shell + strings.TrimPrefix(deploy.Script, "#!/bin/sh")
	}
	if len(cloned) > 1 {
		deploy.Env = append(deploy.Env, corev1.EnvVar{Name: "SENTRY_APP_DIR", Value: g.TmpDir + "/" + clone.AppDir})
	}
	credentials := ""
	if d.GitCredential {
		var err error
		if credentials, err = clone.ForCommands(deploy, g.CredentialsSecret, cloned); err != nil {
			return nil, nil, err
		}
	}
	giveObjects(spec, deploy, d)
	return spec, annotations, errors.Join(
		steps.Fill(deploy, steps.Facts, b.reach.line()+shell.Facts("export ", variables(b.run, m))+environment(d.Env)+credentials),
		steps.Fill(deploy, steps.Commands, shell.Commands(j.commands)),
	)
}
