package config

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"path/filepath"
	"slices"

	"github.com/tekton-sentry/sentry/pkg/config/kind"
	"github.com/tekton-sentry/sentry/pkg/config/order"
	"github.com/tekton-sentry/sentry/pkg/config/place"
	"github.com/tekton-sentry/sentry/pkg/config/refs"
	"github.com/tekton-sentry/sentry/pkg/config/rule"
	"github.com/tekton-sentry/sentry/pkg/config/schema"
	"github.com/tekton-sentry/sentry/pkg/config/section"
	"github.com/tekton-sentry/sentry/pkg/config/timing"
	"github.com/tekton-sentry/sentry/pkg/giturl"
	"github.com/tekton-sentry/sentry/pkg/secret"
	"github.com/tekton-sentry/sentry/pkg/spelling"
	"github.com/tekton-sentry/sentry/pkg/strategy"
)

// members is what is known of repositories that were read.
type members struct {
	names  map[string]spot // by name
	groups map[string]*group
	status bool // the host of one takes statuses of commits
}

// spot is where a repository stands.
type spot struct {
	index, line int
	found       string // its path on its host, where it stands nowhere
}

// mark returns what takes back all that checkRepository notes here of a repository.
func (m *members) mark(r *Repository) (undo func()) {
	named, twice := m.names[r.Name]
	g, known := m.groups[r.Group]
	var was group
	if known {
		was = *g
	}
	status := m.status
	return func() {
		m.status = status
		if delete(m.names, r.Name); twice {
			m.names[r.Name] = named
		}
		if delete(m.groups, r.Group); known {
			m.groups[r.Group] = &was
		}
	}
}

// group is what is known of a group's members.
type group struct {
	size    int
	back    bool // one has rollback commands
	status  bool // the host of one takes statuses of commits
	awaited bool // what is found is in it
	ordered []order.Ordered
}

// inheritGlobal fills in what follows from the global section, once.
func (t *tables) inheritGlobal(c *Config) {
	if t.inherited {
		return
	}
	t.inherited = true
	g := &c.Global
	g.TmpDir = path.Clean(g.TmpDir)
	g.Image, g.GitImage = rule.OnRegistry(g.ImageRegistry, g.Image), rule.OnRegistry(g.ImageRegistry, g.GitImage)
	for name, g := range c.Groups {
		g.Pod = g.Pod.Over(c.Global.Pod)
		g.NotOn = g.NotOn.And(c.Global.NotOn)
		c.Groups[name] = g
	}
}

// check sees to what concerns all repositories of a group, or of the file, once they were read.
func (t *tables) check(d *schema.Decoder, c *Config) {
	if !d.Failed("") && !d.Given("repositories") && !d.Given("discover") {
		d.Fail("repositories", "is missing; want %s", wantRepositories)
	}
	for name, g := range c.Groups {
		m := cmp.Or(t.members.groups[name], &group{})
		checkGroup(d, schema.JoinKey("groups", name), g, m)
		place.Check(d, schema.JoinKey("groups", name)+".clusters", g.Cluster, c.Clusters)
		if g.Module.File != "" && !filepath.IsAbs(g.Module.File) {
			g.Module.File = filepath.Join(filepath.Dir(d.File(schema.JoinKey("groups", name)+".wasm")), g.Module.File)
		}
		if g.Module.File != "" {
			c.Modules = t.modules
		}
		g.Needs = order.Check(d, schema.JoinKey("groups", name), g.order(), m.ordered, t.expression)
		c.Groups[name] = g
	}
	if c.Report.WritesStatus() && !t.members.status {
		d.Warn("report.commit_status", noStatuses)
	}
}

