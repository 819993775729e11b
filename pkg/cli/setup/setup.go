// Package setup has the flags that all commands share, and makes from them what commands work with: the configuration, the
// log, the engine and the store.
package setup

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tekton-sentry/sentry/pkg/cli/environ"
	"github.com/tekton-sentry/sentry/pkg/cli/usage"
	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/config/discover"
	"github.com/tekton-sentry/sentry/pkg/config/files"
	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/engine/local"
	"github.com/tekton-sentry/sentry/pkg/engine/local/journal"
	"github.com/tekton-sentry/sentry/pkg/engine/local/sandbox"
	"github.com/tekton-sentry/sentry/pkg/githost/hosts"
	"github.com/tekton-sentry/sentry/pkg/githost/poller"
	"github.com/tekton-sentry/sentry/pkg/githost/transport"
	"github.com/tekton-sentry/sentry/pkg/instance"
	"github.com/tekton-sentry/sentry/pkg/kube"
	"github.com/tekton-sentry/sentry/pkg/oneline"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/result"
	past "github.com/tekton-sentry/sentry/pkg/result/file"
	"github.com/tekton-sentry/sentry/pkg/secret"
	"github.com/tekton-sentry/sentry/pkg/state"
	"github.com/tekton-sentry/sentry/pkg/state/configmap"
	"github.com/tekton-sentry/sentry/pkg/state/file"
	"github.com/tekton-sentry/sentry/pkg/strategy/cel"
	"github.com/tekton-sentry/sentry/pkg/strategy/wasm"
	"github.com/tekton-sentry/sentry/pkg/watch"
)

// Streams are where output goes.
type Streams struct {
	Program string    // the name under which it was started; "" is sentry
	In      io.Reader // the configuration, with --config -; nil for none
	Out     io.Writer // data
	Err     io.Writer // logs, progress, errors
}

// Options are the flags that all commands share, and what is made from them.
type Options struct {
	Streams
	Version    string            // of Sentry
	Config     usage.Paths       // files and folders; or files.StandardInput
	Variables  environ.Variables // that the configuration refers to
	LogFormat  string
	Kubeconfig string
	context    string
	namespace  string
	runs       string // namespace of the PipelineRuns
	instance   string
	Modules    wasm.Modules // of groups; they remember what they answered
	verbose    bool
	Level      slog.LevelVar // of the log
	Settable   usage.Flags   // by a variable
	Hider      Hider         // of the credentials of the configuration that was read
	Running    *cobra.Command
	Found      *discover.Found // as Load read it; nil = nothing was to be read, or nothing could be
	Kept       config.Files    // the texts of a configuration with discover that can be read once; nil for others

	// Texts is told of each text that is read as a configuration; nil = nobody wants to know.
	Texts Texts
	// Answered is told of requests to the API server; see kube.Options. It is set before the first connection.
	Answered func(ctx context.Context, err error)
}

// Texts is told of the texts that were read as a configuration: of those from which one was made, and of those from which none could be made.
// They are nil where they could not be read.
type Texts interface {
	Use(texts config.Files, cfg *config.Config)
	Refuse(texts config.Files, err error)
}

// Register adds the flags.
func (o *Options) Register(f *pflag.FlagSet) {
	o.Config.Names = []string{"sentry.yaml"}
	f.VarP(&o.Config, "config", "c", "configuration `file` or folder; repeated, all are one; - is standard input")
	f.StringVar(&o.Variables.Dir, "env-dir", "", "`directory` with a file for each variable, such as a mounted Secret, that is looked in before the environment; watch notices changes")
	f.StringVarP(&o.namespace, "namespace", "n", "", "namespace of the state, and of the PipelineRuns too where they have none of their own (default: global.namespace, then the current one)")
	f.StringVar(&o.runs, "run-namespace", "", "namespace of the PipelineRuns (default: global.run_namespace, then that of --namespace)")
	f.StringVar(&o.instance, "instance", "", "name of this Sentry, where several share the namespaces on purpose (default: global.instance, then none)")
	f.StringVar(&o.Kubeconfig, "kubeconfig", "", "kubeconfig `file` (default: $KUBECONFIG, ~/.kube/config, or the pod's service account)")
	f.StringVar(&o.context, "context", "", "context of the kubeconfig")
	f.StringVar(&o.LogFormat, "log-format", "text", "log lines on stderr: text or json")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "log at debug level, whatever global.log_level says")
}

