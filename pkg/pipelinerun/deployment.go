package pipelinerun

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun/internal/shell"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/secret"
	"github.com/tekton-sentry/sentry/tekton"
)

// Starts of the names of variables with a credential: of what a step clones, and beside that one of the application.
const (
	envGit = "SENTRY_GIT"
	envApp = "SENTRY_APP"
)

// appDir is where the application is cloned, below SENTRY_DIR.
const appDir = "app"

// Places in the scripts of deploy.yaml, each a line of its own.
const (
	placeFacts      = "# {{facts}}\n"
	placeCommands   = "# {{commands}}\n"
	placeLFS        = "# {{lfs}}\n"
	placeSubmodules = "# {{submodules}}\n"
)

// job is what a task does for a member: it clones the QA repository, and the application where that is asked for, and runs
// commands.
type job struct {
	step     string // which runs the commands
	commands []string
	app      repo.SHA // the commit of the application; "" = there is none to clone
}

// deployment returns the spec of a task that does the job for a member.
func (b builder) deployment(m plan.Member, j job) (*v1.TaskSpec, error) {
	d, g := m.Repository.Deploy, b.cfg.Global
	spec := b.deploy.DeepCopy()
	spec.Description = "" // the PipelineRun has one
	cloned := sources(m, j.app)
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
		if err := s.fill(&spec.Steps[i], g.CredentialsSecret, b.reach); err != nil {
			return nil, err
		}
	}
	deploy := &spec.Steps[len(cloned)]
	deploy.Name, deploy.Image = j.step, d.Image
	if d.Shell != "" {
		deploy.Script = "#!" + d.Shell + strings.TrimPrefix(deploy.Script, "#!/bin/sh")
	}
	if len(cloned) > 1 {
		deploy.Env = append(deploy.Env, corev1.EnvVar{Name: "SENTRY_APP_DIR", Value: g.TmpDir + "/" + appDir})
	}
	credentials := ""
	if d.GitCredential {
		var err error
		if credentials, err = giveCredentials(deploy, g.CredentialsSecret, cloned); err != nil {
			return nil, err
		}
	}
	giveObjects(spec, deploy, d)
	return spec, errors.Join(
		fill(deploy, placeFacts, b.reach.line()+shell.Facts("export ", variables(b.run, m))+environment(d.Env)+credentials),
		fill(deploy, placeCommands, shell.Commands(j.commands)),
	)
}

// source is a repository at a commit, for a step to clone.
type source struct {
	config.Source
	section, key string // where the configuration has it
	branch       string
	sha          repo.SHA
	env          string      // start of the names of its credential's variables, as commands see them
	more         [][2]string // facts for the script

	lfs, submodules string // lines that fetch these
}

// sources returns the QA repository of a member and, where that is asked for and there is a commit, the application.
func sources(m plan.Member, app repo.SHA) []source {
	d := m.Repository.Deploy
	qa := source{Source: d.Source, section: "deploy", key: "qa_repo_url", branch: d.Branch, sha: m.QASHA, env: envGit, more: history(d.Depth)}
	if d.LFS {
		qa.lfs = shell.WithoutComments(tekton.LFS)
	}
	if d.Submodules {
		qa.submodules = shell.WithoutComments(tekton.Submodules)
	}
	if !d.Checkout || app == "" {
		return []source{qa}
	}
	return []source{qa, {Source: m.Repository.Monitor.Source, section: "monitor", key: "repo_url", branch: m.Branch, sha: app, env: envApp,
		more: [][2]string{{"dir", appDir}, {"only", " is for the QA repository alone"}}}}
}

// history returns the fact of a clone that is more than one commit.
func history(depth int) [][2]string {
	switch depth {
	case 1:
		return nil
	case 0:
		return [][2]string{{"history", "--tags"}}
	}
	return [][2]string{{"history", fmt.Sprintf("--no-tags --depth %d", depth)}}
}

// fill has the step clone the repository.
func (s source) fill(step *v1.Step, secretName string, reach network) error {
	origin, err := s.origin()
	if err != nil {
		return err
	}
	user, credentials, err := s.credential(envGit, secretName)
	if err != nil {
		return err
	}
	step.Env = append(step.Env, credentials...)
	if _, tag := repo.Tag(s.branch); tag {
		step.Script = strings.ReplaceAll(step.Script, repo.Heads+"$branch", "$branch")
	}
	known := [][2]string{{"url", s.URL}, {"origin", origin}, {"branch", s.branch}, {"sha", string(s.sha)}}
	if user != "" {
		known = append(known, [2]string{"user", user})
	}
	return errors.Join(
		fill(step, placeFacts, reach.line()+shell.Facts("", append(known, s.more...))),
		fill(step, placeLFS, s.lfs),
		fill(step, placeSubmodules, s.submodules),
	)
}

// origin returns scheme://host[:port] of the repository's URL: what its credential may be sent to.
func (s source) origin() (string, error) {
	u, err := url.Parse(s.URL)
	if err != nil || u.Host == "" || u.User != nil {
		return "", fmt.Errorf("%s is no URL of the form https://host/path without credentials", s.key)
	}
	return u.Scheme + "://" + u.Host, nil
}

// credential returns the user name that stands in the script, and the variables of a step, whose values are read from the
// Secret when the pod starts.
func (s source) credential(start, secretName string) (string, []corev1.EnvVar, error) {
	if !s.Auth.Token.IsSet() {
		return "", nil, nil
	}
	if s.Auth.Token.Variable() == "" {
		return "", nil, fmt.Errorf("%s.auth.token is written out, and a PipelineRun can be read by many: "+
			"put it under a name into the Secret %q and write token: \"${NAME}\"", s.section, secretName)
	}
	env := []corev1.EnvVar{fromSecret(start+"_TOKEN", secretName, s.Auth.Token)}
	if s.Auth.Username.Variable() != "" {
		return "", append([]corev1.EnvVar{fromSecret(start+"_USERNAME", secretName, s.Auth.Username)}, env...), nil
	}
	return cmp.Or(s.Auth.Username.Reveal(), config.DefaultUsername), env, nil
}

// giveCredentials has the commands' git know the credential of each repository that was cloned, at its server. At a server that both have, the
// application's is for its repository alone; it answers first there. It returns the lines for the script.
func giveCredentials(step *v1.Step, secretName string, cloned []source) (string, error) {
	var users [][2]string
	forget, answer, taken := "", "", ""
	for _, s := range cloned {
		at, err := s.origin()
		if err != nil {
			return "", err
		}
		user, env, err := s.credential(s.env, secretName)
		if err != nil {
			return "", err
		}
		if env == nil {
			continue
		}
		step.Env = append(step.Env, env...)
		if user != "" {
			users = append(users, [2]string{s.env + "_USERNAME", user})
		}
		if at == taken {
			at = s.URL
		}
		taken = at
		forget += "sentry_git " + shell.Quote(at) + " ''\n"
		answer = "sentry_answer " + shell.Quote(at) + " " + s.env + "\n" + answer
	}
	if answer == "" {
		return "", nil
	}
	return shell.Facts("export ", users) + shell.WithoutComments(tekton.Credential) + forget + answer, nil
}

// fromSecret is a variable that has its value from a key of the Secret.
func fromSecret(name, secretName string, v secret.Value) corev1.EnvVar {
	return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
		LocalObjectReference: corev1.LocalObjectReference{Name: secretName},
		Key:                  v.Variable(),
	}}}
}

// fill replaces the place in the step's script by text.
func fill(step *v1.Step, place, text string) error {
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
