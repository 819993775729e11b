package config

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"

	"github.com/tekton-sentry/sentry/pkg/config/refs"
	"github.com/tekton-sentry/sentry/pkg/config/rule"
	"github.com/tekton-sentry/sentry/pkg/config/schema"
	"github.com/tekton-sentry/sentry/pkg/config/section"
	"github.com/tekton-sentry/sentry/pkg/giturl"
	"github.com/tekton-sentry/sentry/pkg/secret"
	"github.com/tekton-sentry/sentry/pkg/spelling"
	"github.com/tekton-sentry/sentry/pkg/strategy"
)

// check sees to what concerns more than one key, and fills in the defaults that follow from others.
func (t *tables) check(d *schema.Decoder, c *Config) {
	g := &c.Global
	g.TmpDir = path.Clean(g.TmpDir)
	g.Image, g.GitImage = rule.OnRegistry(g.ImageRegistry, g.Image), rule.OnRegistry(g.ImageRegistry, g.GitImage)
	for name, g := range c.Groups {
		g.Pod = g.Pod.Over(c.Global.Pod)
		c.Groups[name] = g
	}
	names, members, back := map[string]int{}, map[string][]section.Ordered{}, map[string]bool{}
	for i := range c.Repositories {
		r, at := &c.Repositories[i], fmt.Sprintf("repositories[%d]", i)
		if first, twice := names[r.Name]; twice && r.Name != "" {
			d.Fail(at+".name", "is the name of %s too; want another for each", d.Place(fmt.Sprintf("repositories[%d]", first), at))
		} else {
			names[r.Name] = i
		}
		members[r.Group] = append(members[r.Group], section.Ordered{Path: at, Name: r.Name, Needs: r.Deploy.Needs})
		if r.Group != "" {
			back[r.Group] = back[r.Group] || len(r.Deploy.Rollback) > 0
			checkMember(d, c, r, at)
		}
		t.checkSource(d, at+".monitor", "repo_url", &r.Monitor.Source)
		if d.Given(at+".monitor") && !d.Given(at+".monitor.branches") && !d.Given(at+".monitor.tags") && !d.Failed(at+".monitor") {
			d.Fail(at+".monitor.branches", "is missing, and so is tags; want %s", refs.Want)
		}
		t.checkSource(d, at+".deploy", "qa_repo_url", &r.Deploy.Source)
		if !r.Deploy.Auth.Username.IsSet() && r.Deploy.Auth.Token.IsSet() {
			r.Deploy.Auth.Username = secret.New(DefaultUsername, DefaultUsername)
		}
		if giturl.IsSSH(r.Deploy.URL) && !d.Failed(at+".deploy.qa_repo_url") {
			d.Fail(at+".deploy.qa_repo_url", "is an SSH address, and steps clone over http(s); want https://HOST/PATH")
		}
		if r.Deploy.Checkout && giturl.IsSSH(r.Monitor.URL) {
			d.Fail(at+".deploy.checkout", "is true, and monitor.repo_url is an SSH address, while steps clone over http(s); want https://HOST/PATH there")
		}
		checkStepAuth(d, at+".deploy.auth", r.Deploy.Auth, "the clone step")
		checkWhatRuns(d, at+".deploy", r, c.Groups[r.Group].Strategy == strategy.Canary)
		if r.Deploy.GitCredential && r.Deploy.Reference() == nil && !r.Deploy.Auth.Token.IsSet() && (!r.Deploy.Checkout || !r.Monitor.Auth.Token.IsSet()) {
			d.Warn(at+".deploy.git_credential", "means nothing without a credential of what is cloned; want deploy.auth, or it left out")
		}
		if r.Deploy.Checkout {
			checkStepAuth(d, at+".monitor.auth", r.Monitor.Auth, "the step of deploy.checkout")
		} else if t := r.Monitor.Auth.Token; t.IsSet() && t.Variable() == "" {
			d.Warn(at+".monitor.auth.token", "the token, or a part of it, stands in this file; want ${NAME} and the token in the environment")
		}
		r.Deploy.inherit(r.Name, c.Global)
		checkObjects(d, at+".deploy", &r.Deploy, c.Global)
		pod := c.Global.Pod
		if g, ok := c.Groups[r.Group]; ok {
			pod = g.Pod
		}
		r.Deploy.Pod = r.Deploy.Pod.Over(pod)
	}
	t.checkReports(d, c)
	for name, g := range c.Groups {
		checkGroup(d, schema.JoinKey("groups", name), g, len(members[name]), back[name])
		section.CheckOrder(d, schema.JoinKey("groups", name), g.Strategy, members[name])
	}
	section.CheckOrder(d, "", strategy.Parallel, members[""])
}

