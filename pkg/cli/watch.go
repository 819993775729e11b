package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/tekton-sentry/sentry/pkg/cli/complete"
	"github.com/tekton-sentry/sentry/pkg/cli/garbage"
	"github.com/tekton-sentry/sentry/pkg/cli/glance"
	"github.com/tekton-sentry/sentry/pkg/cli/live"
	"github.com/tekton-sentry/sentry/pkg/cli/pages"
	"github.com/tekton-sentry/sentry/pkg/cli/reload"
	"github.com/tekton-sentry/sentry/pkg/cli/replicas"
	"github.com/tekton-sentry/sentry/pkg/cli/reporting"
	"github.com/tekton-sentry/sentry/pkg/cli/setup"
	"github.com/tekton-sentry/sentry/pkg/cli/term"
	"github.com/tekton-sentry/sentry/pkg/cli/usage"
	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/config/discover"
	found "github.com/tekton-sentry/sentry/pkg/discover"
	"github.com/tekton-sentry/sentry/pkg/engine/local"
	"github.com/tekton-sentry/sentry/pkg/engine/tekton"
	"github.com/tekton-sentry/sentry/pkg/engine/tekton/keys"
	"github.com/tekton-sentry/sentry/pkg/event"
	"github.com/tekton-sentry/sentry/pkg/event/kubesink"
	"github.com/tekton-sentry/sentry/pkg/event/logsink"
	"github.com/tekton-sentry/sentry/pkg/filter"
	"github.com/tekton-sentry/sentry/pkg/githost/poller"
	"github.com/tekton-sentry/sentry/pkg/githost/transport"
	"github.com/tekton-sentry/sentry/pkg/instance"
	"github.com/tekton-sentry/sentry/pkg/kube"
	"github.com/tekton-sentry/sentry/pkg/notify"
	"github.com/tekton-sentry/sentry/pkg/result"
	"github.com/tekton-sentry/sentry/pkg/serve"
	"github.com/tekton-sentry/sentry/pkg/serve/health"
	"github.com/tekton-sentry/sentry/pkg/serve/hook"
	"github.com/tekton-sentry/sentry/pkg/serve/metrics"
	"github.com/tekton-sentry/sentry/pkg/traces/otlp"
	"github.com/tekton-sentry/sentry/pkg/watch"
)

type watchFlags struct {
	once     bool
	local    bool
	interval time.Duration
	state    string
	listen   string
	replica  string
	health   string
	page     string
	names    []string // of the page
	plain    bool
}

func newWatch(o *setup.Options) *cobra.Command {
	var f watchFlags
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
no password. 'kubectl port-forward' brings it to those whom the cluster lets do that.

A changed configuration file is taken up as it runs, at once with SIGHUP. One that cannot be used
leaves all as it was, and the log and 'sentry status' say why.

Each flag can be set by a variable instead, as the manifests' Deployment does: --run-namespace
by SENTRY_RUN_NAMESPACE, --once by SENTRY_ONCE=true. A flag goes before its variable.`,
		Example: `  sentry watch                                 # in the cluster's current namespace
  sentry watch --once -n ci                    # one cycle
  sentry watch --listen :8080                  # take webhooks, too
  sentry watch --local --interval 5s           # a trial on this machine`,
		Args: usage.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runWatch(cmd.Context(), o, f) },
	}
	cmd.Flags().BoolVar(&f.once, "once", false, "do one cycle and exit")
	cmd.Flags().BoolVar(&f.local, "local", false, "run the commands on this machine instead of in a cluster")
	cmd.Flags().DurationVar(&f.interval, "interval", 0, "poll this often instead of polling_interval, down to 1s, for trials")
	cmd.Flags().StringVar(&f.state, "state", "", "with --local: state `file` (default: one for each configuration below ~/.local/state/sentry)")
	cmd.Flags().StringVar(&f.listen, "listen", "", "take webhooks at this `address`, such as :8080, to look at once at what was pushed (default: nothing is listened to)")
	cmd.Flags().StringVar(&f.health, "health", "", "answer operators, by /livez, /readyz and /metrics, at this `address`, such as :8081 (default: nothing is listened to)")
	cmd.Flags().StringVar(&f.page, "page", "", "serve a page that shows it all, read-only and without a password, at this `address`, such as 127.0.0.1:8082 (default: nothing is listened to)")
	cmd.Flags().StringSliceVar(&f.names, "page-host", nil, "serve the page under this host `name`, too, beside localhost and IP addresses")
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

