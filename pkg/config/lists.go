package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/tekton-sentry/sentry/pkg/config/rule"
	"github.com/tekton-sentry/sentry/pkg/config/schema"
	"github.com/tekton-sentry/sentry/pkg/secret"
)

func groups(d *schema.Decoder, path string, n *yaml.Node) map[string]Group {
	entries, _ := d.Entries(path, n, "the groups by name")
	groups := make(map[string]Group, len(entries))
	for _, e := range entries {
		sub := schema.JoinKey(path, e.Key)
		if !rule.IsName(e.Key) {
			d.Fail(sub, "is no name for a group; want %s", wantName)
		}
		g := Group{Name: e.Key}
		if schema.IsNull(e.Value) {
			e.Value = nil
		}
		d.Section(sub, e.Value, groupFields(&g))
		groups[e.Key] = g
	}
	return groups
}

func (t *tables) repositories(d *schema.Decoder, path string, n *yaml.Node) []Repository {
	var repositories []Repository
	d.Items(path, n, "a list of repositories", func(path string, n *yaml.Node) {
		var r Repository
		d.Section(path, n, t.repository(&r))
		repositories = append(repositories, r)
	})
	return slices.Clone(repositories) // for as long as the program runs
}

func commandsField(key string, p *[]string) schema.Field {
	return schema.Field{Key: key, Kind: "list", Want: wantCommands,
		Read: func(d *schema.Decoder, path string, n *yaml.Node) { *p = commands(d, path, n) }}
}

// commands reads the commands as they are written: $X in them belongs to the shell.
func commands(d *schema.Decoder, path string, n *yaml.Node) []string {
	var commands []string
	size := 0
	d.Items(path, n, wantCommands, func(path string, n *yaml.Node) {
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

// webhook reads the URL that is told of runs. It is a secret: whoever knows it can post to it.
func webhook(d *schema.Decoder, path string, n *yaml.Node, p *secret.Value) {
	v, ok := d.Secret(path, n, wantWebhook)
	if !ok || v.Reveal() == "" {
		return
	}
	if _, err := rule.ParseURL(v.Reveal(), wantWebhook); err != nil {
		d.Fail(path, "%v", err)
		return
	}
	*p = v
}

// hookSecret reads the secret that hosts sign webhooks with.
func hookSecret(d *schema.Decoder, path string, n *yaml.Node, p *secret.Value) {
	v, ok := d.Secret(path, n, wantSecret)
	switch {
	case !ok:
		return
	case v.Variable() == "":
		d.Fail(path, "does not leave the secret to a variable; want %s", wantSecret)
	case d.AllowsUnset() && v.Reveal() == "":
		*p = v
	default:
		if err := checkHookSecret(v); err != nil {
			d.Fail(path, "%v", err)
			return
		}
		*p = v
	}
}

// minSecret is how long a secret is at least: who sees one signed delivery can try secrets as fast as they like.
const minSecret = 16

func checkHookSecret(v secret.Value) error {
	if len(v.Reveal()) < minSecret {
		return fmt.Errorf("holds fewer than %d characters; want a random text, such as 'openssl rand -hex 32' prints", minSecret)
	}
	return nil
}
