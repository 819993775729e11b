package operate

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/tekton-sentry/sentry/pkg/cli/complete"
	"github.com/tekton-sentry/sentry/pkg/cli/deeds"
	"github.com/tekton-sentry/sentry/pkg/cli/overview"
	"github.com/tekton-sentry/sentry/pkg/cli/setup"
	"github.com/tekton-sentry/sentry/pkg/cli/usage"
	"github.com/tekton-sentry/sentry/pkg/engine"
)

func newCancel(o *setup.Options) *cobra.Command {
	wait := false
	cmd := &cobra.Command{
		Use:   "cancel NAME…",
		Short: "End the active runs of a unit",
		Long: `Cancel the active runs of each NAME, which is that of a unit, a group, a repository or a run: their
tasks are stopped, and their finally tasks run. What was deployed stays, and the commits count as
acted upon: deploy them again with 'sentry rerun NAME'. Nothing is rolled back, so that a run with
rollback_commands runs no finally tasks; rollbacks that have begun go on to their end.

Runs of 'sentry watch --local' end with the process that they belong to: press Ctrl-C there.`,
		Example: `  sentry cancel ai-blueprints --wait
  sentry cancel rag-service-main-0123456789`,
		Args:              usage.Args(usage.AtLeastOneName),
		ValidArgsFunction: o.Offer(complete.Names),
		RunE:              func(cmd *cobra.Command, names []string) error { return runCancel(cmd.Context(), o, names, wait) },
	}
	cmd.Flags().BoolVarP(&wait, "wait", "w", false, "wait until they have ended")
	return cmd
}

func runCancel(ctx context.Context, o *setup.Options, names []string, wait bool) error {
	log, err := o.Logger()
	if err != nil {
		return usage.Error(err)
	}
	there, err := o.Look(ctx)
	if err != nil {
		return err
	}
	by := o.By(ctx, there.Cluster, "cancel")
	var errs []error
	var cancelled []string
	for _, name := range names {
		choice := overview.Choose([]string{name}, overview.Members(there.Config))
		active := slices.DeleteFunc(slices.Clone(there.Runs), func(r engine.Run) bool {
			return !r.Active || !choice.Run(r.Name, r.Unit, overview.RefsOf(r.Trigger))
		})
		if len(active) == 0 {
			errs = append(errs, fmt.Errorf("no run of %.80q is active: 'sentry status' shows those that are", name))
		}
		for _, r := range active {
			if slices.Contains(cancelled, r.At()) {
				continue // by another of its names
			}
			if err := deeds.Cancel(ctx, there.Engine, r.Existing, by, log); err != nil {
				errs = append(errs, err)
				continue
			}
			cancelled = append(cancelled, r.At())
			fmt.Fprintf(o.Out, "pipelinerun.tekton.dev/%s cancelled\n", r.Name)
		}
	}
	for _, name := range cancelled {
		if !wait {
			break
		}
		if _, err := there.Engine.Follow(ctx, name, func(engine.Outcome) {}); err != nil {
			errs = append(errs, fmt.Errorf("wait for the end of %s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}
