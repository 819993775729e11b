package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/engine/local"
	"github.com/tekton-sentry/sentry/pkg/engine/tekton"
	"github.com/tekton-sentry/sentry/pkg/instance"
	"github.com/tekton-sentry/sentry/pkg/notify"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/state/file"
	"github.com/tekton-sentry/sentry/pkg/watch"
)

type watchFlags struct {
	once     bool
	local    bool
	interval time.Duration
	state    string
}

func newWatch(o *options) *cobra.Command {
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
could not be read or a run could not be made.

With --local runs happen on this machine, with its git and sh, and the state is a file: to try
Sentry without a cluster. Runs that the end of Sentry cuts off are named, the exit code is 1
then, and the next start deploys what changed again. Only one may watch with a state file.`,
		Example: `  sentry watch                                 # in the cluster's current namespace
  sentry watch --once -n ci                    # one cycle
  sentry watch --local --interval 5s           # a trial on this machine`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runWatch(cmd.Context(), o, f) },
	}
	cmd.Flags().BoolVar(&f.once, "once", false, "do one cycle and exit")
	cmd.Flags().BoolVar(&f.local, "local", false, "run the commands on this machine instead of in a cluster")
	cmd.Flags().DurationVar(&f.interval, "interval", 0, "poll this often instead of polling_interval, down to 1s, for trials")
	cmd.Flags().StringVar(&f.state, "state", "", "with --local: state `file` (default: one for each configuration below ~/.local/state/sentry)")
	return cmd
}

func runWatch(ctx context.Context, o *options, f watchFlags) (err error) {
	if f.interval != 0 && f.interval < time.Second {
		return usageError{fmt.Errorf("--interval %s: want at least 1s", f.interval)}
	}
	if f.state != "" && !f.local {
		return usageError{fmt.Errorf("--state goes with --local; on a cluster the state is a ConfigMap")}
	}
	cfg, log, err := o.load(config.Options{})
	if err != nil {
		return err
	}
	logWarnings(log, cfg)
	w := &watch.Watcher{Config: cfg, Heads: reader(log, cfg.Global.Sweep), Log: log, Now: time.Now, Word: word}
	w.Renew = func(cfg *config.Config) *config.Config { return o.renew(cfg, log) }
	hooks := notify.NewClient()
	w.Created = func(ctx context.Context, runs []plan.Run) {
		for _, run := range runs {
			if !f.local {
				fmt.Fprintln(o.Out, logsCommand(run.Name, cfg.Global.RunsIn()))
			}
		}
		if err := notify.Created(ctx, hooks, runs); err != nil {
			log.Warn("a webhook was not told", "err", err)
		}
	}
	var machine *local.Engine
	if f.local {
		var store *file.Store
		if machine, store, err = o.onMachine(ctx, cfg, f.state, log); err != nil {
			return err
		}
		owner, refused := store.Own()
		if refused != nil {
			return refused
		}
		defer owner.Unlock()
		defer func() { err = errors.Join(err, leave(machine)) }()
		if err := takeUp(ctx, machine, store, log); err != nil {
			return err
		}
		w.Engine, w.Store = machine, store
	} else {
		cluster, eng, store, err := o.onCluster(cfg)
		if err != nil {
			return err
		}
		w.Engine, w.Store, w.Key = eng, store, tekton.Keys(cluster, instance.Instance{Name: cfg.Global.Instance})
	}
	if f.once {
		return runOnce(ctx, w, machine)
	}
	interval := cfg.PollingInterval
	if f.interval != 0 {
		interval = f.interval
	}
	log.Info("watching", "repositories", len(cfg.Repositories), "groups", len(cfg.Groups), "interval", interval)
	w.Run(ctx, interval)
	log.Info("stopped")
	return nil
}

// renew returns the configuration with the credentials of today.
func (o *options) renew(cfg *config.Config, log *slog.Logger) *config.Config {
	changed, err := o.variables.read()
	if err == nil && !changed {
		return cfg
	}
	renewed := cfg
	if err == nil {
		renewed, err = cfg.Renew(o.variables.lookup)
	}
	if err != nil {
		log.Error("the variables cannot be read again; going on with those of before", "err", err)
		return cfg
	}
	log.Info("variables changed; using the new ones", "dir", o.variables.dir)
	return renewed
}

// runOnce does one cycle, and waits for the runs that it started on this machine.
func runOnce(ctx context.Context, w *watch.Watcher, machine *local.Engine) error {
	report, err := w.RunOnce(ctx)
	if machine != nil {
		_ = machine.Wait(ctx) // what goes on when ctx ends is cut off, and named then
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
	return nil
}

// logWarnings tells of what is hardly meant so: of each kind the first few places, and how many more there are.
func logWarnings(log *slog.Logger, cfg *config.Config) {
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
