package pipelinerun

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/secret"
	"github.com/tekton-sentry/sentry/tekton"
)

// Variables of the clone step.
const (
	envUsername = "SENTRY_GIT_USERNAME"
	envToken    = "SENTRY_GIT_TOKEN"
)

// Places in the scripts of deploy.yaml, each a line of its own.
const (
	placeFacts    = "# {{facts}}\n"
	placeCommands = "# {{commands}}\n"
	placeLFS      = "# {{lfs}}\n"
)

// deployment fills the Task's spec in for one member.
func deployment(cfg *config.Config, run plan.Run, m plan.Member, spec *v1.TaskSpec, reach network) (*v1.TaskSpec, error) {
	d := m.Repository.Deploy
	origin, err := originOf(d.URL)
	if err != nil {
		return nil, err
	}
	user, credentials, err := credential(d.Auth, cfg.Global.CredentialsSecret)
	if err != nil {
		return nil, err
	}
	spec.Description = "" // the PipelineRun has one
	clone, deploy := &spec.Steps[0], &spec.Steps[1]
	clone.Image, deploy.Image = cfg.Global.GitImage, d.Image
	for _, step := range []*v1.Step{clone, deploy} {
		step.Script = withoutComments(step.Script)
		home := cfg.Global.TmpDir + "/home"
		step.Env[0].Value, step.Env[1].Value = cfg.Global.TmpDir, home
		step.VolumeMounts[0].MountPath, step.VolumeMounts[1].MountPath = cfg.Global.TmpDir, home
	}
	if d.Shell != "" {
		deploy.Script = "#!" + d.Shell + strings.TrimPrefix(deploy.Script, "#!/bin/sh")
	}
	clone.Env = append(clone.Env, credentials...)
	giveObjects(spec, deploy, d)

	err = errors.Join(
		fill(clone, placeFacts, reach.line()+facts("", append([][2]string{
			{"url", d.URL},
			{"origin", origin},
			{"branch", d.Branch},
			{"sha", string(m.QASHA)},
			{"user", user},
		}, asked(d)...))),
		fill(deploy, placeFacts, reach.line()+facts("export ", variables(run, m))+environment(d.Env)),
		fill(deploy, placeCommands, commands(d.Commands)),
		fill(clone, placeLFS, largeFiles(d)),
	)
	return spec, err
}

// asked are the facts of a clone that is more than the files of one commit.
func asked(d config.Deploy) (facts [][2]string) {
	switch d.Depth {
	case 1:
	case 0:
		facts = append(facts, [2]string{"history", "--tags"})
	default:
		facts = append(facts, [2]string{"history", fmt.Sprintf("--no-tags --depth %d", d.Depth)})
	}
	if d.Submodules {
		facts = append(facts, [2]string{"submodules", "true"})
	}
	return facts
}

// largeFiles returns the lines that fetch files in Git LFS.
func largeFiles(d config.Deploy) string {
	if d.LFS {
		return withoutComments(tekton.LFS)
	}
	return ""
}

// originOf returns scheme://host[:port] of a repository's URL: what a credential may be sent to.
func originOf(repository string) (string, error) {
	u, err := url.Parse(repository)
	if err != nil || u.Host == "" || u.User != nil {
		return "", fmt.Errorf("qa_repo_url is no URL of the form https://host/path without credentials")
	}
	return u.Scheme + "://" + u.Host, nil
}

// credential returns the user name that stands in the script, and the variables of the clone step, whose
// values are read from the Secret when the pod starts.
func credential(auth config.Auth, secretName string) (string, []corev1.EnvVar, error) {
	if !auth.Token.IsSet() {
		return "", nil, nil
	}
	if auth.Token.Variable() == "" {
		return "", nil, fmt.Errorf("deploy.auth.token is written out, and a PipelineRun can be read by many: "+
			"put it under a name into the Secret %q and write token: \"${NAME}\"", secretName)
	}
	env := []corev1.EnvVar{fromSecret(envToken, secretName, auth.Token)}
	if auth.Username.Variable() != "" {
		return "", append([]corev1.EnvVar{fromSecret(envUsername, secretName, auth.Username)}, env...), nil
	}
	return auth.Username.Reveal(), env, nil
}

// fromSecret is a variable that has its value from a key of the Secret.
func fromSecret(name, secretName string, v secret.Value) corev1.EnvVar {
	return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
		LocalObjectReference: corev1.LocalObjectReference{Name: secretName},
		Key:                  v.Variable(),
	}}}
}

// withoutComments drops from a script of folder tekton/ the lines that are comments, and the indentation: a PipelineRun of
// a hundred deployments would hold each a hundred times.
func withoutComments(script string) string {
	var b strings.Builder
	for line := range strings.Lines(script) {
		text := strings.TrimSpace(line)
		place := line == placeFacts || line == placeCommands || line == placeLFS || strings.HasPrefix(line, "#!")
		if text != "" && (place || text[0] != '#') {
			b.WriteString(text + "\n")
		}
	}
	return b.String()
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

// facts returns the lines that set the variables.
func facts(prefix string, pairs [][2]string) string {
	var b strings.Builder
	for _, p := range pairs {
		fmt.Fprintf(&b, "%s%s=%s\n", prefix, p[0], Quote(p[1]))
	}
	return b.String()
}

// commands returns the lines that run the commands. Each eval stands at the top of the subshell, not in a
// function, an `if` or a list, where `set -e` and `set -- …` would not be what they are in a script. The
// blank keeps a command that starts with a dash from being an option of eval. A command that names its interpreter becomes a
// file, for the kernel to run.
func commands(texts []string) string {
	const evaluate, execute = `eval " $sentry_command"`,
		`printf '%s\n' "$sentry_command" >|"$SENTRY_DIR/program" && chmod 700 "$SENTRY_DIR/program" && "$SENTRY_DIR/program"`
	var b strings.Builder
	for i, text := range texts {
		number := fmt.Sprintf("%d of %d", i+1, len(texts))
		fmt.Fprintf(&b, "sentry_next %s %s", Quote(number), Quote(text))
		if t := commandTitle(text); t != text {
			b.WriteString(" " + Quote(t))
		}
		run := evaluate
		if strings.HasPrefix(text, "#!") {
			run = execute
		}
		b.WriteString("\n" + run + "\n")
	}
	return b.String()
}

// commandTitle returns the command as it is printed before it runs: its first line, at most 120
// characters of it, and an ellipsis where that is not all.
func commandTitle(text string) string {
	const most = 120
	line, _, more := strings.Cut(strings.TrimSpace(text), "\n")
	if runes := []rune(line); len(runes) > most {
		line, more = string(runes[:most]), true
	}
	line = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, line)
	if more {
		line += " …"
	}
	return line
}

// Quote returns s as one word for a POSIX shell that expands to s, whatever bytes but NUL it holds. The
// word never contains "$(": Tekton substitutes $(…) in scripts, rejects some of it, and knows no escape.
func Quote(s string) string {
	return "'" + strings.NewReplacer("'", `'\''`, "$(", "$''(").Replace(s) + "'"
}
