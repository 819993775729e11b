package first

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

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
	text = a.text()
	_, err := config.Parse(text, config.Options{Hosts: hosts.All.Config(), LookupEnv: func(string) (string, bool) { return "x", true }})
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
	return text, wrongs
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

// text returns the configuration.
func (a answers) text() []byte {
	var b bytes.Buffer
	write := func(format string, values ...any) { fmt.Fprintf(&b, format+"\n", values...) }
	given := func(key, value string) {
		if value != "" {
			write("%s: %s", key, quote(value))
		}
	}
	auth := func(token, comment, instead string) {
		if token != "" {
			write(`      auth: {token: "${%s}"}%s`, token, comment)
		} else {
			write(`      # auth: {token: "${GIT_TOKEN}"}%s`, instead)
		}
	}
	branches := make([]string, len(a.branches))
	for i, name := range a.branches {
		branches[i] = quote(name)
	}

	write(`# The configuration of Sentry. 'sentry validate' checks it, 'sentry render --offline' shows what would run.
# For an editor: sentry schema > %[1]s, and put this line at the top:
#   # yaml-language-server: $schema=%[1]s

polling_interval: 60               # seconds from one look at all repositories to the next

repositories:
  - name: %[2]s    # what is remembered belongs to this name
    monitor:                       # a push here …
      repo_url: %[3]s`, "sentry.schema.json", quote(cmp.Or(a.name, nameOf(a.monitor.url))), quote(a.monitor.url))
	given("      repo_type", a.monitor.kind)
	write(`      branches: [%s]    # exact names, or regular expressions that match the whole name, such as "dev.*"`, strings.Join(branches, ", "))
	auth(a.monitor.token, "    # the variable, which needs read access; on a cluster, a key of a Secret",
		"    # for a private repository: the variable with a token that may read it")
	write(`    deploy:                        # … runs these commands in a clone of this repository
      qa_repo_url: %s`, quote(a.deploy.url))
	given("      repo_type", a.deploy.kind)
	write("      qa_repo_branch: %s", quote(a.deploy.branch))
	auth(a.deploy.token, "", "")
	write("      commands:                    # one shell: cd lasts; it stops at the first command that fails")
	for _, c := range a.commands {
		write("        - %s", quote(c))
	}
	write(`      # image: docker.io/alpine/k8s:1.34.1    # where the commands run: has kubectl, helm, git
      # timeout: 300                          # seconds

global:
  on_first_seen: record            # the first look at a repository remembers its heads and runs nothing`)
	given("  namespace", a.namespace)
	given("  run_namespace", a.runs)
	return b.Bytes()
}
