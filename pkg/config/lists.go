package config

import (
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/tekton-sentry/sentry/pkg/repo"
)

// number reads a whole decimal number within bounds.
func (d *decoder) number(path string, n *yaml.Node, want string, low, high int) (int, bool) {
	v, ok := d.value(path, n, want, false)
	if !ok {
		return 0, false
	}
	i, err := strconv.Atoi(v.value)
	if err != nil || i < low || i > high {
		d.mismatch(path, v.value, want)
		return 0, false
	}
	return i, true
}

func (d *decoder) groups(path string, n *yaml.Node) map[string]Group {
	entries, _ := d.entries(path, n, "the groups by name")
	groups := make(map[string]Group, len(entries))
	for _, e := range entries {
		sub := joinKey(path, e.key)
		if !isName(e.key) {
			d.fail(sub, "is no name for a group; want %s", wantName)
		}
		g := Group{Name: e.key}
		if isNull(e.value) {
			e.value = nil
		}
		d.section(sub, e.value, groupFields(&g))
		groups[e.key] = g
	}
	return groups
}

func (d *decoder) repositories(path string, n *yaml.Node) []Repository {
	var repositories []Repository
	read := func(path string, n *yaml.Node) {
		var r Repository
		d.section(path, n, repositoryFields(&r))
		repositories = append(repositories, r)
	}
	if d.parts == nil || n != d.parts.list {
		d.items(path, n, "a list of repositories", read)
		return repositories
	}
	i := -1
	d.parts.each(func(n *yaml.Node) bool {
		i++
		return d.item(path, i, n, read)
	})
	return slices.Clone(repositories) // for as long as the program runs
}

func (d *decoder) branches(path string, n *yaml.Node) repo.Patterns {
	if len(n.Content) > maxBranches {
		d.fail(path, "has %d entries; want %s", len(n.Content), wantBranches)
		return nil
	}
	var patterns repo.Patterns
	seen := map[string]int{}
	d.items(path, n, wantBranches, func(path string, n *yaml.Node) {
		v, ok := d.value(path, n, "a branch name or a regular expression", false)
		if !ok {
			return
		}
		p, ok := d.pattern(path, v)
		if !ok {
			return
		}
		if first, twice := seen[v.value]; twice {
			d.fail(path, "repeats entry [%d] of the list; want each branch once", first)
		}
		seen[v.value] = len(seen)
		patterns = append(patterns, p)
		d.checkMeant(path, v)
	})
	return patterns
}

// pattern reads one entry of branches.
func (d *decoder) pattern(path string, v Value) (repo.Pattern, bool) {
	const want = "an exact branch name, or a Go regular expression that matches the whole name, such as dev.*"
	p, err := repo.ParsePattern(v.value)
	switch {
	case err == nil:
		none, known := d.impossible[v.value]
		if !known {
			none = p.Impossible()
			d.impossible[v.value] = none
		}
		if none {
			d.warn(path, "matches no name that Git allows for a branch; want %s", want)
		}
		if hasReference(v.text) {
			p = p.As(v.text)
		}
		return p, true
	case hasReference(v.text):
		d.mismatch(path, v.value, want) // the error repeats the entry, and that came from a variable
	default:
		d.fail(path, "%v; want %s", err, want)
	}
	return p, false
}

// commands reads the commands as they are written: $X in them belongs to the shell.
func (d *decoder) commands(path string, n *yaml.Node) []string {
	var commands []string
	size := 0
	d.items(path, n, wantCommands, func(path string, n *yaml.Node) {
		c, ok := d.text(path, n, wantCommand)
		switch {
		case !ok:
		case strings.TrimSpace(c) == "":
			d.fail(path, "is empty; want %s", wantCommand)
		case strings.ContainsRune(c, 0):
			d.fail(path, "holds a NUL character, which no shell takes; want %s", wantCommand)
		default:
			// Quoting makes four bytes of each single quote.
			size += len(c) + 3*strings.Count(c, "'")
			commands = append(commands, c)
		}
	})
	if size > maxCommands {
		d.fail(path, "take %d bytes (a single quote counts as four); want at most %d: move them into a script in the QA repository", size, maxCommands)
	}
	return commands
}

// webhook reads the URL that is told of runs. It is a secret: whoever knows it can post to it.
func (d *decoder) webhook(path string, n *yaml.Node, p *Value) {
	v, ok := d.value(path, n, wantWebhook, true)
	if !ok || v.value == "" {
		return
	}
	if _, err := parseURL(v.value, wantWebhook); err != nil {
		d.fail(path, "%v", err)
		return
	}
	*p = v
}
