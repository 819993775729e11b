package config

import (
	"slices"

	"gopkg.in/yaml.v3"

	"github.com/tekton-sentry/sentry/pkg/config/commits"
	"github.com/tekton-sentry/sentry/pkg/config/discover"
	"github.com/tekton-sentry/sentry/pkg/config/intern"
	"github.com/tekton-sentry/sentry/pkg/config/kind"
	"github.com/tekton-sentry/sentry/pkg/config/order"
	"github.com/tekton-sentry/sentry/pkg/config/place"
	"github.com/tekton-sentry/sentry/pkg/config/refs"
	"github.com/tekton-sentry/sentry/pkg/config/rule"
	"github.com/tekton-sentry/sentry/pkg/config/schema"
	"github.com/tekton-sentry/sentry/pkg/config/section"
	"github.com/tekton-sentry/sentry/pkg/config/timing"
	"github.com/tekton-sentry/sentry/pkg/instance"
	"github.com/tekton-sentry/sentry/pkg/secret"
	"github.com/tekton-sentry/sentry/pkg/strategy"
)

const (
	// maxMembers bounds a group. The work of Tekton's scheduler grows with the cube of a run's tasks, and
	// a run of 500 no longer fits into an etcd object (1.5 MiB).
	maxMembers = 150
	// maxDepth is more commits than most repositories have, and 0 is all.
	maxDepth = 1_000_000
	// maxSweep is a day in seconds: a change that the host does not hint at waits so long.
	maxSweep = 24 * 60 * 60
	// maxGlance is ten minutes in seconds: what is looked at less often gains little on a cycle.
	maxGlance = 10 * 60
)

const (
	wantRepositories = "a list of repositories"
	wantDiscover     = "a list of owners whose repositories are watched that nobody wrote down"
	wantTemplate     = "a repository, in which name, monitor and its repo_url and branches may be left out"
)

const (
	wantName     = "a DNS label of at most 40 characters: a-z, 0-9 and - inside"
	wantInstance = "a DNS label of at most 30 characters: a-z, 0-9 and - inside"
	wantLabel    = "a DNS label of at most 63 characters: a-z, 0-9 and - inside"
	wantImage    = "an image reference, such as docker.io/alpine/git:2.49.1"
	wantRegistry = "a registry, with a path or without, such as registry.example.com/mirror"
	wantShell    = "the absolute path of sh, ash, bash or dash"
)

// tables makes the tables of fields of one file.
type tables struct {
	hosts      kind.Hosts
	expression order.Expression
	modules    strategy.Modules
	members    members
	// Of discover:
	known     *discover.Found
	examples  bool
	inherited bool // see inheritGlobal
	// What follows is what many repositories have in common.
	refs    refs.Reader
	deploys intern.Pool[Deploy]
	reports intern.Pool[Report]
}

func newTables(known []Host) *tables {
	return &tables{hosts: known, members: members{names: map[string]spot{}, groups: map[string]*group{}}}
}

func (t *tables) file(c *Config) []schema.Field {
	return []schema.Field{
		schema.Seconds("polling_interval", &c.PollingInterval, 60).Or("60"),
		place.Field("clusters", &c.Clusters),
		{Key: "groups", Kind: "section", Want: "a section with the groups by name",
			Read: func(d *schema.Decoder, path string, n *yaml.Node) { c.Groups = groups(d, path, n) }},
		schema.Section("global", globalFields(&c.Global)...),
		schema.Section("webhooks", section.HookSecretField("secret", &c.Webhooks.Secret)),
		section.ReportField(&c.Report),
		// Each repository is checked as it is read, for which all else has to be known.
		{Key: "repositories", Kind: "list", Want: wantRepositories,
			Read: func(d *schema.Decoder, path string, n *yaml.Node) { t.repositories(d, c, path, n) }},
		// What is written goes before what was found.
		{Key: "discover", Kind: "list", Want: wantDiscover,
			Read: func(d *schema.Decoder, path string, n *yaml.Node) { t.discoveries(d, c, path, n) }},
	}
}