// checkRepository sees to what the keys of a repository mean for each other, and for those of its group and of the file. It
// fills in the defaults that follow from others.
func (t *tables) checkRepository(d *schema.Decoder, c *Config, r *Repository, at string) {
	all := &t.members
	if first, twice := all.names[r.Name]; twice && r.Name != "" {
		where := first.found
		if where == "" {
			where = d.Place(fmt.Sprintf("repositories[%d]", first.index), first.line, at)
		}
		d.Fail(at+".name", "is the name of %s too; want another for each", where)
	} else {
		all.names[r.Name] = spot{index: len(c.Repositories), line: d.Line(at)}
	}
	g, grouped := c.Groups[r.Group]
	if r.Group != "" {
		checkMember(d, c, r, at)
	}
	t.checkSource(d, at+".monitor", "repo_url", &r.Monitor.Source)
	t.checkSource(d, at+".deploy", "qa_repo_url", &r.Deploy.Source)
	if !r.Deploy.Auth.Username.IsSet() && r.Deploy.Auth.Token.IsSet() {
		r.Deploy.Auth.Username = secret.New(DefaultUsername, DefaultUsername)
	}
	if r.Deploy.GitCredential && (giturl.IsSSH(r.Deploy.URL) || r.Deploy.Checkout && giturl.IsSSH(r.Monitor.URL)) {
		d.Fail(at+".deploy.git_credential", "is true, and what is cloned has an SSH address, whose key no command gets; want a key for the commands in a Secret of its own, by deploy.secrets with mount")
	}
	if r.Deploy.Checkout && r.Monitor.Auth.App.IsSet() {
		d.Fail(at+".deploy.checkout", "is true, and monitor.auth has a GitHub App, whose tokens no step gets; want monitor.auth.token in its place, or deploy.qa_repo_url with the repository that is cloned")
	}
	section.CheckStepAuth(d, at+".deploy.auth", r.Deploy.Auth, "the clone step")
	refs.Check(d, at+".monitor", r.Monitor.Branches, refs.Beside{Group: r.Group, Host: r.Monitor.Type, Runs: r.Deploy.Reference(), Clones: r.Deploy.Checkout, URL: r.Monitor.URL, Exposed: r.Monitor.Exposed}, t.hosts)
	section.CheckWhatRuns(d, at+".deploy", section.WhatRuns{URL: r.Deploy.URL, Task: r.Deploy.Task, Pipeline: r.Deploy.Pipeline, Grouped: r.Group != "", Checked: g.Strategy == strategy.Canary})
	if r.Deploy.GitCredential && r.Deploy.Reference() == nil && !d.Failed(at+".deploy.git_credential") && !r.Deploy.Auth.Token.IsSet() && (!r.Deploy.Checkout || !r.Monitor.Auth.Token.IsSet()) {
		d.Warn(at+".deploy.git_credential", "means nothing without a credential of what is cloned; want deploy.auth, or it left out")
	}
	if r.Deploy.Checkout {
		section.CheckStepAuth(d, at+".monitor.auth", r.Monitor.Auth, "the step of deploy.checkout")
	} else if t := r.Monitor.Auth.Token; t.IsSet() && t.Variable() == "" {
		d.Warn(at+".monitor.auth.token", "the token, or a part of it, stands in this file; want ${NAME} and the token in the environment")
	}
	place.Check(d, at+".deploy.clusters", r.Deploy.Cluster, c.Clusters)
	in := &c.In(cmp.Or(r.Deploy.Cluster, g.Cluster)).Global
	r.inherit(in)
	section.CheckObjects(d, at+".deploy", r.Deploy.Secrets, r.Deploy.ConfigMaps, in.TmpDir, in.CredentialsSecret)
	pod := c.Global.Pod
	if grouped {
		pod = g.Pod
	}
	r.Deploy.Pod = r.Deploy.Pod.Over(pod)
	status := t.checkReport(d, c, r, at+".report.commit_status")
	all.status = all.status || status
	switch {
	case r.Group == "":
		order.Of(d, "", order.Settings{By: strategy.Parallel}, at, r.About())
	case grouped:
		r.Group = g.Name // one text for all members
		m := cmp.Or(all.groups[g.Name], &group{})
		all.groups[g.Name] = m
		m.size++
		m.back, m.status = m.back || len(r.Deploy.Rollback) > 0, m.status || status
		m.ordered = append(m.ordered, order.Of(d, schema.JoinKey("groups", g.Name), g.order(), at, r.About())...)
	}
}

// order is what the group says of the order of its members.
func (g *Group) order() order.Settings {
	return order.Settings{By: g.Strategy, Expression: g.Expression, Module: g.Module}
}

// About is what the order of a group goes by.
func (r *Repository) About() strategy.About {
	return strategy.About{Name: r.Name, Project: r.Project, Wave: r.Deploy.Wave, Needs: r.Deploy.Needs, Labels: r.Deploy.Pod.Labels()}
}