// Load reads the configuration, sets its namespace from the flags, and makes the log that it asks for.
func (o *Options) Load(opts config.Options) (*config.Config, *slog.Logger, error) {
	cfg, err := o.loadConfig(opts)
	if err != nil {
		return nil, nil, usage.Error(err)
	}
	if err := o.place(cfg); err != nil {
		return nil, nil, err
	}
	if err := o.SetLevel(cfg); err != nil {
		return nil, nil, err
	}
	log, err := o.Logger()
	if err != nil {
		return nil, nil, usage.Error(err)
	}
	cfg, err = o.found(cfg, opts)
	if err != nil {
		log.Warn("what was found of discover is not known here", "err", err)
	}
	return cfg, log, nil
}

// place has a configuration say what the flags do of where Sentry and its runs are.
func (o *Options) place(cfg *config.Config) error {
	of, err := o.InstanceOf(cfg.Global)
	if err != nil {
		return err
	}
	cfg.Global.Instance = of.Name
	if o.flag("local") == "true" {
		here(cfg)
	}
	cfg.Global.Namespace = cmp.Or(o.namespace, cfg.Global.Namespace)
	cfg.Global.RunNamespace = cmp.Or(o.runs, cfg.Global.RunNamespace)
	return nil
}

// here has all runs of a trial be on this machine.
func here(cfg *config.Config) {
	for name, g := range cfg.Groups {
		g.Cluster = ""
		cfg.Groups[name] = g
	}
	for i := range cfg.Repositories {
		cfg.Repositories[i].Deploy.Cluster = ""
	}
}

// Partly tells of the clusters that a list of runs lacks, and returns any other error.
func (o *Options) Partly(err error) error {
	unlisted, ok := errors.AsType[engine.Unlisted](err)
	if !ok {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(unlisted)) {
		fmt.Fprintf(o.Err, "The runs there are not known here: %s\n", oneline.Of(unlisted[name].Error(), 500))
	}
	return nil
}

// Parse reads other texts of the files as Load did, with the variables as they were read last and what was found by now.
func (o *Options) Parse(texts config.Files, found *discover.Found) (*config.Config, error) {
	cfg, err := config.ParseFiles(texts, config.Options{LookupEnv: o.Variables.Lookup, Hosts: hosts.All.Config(), Expression: cel.Needs, Modules: &o.Modules, Found: found})
	if err != nil {
		return nil, err
	}
	return cfg, o.place(cfg)
}

// SetLevel makes the log write what the configuration and the flags ask for.
func (o *Options) SetLevel(cfg *config.Config) error {
	if o.verbose {
		o.Level.Set(slog.LevelDebug)
		return nil
	}
	if err := o.Level.UnmarshalText([]byte(cfg.Global.LogLevel)); err != nil {
		return fmt.Errorf("global.log_level: %w", err)
	}
	return nil
}

// Reading completes how configurations are read: variables are those of the flags.
func (o *Options) Reading(opts config.Options) (config.Options, error) {
	_, err := o.Variables.Read()
	opts.LookupEnv, opts.Hosts = o.Variables.Lookup, hosts.All.Config()
	opts.Expression, opts.Modules = cel.Needs, &o.Modules
	return opts, err
}

