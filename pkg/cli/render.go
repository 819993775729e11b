package cli

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"

	"github.com/spf13/cobra"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

type renderFlags struct {
	branch  string
	offline bool
	output  string
}

func newRender(o *options) *cobra.Command {
	var f renderFlags
	cmd := &cobra.Command{
		Use:   "render [NAME…]",
		Short: "Print the PipelineRuns that a change would create",
		Long: `Print the PipelineRun of each named repository or group, or of all of them, as YAML: what
'sentry trigger' would create now, but for the random part of its name. The heads are read from
the Git hosts; the cluster is not asked.

With --offline nothing is asked at all: the revisions are made up, a branch pattern is
represented by a name that it matches, and credentials need not be set.`,
		Example: `  sentry render --offline | kubectl create --dry-run=server -f -
  sentry render rag-service --branch dev-x`,
		Args:              usageArgs(func(_ *cobra.Command, names []string) error { return someNames(names, len(names) == 0) }),
		ValidArgsFunction: o.completeNames,
		RunE:              func(cmd *cobra.Command, args []string) error { return runRender(cmd.Context(), o, f, args) },
	}
	cmd.Flags().StringVarP(&f.branch, "branch", "b", "", "branch to deploy (default: the first configured one)")
	cmd.Flags().BoolVar(&f.offline, "offline", false, "ask no Git host; make the revisions up")
	cmd.Flags().StringVarP(&f.output, "output", "o", "yaml", "yaml or json")
	return cmd
}

func runRender(ctx context.Context, o *options, f renderFlags, names []string) error {
	if f.output != "yaml" && f.output != "json" {
		return usageError{fmt.Errorf("--output %q: want yaml or json", f.output)}
	}
	cfg, log, err := o.load(config.Options{AllowUnsetAuth: f.offline})
	if err != nil {
		return err
	}
	logWarnings(log, cfg)
	var runs []plan.Run
	if f.offline {
		runs, err = offlineRuns(cfg, names, f.branch)
	} else {
		runs, err = manualRuns(ctx, cfg, reader(log, 0), nil, log, names, f.branch, "")
	}
	if err != nil {
		return err
	}
	for _, run := range runs {
		pr, err := pipelinerun.Generate(cfg, run)
		if err != nil {
			return err
		}
		if err := pipelinerun.Validate(ctx, pr); err != nil {
			return fmt.Errorf("%s: %w", run.Name, err)
		}
		if err := o.print(pr, f.output); err != nil {
			return err
		}
	}
	return nil
}

// print writes one object: YAML documents after a separator each, JSON objects one after the other.
func (o *options) print(pr *v1.PipelineRun, format string) error {
	if format == "json" {
		e := json.NewEncoder(o.Out)
		e.SetIndent("", "  ")
		return e.Encode(pr)
	}
	text, err := pipelinerun.Marshal(pr)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(o.Out, "---\n%s", text)
	return err
}

// offlineRuns plans with made-up revisions.
func offlineRuns(cfg *config.Config, names []string, branch string) ([]plan.Run, error) {
	observed := make([]repo.Observation, len(cfg.Repositories))
	for i, r := range cfg.Repositories {
		heads := map[string]repo.SHA{}
		for _, p := range r.Monitor.Branches {
			if name, ok := example(p); ok {
				heads[name] = madeUp(r.Name, name)
			}
		}
		if branch != "" {
			heads[branch] = madeUp(r.Name, branch)
		}
		observed[i].Heads = heads
	}
	// The epoch of the design's clock: offline output must be the same every time.
	runs, err := plan.Manual(plan.Input{Config: cfg, Observed: observed, Now: time.Unix(0, 0).UTC()}, names, branch, "")
	if err != nil {
		return nil, err
	}
	for i, run := range runs {
		var qa []repo.Observation
		for _, m := range run.QA() {
			name, _ := m.Branches[0].Exact()
			qa = append(qa, repo.Observation{Heads: map[string]repo.SHA{name: madeUp(m.URL, name)}})
		}
		if runs[i], err = run.Pin(qa); err != nil {
			return nil, err
		}
	}
	return runs, nil
}

// madeUp is a stand-in for a head: the same for the same words, and no commit of anybody's.
func madeUp(words ...string) repo.SHA {
	sum := sha1.Sum([]byte("made up by sentry render --offline\x00" + strings.Join(words, "\x00")))
	return repo.SHA(hex.EncodeToString(sum[:]))
}

// example returns a branch name that the pattern matches, made from its literal start.
func example(p repo.Pattern) (string, bool) {
	if name, ok := p.Exact(); ok {
		return name, true
	}
	for _, end := range []string{"", "x", "1", "-x", "/x", "1.0", "-1", "main", "1.0.0", "v1.0.0"} {
		if name := p.Prefix() + end; p.Match(name) && repo.CheckBranch(name) == nil {
			return name, true
		}
	}
	return "", false
}