// inherit fills in what the repository does not say itself.
func (r *Repository) inherit(g *Global) {
	if r.Project == "" || r.Project == r.Name {
		r.Project = r.Name // in the same memory
	}
	p := r.Deploy
	p.Image = cmp.Or(rule.OnRegistry(g.ImageRegistry, p.Image), g.Image)
	if p.Timeout == 0 {
		p.Timeout = g.Timeout
	}
	if p.ServiceAccount == "" {
		p.ServiceAccount = g.ServiceAccount
	}
	p.Env = p.Env.Over(g.Env)
	p.NotOn = p.NotOn.And(g.NotOn)
}

func checkMember(d *schema.Decoder, c *Config, r *Repository, path string) {
	g, ok := c.Groups[r.Group]
	if !ok {
		want := "want a group that stands below groups"
		if near := spelling.Nearest(r.Group, slices.Sorted(maps.Keys(c.Groups))); near != "" {
			want = "did you mean " + near + "?"
		}
		d.Fail(path+".group", "names no group that there is; %s", want)
		return
	}
	timing.CheckTogether(d, path, r.Group)
	place.CheckTogether(d, path, r.Group)
	timeout, from := r.Deploy.Timeout, path+".deploy.timeout"
	if timeout == 0 {
		timeout, from = c.Global.Timeout, "global.timeout"
	}
	if g.GlobalTimeout > 0 && timeout > g.GlobalTimeout {
		d.Warn(path+".deploy.timeout", "is %s seconds, and the group %s ends after its global_timeout of %s; want it smaller",
			d.Shown(from, timeout.Seconds()), d.Shown(path+".group", g.Name),
			d.Shown(schema.JoinKey("groups", g.Name)+".global_timeout", g.GlobalTimeout.Seconds()))
	}
}

func checkGroup(d *schema.Decoder, path string, g Group, m *group) {
	if m.size > maxMembers {
		d.Fail(path, "has %d members; want at most %d, as a PipelineRun holds no more: split the group", m.size, maxMembers)
	}
	if m.size == 0 && !m.awaited {
		d.Warn(path, "no repository is in this group; want a repository with group: %s, or no such group", g.Name)
	}
	if d.Given(path+".rollback") && m.size > 0 && !m.back {
		d.Warn(path+".rollback", "means nothing, as no member has deploy.rollback_commands; want these, or it left out")
	}
	if g.Report.WritesStatus() && !m.status {
		d.Warn(path+".report.commit_status", noStatuses)
	}
}

func (t *tables) checkSource(d *schema.Decoder, path, urlKey string, s *Source) {
	if s.URL != "" && !d.Failed(path+"."+urlKey) && !d.Failed(path+".repo_type") {
		key, err := t.hosts.Settle(d, path, urlKey, &s.URL, &s.Type)
		if key == "" {
			key = urlKey
		}
		if err != nil {
			d.Fail(path+"."+key, "%v", err)
		}
	}
	if !d.Failed(path + "." + urlKey) {
		section.CheckAuth(d, path, urlKey, s.URL, s.Auth)
		if !giturl.IsSSH(s.URL) {
			kind.CheckApp(d, path)
		}
		if s.Type != "" && !giturl.IsSSH(s.URL) {
			t.hosts.Of(s.Type).SettleUser(d, path, &s.Auth)
		}
		if s.Auth.App.IsSet() && s.Type != "" && !giturl.IsSSH(s.URL) && !t.hosts.Of(s.Type).Apps {
			d.Fail(path+".auth.github_app", "means nothing on a host of the type %s; want username and token", s.Type)
		}
	}
}

// checkReport gives a repository what its group and the file say of reports, and reports whether its host takes statuses of
// commits. at is the path of the key that asks for them.
func (t *tables) checkReport(d *schema.Decoder, c *Config, r *Repository, at string) (takes bool) {
	takes = r.Monitor.Type == "" || t.hosts.Of(r.Monitor.Type).Statuses
	if r.Report.WritesStatus() && !takes {
		d.Warn(at, "means nothing on a host of the type %s, which takes no statuses of commits; want it left out", r.Monitor.Type)
	}
	*r.Report = r.Report.Over(c.Groups[r.Group].Report.Over(c.Report))
	if r.Report.WritesStatus() && takes && !r.Monitor.Auth.HasToken() {
		d.Warn(at, "means nothing without a token in monitor.auth, as no host takes a status of a commit from anybody; want the token, or false")
	}
	if !takes || !r.Monitor.Auth.HasToken() {
		r.Report.CommitStatus = nil
	}
	return takes
}

// noStatuses is said of a section none of whose repositories is on a host that takes them.
const noStatuses = "means nothing here, as no host of these repositories takes statuses of commits; want it left out"
