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

// discoveries reads each entry of discover, and adds what was found. All are checked before: nothing that a host says makes a mistake of
// the file.
func (t *tables) discoveries(d *schema.Decoder, c *Config, path string, n *yaml.Node) {
	t.inheritGlobal(c)
	var entries []entry
	d.Items(path, n, wantDiscover, func(path string, n *yaml.Node) {
		e := entry{path: path}
		f := &e.Discovery
		d.Section(path, n, t.discovery(f, &e.template))
		if f.URL == "" || f.Owner == "" || e.template == nil {
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
		if slices.ContainsFunc(entries, func(o entry) bool { return o.Question() == f.Question() && o.Source != f.Source }) {
			d.Fail(path+".auth", "or repo_type or api_url is not that of the entry before with this owner, of which the host is asked once; want the same")
		}
		example := discover.Repository{Name: fmt.Sprintf("example-%d", len(entries)+1), Branch: "main"}
		example.Path = f.Owner + "/" + example.Name
		read := func() {
			r, undo := t.fill(d, c, &e, example)
			undo()
			g := cmp.Or(t.members.groups[r.Group], &group{})
			t.members.groups[r.Group], g.awaited = g, true
		}
		e.wrong = len(d.Try(example.Variables(f.URL), read)) > 0
		d.With(example.Variables(f.URL), read) // tells what is wrong with each, and what is hardly meant so
		if t.examples {
			e.list = []discover.Repository{example}
		}
		entries = append(entries, e)
	})
	t.found(d, c, entries)
}

// found adds the repositories that are wanted, in the order in which they were found, over all owners: so who comes takes no name from one
// that is there. One that cannot be watched is left out, whatever its host says of it.
func (t *tables) found(d *schema.Decoder, c *Config, entries []entry) {
	var asked []discover.Question
	for i := range entries {
		asked = append(asked, entries[i].Question())
	}
	var all []candidate
	watched := map[string]bool{} // by their identities
	for i := range entries {
		e := &entries[i]
		if list, _ := t.known.Of(asked[i], asked); !t.examples {
			e.list = list.Repositories
		}
		for _, one := range e.list {
			if !e.wrong && (t.examples || e.Wants(one)) {
				all = append(all, candidate{e, one})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b candidate) int { return cmp.Compare(a.Since, b.Since) })
	for _, a := range all {
		id := a.Identity(a.of.URL)
		if watched[id] {
			continue // by the other entry, also where the names differ
		}
		var r *Repository
		var undo func()
		wrong := d.Try(a.Variables(a.of.URL), func() { r, undo = t.fill(d, c, a.of, a.Repository) })
		if len(wrong) > 0 {
			undo()
			a.of.left.Add(a.Path, strings.TrimPrefix(strings.TrimPrefix(wrong[0].Key, a.of.path+".template"), "."), wrong[0].Message)
			continue
		}
		t.members.names[r.Name] = spot{found: a.Path}
		r.ID, watched[id] = id, id != ""
		c.Repositories = append(c.Repositories, t.shared(r))
		a.of.Watched++
	}
	for _, e := range entries {
		if e.left.Any() {
			d.Warn(e.path, "leaves out %s", &e.left)
		}
		c.Discover = append(c.Discover, e.Discovery)
	}
}

// entry is one of discover while a file is read.
type entry struct {
	Discovery
	path     string
	template *yaml.Node
	wrong    bool // the template is
	list     []discover.Repository
	left     discover.LeftOut
}

// candidate is a repository that an entry wants.
type candidate struct {
	of *entry
	discover.Repository
}

// fill reads the template for one repository. undo takes back what the group and the file know of it.
func (t *tables) fill(d *schema.Decoder, c *Config, f *entry, one discover.Repository) (r *Repository, undo func()) {
	r = newRepository()
	at := f.path + ".template"
	d.Section(at, f.template, t.template(r))
	m := &r.Monitor
	if !d.Given(at + ".monitor.repo_url") {
		m.Type, m.APIURL = cmp.Or(m.Type, f.Type), cmp.Or(m.APIURL, f.APIURL)
		if !d.Given(at + ".monitor.auth") {
			m.Auth = f.Auth
		}
	}
	if !d.Given(at+".monitor.branches") && !d.Given(at+".monitor.tags") && !d.Given(at+".monitor.pull_requests") {
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
		if of := c.Groups[r.Group]; of.Expression != "" || of.Module.File != "" {
			d.Fail(at+".group", "orders its members by an expression or a module, which what comes and goes could make a circle of; want another group")
		}
		// So no repository that goes or stays away makes others a mistake of the file.
		before := g.ordered[:max(0, len(g.ordered)-1)]
		for i, need := range r.Deploy.Needs {
			if len(g.ordered) > 0 && (t.members.names[need].found != "" || !slices.ContainsFunc(before, func(o order.Ordered) bool { return o.About.Name == need })) {
				d.Fail(fmt.Sprintf("%s.deploy.needs[%d]", at, i), "names no repository of the group that stands below repositories; want one of these")
			}
		}
	}
	return r, undo
}