func runWatch(ctx context.Context, o *setup.Options, f watchFlags) (err error) {
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

// discover looks for repositories that nobody wrote down, and returns what waits for the end of that. Of several replicas one does.
func (w *watching) discover(ctx context.Context) (wait func()) {
	w.finder.Apply(w.cfg, w.findEvery(w.cfg))
	var finding sync.WaitGroup
	switch {
	case w.flags.once && len(w.cfg.Discover) == 0:
	case w.flags.once:
		w.findOnce(ctx)
	case w.replica != nil:
		finding.Go(func() { w.replica.Lead(ctx, w.finder.Run) })
	default:
		finding.Go(func() { w.finder.Run(ctx) })
	}
	return finding.Wait
}

// findOnce asks once, and uses what is said.
func (w *watching) findOnce(ctx context.Context) {
	w.finder.Once(ctx)
	w.again.Hurry()
	w.again.Look()
	w.watcher.Config = w.cfg
}

// findEvery is how often hosts are asked what there is: in a trial with --interval, every ten cycles.
func (w *watching) findEvery(cfg *config.Config) time.Duration {
	return cmp.Or(10*w.flags.interval, cfg.Global.Discover)
}

// hear takes webhooks, and returns what waits for the end of that.
func (w *watching) hear(ctx context.Context) (ended func(), err error) {
	look := func(repositories []string) {
		w.watcher.Ask(watch.Request{Repositories: repositories, Reason: "webhook"})
	}
	if w.hooks, err = hook.New(w.cfg, look, w.log); err != nil {
		return nil, usage.Error(err)
	}
	l, err := serve.Listen(ctx, w.flags.listen)
	if err != nil {
		return nil, fmt.Errorf("--listen: %w", err)
	}
	w.log.Info("taking webhooks", "address", l.Addr().String())
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := serve.Serve(ctx, l, w.hooks.Handlers(), w.log); err != nil {
			w.log.Error("no webhook is taken any more, and polling goes on; restart Sentry", "err", err)
		}
	})
	return func() {
		serving.Wait()
		w.hooks.Close()
	}, nil
}

// tellEnds has it told how runs end, and returns what waits for the end of that. One cycle on a cluster ends before its runs.
func (w *watching) tellEnds(ctx context.Context, bus *event.Bus) (wait func()) {
	tell := func(r result.Result) {
		w.watcher.Ended(r)
		bus.Send(event.RunEnded{Result: r})
	}
	ends := func(ctx context.Context) {
		w.reports.During(ctx, func() { w.cluster.Ends(ctx, w.log, tell) })
	}
	var listening sync.WaitGroup
	switch {
	case w.machine != nil:
		w.machine.Ended = tell
	case w.replica != nil:
		listening.Go(func() {
			w.replica.Lead(ctx, func(ctx context.Context) {
				defer w.hearing()()
				ends(ctx)
			})
		})
	case !w.flags.once:
		listening.Go(func() { ends(ctx) })
	}
	return listening.Wait
}

// glance looks for what was pushed to between the cycles, and returns what waits for the end of that.
func (w *watching) glance(ctx context.Context) (wait func()) {
	if w.flags.once {
		return func() {}
	}
	w.glances = &glance.Glances{Heads: w.reader.Glance, Look: func(repositories []string) {
		w.watcher.Ask(watch.Request{Repositories: repositories, Reason: "a push"})
	}}
	w.glances.Apply(w.cfg, w.interval(w.cfg))
	var glancing sync.WaitGroup
	glancing.Go(func() { w.glances.Run(ctx) })
	return glancing.Wait
}

