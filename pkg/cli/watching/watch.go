// Package watching is `sentry watch`: it puts the loop and all beside it together, and applies another configuration to them.
package watching

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/tekton-sentry/sentry/pkg/cli/complete"
	"github.com/tekton-sentry/sentry/pkg/cli/garbage"
	"github.com/tekton-sentry/sentry/pkg/cli/live"
	"github.com/tekton-sentry/sentry/pkg/cli/pages"
	"github.com/tekton-sentry/sentry/pkg/cli/replicas"
	"github.com/tekton-sentry/sentry/pkg/cli/setup"
	"github.com/tekton-sentry/sentry/pkg/cli/term"
	"github.com/tekton-sentry/sentry/pkg/cli/usage"
	"github.com/tekton-sentry/sentry/pkg/config"
	found "github.com/tekton-sentry/sentry/pkg/discover"
	"github.com/tekton-sentry/sentry/pkg/event"
	"github.com/tekton-sentry/sentry/pkg/filter"
	"github.com/tekton-sentry/sentry/pkg/githost/transport"
	"github.com/tekton-sentry/sentry/pkg/watch"
)

type flags struct {
	once     bool
	local    bool
	interval time.Duration
	state    string
	listen   string
	replica  string
	health   string
	page     string
	names    []string // of the page
	tokens   bool     // let people act on it
	plain    bool
}

// Command returns the command.
func Command(o *setup.Options) *cobra.Command {
	var f flags
	cmd := &cobra.Command{
		Use:   "watch",
		Short: "Poll the repositories and create a PipelineRun for each change",
		Long: `Poll the heads of all watched branches every polling_interval and create one PipelineRun
for each unit (a group, or a branch of a repository without one) in which something changed.

A repository seen for the first time is recorded and nothing runs, unless on_first_seen
says so. SIGTERM and Ctrl-C end it with exit code 0 after the run that is being created: what
was done is remembered, and the next start does the rest.

With --once it does one cycle, for a CronJob or a script, and exits with 1 when a repository
could not be read or a run could not be made; with --local also when a run did not succeed.

With --local runs happen on this machine, with its git and sh, and the state is a file: to try
Sentry without a cluster. Runs that the end of Sentry cuts off are named, the exit code is 1
then, and the next start deploys what changed again. Only one may watch with a state file.

With --listen it also takes webhooks, at /webhooks/github, /webhooks/gitlab and /webhooks/gitea,
and looks at once at the repository that one comes from. That needs webhooks.secret in the
configuration; 'sentry webhooks ensure' registers the hooks. Polling goes on, so that a lost hook
costs only time.

With --replica several processes are one Sentry: each has a name of its own, such as that of its
pod, and looks at its share of the repositories. When one comes or goes the others take over within
seconds. That costs a write every three seconds, of the replica's Lease, and needs the rights of
the component manifests/replicas.

With --health it answers probes at an address of its own: /livez fails when Sentry is stuck, and
/readyz when it cannot work, with a line that says why. What Git hosts do changes neither. What
it counts is for Prometheus, at /metrics.

With --page it serves what 'sentry page' does, read-only, to whoever reaches that address: there is
no password. 'kubectl port-forward' brings it to those whom the cluster lets do that. With
--page-tokens those can act on it who bring a token of Kubernetes, with its rights and in its name.

A changed configuration file is taken up as it runs, at once with SIGHUP. One that cannot be used
leaves all as it was, and the log and 'sentry status' say why.

Each flag can be set by a variable instead, as the manifests' Deployment does: --run-namespace
by SENTRY_RUN_NAMESPACE, --once by SENTRY_ONCE=true. A flag goes before its variable.`,
		Example: `  sentry watch                                 # in the cluster's current namespace
  sentry watch --once -n ci                    # one cycle
  sentry watch --listen :8080                  # take webhooks, too
  sentry watch --local --interval 5s           # a trial on this machine`,
		Args: usage.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), o, f) },
	}
	cmd.Flags().BoolVar(&f.once, "once", false, "do one cycle and exit")
	cmd.Flags().BoolVar(&f.local, "local", false, "run the commands on this machine instead of in a cluster")
	cmd.Flags().DurationVar(&f.interval, "interval", 0, "poll this often instead of polling_interval, down to 1s, for trials")
	cmd.Flags().StringVar(&f.state, "state", "", "with --local: state `file` (default: one for each configuration below ~/.local/state/sentry)")
	cmd.Flags().StringVar(&f.listen, "listen", "", "take webhooks at this `address`, such as :8080, to look at once at what was pushed (default: nothing is listened to)")
	cmd.Flags().StringVar(&f.health, "health", "", "answer operators, by /livez, /readyz and /metrics, at this `address`, such as :8081 (default: nothing is listened to)")
	cmd.Flags().StringVar(&f.page, "page", "", "serve a page that shows it all, read-only and without a password, at this `address`, such as 127.0.0.1:8082 (default: nothing is listened to)")
	cmd.Flags().StringSliceVar(&f.names, "page-host", nil, "serve the page under this host `name`, too, beside localhost and IP addresses")
	cmd.Flags().BoolVar(&f.tokens, "page-tokens", false, "let those act on the page who bring a token of Kubernetes, with the rights that it has")
	cmd.Flags().StringVar(&f.replica, "replica", "", "be one of several processes that share the work, under this `name` (default: do all of it)")
	cmd.Flags().BoolVar(&f.plain, "no-progress", false, "with --local: print lines alone, no progress that is redrawn on a terminal")
	complete.Flag(cmd, "interval", cobra.NoFileCompletions)
	complete.Flag(cmd, "listen", cobra.NoFileCompletions)
	complete.Flag(cmd, "replica", cobra.NoFileCompletions)
	complete.Flag(cmd, "health", cobra.NoFileCompletions)
	complete.Flag(cmd, "page", cobra.NoFileCompletions)
	complete.Flag(cmd, "page-host", cobra.NoFileCompletions)
	return cmd
}

