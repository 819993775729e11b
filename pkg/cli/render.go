package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"

	"github.com/tekton-sentry/sentry/pkg/cli/complete"
	"github.com/tekton-sentry/sentry/pkg/cli/deeds"
	"github.com/tekton-sentry/sentry/pkg/cli/imagine"
	"github.com/tekton-sentry/sentry/pkg/cli/setup"
	"github.com/tekton-sentry/sentry/pkg/cli/usage"
	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost/transport"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun"
	"github.com/tekton-sentry/sentry/pkg/plan"
)

type renderFlags struct {
	branch  string
	offline bool
	output  string
}

func newRender(o *setup.Options) *cobra.Command {
	var f renderFlags
	cmd := &cobra.Command{
		Use:   "render [NAME…]",
		Short: "Print the PipelineRuns that a change would create",
		Long: `Print the PipelineRun of each named repository or group, or of all of them, as YAML: what
'sentry trigger' would create now, but for the random part of its name. The heads are read from
the Git hosts; the cluster is not asked.

With --offline nothing is asked at all: the revisions are made up, a branch pattern is
represented by a name that it matches, and credentials need not be set. Where no such name is
found, the branch is called "placeholder", and a warning says so.`,
		Example: `  sentry render --offline | kubectl create --dry-run=server -f -
  sentry render rag-service --branch dev-x`,
		Args:              usage.Args(func(_ *cobra.Command, names []string) error { return usage.SomeNames(names, len(names) == 0) }),
		ValidArgsFunction: o.Offer(complete.Names),
		RunE:              func(cmd *cobra.Command, args []string) error { return runRender(cmd.Context(), o, f, args) },
	}
	cmd.Flags().StringVarP(&f.branch, "branch", "b", "", "branch to deploy (default: the first configured one)")
	cmd.Flags().BoolVar(&f.offline, "offline", false, "ask no Git host; make the revisions up")
	cmd.Flags().StringVarP(&f.output, "output", "o", "yaml", "yaml or json")
	complete.Flag(cmd, "branch", o.Offer(complete.Branches))
	complete.Flag(cmd, "output", complete.Words("yaml", "json"))
	return cmd
}

func runRender(ctx context.Context, o *setup.Options, f renderFlags, names []string) error {
	if f.output != "yaml" && f.output != "json" {
		return usage.Errorf("--output %q: want yaml or json", f.output)
	}
	cfg, log, err := o.Load(config.Options{AllowUnsetAuth: f.offline, Examples: f.offline})
	if err != nil {
		return err
	}
	setup.LogWarnings(log, cfg)
	var runs []plan.Run
	if f.offline {
		runs, err = imagine.Runs(cfg, names, f.branch)
		if f.branch == "" {
			imagine.LogPlaceholders(log, cfg, runs)
		}
	} else {
		runs, err = deeds.Runs(ctx, cfg, o.Reader(log, 0, transport.NewNetwork(cfg.Global)), nil, log, deeds.Wanted{Names: names, Branch: f.branch}, "")
	}
	if err != nil {
		return err
	}
	var refused []error // the other runs are printed all the same
	for _, run := range runs {
		pr, err := pipelinerun.Generate(cfg, run)
		if err == nil {
			err = pipelinerun.Validate(ctx, pr)
		}
		if err != nil {
			refused = append(refused, fmt.Errorf("%s: %w", run.Name, err))
			continue
		}
		if err := printRun(o.Out, pr, f.output); err != nil {
			return err
		}
	}
	return errors.Join(refused...)
}

// printRun writes one object: YAML documents after a separator each, JSON objects one after the other.
func printRun(out io.Writer, pr *v1.PipelineRun, format string) error {
	if format == "json" {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		return e.Encode(pr)
	}
	text, err := pipelinerun.Marshal(pr)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "---\n%s", text)
	return err
}