func (o *Options) loadConfig(opts config.Options) (*config.Config, error) {
	opts, err := o.Reading(opts)
	if err != nil {
		return nil, err
	}
	var cfg *config.Config
	texts, err := o.Kept, error(nil)
	if texts == nil {
		texts, err = files.Read(o.In, o.Config.Names)
	}
	if err == nil {
		cfg, err = config.ParseFiles(texts, opts)
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w; name another file with --config", err)
	}
	if err == nil {
		o.Hider.Use(cfg)
	}
	if err == nil && len(cfg.Discover) > 0 {
		o.Kept = texts
	}
	switch {
	case o.Texts == nil:
	case err == nil:
		o.Texts.Use(texts, cfg)
	default:
		o.Texts.Refuse(texts, err)
	}
	return cfg, err
}

// InstanceOf returns which Sentry is meant.
func (o *Options) InstanceOf(g config.Global) (instance.Instance, error) {
	if o.instance != "" && !instance.Valid(o.instance) {
		return instance.Instance{}, usage.Errorf("--instance %.80q: want a DNS label of at most %d characters: a-z, 0-9 and - inside", o.instance, instance.MaxName)
	}
	return instance.Instance{Name: cmp.Or(o.instance, g.Instance)}, nil
}

// ConfigName is what messages call the configuration.
func (o *Options) ConfigName() string { return files.Name(o.Config.Names) }

// FromStandardInput reports whether the configuration is read from standard input, which is done once.
func (o *Options) FromStandardInput() bool { return o.Config.Names[0] == files.StandardInput }

// Connect connects to the cluster that the flags and the kubeconfig name.
func (o *Options) Connect(namespace string) (*kube.Cluster, error) {
	return o.connect(namespace, kube.Options{Answered: o.Answered})
}

// ConnectBeside connects to the same cluster for what must not hold up Sentry itself: it has requests of its own, and few of them. What
// becomes of them says nothing about Sentry's health.
func (o *Options) ConnectBeside(namespace string) (*kube.Cluster, error) {
	return o.connect(namespace, kube.Options{PerSecond: 20})
}

// connect fills in what all connections have.
func (o *Options) connect(namespace string, how kube.Options) (*kube.Cluster, error) {
	how.Kubeconfig, how.Context, how.Namespace = o.Kubeconfig, o.context, cmp.Or(o.namespace, namespace)
	how.UserAgent = transport.UserAgent(o.Version)
	return kube.Connect(how)
}

// Reader returns the reader of all kinds of Git hosts. sweep is global.sweep; 0 for one that reads only once.
func (o *Options) Reader(log *slog.Logger, sweep time.Duration, network *transport.Network) *poller.Reader {
	return &poller.Reader{Hosts: hosts.All, Version: o.Version, Log: log, Sweep: sweep, Network: network}
}

// OnCluster connects to the cluster, and makes the engine of the runs there and the store of the state.
func (o *Options) OnCluster(cfg *config.Config) (*kube.Cluster, *Engine, watch.Store, error) {
	of := instance.Instance{Name: cfg.Global.Instance}
	cluster, err := o.Connect(cfg.Global.Namespace)
	if err != nil {
		return nil, nil, nil, err
	}
	cfg.Global.Namespace = cluster.Namespace
	return cluster, o.EngineOn(cluster, cfg.Global.RunsIn(), of, cfg.Clusters), ClusterStore(cluster, of), nil
}

// ClusterStore returns the store of the state where runs happen on a cluster.
func ClusterStore(cluster *kube.Cluster, of instance.Instance) watch.Store {
	return configmap.New(cluster, of)
}

// OnMachine makes the engine and the store of a trial on this machine, and removes what a Sentry left there
// that was killed.
func (o *Options) OnMachine(ctx context.Context, cfg *config.Config, stateFile string, log *slog.Logger) (*local.Engine, *file.Store, error) {
	if err := sandbox.Supported(); err != nil {
		return nil, nil, err
	}
	if stateFile == "" {
		var err error
		if stateFile, err = o.stateFile(); err != nil {
			return nil, nil, err
		}
	}
	stateFile = file.BehindLinks(stateFile)
	eng := local.New(local.Options{
		Journal: journalOf(stateFile), Remember: remember(ctx, past.New(stateFile)),
		Out: o.Out, Env: o.Variables.Environ(), Hidden: o.Hidden(cfg), Hide: o.Hider.Hide, Log: log,
	})
	if err := eng.RemoveLeftovers(ctx); err != nil {
		log.Warn("cannot remove what a Sentry that was killed left", "err", err)
	}
	return eng, file.New(stateFile, log), nil
}