// report has the runs reported of whose ends it is told. Only who stays learns how runs on a cluster end.
func (w *watching) report() {
	switch {
	case w.machine == nil && !w.flags.once:
		w.reports = reporting.New(w.cfg, reporting.Options{
			Log: w.log, Version: w.Version, Engine: w.cluster, Key: w.watcher.Key, Reader: w.reader, Transport: w.network.Patient(),
		})
		w.watcher.Store = w.reports.Store(w.watcher.Store)
	case reporting.Configured(w.cfg):
		w.log.Info("nothing is reported: that takes sentry watch on a cluster, without --once and --local")
		if w.machine == nil {
			w.watcher.Config = reporting.Without(w.cfg)
		}
	}
}

// watching is `sentry watch` at work, with all that follows from the configuration.
type watching struct {
	*setup.Options
	flags   watchFlags
	log     *slog.Logger
	cfg     *config.Config
	network *transport.Network
	reader  *poller.Reader
	machine *local.Engine  // nil on a cluster
	cluster *tekton.Engine // nil on this machine, and api too
	api     *kube.Cluster
	watcher *watch.Watcher
	hooks   *hook.Receiver      // nil without --listen
	metrics *metrics.Metrics    // nil without --health
	replica *replicas.Replica   // nil without --replica
	reports *reporting.Reporter // nil where nothing is reported
	glances *glance.Glances     // nil with --once
	finder  *found.Finder
	traces  *otlp.Sink
	board   *live.Board      // nil where nothing is redrawn
	again   *reload.Reloader // reads the configuration again
	health  health.Health
	shown   atomic.Pointer[config.Config] // by the page
	text    *pages.Text                   // nil without --page
}

// onMachine gets the engine and the state of a trial on this machine. closed ends them.
func (w *watching) onMachine(ctx context.Context) (closed func() error, err error) {
	machine, store, err := w.Options.OnMachine(ctx, w.cfg, w.flags.state, w.log)
	if err != nil {
		return nil, err
	}
	owner, err := store.Own()
	if err != nil {
		return nil, err
	}
	closed = func() error {
		defer owner.Unlock()
		return leave(machine)
	}
	if err := takeUp(ctx, machine, store, w.log); err != nil {
		return nil, errors.Join(err, closed())
	}
	w.machine, w.watcher.Engine, w.watcher.Store = machine, machine, store
	if w.finder.Store, err = w.FoundBeside(w.flags.state); err != nil {
		return nil, errors.Join(err, closed())
	}
	w.watcher.Past = func(ctx context.Context) ([]result.Result, error) { return w.LocalHistory(ctx, w.flags.state) }
	return closed, nil
}

func (w *watching) onCluster() error {
	cluster, eng, store, err := w.Options.OnCluster(w.cfg)
	if err != nil {
		return err
	}
	w.cluster, w.api = eng, cluster
	w.watcher.Past = func(ctx context.Context) ([]result.Result, error) { return eng.History(ctx, "") }
	w.watcher.Result = eng.Result
	of := instance.Instance{Name: w.cfg.Global.Instance}
	w.watcher.Engine, w.watcher.Store, w.watcher.Key = eng, store, keys.Of(cluster, of)
	w.finder.Store = setup.FoundIn(cluster, of)
	if w.flags.replica != "" {
		w.replica = replicas.New(cluster, of, w.flags.replica, w.log)
		w.finder.Shared = true
		w.watcher.Share = w.mine
	}
	return nil
}

// join has this process be a replica, where it is to be one, and returns what waits for the end of that.
func (w *watching) join(ctx context.Context) (wait func()) {
	if w.replica == nil {
		return func() {}
	}
	w.health.Share(0)
	return w.replica.Start(ctx, func(members int) {
		w.reader.SetReplicas(members)
		w.health.Share(members)
		if w.metrics != nil {
			w.metrics.Share(members)
		}
		w.watcher.Ask(watch.Request{Reason: "the replicas changed"})
	})
}

