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

// Bounds, and what messages ask for.
const (
	// maxCommands bounds the commands of one deployment in bytes. Tekton passes all scripts of a task as one
	// argument, of which Linux allows 128 KiB; they are quoted and encoded on the way.
	maxCommands  = 64 << 10
	WantCommands = "a list of shell commands, together at most 64 KiB"
	wantCommand  = "a shell command; put quotes around one that holds \": \" or starts with a special character"
)

// CommandsField is a list of shell commands.
func CommandsField(key string, p *[]string) schema.Field {
	return schema.Field{Key: key, Kind: "list", Want: WantCommands,
		Read: func(d *schema.Decoder, path string, n *yaml.Node) { *p = commands(d, path, n) }}
}

// commands reads the commands as they are written: $X in them belongs to the shell.
func commands(d *schema.Decoder, path string, n *yaml.Node) []string {
	var commands []string
	size := 0
	d.Items(path, n, WantCommands, func(path string, n *yaml.Node) {
		c, ok := d.Text(path, n, wantCommand)
		switch {
		case !ok:
		case strings.TrimSpace(c) == "":
			d.Fail(path, "is empty; want %s", wantCommand)
		case strings.ContainsRune(c, 0):
			d.Fail(path, "holds a NUL character, which no shell takes; want %s", wantCommand)
		default:
			checkInterpreter(d, path, c)
			size += rule.QuotedSize(c)
			commands = append(commands, c)
		}
	})
	if size > maxCommands {
		d.Fail(path, "take %d bytes (a single quote counts as four); want at most %d: move them into a script in the QA repository", size, maxCommands)
	}
	return commands
}

// interpreter is a first line that the kernel takes: 255 bytes, of which the path is absolute.
var interpreter = regexp.MustCompile(`^#! ?(/[^ \t\r]+)([ \t][^\r]*)?$`)

// checkInterpreter sees to the first line of a command that names one.
func checkInterpreter(d *schema.Decoder, path, command string) {
	first, _, _ := strings.Cut(command, "\n")
	switch {
	case strings.HasPrefix(command, "#!"):
		if len(first) > 255 || !interpreter.MatchString(first) {
			d.Fail(path, "starts with a #! that names no interpreter; want its absolute path in at most 255 bytes, such as #!/usr/bin/env python3, and no CR at the end of the line")
		}
	case strings.HasPrefix(strings.TrimSpace(command), "#!"):
		d.Warn(path, "has blanks before #!, so that the shell runs it; want #! at its very start")
	}
}
