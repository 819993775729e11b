package operate

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tekton-sentry/sentry/pkg/audit"
	"github.com/tekton-sentry/sentry/pkg/cli/complete"
	"github.com/tekton-sentry/sentry/pkg/cli/deeds"
	"github.com/tekton-sentry/sentry/pkg/cli/setup"
	"github.com/tekton-sentry/sentry/pkg/cli/usage"
	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/kube"
	"github.com/tekton-sentry/sentry/pkg/watch"
)

type pauseFlags struct {
	all    bool
	reason string
	local  bool
	state  string
}

func newPause(o *setup.Options) *cobra.Command {
	var f pauseFlags
	cmd := f.command(o, func() deeds.Change { return deeds.Pause(f.reason) })
	cmd.Use = "pause {NAME… | --all}"
	cmd.Short = "Let nothing run in a unit until it is resumed"
	cmd.Long = `Have 'sentry watch' start nothing in each NAME, which is that of a unit, a group, or a repository
without a group, with all of its branches; REPOSITORY@BRANCH is one of them. A run that is active
goes on. What is pushed meanwhile is not lost: it waits, and the newest commit runs on 'sentry
resume'. A pause lasts over restarts; status, explain and the log tell of it. Runs that a person
asks for by hand run all the same. What is paused already gets the --reason in place of its own.`
	cmd.Example = `  sentry pause ai-blueprints --reason "the database moves"
  sentry pause rag-service.dev-x
  sentry pause --all --reason "freeze until Monday"`
	cmd.Flags().StringVar(&f.reason, "reason", "", "why, for those who wonder; one line")
	complete.Flag(cmd, "reason", cobra.NoFileCompletions)
	return cmd
}

func newResume(o *setup.Options) *cobra.Command {
	var f pauseFlags
	cmd := f.command(o, func() deeds.Change { return deeds.Resume })
	cmd.Use = "resume {NAME… | --all}"
	cmd.Short = "Let things run again in what was paused"
	cmd.Long = `End the pause of each NAME, which is named as with 'sentry pause' or as status has it, also of what
is no more in the configuration. What was pushed meanwhile runs with the next cycle of 'sentry
watch': one run for the newest commit.`
	cmd.Example = `  sentry resume ai-blueprints
  sentry resume --all`
	return cmd
}

// command returns what both have in common.
func (f *pauseFlags) command(o *setup.Options, do func() deeds.Change) *cobra.Command {
	cmd := &cobra.Command{
		Args:              usage.Args(func(_ *cobra.Command, names []string) error { return usage.SomeNames(names, f.all) }),
		ValidArgsFunction: o.Offer(complete.Names),
		RunE: func(cmd *cobra.Command, names []string) error {
			return f.run(cmd.Context(), o, names, cmd.Name(), do())
		},
	}
	cmd.Flags().BoolVar(&f.all, "all", false, "everything")
	cmd.Flags().BoolVar(&f.local, "local", false, "in the state of 'sentry watch --local'")
	cmd.Flags().StringVar(&f.state, "state", "", "with --local: state `file`")
	return cmd
}

func (f *pauseFlags) run(ctx context.Context, o *setup.Options, names []string, verb string, do deeds.Change) error {
	if f.state != "" && !f.local {
		return usage.Errorf("--state goes with --local; on a cluster the state is a ConfigMap")
	}
	cfg, log, err := o.Load(config.Options{AllowUnsetAuth: true})
	if err != nil {
		return err
	}
	cluster, store, err := f.store(o, cfg)
	if err != nil {
		return err
	}
	by := o.By(ctx, cluster, verb)
	s, done, err := deeds.Apply(ctx, store, cfg, do, names, by)
	switch {
	case errors.Is(err, deeds.ErrNothingYet):
		return f.nothingYet()
	case err != nil:
		return err
	case len(done) == 0:
		fmt.Fprintf(o.Err, "Nothing to do: %s\n", already(verb, names))
		return nil
	}
	for _, line := range done {
		fmt.Fprintln(o.Out, line)
	}
	if cluster != nil {
		deeds.Tell(log, verbs[verb], done, by)
	}
	if verb == "resume" {
		held := deeds.Held(s, cfg, done)
		for _, label := range slices.Sorted(maps.Keys(held)) {
			fmt.Fprintf(o.Err, "%s waits still, as %s is paused as a whole, too: sentry resume %[2]s\n", label, held[label])
		}
	}
	return nil
}

// verbs are what the commands do.
var verbs = map[string]audit.Verb{"pause": audit.Paused, "resume": audit.Resumed}

// nothingYet says that there is no state to write to.
func (f *pauseFlags) nothingYet() error {
	if f.local {
		return fmt.Errorf("%w: let 'sentry watch --local' run once, or name its state file (--state)", deeds.ErrNothingYet)
	}
	return fmt.Errorf("%w: let 'sentry watch' run once, or name its namespace (-n)", deeds.ErrNothingYet)
}

func already(verb string, names []string) string {
	what := strings.Join(names, ", ")
	switch {
	case verb == "pause" && what == "":
		return "everything is paused already."
	case verb == "pause":
		return what + " is paused already."
	case what == "":
		return "nothing is paused."
	}
	return what + " is not paused; one branch of a repository that is paused as a whole is resumed with it."
}

// store returns the store, and the cluster that it is in; nil on this machine.
func (f *pauseFlags) store(o *setup.Options, cfg *config.Config) (*kube.Cluster, watch.Store, error) {
	if f.local {
		store, err := o.LocalStore(f.state)
		return nil, store, err
	}
	cluster, _, of, err := o.Where(cfg.Global)
	if err != nil {
		return nil, nil, err
	}
	return cluster, setup.ClusterStore(cluster, of), nil
}