// mine returns what this replica looks at. What is known of the rest is of no use any more, and takes memory.
func (w *watching) mine() func(config.Repository) bool {
	mine, moved := w.replica.Mine()
	if moved {
		var others []config.Monitor
		for _, r := range w.watcher.Config.Repositories {
			if !mine(r) {
				others = append(others, r.Monitor)
			}
		}
		w.reader.Forget(others)
	}
	return mine
}

// sinks are where the loop's events go, by the names that the log has for them. They run beside the loop, which
// replaces the configuration: none may look at w.
func (w *watching) sinks() map[string]event.Sink {
	sinks := map[string]event.Sink{
		"log":         logsink.New(w.log),
		"webhook_url": notify.Sink(w.log, w.network.Connections()),
	}
	w.traces = otlp.New(w.cfg, otlp.Options{
		Log: w.log, Transport: w.network.Connections(), Version: w.Version, Replica: w.flags.replica, Hide: w.Hider.Hide,
	})
	sinks["traces"] = w.traces.Take
	if w.machine == nil { // on this machine a run's output is here anyway
		sinks["output"] = printCommands(w.Out, w.cfg.Global.RunsIn())
	}
	if w.cluster != nil {
		sinks["kubernetes"] = kubesink.Sink(w.api, instance.Instance{Name: w.cfg.Global.Instance}, w.log)
	}
	if w.board != nil && w.machine != nil {
		sinks["progress"] = w.show
	}
	if w.hooks != nil {
		sinks["webhooks"] = w.hooks.Sink
	}
	if w.metrics != nil {
		sinks["metrics"] = w.metrics.Sink
	}
	return sinks
}

// printCommands returns the sink that prints how to follow each run that was created in the namespace.
func printCommands(out io.Writer, namespace string) event.Sink {
	return func(_ context.Context, events []event.Event) {
		for _, e := range events {
			if created, ok := e.(event.RunCreated); ok {
				fmt.Fprintln(out, setup.LogsCommand(created.Run.Name, namespace))
			}
		}
	}
}

// endGrace is how long Sentry takes at most to end after the signal: less than the 30 s that
// Kubernetes gives a pod by default. The loop needs up to 20 s of it, and what is told the rest.
const endGrace = 25 * time.Second

// tellTheRest returns what ends the bus: it has ten seconds, but not beyond endGrace after the signal.
func (w *watching) tellTheRest(signal context.Context, bus *event.Bus) func() {
	ending, cancel := watch.Outlasting(signal, endGrace)
	return func() {
		defer cancel()
		ctx, done := context.WithTimeout(ending, 10*time.Second)
		defer done()
		bus.Close(ctx)
		if !w.flags.once {
			w.log.Info("stopped")
		}
	}
}

func (w *watching) run(ctx context.Context) error {
	if w.flags.once {
		return w.runOnce(ctx)
	}
	w.log.Info("watching", "repositories", len(w.cfg.Repositories), "groups", len(w.cfg.Groups),
		"interval", w.interval(w.cfg))
	w.watcher.Run(health.Loop(ctx))
	return nil
}

// runOnce does one cycle, and waits for the runs that it started on this machine.
func (w *watching) runOnce(ctx context.Context) error {
	report, err := w.watcher.RunOnce(ctx, watch.Request{Reason: "--once"})
	if err == nil && w.finder.Late() && len(w.cfg.Discover) == 0 { // which was taken out of the file: what was found is forgotten
		w.findOnce(ctx)
		_, err = w.watcher.RunOnce(ctx, watch.Request{Repositories: []string{""}, Reason: "what was found"})
	}
	if w.machine != nil {
		_ = w.machine.Wait(ctx) // what goes on when ctx ends is cut off, and named then
	}
	if err != nil {
		return err
	}
	if report.Stopped {
		return fmt.Errorf("interrupted before the cycle was done, with %d runs created; the next one does the rest", len(report.Created))
	}
	if report.Failing+report.Problems > 0 {
		return fmt.Errorf("%d of %d repositories could not be read and %d runs could not be made; see the log above",
			report.Failing, report.Repositories, report.Problems)
	}
	return w.failed(ctx, report.Created)
}

