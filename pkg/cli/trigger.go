package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tekton-sentry/sentry/pkg/cli/complete"
	"github.com/tekton-sentry/sentry/pkg/cli/live"
	"github.com/tekton-sentry/sentry/pkg/cli/setup"
	"github.com/tekton-sentry/sentry/pkg/cli/term"
	"github.com/tekton-sentry/sentry/pkg/cli/usage"
	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/githost/poller"
	"github.com/tekton-sentry/sentry/pkg/githost/transport"
	"github.com/tekton-sentry/sentry/pkg/oneline"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/result"
	"github.com/tekton-sentry/sentry/pkg/state"
	"github.com/tekton-sentry/sentry/pkg/watch"
)

type triggerFlags struct {
	all    bool
	branch string
	follow bool
	plain  bool
	local  bool
	state  string
}

func newTrigger(o *setup.Options) *cobra.Command {
	var f triggerFlags
	cmd := &cobra.Command{
		Use:   "trigger {NAME… | --all}",
		Short: "Deploy repositories or groups now, changed or not",
		Long: `Create a PipelineRun for each named repository or group, or for everything with --all, at the
current heads. What 'sentry watch' remembers is not touched: a change that it has not seen yet
is still deployed by it.

A name may also be a unit's, as status and the logs have it: rag-service.dev-x is that branch.
A repository of a group that is named by itself is deployed alone, in the group's turn. While
the unit's earlier run is active, on_busy decides: queue refuses, cancel cancels it first and
waits for its end, parallel starts at once. A group that is too large for one PipelineRun is
refused: name some of its members.

With --follow it prints what the tasks do until the run ends, and exits with 1 when it failed.
With --local the commands run on this machine, with its git and sh: to debug them.`,
		Example: `  sentry trigger rag-service                   # its first configured branch
  sentry trigger rag-service --branch dev-x --follow
  sentry trigger rag-service.dev-x             # the same branch, as the unit that it is
  sentry trigger ai-blueprints --local         # a whole group, here
  sentry trigger --all                         # everything`,
		Args:              usage.Args(func(_ *cobra.Command, names []string) error { return usage.SomeNames(names, f.all) }),
		ValidArgsFunction: o.Offer(complete.Names),
		RunE:              func(cmd *cobra.Command, args []string) error { return runTrigger(cmd.Context(), o, f, args) },
	}
	cmd.Flags().BoolVar(&f.all, "all", false, "deploy all repositories and groups")
	cmd.Flags().StringVarP(&f.branch, "branch", "b", "", "branch to deploy (default: the first configured one)")
	cmd.Flags().BoolVarP(&f.follow, "follow", "f", false, "print progress until the run ends; exit with 1 when it failed")
	cmd.Flags().BoolVar(&f.plain, "no-progress", false, "print lines alone: no progress that is redrawn on a terminal")
	cmd.Flags().BoolVar(&f.local, "local", false, "run the commands on this machine instead of in a cluster, and wait for their end")
	cmd.Flags().StringVar(&f.state, "state", "", "with --local: state `file` to take the previous SHAs from")
	complete.Flag(cmd, "branch", o.Offer(complete.Branches))
	return cmd
}

// followed is an engine that can tell how its runs go.
type followed interface {
	watch.Engine
	Follow(ctx context.Context, name string, progress func(engine.Outcome)) (engine.Outcome, error)
}

func runTrigger(ctx context.Context, o *setup.Options, f triggerFlags, names []string) (err error) {
	if f.state != "" && !f.local {
		return usage.Errorf("--state goes with --local; on a cluster the state is a ConfigMap")
	}
	board := live.New(o.Out, f.plain || !f.follow && !f.local)
	o.Out, o.Err = board.Above(o.Out), board.Above(o.Err)
	defer board.Start(ctx)()
	cfg, log, err := o.Load(config.Options{})
	if err != nil {
		return err
	}
	setup.LogWarnings(log, cfg)
	if err := plan.CheckNames(cfg, names); err != nil {
		return err
	}
	var eng followed
	var store watch.Store
	if f.local {
		machine, states, failed := o.OnMachine(ctx, cfg, f.state, log)
		if failed != nil {
			return failed
		}
		defer func() { err = errors.Join(err, machine.Close()) }()
		eng, store = machine, states
	} else if _, eng, store, err = o.OnCluster(cfg); err != nil {
		return err
	}
	runs, err := manualRuns(ctx, cfg, o.Reader(log, 0, transport.NewNetwork(cfg.Global)), store, log, names, f.branch, setup.Word())
	if err != nil {
		return err
	}
	var errs []error
	var started []plan.Run
	for _, run := range runs {
		if err := start(ctx, o, cfg, eng, log, run, f.local); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", run.Unit.Label, err))
			continue
		}
		started = append(started, run)
	}
	var past []result.Result
	if board != nil && len(started) > 0 {
		past = usualTimes(ctx, o, eng, f)
	}
	for _, run := range started {
		if f.follow || f.local {
			usual := live.Usual(run.Unit.Label, past)
			show := func(out engine.Outcome) { board.Show(out, usual) }
			errs = append(errs, follow(ctx, o, eng, run.Name, setup.LogsCommand(run.Name, cfg.Global.RunsIn()), f.local, board != nil, show))
		}
	}
	return errors.Join(errs...)
}

// usualTimes returns the history, for what tasks take usually; none where it cannot be read, as it only tells that.
func usualTimes(ctx context.Context, o *setup.Options, eng followed, f triggerFlags) (past []result.Result) {
	if f.local {
		past, _ = o.LocalHistory(ctx, f.state)
	} else if e, ok := eng.(interface {
		History(ctx context.Context, unit string) ([]result.Result, error)
	}); ok {
		past, _ = e.History(ctx, "")
	}
	return past
}

