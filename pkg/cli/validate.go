package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/tekton-sentry/sentry/pkg/cli/forecast"
	"github.com/tekton-sentry/sentry/pkg/cli/imagine"
	"github.com/tekton-sentry/sentry/pkg/cli/setup"
	"github.com/tekton-sentry/sentry/pkg/cli/usage"
	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost/hosts"
	"github.com/tekton-sentry/sentry/pkg/githost/transport"
	"github.com/tekton-sentry/sentry/pkg/online"
)

func newValidate(o *setup.Options) *cobra.Command {
	var askHosts, quick bool
	cmd := &cobra.Command{
		Use:   "validate",
		Short: "Check the configuration and every PipelineRun that follows from it",
		Long: `Check the configuration file: all errors are listed in one go, each with its line, what is wrong
and what would be right. Then generate a PipelineRun for everything that can run, at made-up
revisions, and check it with Tekton's own validation. Nothing is asked of any host or cluster.

Variables that the file refers to must be set, as they are where Sentry runs.

With --quick it is the file alone that is checked, as watch does when it starts. That takes some
hundredths of a second, for a probe. The older 'sentry -action=validate' is the same.

With --online the Git hosts are asked too. Every repository, watched or deployed from, is read with
its credential: the first table says how many branches each pattern matches and which repositories
cannot be read; what would mend those comes last. The second table predicts, from a first cycle
and idle ones, what watching costs each credential: the idle cycles and the sweep of an hour, next
to the host's limit; more than half of that is a warning. RUN is what looking up the QA revision
adds when something is deployed. Before that the hosts of discover are asked which repositories
each owner has: a line says how many, and how many of them are watched. Exit code 1 when a
repository cannot be read, or those of an owner cannot be listed.`,
		Example: `  sentry validate
  sentry validate --online
  sentry validate --quick     # as an exec probe
  GITHUB_TOKEN=x GITLAB_TOKEN=x sentry validate -c deploy/sentry.yaml`,
		Args: usage.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runValidate(cmd.Context(), o, askHosts, quick) },
	}
	cmd.Flags().BoolVar(&askHosts, "online", false, "read every repository, and predict what watching costs")
	cmd.Flags().BoolVar(&quick, "quick", false, "check the file, and no PipelineRun that follows from it")
	return cmd
}

func runValidate(ctx context.Context, o *setup.Options, askHosts, quick bool) error {
	if askHosts && quick {
		return usage.Errorf("--quick does not go with --online, which reads every repository")
	}
	cfg, log, err := o.Load(config.Options{Examples: true})
	if err != nil {
		return err
	}
	setup.LogWarnings(log, cfg)
	if err := setup.CheckKubeconfigs(cfg); err != nil {
		return usage.Errorf("%s: %w", o.ConfigName(), err)
	}
	if !quick {
		if err := checkRuns(ctx, o, cfg); err != nil {
			return err
		}
	}
	if err := forecast.PrintValid(o.Out, o.ConfigName(), cfg, askHosts); err != nil || !askHosts {
		return err
	}
	if cfg, err = o.FindNow(ctx, cfg, log); err != nil {
		return err
	}
	unfound := forecast.PrintFound(o.Out, o.Found, cfg.Discover)
	accounts := (&online.Survey{Config: cfg, Hosts: hosts.All, Version: version, Log: log, Network: transport.NewNetwork(cfg.Global)}).Read(ctx)
	if ctx.Err() != nil {
		return errors.New("interrupted before everything was read")
	}
	return errors.Join(forecast.Print(o.Out, accounts, cfg, log), unfound)
}

// checkRuns checks what follows from the configuration.
func checkRuns(ctx context.Context, o *setup.Options, cfg *config.Config) error {
	runs, err := imagine.Runs(cfg, nil, "")
	if err != nil {
		return usage.Error(err)
	}
	if err := imagine.Check(ctx, cfg, runs); err != nil {
		return usage.Errorf("%s: %w", o.ConfigName(), err)
	}
	if ctx.Err() != nil {
		return errors.New("interrupted before everything was checked")
	}
	return nil
}