// failed names those of the runs that ended on this machine, and not well.
func (w *watching) failed(ctx context.Context, created []string) error {
	if w.machine == nil {
		return nil
	}
	runs, err := w.machine.Runs(ctx, nil)
	if err != nil {
		return err
	}
	var names []string
	for _, r := range runs {
		if r.Failed() && slices.Contains(created, r.Name) {
			names = append(names, r.Name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d runs did not succeed: %s", len(names), len(created), strings.Join(names, ", "))
}

// apply makes everything follow from cfg that follows from the configuration. Nothing else copies from it.
func (w *watching) apply(cfg *config.Config) error {
	if w.hooks != nil {
		if err := hook.Check(cfg); err != nil {
			return err
		}
	}
	if err := w.SetLevel(cfg); err != nil {
		return err
	}
	w.cfg = cfg
	garbage.Tolerate(len(cfg.Repositories))
	w.shown.Store(cfg)
	w.Hider.Use(cfg)
	w.health.Use(len(cfg.Repositories), w.interval(cfg))
	w.reader.SetSweep(cfg.Global.Sweep)
	w.network.Use(cfg.Global)
	if w.machine != nil {
		w.machine.Use(w.Variables.Environ(), w.Hidden(cfg))
	}
	if w.hooks != nil {
		w.hooks.Apply(cfg)
	}
	if w.reports != nil {
		w.reports.Apply(cfg)
	}
	if w.metrics != nil {
		w.metrics.Apply(cfg)
	}
	if w.traces != nil {
		w.traces.Apply(cfg)
	}
	if w.glances != nil {
		w.glances.Apply(cfg, w.interval(cfg))
	}
	if w.finder != nil {
		w.finder.Apply(cfg, w.findEvery(cfg))
	}
	w.watcher.Apply(cfg)
	return nil
}

// reloader returns what has another configuration applied.
func (w *watching) reloader() *reload.Reloader {
	paths := w.Config.Names
	if w.FromStandardInput() {
		paths = nil
	}
	again := &reload.Reloader{
		Paths: paths, Texts: w.Kept, Variables: &w.Variables, Config: w.cfg, Start: w.cfg.Global, Log: w.log, Now: time.Now,
		Parse: func(texts config.Files, known *discover.Found) (*config.Config, error) {
			cfg, err := w.Parse(texts, known)
			if err == nil {
				setup.LogWarnings(w.log, cfg)
			}
			return cfg, err
		},
		Use:    w.apply,
		Ask:    func() { w.watcher.Ask(watch.Request{Reason: "the configuration"}) },
		Refuse: w.watcher.Refuse,
		Tell:   func(e event.Event) { w.watcher.Tell(e) },
	}
	if w.finder != nil {
		again.Found = w.finder.Found
	}
	if w.text != nil {
		again.Taken, again.Refused = w.text.Use, w.text.Refuse
	}
	return again
}

// hurry has the configuration looked at, and then all repositories, at each SIGHUP, and returns what ends that. On a terminal it means that
// the terminal is gone, and under nohup that this is nothing to end for. From then on it ends Sentry no more, also while that
// remembers what it did.
func (w *watching) hurry(r *reload.Reloader) (end func()) {
	if w.flags.once || signal.Ignored(syscall.SIGHUP) {
		return func() {}
	}
	hangups, ended := make(chan os.Signal, 1), make(chan struct{})
	signal.Reset(syscall.SIGHUP) // at which main ends commands
	signal.Notify(hangups, syscall.SIGHUP)
	var hearing sync.WaitGroup
	hearing.Go(func() {
		for {
			select {
			case <-ended:
				return
			case <-hangups:
				r.Hurry()
				w.watcher.Ask(watch.Request{Reason: "SIGHUP"})
			}
		}
	})
	return func() {
		close(ended)
		hearing.Wait()
	}
}
