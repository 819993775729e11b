// Package clone has the steps of a deployment clone repositories, each at one commit and with its own credential.
package clone

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"strings"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun/internal/shell"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun/internal/steps"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/tekton"
)

// Starts of the names of variables with a credential: of what a step clones, and beside that one of the application.
const (
	EnvGit = "SENTRY_GIT"
	EnvApp = "SENTRY_APP"
)

// AppDir is where the application is cloned, below SENTRY_DIR.
const AppDir = "app"

// Source is a repository at a commit, for a step to clone.
type Source struct {
	config.Source
	section, key string // where the configuration has it
	branch       string
	sha          repo.SHA
	env          string      // start of the names of its credential's variables, as commands see them
	more         [][2]string // facts for the script

	lfs, submodules string // lines that fetch these
}

// Sources returns the QA repository of a member and, where that is asked for and app is a commit, the application.
func Sources(m plan.Member, app repo.SHA) []Source {
	d := m.Repository.Deploy
	qa := Source{Source: d.Source, section: "deploy", key: "qa_repo_url", branch: d.Branch, sha: m.QASHA, env: EnvGit, more: history(d.Depth)}
	if d.LFS {
		qa.lfs = shell.WithoutComments(tekton.LFS)
	}
	if d.Submodules {
		qa.submodules = shell.WithoutComments(tekton.Submodules)
	}
	if !d.Checkout || app == "" {
		return []Source{qa}
	}
	source := m.Repository.Monitor.Source
	if m.Untrusted() {
		source.Auth = config.Auth{}
	}
	return []Source{qa, {Source: source, section: "monitor", key: "repo_url", branch: m.Branch, sha: app, env: EnvApp,
		more: [][2]string{{"dir", AppDir}, {"only", " is for the QA repository alone"}}}}
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

// Fill has a step clone the repository. The values of its credential stand in the Secret. network is the line by which the step
// takes up proxies and authorities.
func (s Source) Fill(step *v1.Step, secretName, network string) error {
	way, err := s.way(EnvGit, secretName)
	if err != nil {
		return err
	}
	step.Env = append(step.Env, way.env...)
	if repo.Full(s.branch) == s.branch {
		step.Script = strings.ReplaceAll(step.Script, repo.Heads+"$branch", "$branch")
	}
	known := [][2]string{{"url", s.URL}}
	if way.origin != "" {
		known = append(known, [2]string{"origin", way.origin})
	}
	known = append(known, [2]string{"branch", s.branch}, [2]string{"sha", string(s.sha)})
	known = append(known, way.facts...)
	return errors.Join(
		steps.Fill(step, steps.Facts, network+shell.Facts("", append(known, s.more...))),
		steps.Fill(step, steps.SSH, way.script),
		steps.Fill(step, steps.LFS, s.lfs),
		steps.Fill(step, steps.Submodules, s.submodules),
	)
}

// way is how a repository is reached.
type way struct {
	origin string          // scheme://host[:port], what a token may be sent to; "" over SSH
	facts  [][2]string     // for the script
	env    []corev1.EnvVar // the credential, whose values are read from the Secret when the pod starts
	script string          // what has git go this way
}

// way returns how the repository is reached, with variables of a credential whose names begin with start.
func (s Source) way(start, secretName string) (way, error) {
	if s.IsSSH() {
		return s.overSSH(start, secretName)
	}
	u, err := url.Parse(s.URL)
	if err != nil || u.Host == "" || u.User != nil {
		return way{}, fmt.Errorf("%s is no URL of the form https://host/path without credentials", s.key)
	}
	w := way{origin: u.Scheme + "://" + u.Host}
	if !s.Auth.Token.IsSet() {
		return w, nil
	}
	if s.Auth.Token.Variable() == "" {
		return way{}, s.writtenOut("token", secretName)
	}
	if s.Auth.Username.Variable() != "" {
		w.env = append(w.env, steps.FromSecret(start+"_USERNAME", secretName, s.Auth.Username))
	} else {
		w.facts = [][2]string{{"user", cmp.Or(s.Auth.Username.Reveal(), config.DefaultUsername)}}
	}
	w.env = append(w.env, steps.FromSecret(start+"_TOKEN", secretName, s.Auth.Token))
	return w, nil
}

// writtenOut is why a credential that no Secret has is not taken.
func (s Source) writtenOut(key, secretName string) error {
	return fmt.Errorf("%s.auth.%s is written out, and a PipelineRun can be read by many: "+
		"put it under a name into the Secret %q and write %s: \"${NAME}\"", s.section, key, secretName, key)
}

// ForCommands has the git of a step with commands know the credential of each repository that was cloned, at its server. At a server
// that both have, the application's is for its repository alone; it answers first there. It returns the lines for the script.
func ForCommands(step *v1.Step, secretName string, cloned []Source) (string, error) {
	var users [][2]string
	forget, answer, taken := "", "", ""
	for _, s := range cloned {
		if s.IsSSH() {
			continue // the configuration does not take both; a key is for the clone alone
		}
		way, err := s.way(s.env, secretName)
		if err != nil {
			return "", err
		}
		if way.env == nil {
			continue
		}
		step.Env = append(step.Env, way.env...)
		for _, f := range way.facts {
			users = append(users, [2]string{s.env + "_USERNAME", f[1]})
		}
		at := way.origin
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