func groupFields(g *Group) []schema.Field {
	return []schema.Field{
		schema.Choice("execution_strategy", &g.Strategy, strategy.Names()).Or(strategy.Names()[0]),
		schema.Integer("max_parallel", &g.MaxParallel, 1, maxMembers),
		order.SharesField("waves", &g.Waves),
		order.ExpressionField("needs", &g.Expression),
		schema.Section("wasm", order.ModuleFields(&g.Module)...),
		section.CommandsField("canary_check", &g.CanaryCheck),
		schema.Boolean("continue_on_error", &g.ContinueOnError).Or("false"),
		schema.Seconds("global_timeout", &g.GlobalTimeout, 0).Or("0"),
		schema.Enum("on_busy", &g.OnBusy, Queue, CancelOld, StartAtOnce),
		schema.Enum("deploy", &g.Deploy, All, Changed),
		schema.Enum("rollback", &g.Rollback, RollbackMember, RollbackGroup, RollbackNone),
		timing.Field("not_on", &g.NotOn),
		schema.Integer("priority", &g.Priority, -100, 100).Or("0"),
		place.ListField("clusters", &g.Cluster),
		section.PodField(&g.Pod),
		section.ReportField(&g.Report),
	}
}

// newRepository returns one that the table of repository can be made for.
func newRepository() *Repository { return &Repository{Deploy: new(Deploy), Report: new(Report)} }

func (t *tables) repository(r *Repository) []schema.Field {
	return []schema.Field{
		schema.Text("name", &r.Name, wantName, rule.IsName).Must(),
		schema.Text("group", &r.Group, "the name of a group", rule.IsName),
		schema.Section("monitor", append(t.source(&r.Monitor.Source, "repo_url"),
			t.refs.Branches("branches", &r.Monitor.Branches),
			t.refs.Tags("tags", &r.Monitor.Branches),
			t.refs.Requests(&r.Monitor.Branches, &r.Monitor.Exposed),
			commits.IgnoreField("ignore", &r.Monitor.Ignore),
			commits.PathsField("paths", &r.Monitor.Paths),
		)...).Must(),
		schema.Section("deploy", append(optional(t.source(&r.Deploy.Source, "qa_repo_url")),
			branch("qa_repo_branch", &r.Deploy.Branch).Or("main"),
			schema.Integer("depth", &r.Deploy.Depth, 0, maxDepth).Or("1"),
			schema.Boolean("submodules", &r.Deploy.Submodules).Or("false"),
			schema.Boolean("lfs", &r.Deploy.LFS).Or("false"),
			schema.Boolean("checkout", &r.Deploy.Checkout).Or("false"),
			schema.Boolean("git_credential", &r.Deploy.GitCredential).Or("false"),
			schema.Text("project_name", &r.Project, wantLabel, rule.IsLabel),
			schema.Integer("wave", &r.Deploy.Wave, 1, maxMembers).Or("1"),
			order.NeedsField("needs", &r.Deploy.Needs),
			section.CommandsField("commands", &r.Deploy.Commands),
			section.CommandsField("rollback_commands", &r.Deploy.Rollback),
			section.ReferenceField("task", &r.Deploy.Task),
			section.ReferenceField("pipeline", &r.Deploy.Pipeline),
			schema.Text("shell", &r.Deploy.Shell, wantShell, rule.IsShell),
			schema.Text("image", &r.Deploy.Image, wantImage, rule.IsImage),
			section.EnvField(&r.Deploy.Env),
			section.ObjectsField("secrets", &r.Deploy.Secrets),
			section.ObjectsField("config_maps", &r.Deploy.ConfigMaps),
			schema.Seconds("timeout", &r.Deploy.Timeout, 1),
			schema.Text("service_account", &r.Deploy.ServiceAccount, rule.WantDNS, rule.IsDNSName),
			timing.Field("not_on", &r.Deploy.NotOn),
			schema.Integer("priority", &r.Deploy.Priority, -100, 100).Or("0"),
			place.ListField("clusters", &r.Deploy.Cluster),
			section.PodField(&r.Deploy.Pod),
		)...).Must(),
		section.ToldField("webhook_url", &r.WebhookURL),
		section.ReportField(r.Report),
	}
}

// discovery is the table of an entry of discover. Its template is read once for each repository that was
// found; where template is nil it is read here, for what is wrong with it.
func (t *tables) discovery(f *Discovery, template **yaml.Node) []schema.Field {
	fields := t.source(&f.Source, "host")
	fields[0] = schema.Address("host", &f.URL, discover.WantHost, func(s string) (string, error) { return rule.PlainURL(s, discover.WantHost) }).Must()
	return append(append(fields, discover.Fields(&f.Wanted)...), schema.Field{Key: "template", Kind: "section", Want: wantTemplate,
		Read: func(d *schema.Decoder, path string, n *yaml.Node) {
			if template != nil {
				*template = n
				return
			}
			one := discover.Repository{Name: "repo", Path: "owner/repo", Branch: "main"}
			d.With(one.Variables("https://host.example"), func() { d.Section(path, n, t.template(newRepository())) })
		}}.Must())
}

