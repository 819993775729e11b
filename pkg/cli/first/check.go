package first

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/cobra"
	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"

	"github.com/tekton-sentry/sentry/pkg/cli/complete"
	"github.com/tekton-sentry/sentry/pkg/cli/imagine"
	"github.com/tekton-sentry/sentry/pkg/cli/term"
	"github.com/tekton-sentry/sentry/pkg/cli/usage"
	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun"
	"github.com/tekton-sentry/sentry/pkg/preflight"
)

func newCheck(s *Sentry) *cobra.Command {
	c := preflight.Check{}
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Check whether the cluster is ready for this configuration",
		Long: `Check the cluster that the runs go to: whether it serves Tekton and its flags fit, the namespaces
and what Pod Security Standard they enforce, the rights of Sentry's ServiceAccount and of those
of the runs, the Secrets and their keys, and whether the API server would take the PipelineRuns.
Nothing is changed, no Git host is asked, and credentials need not be set.

Each check is a line: ok, warn for what cannot be told or may be meant so, or fail, with what to do.
An administrator sees most. Exit code 1 when a check fails.`,
		Example: `  sentry check -n sentry --run-namespace sentry-runs
  kubectl -n sentry exec deployment/sentry -- /sentry check`,
		Args: usage.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return s.check(cmd.Context(), &c) },
	}
	cmd.Flags().StringVar(&c.Account, "service-account", "sentry", "`name` of Sentry's own ServiceAccount")
	cmd.Flags().StringVar(&c.Tekton, "tekton-namespace", "tekton-pipelines", "`namespace` of Tekton's controller")
	complete.Flag(cmd, "service-account", cobra.NoFileCompletions)
	complete.Flag(cmd, "tekton-namespace", cobra.NoFileCompletions)
	return cmd
}

func (s *Sentry) check(ctx context.Context, c *preflight.Check) error {
	cfg, _, err := s.Load(config.Options{AllowUnsetAuth: true})
	if err != nil {
		return err
	}
	runs, err := generate(cfg)
	if err != nil {
		return usage.Error(err)
	}
	c.Config, c.Runs = of(cfg, ""), runs[""]
	if c.Cluster, err = s.Connect(cfg.Global.Namespace); err != nil {
		return err
	}
	c.Config.Global.Namespace = c.Cluster.Namespace
	found := c.Run(ctx)
	for _, name := range slices.Sorted(maps.Keys(cfg.Clusters)) {
		found = append(found, s.elsewhere(ctx, c.Tekton, of(cfg, name), cfg.Clusters[name], runs[name])...)
	}
	rows, failed := make([][]any, len(found)), 0
	for i, f := range found {
		rows[i] = []any{f.Level, f.Check, f.Detail}
		if f.Level == preflight.Fail {
			failed++
		}
	}
	table := term.Table{Out: s.Out, Colours: term.Colours(s.Out)}
	if err := table.Print([]string{"RESULT", "CHECK", "WHAT"}, rows, paintLevel); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return errors.New("interrupted before everything was checked")
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d checks failed", failed, len(found))
	}
	return nil
}

// elsewhere checks another cluster.
func (s *Sentry) elsewhere(ctx context.Context, tekton string, cfg *config.Config, at config.Cluster, runs []*v1.PipelineRun) []preflight.Finding {
	cluster, err := s.ConnectTo(at)
	if err != nil {
		return []preflight.Finding{{Level: preflight.Fail, Check: at.Name + ": API server", Detail: err.Error()}}
	}
	c := preflight.Check{Cluster: cluster, Config: cfg, Tekton: tekton, Runs: runs, Beside: true}
	found := c.Run(ctx)
	for i := range found {
		found[i].Check = at.Name + ": " + found[i].Check
	}
	return found
}

// of returns the configuration of what runs in a cluster.
func of(cfg *config.Config, cluster string) *config.Config {
	in := *cfg.In(cluster)
	in.Repositories = slices.DeleteFunc(slices.Clone(cfg.Repositories), func(r config.Repository) bool { return cfg.GroupOf(&r).Cluster != cluster })
	in.Groups = maps.Clone(cfg.Groups)
	maps.DeleteFunc(in.Groups, func(_ string, g config.Group) bool { return g.Cluster != cluster })
	return &in
}

// generate returns a PipelineRun of everything that can run, by its cluster.
func generate(cfg *config.Config) (map[string][]*v1.PipelineRun, error) {
	runs, err := imagine.Runs(cfg, nil, "")
	if err != nil {
		return nil, err
	}
	prs := map[string][]*v1.PipelineRun{}
	for _, run := range runs {
		pr, err := pipelinerun.Generate(cfg, run)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", run.Unit.Label, err)
		}
		prs[run.Group.Cluster] = append(prs[run.Group.Cluster], pr)
	}
	return prs, nil
}

func paintLevel(column int, cell string) term.Colour {
	if column != 0 {
		return term.None
	}
	return map[string]term.Colour{string(preflight.OK): term.Green, string(preflight.Warn): term.Blue, string(preflight.Fail): term.Red}[cell]
}
