package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tekton-sentry/sentry/pkg/cli/byhand"
	"github.com/tekton-sentry/sentry/pkg/cli/complete"
	"github.com/tekton-sentry/sentry/pkg/cli/deeds"
	"github.com/tekton-sentry/sentry/pkg/cli/live"
	"github.com/tekton-sentry/sentry/pkg/cli/setup"
	"github.com/tekton-sentry/sentry/pkg/cli/usage"
	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost/transport"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/plan/named"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

type triggerFlags struct {
	all    bool
	branch string
	sha    string
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
refused: name some of its members. REPOSITORY@BRANCH is any branch, also of a member.

With --sha nobody asks the host whether it has the commit, nor whether it is on the branch. A run
of one that it lacks fails where the commit is fetched (deploy.checkout), and else in whatever the
commands do with SENTRY_SHA.

With --follow it prints what the tasks do until the run ends, and exits with 1 when it failed.
With --local the commands run on this machine, with its git and sh: to debug them.`,
		Example: `  sentry trigger rag-service                   # its first configured branch
  sentry trigger rag-service --branch dev-x --follow
  sentry trigger rag-service.dev-x             # the same branch, as the unit that it is
  sentry trigger rag-service --sha "$(git rev-parse HEAD~1)"
  sentry trigger ai-blueprints --local         # a whole group, here
  sentry trigger --all                         # everything`,
		Args:              usage.Args(func(_ *cobra.Command, names []string) error { return usage.SomeNames(names, f.all) }),
		ValidArgsFunction: o.Offer(complete.Names),
		RunE:              func(cmd *cobra.Command, args []string) error { return runTrigger(cmd.Context(), o, f, args) },
	}
	cmd.Flags().BoolVar(&f.all, "all", false, "deploy all repositories and groups")
	cmd.Flags().StringVarP(&f.branch, "branch", "b", "", "branch to deploy (default: the first configured one)")
	cmd.Flags().StringVar(&f.sha, "sha", "", "`commit` of the one repository to deploy, in full (default: the head of the branch)")
	cmd.Flags().BoolVarP(&f.follow, "follow", "f", false, "print progress until the run ends; exit with 1 when it failed")
	cmd.Flags().BoolVar(&f.plain, "no-progress", false, "print lines alone: no progress that is redrawn on a terminal")
	cmd.Flags().BoolVar(&f.local, "local", false, "run the commands on this machine instead of in a cluster, and wait for their end")
	cmd.Flags().StringVar(&f.state, "state", "", "with --local: state `file` to take the previous SHAs from")
	complete.Flag(cmd, "branch", o.Offer(complete.Branches))
	complete.Flag(cmd, "sha", cobra.NoFileCompletions)
	return cmd
}

func runTrigger(ctx context.Context, o *setup.Options, f triggerFlags, names []string) (err error) {
	if f.state != "" && !f.local {
		return usage.Errorf("--state goes with --local; on a cluster the state is a ConfigMap")
	}
	if err := checkSHA(f.sha, names); err != nil {
		return err
	}
	board := live.New(o.Out, f.plain || !f.follow && !f.local)
	o.Out, o.Err = board.Above(o.Out), board.Above(o.Err)
	defer board.Start(ctx)()
	cfg, log, err := o.Load(config.Options{})
	if err != nil {
		return err
	}
	setup.LogWarnings(log, cfg)
	if err := named.Check(cfg, names); err != nil {
		return err
	}
	at := &byhand.Place{Local: f.local, State: f.state, Command: "trigger"}
	if err := at.Open(ctx, o, cfg, log); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, at.Close()) }()
	runs, err := deeds.Runs(ctx, cfg, o.Reader(log, 0, transport.NewNetwork(cfg.Global)), at.Store, log, deeds.Wanted{Names: names, Branch: f.branch, SHA: repo.SHA(f.sha)}, setup.Word())
	if err != nil {
		return err
	}
	var errs []error
	var started []plan.Run
	for _, run := range runs {
		if err := byhand.Start(ctx, o, cfg, at, log, run); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", run.Unit.Label, err))
			continue
		}
		started = append(started, run)
	}
	if f.follow || f.local {
		errs = append(errs, byhand.Follow(ctx, o, at, board, started, cfg.Global.RunsIn()))
	}
	return errors.Join(errs...)
}

// checkSHA checks the commit that was asked for of the named.
func checkSHA(sha string, names []string) error {
	if sha == "" {
		return nil
	}
	if len(names) != 1 {
		return usage.Errorf("--sha is a commit of one repository: name that one")
	}
	if _, err := repo.ParseSHA(sha); err != nil {
		return usage.Errorf("--sha: %w", err)
	}
	return nil
}
