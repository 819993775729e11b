// Package config reads sentry.yaml: it parses strictly, fills in the defaults, expands ${VAR}
// references, and reports everything that is wrong in one go. The types here are what the rest of
// Sentry works on; docs/configuration.md describes the keys for people.
package config

import (
	"cmp"
	"regexp"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config/discover"
	"github.com/tekton-sentry/sentry/pkg/config/place"
	"github.com/tekton-sentry/sentry/pkg/config/schema"
	"github.com/tekton-sentry/sentry/pkg/config/section"
	"github.com/tekton-sentry/sentry/pkg/freeze"
	"github.com/tekton-sentry/sentry/pkg/glob"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/secret"
	"github.com/tekton-sentry/sentry/pkg/strategy"
)

// Error is one thing that is wrong in a file.
type Error = schema.Error

// Errors are all that is wrong.
type Errors = schema.Errors

// Warning is something that is hardly meant so.
type Warning = schema.Warning

// Sections that have a package of their own.
type (
	// Auth is a credential of a Git host.
	Auth = section.Auth
	// App is an installation of a GitHub App.
	App = section.App
	// Pod is what pods ask of their cluster.
	Pod = section.Pod
	// Object is a Secret or a ConfigMap that commands see.
	Object = section.Object
	// Env are variables of commands.
	Env = section.Env
	// Reference is a Task or a Pipeline that the cluster has.
	Reference = section.Reference
	// Proxy is how servers are reached.
	Proxy = section.Proxy
	// Report is who is told how deployments go.
	Report = section.Report
	// Traces is where traces of runs are sent.
	Traces = section.Traces
	// Cluster is one beside the cluster that Sentry runs in.
	Cluster = place.Cluster
)

// Config is a whole, valid sentry.yaml with its defaults filled in.
type Config struct {
	PollingInterval time.Duration
	Groups          map[string]Group   // by name
	Clusters        map[string]Cluster // by name, without the one that Sentry runs in
	Repositories    []Repository       // in the order of the file, which is the order of a sequential group; then those that were found
	Discover        []Discovery        // in the order of the file
	Global          Global
	Webhooks        Webhooks
	Report          Report           // of what no group and repository says itself
	Modules         strategy.Modules // asks those of groups; nil where none has one
	Hash            string           // 12 hexadecimal digits of the SHA-256 of the file's bytes, and of what was found
	Files           string           // 12 hexadecimal digits that tell apart what is asked for, whatever was found
	Found           *discover.Found  // what was known; nil = nothing
	Warnings        []Warning        // what is hardly meant so, sorted by line
}

// Group is what its members have in common when they run together.
type Group struct {
	Name            string
	Strategy        strategy.Name
	MaxParallel     int                 // members running at once; 0 = all that may
	Waves           []int               // of waves: how many percent of the members are in those up to each; nil = Deploy.Wave says it
	Expression      string              // of graph: by which one member needs another; "" = Deploy.Needs says it
	Needs           map[string][]string // of graph: the members that each needs, by Expression; nil = Deploy.Needs
	Module          strategy.Module     // of graph: which says it in their place; without a File, none does
	CanaryCheck     []string            // of canary: commands that check the first member
	ContinueOnError bool
	GlobalTimeout   time.Duration // of the whole run; 0 = none
	OnBusy          OnBusy
	Deploy          Scope
	Rollback        Rollback
	Pod             Pod // with what Global says beside it
	Report          Report
	NotOn           freeze.Windows // in which nothing of it is started, with what Global says beside it
	Priority        int            // who has a higher one gets a place of Global.MaxRuns first
	Cluster         string         // in which its runs are; "" = the one that Sentry runs in
}

// Repository is one entry of `repositories`.
type Repository struct {
	Name       string
	ID         string // of one that was found: 12 hexadecimal digits that no other one has, also one that is made anew at its address; else ""
	Group      string // "" = runs on its own
	Project    string // DNS label
	Monitor    Monitor
	Deploy     *Deploy      // never nil; that of all repositories that are deployed alike, so that nobody may change it
	WebhookURL secret.Value // "" = nobody is told
	Report     *Report      // with what its group and the file say beside it; nil = nothing. Others share it, too
}

// Discovery is one entry of `discover`: repositories that nobody wrote down.
type Discovery struct {
	Source // of the server, without an owner
	discover.Wanted
	Watched int // how many of the configuration's repositories it gave
}

// Question returns what its host is asked.
func (f *Discovery) Question() discover.Question {
	return discover.Question{Host: f.URL, Owner: f.Owner, File: f.File}
}

// Decides reports whether what was found may be taken up by this configuration, and what it does not have be forgotten, where a list of
// that number did so last: by no older list, and only where whoever wrote the list had the same files.
func (c *Config) Decides(last int64) bool {
	if c.Found == nil {
		return last <= 0
	}
	return c.Found.Number >= last && (c.Found.Number == 0 || c.Found.For == c.Files)
}

// Forgets reports whether what this configuration does not have may be forgotten, where Decides says so: once something was found of each
// owner. Before that it may be what is not found yet.
func (c *Config) Forgets() bool {
	var asked []discover.Question
	for i := range c.Discover {
		asked = append(asked, c.Discover[i].Question())
	}
	return c.Found.OfEach(asked)
}

// Source is a repository on a Git host, and how to reach it.
type Source struct {
	URL    string // http(s) without credentials, or as giturl.SSH writes it; no trailing slash, and ".git" is kept where it was written
	Type   HostType
	APIURL string // "" = derived from URL
	Auth   Auth
}

