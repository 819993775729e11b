package config

import (
	"slices"

	"gopkg.in/yaml.v3"

	"github.com/tekton-sentry/sentry/pkg/config/rule"
	"github.com/tekton-sentry/sentry/pkg/config/schema"
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
