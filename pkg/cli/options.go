package cli

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tekton-sentry/sentry/pkg/cli/environ"
	"github.com/tekton-sentry/sentry/pkg/cli/term"
	"github.com/tekton-sentry/sentry/pkg/cli/usage"
	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/engine/local"
	"github.com/tekton-sentry/sentry/pkg/engine/tekton"
	"github.com/tekton-sentry/sentry/pkg/githost/hosts"
	"github.com/tekton-sentry/sentry/pkg/githost/poller"
	"github.com/tekton-sentry/sentry/pkg/githost/transport"
	"github.com/tekton-sentry/sentry/pkg/instance"
	"github.com/tekton-sentry/sentry/pkg/kube"
	"github.com/tekton-sentry/sentry/pkg/secret"
	"github.com/tekton-sentry/sentry/pkg/state/configmap"
	"github.com/tekton-sentry/sentry/pkg/state/file"
	"github.com/tekton-sentry/sentry/pkg/watch"
)

// options are the flags that all commands share, and what is made from them.
type options struct {
	Streams
	config     string
	variables  environ.Variables
	namespace  string
	runs       string // namespace of the PipelineRuns
	instance   string
	kubeconfig string
	context    string
	logFormat  string
	verbose    bool
	level      slog.LevelVar // of the log
	settable   usage.Flags   // by a variable
}

func (o *options) register(f *pflag.FlagSet) {
	f.StringVarP(&o.config, "config", "c", "sentry.yaml", "configuration `file`; - is standard input")
	f.StringVar(&o.variables.Dir, "env-dir", "", "`directory` with a file for each variable, such as a mounted Secret, that is looked in before the environment; watch notices changes")
	f.StringVarP(&o.namespace, "namespace", "n", "", "namespace of the state, and of the PipelineRuns too where they have none of their own (default: global.namespace, then the current one)")
	f.StringVar(&o.runs, "run-namespace", "", "namespace of the PipelineRuns (default: global.run_namespace, then that of --namespace)")
	f.StringVar(&o.instance, "instance", "", "name of this Sentry, where several share the namespaces on purpose (default: global.instance, then none)")
	f.StringVar(&o.kubeconfig, "kubeconfig", "", "kubeconfig `file` (default: $KUBECONFIG, ~/.kube/config, or the pod's service account)")
	f.StringVar(&o.context, "context", "", "context of the kubeconfig")
	f.StringVar(&o.logFormat, "log-format", "text", "log lines on stderr: text or json")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "log at debug level, whatever global.log_level says")
}

// load reads the configuration, sets its namespace from the flags, and makes the log that it asks for.
func (o *options) load(opts config.Options) (*config.Config, *slog.Logger, error) {
	cfg, err := o.loadConfig(opts)
	if err != nil {
		return nil, nil, usage.Error(err)
	}
	of, err := o.instanceOf(cfg.Global)
	if err != nil {
		return nil, nil, err
	}
	cfg.Global.Instance = of.Name
	if err := o.setLevel(cfg); err != nil {
		return nil, nil, err
	}
	log, err := term.NewLog(o.Err, o.logFormat, &o.level)
	if err != nil {
		return nil, nil, usage.Error(err)
	}
	cfg.Global.Namespace = cmp.Or(o.namespace, cfg.Global.Namespace)
	cfg.Global.RunNamespace = cmp.Or(o.runs, cfg.Global.RunNamespace)
	return cfg, log, nil
}

// setLevel makes the log write what the configuration and the flags ask for.
func (o *options) setLevel(cfg *config.Config) error {
	if o.verbose {
		o.level.Set(slog.LevelDebug)
		return nil
	}
	if err := o.level.UnmarshalText([]byte(cfg.Global.LogLevel)); err != nil {
		return fmt.Errorf("global.log_level: %w", err)
	}
	return nil
}

// reading completes how configurations are read: variables are those of the flags.
func (o *options) reading(opts config.Options) (config.Options, error) {
	_, err := o.variables.Read()
	opts.LookupEnv, opts.Hosts = o.variables.Lookup, hosts.All.Config()
	return opts, err
}

func (o *options) loadConfig(opts config.Options) (*config.Config, error) {
	opts, err := o.reading(opts)
	if err != nil {
		return nil, err
	}
	if o.config == standardInput {
		return config.Read(o.In, o.configName(), opts)
	}
	cfg, err := config.Load(o.config, opts)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w; name another file with --config", err)
	}
	return cfg, err
}

