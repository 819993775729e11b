package cli

import (
	"cmp"
	"context"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
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
represented by a name that it matches, and credentials need not be set. Where no such name is
found, the branch is called "placeholder", and a warning says so.`,
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
		if f.branch == "" {
			logPlaceholders(log, cfg, runs)
		}
	} else {
		runs, err = manualRuns(ctx, cfg, reader(log, 0), nil, log, names, f.branch, "")
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
		if err := o.print(pr, f.output); err != nil {
			return err
		}
	}
	return errors.Join(refused...)
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

// placeholder stands for a branch's name where none is found that a repository's patterns match.
const placeholder = "placeholder"

// offlineRuns plans with made-up revisions and, where no branch is given, an example of one.
func offlineRuns(cfg *config.Config, names []string, branch string) ([]plan.Run, error) {
	imagined := *cfg
	imagined.Repositories = slices.Clone(cfg.Repositories)
	observed := make([]repo.Observation, len(cfg.Repositories))
	for i := range imagined.Repositories {
		r := &imagined.Repositories[i]
		name := cmp.Or(branch, example(r.Monitor.Branches))
		r.Monitor.Branches = repo.Patterns{repo.ExactPattern(name)}
		observed[i].Heads = map[string]repo.SHA{name: madeUp(r.Name, name)}
	}
	// The epoch of the design's clock: offline output must be the same every time.
	runs, err := plan.Manual(plan.Input{Config: &imagined, Observed: observed, Now: time.Unix(0, 0).UTC()}, names, branch, "")
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

// example returns a name that one of the patterns matches, or the placeholder.
func example(patterns repo.Patterns) string {
	for _, p := range patterns {
		if name, ok := p.Example(); ok {
			return name
		}
	}
	return placeholder
}

// logPlaceholders says of which members the branch's name is no example.
func logPlaceholders(log *slog.Logger, cfg *config.Config, runs []plan.Run) {
	for _, run := range runs {
		for _, m := range run.Members {
			if m.Branch != placeholder {
				continue
			}
			if r, _ := cfg.Lookup(m.Repository.Name); !r.Monitor.Branches.Match(placeholder) {
				log.Warn("no branch name was found that the patterns match: another stands for it",
					"repo", r.Name, "patterns", r.Monitor.Branches, "branch", placeholder)
			}
		}
	}
}

// madeUp is a stand-in for a head: the same for the same words, and no commit of anybody's.
func madeUp(words ...string) repo.SHA {
	sum := sha1.Sum([]byte("made up by sentry render --offline\x00" + strings.Join(words, "\x00")))
	return repo.SHA(hex.EncodeToString(sum[:]))
}