// template is the table of a repository that was found.
func (t *tables) template(r *Repository) []schema.Field {
	fields := t.repository(r)
	fields[0] = fields[0].Or("${repo}")
	monitor := slices.IndexFunc(fields, func(f schema.Field) bool { return f.Key == "monitor" })
	fields[monitor].Fields[0] = fields[monitor].Fields[0].Or("${repo_url}")
	for _, f := range []*schema.Field{&fields[0], &fields[monitor], &fields[monitor].Fields[0]} {
		f.Required = false
	}
	return fields
}

func (t *tables) source(s *Source, urlKey string) []schema.Field {
	types, auth := t.hosts.Names(), section.AuthFields(&s.Auth)
	if urlKey == "qa_repo_url" {
		auth = slices.DeleteFunc(auth, func(f schema.Field) bool { return f.Key == "github_app" }) // steps get no token of an App
	}
	return []schema.Field{
		schema.Address(urlKey, &s.URL, rule.WantRepo, rule.RepositoryURL).Must(),
		schema.Choice("repo_type", &s.Type, types),
		schema.Address("api_url", &s.APIURL, rule.WantAPI, rule.APIURL),
		schema.Section("auth", auth...),
	}
}

// optional lets the first field be absent.
func optional(fields []schema.Field) []schema.Field {
	fields[0].Required = false
	return fields
}

func globalFields(g *Global) []schema.Field {
	return []schema.Field{
		schema.Text("tmp_dir", &g.TmpDir, rule.WantDir, rule.IsMountable).Or("/tmp/sentry"),
		schema.Boolean("cleanup", &g.Cleanup).Or("true"),
		schema.Enum("log_level", &g.LogLevel, "debug", "info", "warn", "error").Or("info"),
		schema.Seconds("timeout", &g.Timeout, 1).Or("300"),
		schema.Text("namespace", &g.Namespace, wantLabel, rule.IsLabel),
		schema.Text("run_namespace", &g.RunNamespace, wantLabel, rule.IsLabel),
		schema.Text("instance", &g.Instance, wantInstance, instance.Valid),
		schema.Text("service_account", &g.ServiceAccount, rule.WantDNS, rule.IsDNSName).Or("sentry-deployer"),
		// This image has kubectl, helm, git and a shell.
		schema.Text("image", &g.Image, wantImage, rule.IsImage).Or("docker.io/alpine/k8s:1.34.1"),
		schema.Text("git_image", &g.GitImage, wantImage, rule.IsImage).Or("docker.io/alpine/git:2.49.1"),
		schema.Text("image_registry", &g.ImageRegistry, wantRegistry, rule.IsRegistry),
		section.EnvField(&g.Env),
		schema.Text("credentials_secret", &g.CredentialsSecret, rule.WantDNS, rule.IsDNSName).Or("sentry-credentials"),
		schema.Integer("keep_runs", &g.KeepRuns, 1, 10000).Or("20"),
		schema.Integer("max_runs", &g.MaxRuns, 1, 10000),
		timing.Field("not_on", &g.NotOn),
		schema.Enum("on_first_seen", &g.OnFirstSeen, Record, DeployFirst),
		schema.SecondsOrZero("sweep", &g.Sweep, 60, maxSweep).Or("900"),
		schema.Seconds("discover_interval", &g.Discover, 60).Or("600"),
		schema.SecondsOrZero("glance", &g.Glance, 2, maxGlance).Or("5"),
		section.CA("ca", &g.CA),
		schema.Section("proxy", section.ProxyFields(&g.Proxy)...),
		section.TracesField(&g.Traces),
		schema.Boolean("chains", &g.Chains).Or("false"),
		section.PodField(&g.Pod),
	}
}

// branch is the name of a branch.
func branch(key string, p *string) schema.Field {
	f := schema.Text(key, p, "a branch name", rule.IsBranch)
	read := f.Read
	f.Read = func(d *schema.Decoder, path string, n *yaml.Node) {
		read(d, path, n)
		if *p != "" {
			refs.WarnBranch(d, path, secret.New(n.Value, *p))
		}
	}
	return f
}
