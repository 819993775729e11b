package first

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"text/template"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost/hosts"
	"github.com/tekton-sentry/sentry/pkg/giturl"
)

// answers are what `sentry init` writes into a configuration.
type answers struct {
	name               string // "" = follows from the URL
	monitor, deploy    source
	branches, commands []string
	namespace, runs    string
}

// source is a repository, as far as init asks for it.
type source struct {
	url, kind, branch string // branch only of the QA repository
	token             string // name of the variable; "" for a public repository
}

// variable is what init takes for the name of a variable: in capitals, so that nobody gives the token itself.
var variable = regexp.MustCompile(`^[A-Z_][A-Z0-9_]*$`)

// flagOf are the flags that say what stands at a key.
var flagOf = map[string]string{
	"repositories[0].name":                  "name",
	"repositories[0].monitor.repo_url":      "repo-url",
	"repositories[0].monitor.repo_type":     "repo-type",
	"repositories[0].monitor.branches":      "branch",
	"repositories[0].deploy.qa_repo_url":    "qa-repo-url",
	"repositories[0].deploy.repo_type":      "qa-repo-type",
	"repositories[0].deploy.qa_repo_branch": "qa-repo-branch",
	"repositories[0].deploy.commands":       "command",
	"global.namespace":                      "namespace",
	"global.run_namespace":                  "run-namespace",
}

// wrong is what is wrong with the value of one flag.
type wrong struct {
	flag, message string // the flag is "" where no flag says it
}

// Error implements error.
func (w wrong) Error() string {
	if w.flag == "" {
		return w.message
	}
	return "--" + w.flag + " " + w.message
}

// check returns the text of the configuration, and all that is wrong with what it is made of.
func (a answers) check() (text []byte, wrongs []wrong) {
	for flag, name := range map[string]string{"token-variable": a.monitor.token, "qa-token-variable": a.deploy.token} {
		if name != "" && !variable.MatchString(name) {
			wrongs = append(wrongs, wrong{flag, "is no name of a variable; want that of the one which holds the token, in capitals, such as GITHUB_TOKEN, and never the token itself"})
		}
	}
	if len(wrongs) > 0 {
		return nil, wrongs
	}
	var b bytes.Buffer
	if err := file.Execute(&b, a.view()); err != nil {
		return nil, []wrong{{"", err.Error()}}
	}
	_, err := config.Parse(b.Bytes(), config.Options{Hosts: hosts.All.Config(), LookupEnv: func(string) (string, bool) { return "x", true }})
	overSSH := giturl.IsSSH(a.monitor.url)
	if overSSH {
		wrongs = append(wrongs, wrong{"repo-url", "is an SSH address, and init asks for tokens; want the https:// one, or a file by hand: docs/configuration.md, SSH"})
	}
	var errs config.Errors
	if errors.As(err, &errs) {
		for _, e := range errs {
			if overSSH && strings.HasPrefix(e.Key, "repositories[0].monitor.auth.") {
				continue // for which there is no flag
			}
			key := e.Key
			for key != "" && flagOf[key] == "" {
				key = key[:max(0, strings.LastIndexAny(key, ".["))]
			}
			w := wrong{flagOf[key], e.Message}
			if w.flag == "" {
				w.message = e.Error()
			}
			wrongs = append(wrongs, w)
		}
	}
	slices.SortStableFunc(wrongs, func(a, b wrong) int { return strings.Compare(a.flag, b.flag) })
	return b.Bytes(), wrongs
}

// nameOf makes the name of a repository from its URL.
func nameOf(url string) string {
	base := strings.ToLower(strings.TrimSuffix(path.Base(strings.TrimRight(url, "/")), ".git"))
	name := strings.Trim(regexp.MustCompile(`[^a-z0-9]+`).ReplaceAllString(base, "-"), "-")
	if name = strings.TrimRight(name[:min(len(name), 40)], "-"); name == "" {
		return "app"
	}
	return name
}