// inherit fills in what the deployment does not say itself.
func (p *Deploy) inherit(name string, g Global) {
	if p.Project == "" {
		p.Project = name
	}
	p.Image = cmp.Or(rule.OnRegistry(g.ImageRegistry, p.Image), g.Image)
	if p.Timeout == 0 {
		p.Timeout = g.Timeout
	}
	if p.ServiceAccount == "" {
		p.ServiceAccount = g.ServiceAccount
	}
	p.Env = p.Env.Over(g.Env)
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

func checkGroup(d *schema.Decoder, path string, g Group, members int, back bool) {
	if members > maxMembers {
		d.Fail(path, "has %d members; want at most %d, as a PipelineRun holds no more: split the group", members, maxMembers)
	}
	if members == 0 {
		d.Warn(path, "no repository is in this group; want a repository with group: %s, or no such group", g.Name)
	}
	if d.Given(path+".rollback") && members > 0 && !back {
		d.Warn(path+".rollback", "means nothing, as no member has deploy.rollback_commands; want these, or it left out")
	}
}

func (t *tables) checkSource(d *schema.Decoder, path, urlKey string, s *Source) {
	if s.URL != "" && !d.Failed(path+"."+urlKey) && !d.Failed(path+".repo_type") {
		key, err := t.host(d, path, urlKey, s)
		if key == "" {
			key = urlKey
		}
		if err != nil {
			d.Fail(path+"."+key, "%v", err)
		}
	}
	if !d.Failed(path + "." + urlKey) {
		section.CheckAuth(d, path, urlKey, s.URL, s.Auth)
	}
}

// checkStepAuth holds the credential of a step to what a pod can take from a Secret: whole values, by name.
func checkStepAuth(d *schema.Decoder, path string, a Auth, step string) {
	if !a.Token.IsSet() {
		return
	}
	if a.Token.Variable() == "" {
		d.Fail(path+".token", "is not one ${NAME}; want ${NAME} with NAME as a key of the Secret that global.credentials_secret names, as %s takes the token from there and a PipelineRun never holds it", step)
	}
	if u := a.Username; secret.HasReference(u.Text()) && u.Variable() == "" {
		d.Fail(path+".username", "mixes text and variables or has a default; want either a plain user name or one ${NAME}, which %s takes from the Secret that global.credentials_secret names", step)
	}
}

// checkReports gives each repository what its group and the file say of reports, and says which statuses of commits will not be written.
func (t *tables) checkReports(d *schema.Decoder, c *Config) {
	taken := map[string]bool{} // by group, "" for all: whether a host takes the statuses of one of its repositories
	for i := range c.Repositories {
		r, at := &c.Repositories[i], fmt.Sprintf("repositories[%d].report.commit_status", i)
		takes := r.Monitor.Type == "" || t.hosts.of(r.Monitor.Type).Statuses
		taken[""], taken[r.Group] = taken[""] || takes, taken[r.Group] || takes
		if r.Report.WritesStatus() && !takes {
			d.Warn(at, "means nothing on a host of the type %s, which takes no statuses of commits; want it left out", r.Monitor.Type)
		}
		r.Report = r.Report.Over(c.Groups[r.Group].Report.Over(c.Report))
		if r.Report.WritesStatus() && takes && !r.Monitor.Auth.Token.IsSet() {
			d.Warn(at, "means nothing without a token in monitor.auth, as no host takes a status of a commit from anybody; want the token, or false")
		}
		if !takes || !r.Monitor.Auth.Token.IsSet() {
			r.Report.CommitStatus = nil
		}
	}
	for name, g := range c.Groups {
		if g.Report.WritesStatus() && !taken[name] {
			d.Warn(schema.JoinKey("groups", name)+".report.commit_status", noStatuses)
		}
	}
	if c.Report.WritesStatus() && !taken[""] {
		d.Warn("report.commit_status", noStatuses)
	}
}

// noStatuses is said of a section none of whose repositories is on a host that takes them.
const noStatuses = "means nothing here, as no host of these repositories takes statuses of commits; want it left out"
