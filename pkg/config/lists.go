package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/tekton-sentry/sentry/pkg/config/discover"
	"github.com/tekton-sentry/sentry/pkg/config/order"
	"github.com/tekton-sentry/sentry/pkg/config/rule"
	"github.com/tekton-sentry/sentry/pkg/config/schema"
	"github.com/tekton-sentry/sentry/pkg/oneline"
	"github.com/tekton-sentry/sentry/pkg/repo"
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
	t.inheritGlobal(c)
	d.Each(path, n, wantRepositories, func(path string, n *yaml.Node) {
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

// discoveries reads each entry of discover, and adds what was found of it.
func (t *tables) discoveries(d *schema.Decoder, c *Config, path string, n *yaml.Node) {
	t.inheritGlobal(c)
	d.Items(path, n, wantDiscover, func(path string, n *yaml.Node) {
		var f Discovery
		var template *yaml.Node
		d.Section(path, n, t.discovery(&f, &template))
		if f.URL == "" || f.Owner == "" || template == nil {
			return // which is told
		}
		// A host's rules are for the addresses of repositories.
		below := "/" + f.Owner + "/repository"
		f.URL += below
		t.checkSource(d, path, "host", &f.Source)
		f.URL = strings.TrimSuffix(f.URL, below)
		if f.Type == "" {
			return
		}
		if !t.hosts.Of(f.Type).Owners {
			d.Fail(path+".repo_type", "is %s, and such a server does not say which repositories an owner has; want one that does", d.Shown(path+".repo_type", f.Type))
		}
		example := discover.Repository{Name: fmt.Sprintf("example-%d", len(c.Discover)+1), Branch: "main"}
		example.Path = f.Owner + "/" + example.Name
		read := func() {
			r, undo := t.fill(d, c, &f, path+".template", template, example)
			undo()
			g := cmp.Or(t.members.groups[r.Group], &group{})
			t.members.groups[r.Group], g.awaited = g, true
		}
		wrong := d.Try(example.Variables(f.URL), read)
		d.With(example.Variables(f.URL), read) // tells what is wrong with each, and what is hardly meant so
		if len(wrong) == 0 {
			list, _ := t.known.Of(f.Question())
			if t.examples {
				list.Repositories = []discover.Repository{example}
			}
			t.found(d, c, &f, path, template, list.Repositories)
		}
		c.Discover = append(c.Discover, f)
	})
}

// found adds the repositories of a list that are wanted. One that cannot be watched is left out, whatever its host says of it.
func (t *tables) found(d *schema.Decoder, c *Config, f *Discovery, path string, template *yaml.Node, list []discover.Repository) {
	var why []string
	left := 0
	for _, one := range list {
		if !f.Wants(one) {
			continue
		}
		var r *Repository
		var undo func()
		wrong := d.Try(one.Variables(f.URL), func() { r, undo = t.fill(d, c, f, path+".template", template, one) })
		if len(wrong) == 0 {
			t.members.names[r.Name] = place{found: one.Path}
			c.Repositories = append(c.Repositories, t.shared(r))
			f.Watched++
			continue
		}
		undo()
		if left++; left <= 3 {
			key := strings.TrimPrefix(strings.TrimPrefix(wrong[0].Key, path+".template"), ".")
			why = append(why, oneline.Of(fmt.Sprintf("%s, as %s %s", one.Path, key, wrong[0].Message), 200))
		}
	}
	if left > 0 {
		d.Warn(path, "leaves out %d of what was found: %s", left, strings.Join(why, "; "))
	}
}

// fill reads the template for one repository. undo takes back what the group and the file know of it.
func (t *tables) fill(d *schema.Decoder, c *Config, f *Discovery, at string, template *yaml.Node, one discover.Repository) (r *Repository, undo func()) {
	r = newRepository()
	d.Section(at, template, t.template(r))
	m := &r.Monitor
	if !d.Given(at + ".monitor.repo_url") {
		m.Type, m.APIURL = cmp.Or(m.Type, f.Type), cmp.Or(m.APIURL, f.APIURL)
		if !d.Given(at + ".monitor.auth") {
			m.Auth = f.Auth
		}
	}
	if !d.Given(at+".monitor.branches") && !d.Given(at+".monitor.tags") {
		if !rule.IsBranch(one.Branch) {
			d.Fail(at+".monitor.branches", "is missing, and the default branch has a name that Git does not allow; want branches or tags")
		}
		m.Branches = repo.Patterns{repo.ExactPattern(one.Branch)}
	}
	undo = t.members.mark(r)
	t.checkRepository(d, c, r, at)
	if g := t.members.groups[r.Group]; g != nil {
		if g.size > maxMembers {
			d.Fail(at+".group", "has %d members already; want another group for some", maxMembers)
		}
		if c.Groups[r.Group].Expression != "" {
			d.Fail(at+".group", "orders its members by an expression, which what comes and goes could make a circle of; want another group")
		}
		// So no repository that goes or stays away makes others a mistake of the file.
		before := g.ordered[:max(0, len(g.ordered)-1)]
		for i, need := range r.Deploy.Needs {
			if len(g.ordered) > 0 && !slices.ContainsFunc(before, func(o order.Ordered) bool { return o.About.Name == need }) {
				d.Fail(fmt.Sprintf("%s.deploy.needs[%d]", at, i), "names no repository of the group that stands below repositories; want one of these")
			}
		}
	}
	return r, undo
}