// instanceOf returns which Sentry is meant.
func (o *options) instanceOf(g config.Global) (instance.Instance, error) {
	if o.instance != "" && !instance.Valid(o.instance) {
		return instance.Instance{}, usage.Errorf("--instance %.80q: want a DNS label of at most %d characters: a-z, 0-9 and - inside", o.instance, instance.MaxName)
	}
	return instance.Instance{Name: cmp.Or(o.instance, g.Instance)}, nil
}

// standardInput is the configuration file that is read from standard input.
const standardInput = "-"

// configName is what messages call the configuration file.
func (o *options) configName() string {
	if o.config == standardInput {
		return "<stdin>"
	}
	return o.config
}

// connect connects to the cluster that the flags and the kubeconfig name.
func (o *options) connect(namespace string) (*kube.Cluster, error) {
	return kube.Connect(kube.Options{
		Kubeconfig: o.kubeconfig, Context: o.context, Namespace: cmp.Or(o.namespace, namespace), UserAgent: transport.UserAgent(version),
	})
}

// reader returns the reader of all kinds of Git hosts. sweep is global.sweep; 0 for one that reads only once.
func reader(log *slog.Logger, sweep time.Duration, network *transport.Network) *poller.Reader {
	return &poller.Reader{Hosts: hosts.All, Version: version, Log: log, Sweep: sweep, Network: network}
}

// onCluster connects to the cluster, and makes the engine of the runs there and the store of the state.
func (o *options) onCluster(cfg *config.Config) (*kube.Cluster, *tekton.Engine, watch.Store, error) {
	of := instance.Instance{Name: cfg.Global.Instance}
	cluster, err := o.connect(cfg.Global.Namespace)
	if err != nil {
		return nil, nil, nil, err
	}
	cfg.Global.Namespace = cluster.Namespace
	return cluster, tekton.New(cluster, cfg.Global.RunsIn(), of), clusterStore(cluster, of), nil
}

// clusterStore returns the store of the state where runs happen on a cluster.
func clusterStore(cluster *kube.Cluster, of instance.Instance) watch.Store {
	return configmap.New(cluster, of)
}

// onMachine makes the engine and the store of a trial on this machine, and removes what a Sentry left there
// that was killed.
func (o *options) onMachine(ctx context.Context, cfg *config.Config, stateFile string, log *slog.Logger) (*local.Engine, *file.Store, error) {
	if stateFile == "" {
		var err error
		if stateFile, err = o.stateFile(); err != nil {
			return nil, nil, err
		}
	}
	stateFile = file.BehindLinks(stateFile)
	eng := local.New(local.Options{Journal: stateFile + ".runs", Out: o.Out, Env: o.variables.Environ(), Hidden: o.hidden(cfg), Log: log})
	if err := eng.RemoveLeftovers(ctx); err != nil {
		log.Warn("cannot remove what a Sentry that was killed left", "err", err)
	}
	return eng, file.New(stateFile, log), nil
}

// stateFile is where the state is of the configuration that the flags name.
func (o *options) stateFile() (string, error) {
	if o.config == standardInput {
		return "", usage.Errorf("a configuration from standard input has no state file of its own; name one with --state")
	}
	return file.Default(o.config)
}

// hidden returns the names of the variables that no step on this machine inherits.
func (o *options) hidden(cfg *config.Config) []string {
	return slices.Concat(credentials(cfg), o.variables.Names(), o.settable.Variables())
}

// credentials returns the names of the variables that hold credentials. In a cluster the commands do not
// have them.
func credentials(cfg *config.Config) []string {
	names := append(cfg.Global.Proxy.HTTP.Variables(), cfg.Global.Proxy.HTTPS.Variables()...)
	for _, r := range cfg.Repositories {
		for _, v := range []secret.Value{r.Monitor.Auth.Username, r.Monitor.Auth.Token, r.Deploy.Auth.Username, r.Deploy.Auth.Token, r.WebhookURL} {
			names = append(names, v.Variables()...)
		}
	}
	return names
}

// word returns a random word of eight hexadecimal digits.
func word() string {
	b := make([]byte, 4)
	_, _ = rand.Read(b) // never fails: see crypto/rand.Read
	return hex.EncodeToString(b)
}

// logsCommand is the line that follows a run.
func logsCommand(name, namespace string) string {
	if namespace == "" {
		return "tkn pipelinerun logs -f " + name
	}
	return "tkn pipelinerun logs -f " + name + " -n " + namespace
}

// offer returns what a shell offers, of the configuration that the command line names.
func (o *options) offer(of func(cfg *config.Config, given []string) []string) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		const nothingElse = cobra.ShellCompDirectiveNoFileComp
		if o.settable.Set(cmd.Flags(), os.LookupEnv) != nil || o.config == standardInput { // that is the shell's
			return nil, nothingElse
		}
		return of(o.glance(), args), nothingElse
	}
}