// remember returns what writes how runs ended into the history. One that was asked for by hand runs beside the Sentry that
// watches, which alone writes.
func remember(ctx context.Context, history *past.Store) func(result.Result) error {
	ctx = context.WithoutCancel(ctx)
	return func(r result.Result) error {
		if r.Manual {
			return nil
		}
		return history.Add(ctx, []result.Result{r})
	}
}

// journalOf is the directory of the runs beside a state file.
func journalOf(stateFile string) string { return stateFile + ".runs" }

// LocalRuns returns the runs of 'sentry watch --local' that have ended and are still known, and those that have not, each oldest
// first, beside the state file as LocalHistory has it. Nothing is changed.
func (o *Options) LocalRuns(path string) (ended []engine.Run, begun []plan.Existing, err error) {
	if path == "" {
		if path, err = o.stateFile(); err != nil {
			return nil, nil, err
		}
	}
	known, begun, err := journal.Dir(journalOf(file.BehindLinks(path))).Look()
	for _, r := range known {
		ended = append(ended, engine.Run{Existing: r.Existing, Succeeded: r.Succeeded})
	}
	return ended, begun, err
}

// LocalHistory returns how the runs of `sentry watch --local` ended, newest first, beside the state file at path; "" is that of
// the configuration.
func (o *Options) LocalHistory(ctx context.Context, path string) ([]result.Result, error) {
	if path == "" {
		var err error
		if path, err = o.stateFile(); err != nil {
			return nil, err
		}
	}
	results, err := past.New(file.BehindLinks(path)).List(ctx, "")
	return o.Hider.past(results), err
}

// History returns how the runs of an engine on a cluster ended, newest first.
func (o *Options) History(ctx context.Context, eng *Engine) ([]result.Result, error) {
	results, err := eng.History(ctx, "")
	return o.Hider.past(results), err
}

// stateFile is where the state is of the configuration that the flags name: of several files, that of the first, so that others may
// come and go.
func (o *Options) stateFile() (string, error) {
	if o.FromStandardInput() {
		return "", usage.Errorf("a configuration from standard input has no state file of its own; name one with --state")
	}
	return file.Default(o.Config.Names[0])
}

// Hidden returns the names of the variables that no step on this machine inherits.
func (o *Options) Hidden(cfg *config.Config) []string {
	return slices.Concat(credentials(cfg), o.Variables.Names(), o.Settable.Variables())
}

// credentials returns the names of the variables that hold credentials. In a cluster the commands do not
// have them.
func credentials(cfg *config.Config) []string {
	names := slices.Concat(cfg.Global.Proxy.HTTP.Variables(), cfg.Global.Proxy.HTTPS.Variables(), cfg.Webhooks.Secret.Variables(), cfg.Global.Traces.Headers.Variables())
	seen := map[secret.Value]bool{}
	add := func(v secret.Value) {
		if !seen[v] {
			names = append(names, v.Variables()...)
		}
		seen[v] = true
	}
	for _, c := range cfg.Clusters {
		add(c.Kubeconfig)
	}
	for i := range cfg.Discover {
		for _, v := range cfg.Discover[i].Auth.Values() {
			add(*v)
		}
	}
	for i := range cfg.Repositories {
		r := &cfg.Repositories[i]
		add(r.WebhookURL)
		for _, v := range slices.Concat(r.Monitor.Auth.Values(), r.Deploy.Auth.Values()) {
			add(*v)
		}
		for _, to := range r.Report.Receivers() {
			add(to.URL)
		}
	}
	return names
}

// Word returns a random word of eight hexadecimal digits.
func Word() string {
	b := make([]byte, 4)
	_, _ = rand.Read(b) // never fails: see crypto/rand.Read
	return hex.EncodeToString(b)
}

