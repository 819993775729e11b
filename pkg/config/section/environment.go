package section

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/tekton-sentry/sentry/pkg/config/rule"
	"github.com/tekton-sentry/sentry/pkg/config/schema"
	"github.com/tekton-sentry/sentry/pkg/secret"
)

// Env are variables of the commands, by name. The texts stand in PipelineRuns.
type Env map[string]string

// Bounds, and what messages ask for.
const (
	// maxEnv bounds an env section in bytes: it is in the script of each deployment, of which maxCommands says more.
	maxEnv          = 16 << 10
	WantEnv         = "a section with names of variables and their texts, together at most 16 KiB"
	wantVariable    = "at most 128 of A-Z a-z 0-9 and _, with no digit first"
	wantEnvText     = "plain text"
	wantNoReference = "want plain text here, or the value in a Secret and the Secret in deploy.secrets; $${ stands for the two characters"
)

var variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,127}$`)

// shellVariables belong to the shell: with another value it finds nothing any more, or it refuses the value.
var shellVariables = []string{
	"_", "BASHOPTS", "BASH_VERSINFO", "EUID", "HOME", "IFS", "OLDPWD", "OPTIND", "PATH", "PPID", "PWD", "SHELLOPTS", "UID",
}

// EnvField is the section at key "env".
func EnvField(p *Env) schema.Field {
	return schema.Field{Key: "env", Kind: "section", Want: WantEnv,
		Read: func(d *schema.Decoder, path string, n *yaml.Node) {
			entries, _ := d.Entries(path, n, "names of variables and their texts")
			*p = make(Env, len(entries))
			size := 0
			for _, e := range entries {
				sub := schema.JoinKey(path, e.Key)
				CheckVariable(d, sub, e.Key)
				if text, ok := envText(d, sub, e.Value); ok {
					(*p)[e.Key] = text
					size += len(e.Key) + rule.QuotedSize(text)
				}
			}
			if size > maxEnv {
				d.Fail(path, "takes %d bytes (a single quote counts as four); want at most %d: move long texts into files of the QA repository, or into ConfigMaps", size, maxEnv)
			}
		}}
}

// CheckVariable says why the commands can have no variable of that name.
func CheckVariable(d *schema.Decoder, path, name string) {
	switch {
	case !variable.MatchString(name):
		d.Fail(path, "is no name for a variable; want %s", wantVariable)
	case strings.HasPrefix(strings.ToUpper(name), "SENTRY_"):
		d.Fail(path, "begins with SENTRY_, as Sentry's own variables do; want another name, or an export among the commands")
	case slices.Contains(shellVariables, name):
		d.Fail(path, "belongs to the shell; want another name, or a line among the commands, such as export PATH=/opt/bin:$PATH")
	}
}

// envText reads the text of a variable. It may have several lines.
func envText(d *schema.Decoder, path string, n *yaml.Node) (string, bool) {
	if schema.IsNull(n) {
		return "", false
	}
	text, ok := d.Text(path, n, wantEnvText)
	if !ok {
		return "", false
	}
	if secret.HasReference(text) {
		d.Fail(path, "refers to a variable of Sentry's, and a PipelineRun with its value can be read by many; %s", wantNoReference)
		return "", false
	}
	text, _, err := secret.Expand(text, nil) // $${ becomes ${
	switch {
	case err != nil:
		d.Fail(path, "holds ${ that starts no reference; %s", wantNoReference)
	case strings.ContainsRune(text, 0):
		d.Fail(path, "holds a NUL character, which no variable can; want %s", wantEnvText)
	default:
		return text, true
	}
	return "", false
}

// Over returns the section with what it does not say taken from base.
func (e Env) Over(base Env) Env {
	if len(e) == 0 {
		return base
	}
	if len(base) == 0 {
		return e
	}
	merged := maps.Clone(base)
	maps.Copy(merged, e)
	return merged
}