// Monitor is what is watched.
type Monitor struct {
	Source
	Branches repo.Patterns  // and of tags; or of requests
	Exposed  bool           // runs of requests of forks get secrets
	Ignore   *regexp.Regexp // heads whose message it matches run nothing; nil = none
	Paths    glob.Patterns  // heads with nothing new that they match run nothing; nil = all is wanted
}

// Deploy is what runs when a watched branch changed.
type Deploy struct {
	Source                // the QA repository; without Commands there may be none
	Branch         string // of the QA repository
	Commands       []string
	Task, Pipeline *Reference // in place of Commands: one of the three is set
	Rollback       []string   // commands that run when the deployment failed; never with Pipeline
	Depth          int        // commits of its history that are cloned; 0 = all, with tags
	Submodules     bool       // are cloned, too
	LFS            bool       // files in Git LFS are fetched
	Checkout       bool       // Monitor's repository is cloned too, at the commit that is deployed
	GitCredential  bool       // Commands' git has the credentials of what is cloned
	Shell          string     // absolute path; "" = /bin/sh
	Image          string     // where Commands run; never empty
	Env            Env        // of Commands, with what Global says beside it
	Secrets        []Object   // that Commands see
	ConfigMaps     []Object
	Timeout        time.Duration  // of this deployment; always positive
	ServiceAccount string         // never empty
	Pod            Pod            // with what its group and Global say beside it
	Wave           int            // of a group in waves, from 1
	Needs          []string       // repositories of the group that it waits for, in a graph
	NotOn          freeze.Windows // as of a group, for a repository without one
	Priority       int
	Cluster        string
}

// Global is the `global` section.
type Global struct {
	TmpDir            string // absolute; where the clone is mounted in a task
	Cleanup           bool
	KeepRuns          int // finished PipelineRuns kept, a unit
	MaxRuns           int // that may be active when another one is started; 0 = any number
	LogLevel          string
	Timeout           time.Duration // default of Deploy.Timeout
	Namespace         string        // of the state and, without a RunNamespace, of the runs; "" = the current one
	RunNamespace      string        // of the PipelineRuns; "" = Namespace
	Instance          string        // tells Sentrys in one namespace apart; "" for the one without a name
	ServiceAccount    string
	Image             string
	GitImage          string
	ImageRegistry     string // what every image is pulled from; "" = where each says. Image, GitImage and Deploy.Image are so already
	Env               Env
	CredentialsSecret string
	OnFirstSeen       OnFirstSeen
	Pod               Pod
	CA                string // certificates in PEM that are trusted beside the system's; "" = none
	Proxy             Proxy
	Chains            bool          // runs name the commit that they deploy to Tekton Chains
	Sweep             time.Duration // within it every repository is read, whatever its host hints; 0 = in every cycle
	Traces            Traces
	NotOn             freeze.Windows
	Glance            time.Duration // how often a host that has a list of recent changes is asked for that alone; 0 = never
	Discover          time.Duration // how often hosts are asked for repositories that nobody wrote down
}

// Webhooks is the `webhooks` section: how hosts tell of pushes.
type Webhooks struct {
	Secret secret.Value // "" = no hook is taken
}

// RunsIn returns the namespace of the PipelineRuns; "" = the current one.
func (g Global) RunsIn() string { return cmp.Or(g.RunNamespace, g.Namespace) }

// OnBusy says what happens to a change while the unit's earlier run is active.
type OnBusy string

// Queue waits and then runs the newest; CancelOld cancels the active run first; StartAtOnce does not look.
const (
	Queue       OnBusy = "queue"
	CancelOld   OnBusy = "cancel"
	StartAtOnce OnBusy = "parallel"
)

// Scope says which members of a group deploy when one changed.
type Scope string

// The scopes of a group's deployment.
const (
	All     Scope = "all"
	Changed Scope = "changed"
)

// Rollback says whose rollback commands run when a deployment of a run failed.
type Rollback string

// Those of each deployment that failed, those of all that began, or of none.
const (
	RollbackMember Rollback = "member"
	RollbackGroup  Rollback = "group"
	RollbackNone   Rollback = "none"
)

// OnFirstSeen says what happens when a repository is seen for the first time.
type OnFirstSeen string

// Record remembers the heads and runs nothing; DeployFirst deploys them.
const (
	Record      OnFirstSeen = "record"
	DeployFirst OnFirstSeen = "deploy"
)

// Alone is the group that a repository without one has: no bound, no order, the defaults.
func Alone() Group {
	return Group{Strategy: strategy.Parallel, OnBusy: Queue, Deploy: All, Rollback: RollbackMember}
}

// GroupOf returns the group in which a repository runs. One without a group has Alone, with what it says itself.
func (c *Config) GroupOf(r *Repository) Group {
	if r.Group != "" {
		return c.Groups[r.Group]
	}
	g := Alone()
	if r.Deploy != nil {
		g.NotOn, g.Priority, g.Cluster = r.Deploy.NotOn, r.Deploy.Priority, r.Deploy.Cluster
	}
	return g
}

// In returns the configuration as it is for the runs of a cluster.
func (c *Config) In(cluster string) *Config {
	if cluster == "" {
		return c
	}
	in, p := *c, c.Clusters[cluster]
	in.Global.RunNamespace = p.Namespace
	in.Global.ServiceAccount = cmp.Or(p.ServiceAccount, c.Global.ServiceAccount)
	in.Global.CredentialsSecret = cmp.Or(p.CredentialsSecret, c.Global.CredentialsSecret)
	return &in
}

// Lookup returns the repository of that name.
func (c *Config) Lookup(name string) (*Repository, bool) {
	for i := range c.Repositories {
		if c.Repositories[i].Name == name {
			return &c.Repositories[i], true
		}
	}
	return nil, false
}