// LogsCommand is the line that follows a run.
func LogsCommand(name, namespace string) string {
	if namespace == "" {
		return "tkn pipelinerun logs -f " + name
	}
	return "tkn pipelinerun logs -f " + name + " -n " + namespace
}

// LogsOf is the line that follows a run. The namespace is that of the cluster that Sentry runs in.
func LogsOf(run plan.Run, namespace string) string {
	if run.Group.Cluster != "" {
		return "sentry logs " + run.Unit.Label + " -f --run " + run.Name
	}
	return LogsCommand(run.Name, namespace)
}

// Offer returns what a shell offers, of the configuration that the command line names.
func (o *Options) Offer(of func(cfg *config.Config, given []string) []string) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		const nothingElse = cobra.ShellCompDirectiveNoFileComp
		if o.Settable.Set(cmd.Flags(), os.LookupEnv) != nil || o.FromStandardInput() { // that is the shell's
			return nil, nothingElse
		}
		return of(o.Glance(), args), nothingElse
	}
}

// LogWarnings tells of what is hardly meant so: of each kind the first few places, and how many more there are.
func LogWarnings(log *slog.Logger, cfg *config.Config) {
	const few = 3
	places := make(map[string]int) // by message
	for _, w := range cfg.Warnings {
		if places[w.Message]++; places[w.Message] <= few {
			log.Warn(w.String())
		} else {
			log.Debug(w.String())
		}
	}
	for _, message := range slices.Sorted(maps.Keys(places)) {
		if more := places[message] - few; more > 0 {
			log.Warn(fmt.Sprintf("%d more such places: %s", more, message))
		}
	}
}

// LocalState returns what `sentry watch --local` remembers, with the state file at path; "" is that of the configuration.
func (o *Options) LocalState(ctx context.Context, path string) (state.Snapshot, error) {
	store, err := o.LocalStore(path)
	if err != nil {
		return state.Snapshot{}, err
	}
	return store.Load(ctx)
}

// LocalStore returns the store of what `sentry watch --local` remembers, as LocalState has it.
func (o *Options) LocalStore(path string) (watch.Store, error) {
	if path == "" {
		var err error
		if path, err = o.stateFile(); err != nil {
			return nil, err
		}
	}
	return file.New(file.BehindLinks(path), slog.New(slog.DiscardHandler)), nil
}

// Glance returns the configuration where there is one that can be read, and an empty one otherwise: what only shows
// something can do without.
func (o *Options) Glance() *config.Config {
	opts := config.Options{AllowUnsetAuth: true}
	cfg, err := o.loadConfig(opts)
	if err != nil {
		return &config.Config{}
	}
	if cfg, err = o.found(cfg, opts); err != nil {
		fmt.Fprintf(o.Err, "What was found of discover is not known here: %v\n", err)
	}
	return cfg
}

// Where connects to where Sentry runs, and returns where its runs are and which Sentry is meant: by the flags,
// and else as the configuration says.
func (o *Options) Where(global config.Global) (cluster *kube.Cluster, runsIn string, of instance.Instance, err error) {
	if of, err = o.InstanceOf(global); err == nil {
		cluster, err = o.Connect(global.Namespace)
	}
	return cluster, cmp.Or(o.runs, global.RunNamespace), of, err
}

// There is what a command finds in the cluster that needs no valid configuration.
type There struct {
	Config  *config.Config // as of Glance
	Cluster *kube.Cluster
	Engine  *Engine
	Runs    []engine.Run // oldest first
}

// Look finds where Sentry runs, as Where does, and lists its runs.
func (o *Options) Look(ctx context.Context) (There, error) {
	t := There{Config: o.Glance()}
	cluster, runsIn, of, err := o.Where(t.Config.Global)
	if err != nil {
		return t, err
	}
	t.Cluster, t.Engine = cluster, o.EngineOn(cluster, runsIn, of, t.Config.Clusters)
	t.Runs, err = t.Engine.Runs(ctx, nil)
	return t, o.Partly(err)
}