func run(ctx context.Context, o *setup.Options, f flags) (err error) {
	if f.interval != 0 && f.interval < time.Second {
		return usage.Errorf("--interval %s: want at least 1s", f.interval)
	}
	if f.state != "" && !f.local {
		return usage.Errorf("--state goes with --local; on a cluster the state is a ConfigMap")
	}
	if f.listen != "" && f.once {
		return usage.Errorf("--listen does not go with --once, which ends before a webhook could come")
	}
	if err := replicas.Check(f.replica); err != nil {
		return usage.Error(err)
	}
	if f.replica != "" && (f.local || f.once) {
		return usage.Errorf("--replica goes with neither --local nor --once: it is for processes that go on, on a cluster")
	}
	if err := errors.Join(f.checkHealth(), f.checkPage()); err != nil {
		return err
	}
	garbage.Tolerate(garbage.Large + 1) // until it is known how many they are
	terminal := term.IsTerminal(o.In) || term.IsTerminal(o.Err)
	board := live.New(o.Out, f.plain || !f.local)
	o.Out, o.Err = board.Above(o.Out), board.Above(o.Err)
	defer board.Start(ctx)()
	var text *pages.Text // as whoever shows nothing needs none, which may be large
	if f.page != "" {
		text = &pages.Text{}
		o.Texts = text
	}
	cfg, log, err := o.Load(config.Options{})
	if err != nil {
		return err
	}
	garbage.Tolerate(len(cfg.Repositories))
	setup.LogWarnings(log, cfg)
	network := transport.NewNetwork(cfg.Global)
	w := &watching{Options: o, flags: f, log: log, cfg: cfg, network: network, reader: o.Reader(log, cfg.Global.Sweep, network), board: board, text: text}
	w.watcher = &watch.Watcher{Config: cfg, Every: f.interval, Heads: w.reader, Filter: &filter.Filter{Commits: w.reader}, Now: time.Now, Word: setup.Word}
	w.finder = &found.Finder{Ask: w.reader.Owned, Log: log, Used: func() {
		w.watcher.Ask(watch.Request{Repositories: []string{""}, Reason: "what was found"})
	}}
	w.finder.Begin(o.Found)
	w.watcher.Behind = w.finder.Behind
	w.again = w.reloader()
	w.watcher.Before = func(cycle bool) { w.before(ctx, cycle) }
	if !terminal {
		defer w.hurry(w.again)()
	}
	unasked, err := w.answerProbes(ctx)
	if err != nil {
		return err
	}
	defer unasked()
	if f.local {
		closed, refused := w.onMachine(ctx)
		if refused != nil {
			return refused
		}
		defer func() { err = errors.Join(err, closed()) }()
	} else if err := w.onCluster(); err != nil {
		return err
	}
	if f.listen != "" {
		unheard, refused := w.hear(ctx)
		if refused != nil {
			return refused
		}
		defer unheard()
	}
	unseen, err := w.servePage(ctx)
	if err != nil {
		return err
	}
	defer unseen()
	w.measure()
	w.watcher.Store = w.health.Store(w.watcher.Store)
	bus := event.NewBus(log, w.sinks())
	w.watcher.Tell = func(e event.Event) {
		w.health.Hear(e)
		bus.Send(e)
	}
	defer w.tellTheRest(ctx, bus)()
	defer w.discover(ctx)()
	w.report()
	defer w.join(ctx)()
	defer w.tellEnds(ctx, bus)()
	defer w.glance(ctx)()
	return w.run(ctx)
}