// suggestion is the name that the variable with a host's token usually has.
func suggestion(url string) string {
	for _, word := range []string{"github", "gitlab", "gitea", "codeberg", "bitbucket"} {
		if strings.Contains(strings.ToLower(url), word) {
			return strings.ToUpper(word) + "_TOKEN"
		}
	}
	return "GIT_TOKEN"
}

// view is what the template shows, each text as YAML.
func (a answers) view() map[string]any {
	name := a.name
	if name == "" {
		name = nameOf(a.monitor.url)
	}
	branches := make([]string, len(a.branches))
	for i, b := range a.branches {
		branches[i] = quote(b)
	}
	commands := make([]string, len(a.commands))
	for i, c := range a.commands {
		commands[i] = quote(c)
	}
	return map[string]any{
		"Name": quote(name), "URL": quote(a.monitor.url), "Type": given(a.monitor.kind), "Token": a.monitor.token, "Branches": strings.Join(branches, ", "),
		"QAURL": quote(a.deploy.url), "QAType": given(a.deploy.kind), "QAToken": a.deploy.token, "QABranch": quote(a.deploy.branch), "Commands": commands,
		"Namespace": given(a.namespace), "Runs": given(a.runs),
	}
}

// given is quote for a text that may be left out.
func given(s string) string {
	if s == "" {
		return ""
	}
	return quote(s)
}

var plainText = regexp.MustCompile(`^([A-Za-z]|\.?/)[A-Za-z0-9_./ -]*$`)

// quote returns a text as a value of YAML: as it is where YAML takes it for that text, and else in quotes, as JSON has it.
func quote(s string) string {
	special := []string{"true", "false", "null", "yes", "no", "on", "off", "y", "n"}
	if plainText.MatchString(strings.ReplaceAll(s, "://", "")) && !slices.Contains(special, strings.ToLower(s)) && strings.TrimSpace(s) == s {
		return s
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a text can always be encoded
	return strings.TrimSpace(b.String())
}

var file = template.Must(template.New("").Parse(fmt.Sprintf(`# The configuration of Sentry. 'sentry validate' checks it, 'sentry render --offline' shows what would run.
# For an editor: sentry schema > %[1]s, and put this line at the top:
#   # yaml-language-server: $schema=%[1]s

polling_interval: 60               # seconds from one look at all repositories to the next

repositories:
  - name: {{.Name}}    # what is remembered belongs to this name
    monitor:                       # a push here …
      repo_url: {{.URL}}
      {{- if .Type}}
      repo_type: {{.Type}}
      {{- end}}
      branches: [{{.Branches}}]    # exact names, or regular expressions that match the whole name, such as "dev.*"
      {{- if .Token}}
      auth: {token: "${ {{- .Token -}} }"}    # the variable, which needs read access; on a cluster, a key of a Secret
      {{- else}}
      # auth: {token: "${GIT_TOKEN}"}    # for a private repository: the variable with a token that may read it
      {{- end}}
    deploy:                        # … runs these commands in a clone of this repository
      qa_repo_url: {{.QAURL}}
      {{- if .QAType}}
      repo_type: {{.QAType}}
      {{- end}}
      qa_repo_branch: {{.QABranch}}
      {{- if .QAToken}}
      auth: {token: "${ {{- .QAToken -}} }"}
      {{- else}}
      # auth: {token: "${GIT_TOKEN}"}
      {{- end}}
      commands:                    # one shell: cd lasts; it stops at the first command that fails
      {{- range .Commands}}
        - {{.}}
      {{- end}}
      # image: docker.io/alpine/k8s:1.34.1    # where the commands run: has kubectl, helm, git
      # timeout: 300                          # seconds

global:
  on_first_seen: record            # the first look at a repository remembers its heads and runs nothing
  {{- if .Namespace}}
  namespace: {{.Namespace}}
  {{- end}}
  {{- if .Runs}}
  run_namespace: {{.Runs}}
  {{- end}}
`, "sentry.schema.json")))