// manualRuns plans the runs that `trigger` creates and `render` prints, with their QA revisions.
func manualRuns(ctx context.Context, cfg *config.Config, hosts *poller.Reader, store watch.Store, log *slog.Logger, names []string, branch, word string) ([]plan.Run, error) {
	snapshot := state.Snapshot{}
	if store != nil {
		var err error
		if snapshot, err = store.Load(ctx); err != nil {
			// The state only tells the previous SHAs: a trigger works without.
			log.Warn("cannot read the state; SENTRY_PREVIOUS_SHA and SENTRY_SUCCEEDED_SHA will be empty", "err", err)
		}
	}
	observed := make([]repo.Observation, len(cfg.Repositories))
	var want []config.Monitor
	var index []int
	for i, r := range cfg.Repositories {
		observed[i].Status = repo.Pending
		branches, asked := plan.Asked(&r, names)
		if !asked {
			continue
		}
		if branch != "" {
			branches = append(branches, branch)
		}
		m := r.Monitor
		m.Branches = slices.Clone(m.Branches)
		for _, b := range branches {
			// A branch that is named need not match what is watched.
			m.Branches = append(m.Branches, repo.ExactPattern(b))
		}
		want, index = append(want, m), append(index, i)
	}
	for i, o := range hosts.Heads(ctx, want) {
		observed[index[i]] = plan.Watched(o)
	}
	runs, err := plan.Manual(plan.Input{Config: cfg, Snapshot: snapshot, Observed: observed, Now: time.Now()}, names, branch, word)
	if err != nil {
		return nil, err
	}
	errs := make([]error, len(runs))
	for i := range runs {
		runs[i], errs[i] = runs[i].Pin(hosts.Heads(ctx, runs[i].QA()))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return runs, nil
}

// start creates one run, as on_busy says.
func start(ctx context.Context, o *setup.Options, cfg *config.Config, eng followed, log *slog.Logger, run plan.Run, here bool) error {
	if err := makeWay(ctx, eng, log, run); err != nil {
		return err
	}
	if _, err := eng.Create(ctx, cfg, run); err != nil {
		return err
	}
	if !here {
		fmt.Fprintf(o.Out, "pipelinerun.tekton.dev/%s created\n%s\n", run.Name, setup.LogsCommand(run.Name, cfg.Global.RunsIn()))
	}
	return nil
}

// makeWay returns when the unit has no active run that on_busy forbids beside the new one.
func makeWay(ctx context.Context, eng watch.Engine, log *slog.Logger, run plan.Run) error {
	if run.Group.OnBusy == config.StartAtOnce {
		return nil
	}
	cancelled := map[string]bool{}
	for {
		runs, err := eng.Runs(ctx, []string{run.Unit.Label})
		if err != nil {
			return err
		}
		// Also those that are held back: who asks for a run by hand is told what stands in its way.
		busy := plan.Names(plan.ActiveOf(engine.Existing(runs), func(plan.Existing) bool { return true })[run.Unit.Label])
		if len(busy) == 0 {
			return nil
		}
		if run.Group.OnBusy == config.Queue {
			return fmt.Errorf("its run %s is still active: wait for its end, cancel it (tkn pipelinerun cancel %s), or set on_busy of the group",
				strings.Join(busy, ", "), busy[0])
		}
		for _, name := range busy {
			if cancelled[name] {
				continue
			}
			if err := eng.Cancel(ctx, name, run.Name); err != nil {
				return err
			}
			cancelled[name] = true
			log.Info("cancelled; waiting for its end", "unit", run.Unit.Label, "run", name)
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// follow prints each task's changes and the end of the run, and shows how it goes. On this machine the engine prints all
// that itself. What works still is in what is shown, where that is seen.
func follow(ctx context.Context, o *setup.Options, eng followed, name, logs string, here, seen bool, show func(engine.Outcome)) error {
	last := map[string]string{}
	out, err := eng.Follow(ctx, name, func(out engine.Outcome) {
		show(out)
		for _, t := range out.Tasks {
			if line := progress(t); line != last[t.Name] && !here && (!seen || t.Result != engine.Running) {
				last[t.Name] = line
				fmt.Fprintf(term.Screen{Writer: o.Out}, "[%s] %s\n", t.Name, line)
			}
		}
	})
	switch {
	case err != nil && ctx.Err() != nil && here:
		return fmt.Errorf("interrupted: %s was cancelled", name)
	case err != nil && ctx.Err() != nil:
		return fmt.Errorf("interrupted: %s goes on; follow it again: %s", name, logs)
	case err != nil:
		return fmt.Errorf("follow %s: %w", name, err)
	}
	if !out.Succeeded {
		return fmt.Errorf("%s: %s: %s", name, out.Reason, out.Message)
	}
	if !here {
		fmt.Fprintf(o.Err, "%s: %s: %s\n", name, out.Reason, out.Message)
	}
	return nil
}

// maxProgress bounds what a cluster says of a task, in bytes.
const maxProgress = 1000

// progress returns what is said of a task, on one line: how it goes or ended, and why it does not go on or did not end well.
func progress(t engine.Task) string {
	why := oneline.Of(t.Message, maxProgress)
	switch {
	case why == "" || t.Result == engine.Succeeded:
		return string(t.Result)
	case t.Result == engine.Running:
		return "waits: " + why
	}
	return string(t.Result) + ": " + why
}
