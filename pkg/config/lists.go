package config

import (
	"slices"

	"gopkg.in/yaml.v3"

	"github.com/tekton-sentry/sentry/pkg/config/rule"
	"github.com/tekton-sentry/sentry/pkg/config/schema"
	"github.com/tekton-sentry/sentry/pkg/repo"
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

// repositories reads and checks one repository after the other, so that no more than one is in memory with all that is known
// of its keys.
func (t *tables) repositories(d *schema.Decoder, c *Config, path string, n *yaml.Node) {
	inheritGlobal(c)
	d.Each(path, n, "a list of repositories", func(path string, n *yaml.Node) {
		r := newRepository()
		d.Section(path, n, t.repository(r))
		t.checkRepository(d, c, r, path)
		c.Repositories = append(c.Repositories, t.shared(r))
	})
	c.Repositories = slices.Clone(c.Repositories) // for as long as the program runs
}

// shared returns the repository with what it has in common with others in the memory of the first.
func (t *tables) shared(r *Repository) Repository {
	s := *r
	s.Deploy = t.deploys.One(r.Deploy)
	if *r.Report == (Report{}) {
		s.Report = nil
	} else {
		s.Report = t.reports.One(r.Report)
	}
	return s
}

func (t *tables) branches(d *schema.Decoder, path string, n *yaml.Node) repo.Patterns {
	if len(n.Content) > maxBranches {
		d.Fail(path, "has %d entries; want %s", len(n.Content), wantBranches)
		return nil
	}
	var patterns repo.Patterns
	seen := map[string]int{}
	d.Items(path, n, wantBranches, func(path string, n *yaml.Node) {
		v, ok := d.Value(path, n, "a branch name or a regular expression")
		if !ok {
			return
		}
		p, ok := t.pattern(d, path, v)
		if !ok {
			return
		}
		if first, twice := seen[v.Reveal()]; twice {
			d.Fail(path, "repeats entry [%d] of the list; want each branch once", first)
		}
		seen[v.Reveal()] = len(seen)
		patterns = append(patterns, p)
		checkMeant(d, path, v)
	})
	key := patterns.Key() + patterns.String()
	if t.branchLists[key] == nil {
		t.branchLists[key] = patterns
	}
	return t.branchLists[key]
}

// pattern reads one entry of branches.
func (t *tables) pattern(d *schema.Decoder, path string, v secret.Value) (repo.Pattern, bool) {
	const want = "an exact branch name, or a Go regular expression that matches the whole name, such as dev.*"
	parsed, known := t.patterns[v.Reveal()]
	if !known {
		parsed.Pattern, parsed.err = repo.ParsePattern(v.Reveal())
		parsed.impossible = parsed.err == nil && parsed.Pattern.Impossible()
		t.patterns[v.Reveal()] = parsed
	}
	p, err := parsed.Pattern, parsed.err
	switch {
	case err == nil:
		if parsed.impossible {
			d.Warn(path, "matches no name that Git allows for a branch; want %s", want)
		}
		if secret.HasReference(v.Text()) {
			p = p.As(v.Text())
		}
		return p, true
	case secret.HasReference(v.Text()):
		d.Mismatch(path, v.Reveal(), want) // the error repeats the entry, and that came from a variable
	default:
		d.Fail(path, "%v; want %s", err, want)
	}
	return p, false
}

// checkMeant warns of a branch, or an entry of branches, that is valid and can hardly be meant so. What came from a variable
// is not repeated.
func checkMeant(d *schema.Decoder, path string, v secret.Value) {
	said, name := rule.Meant(v.Reveal())
	switch {
	case said == "":
	case name == "" || secret.HasReference(v.Text()):
		d.Warn(path, "%s", said)
	default:
		d.Warn(path, "%s: %.80s", said, name)
	}
}
