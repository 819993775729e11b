package cli

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/tekton-sentry/sentry/pkg/cli/term"
	"github.com/tekton-sentry/sentry/pkg/cli/usage"
	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/engine/tekton"
	"github.com/tekton-sentry/sentry/pkg/instance"
	"github.com/tekton-sentry/sentry/pkg/kube"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/state"
	"github.com/tekton-sentry/sentry/pkg/state/file"
)

type statusFlags struct {
	local  bool
	state  string
	output string
	runs   int
	past   bool
}

func newStatus(o *options) *cobra.Command {
	var f statusFlags
	cmd := &cobra.Command{
		Use:   "status [--history [UNIT]]",
		Short: "Show what is remembered, what cannot be read, and the latest runs",
		Long: `Show the branches that Sentry remembers with the SHA it acted upon last, the problems that
keep repositories or units from running, and the latest PipelineRuns. It reads the state and
the cluster; no Git host is asked, and no configuration is needed.

A problem of kind "state" means that the repository's entry in the state was damaged: it is
kept as it stands and nothing runs for the repository. Mend the entry where it is stored, in
the ConfigMap sentry-state or one numbered after it, or delete it: then the repository counts
as seen for the first time.

One of kind "too many branches" means that the repository has more than the state holds for
one: it is as it was until 'branches' is narrowed. A problem on "the state" means that all
repositories together have: runs are remembered, and nothing else is saved. One on NAME.* is
that of further branches of a repository, of which twenty have a line of their own.

With --history it shows the runs that keep_runs has deleted, newest first, of one unit or of
all: when, what triggered them, how they ended, how long they took and which members failed.`,
		Example: `  sentry status -n sentry
  sentry status -o json | jq '.problems'
  sentry status --history rag-service.main`,
		Args: usage.Args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case slices.Contains(args, ""):
				return usage.Errorf("the unit's name is empty; leave it out for all units")
			case f.past:
				return o.history(cmd.Context(), f, strings.Join(args, ""))
			case len(args) > 0:
				return usage.Errorf("%q: a unit goes with --history", args[0])
			}
			return runStatus(cmd.Context(), o, f)
		},
	}
	cmd.Flags().BoolVar(&f.local, "local", false, "show the state of 'sentry watch --local'")
	cmd.Flags().StringVar(&f.state, "state", "", "with --local: state `file`")
	cmd.Flags().StringVarP(&f.output, "output", "o", "table", "table, yaml or json")
	cmd.Flags().IntVar(&f.runs, "runs", 20, "show at most this many runs")
	cmd.Flags().BoolVar(&f.past, "history", false, "show the runs that were deleted")
	return cmd
}

// status is what the command prints, and the shape of its JSON and YAML.
type status struct {
	Branches []branchStatus  `json:"branches"`
	Problems []problemStatus `json:"problems"`
	Runs     []runLine       `json:"runs"`
}

type branchStatus struct {
	repo.Ref
	SHA  repo.SHA  `json:"sha"`
	Runs int       `json:"runs"` // that this branch triggered
	Time time.Time `json:"time"` // when the SHA was acted upon
}

type problemStatus struct {
	On string `json:"on"` // repository, or unit
	state.Problem
}

type runLine struct {
	Name    string     `json:"name"`
	Unit    string     `json:"unit"`
	Reason  string     `json:"reason"`
	Created time.Time  `json:"created"`
	Ended   *time.Time `json:"ended,omitempty"`
}

// newestRuns returns a line for each of the newest runs, newest first, at most so many.
func newestRuns(ctx context.Context, eng *tekton.Engine, most int) ([]runLine, error) {
	runs, err := eng.Runs(ctx, nil)
	if err != nil {
		return nil, err
	}
	runs = runs[len(runs)-min(len(runs), max(0, most)):]
	var lines []runLine
	for _, r := range slices.Backward(runs) {
		line := runLine{Name: r.Name, Unit: cmp.Or(r.Unit, "-"), Reason: cmp.Or(r.Reason, "Pending"), Created: r.Created}
		if !r.Active {
			ended, err := eng.Ended(ctx, r.Name)
			if err != nil {
				return nil, err
			}
			if !ended.IsZero() {
				line.Ended = &ended
			}
		}
		lines = append(lines, line)
	}
	return lines, nil
}

func runStatus(ctx context.Context, o *options, f statusFlags) error {
	if err := f.check(); err != nil {
		return err
	}
	if f.state != "" && !f.local {
		return usage.Errorf("--state goes with --local; on a cluster the state is a ConfigMap")
	}
	var snapshot state.Snapshot
	var runs []runLine
	var err error
	if f.local {
		snapshot, err = o.localState(ctx, f.state)
	} else {
		snapshot, runs, err = o.clusterState(ctx, f.runs)
	}
	if err != nil {
		return err
	}
	s := statusOf(snapshot, runs)
	if f.output != "table" {
		return o.encode(s, f.output)
	}
	if snapshot.Epoch == "" {
		fmt.Fprintln(o.Err, "Nothing is remembered here: 'sentry watch' has not run yet, or with another namespace (-n), configuration or --state.")
	}
	return o.table(s, time.Now())
}

func (f statusFlags) check() error {
	if !slices.Contains([]string{"table", "yaml", "json"}, f.output) {
		return usage.Errorf("--output %q: want table, yaml or json", f.output)
	}
	return nil
}

// encode prints a value for machines.
func (o *options) encode(value any, format string) error {
	var text bytes.Buffer
	e := json.NewEncoder(term.Screen{Writer: &text}) // YAML does not take control characters either
	e.SetIndent("", "  ")
	if err := e.Encode(value); err != nil {
		return err
	}
	out := text.Bytes()
	if format == "yaml" {
		var err error
		if out, err = yaml.JSONToYAML(out); err != nil {
			return err
		}
	}
	_, err := o.Out.Write(out)
	return err
}

func (o *options) localState(ctx context.Context, path string) (state.Snapshot, error) {
	if path == "" {
		var err error
		if path, err = defaultStateFile(o.config); err != nil {
			return state.Snapshot{}, err
		}
	}
	return file.New(path, slog.New(slog.DiscardHandler)).Load(ctx)
}

func (o *options) clusterState(ctx context.Context, runs int) (state.Snapshot, []runLine, error) {
	cluster, runsIn, of, err := o.statusCluster()
	if err != nil {
		return state.Snapshot{}, nil, err
	}
	snapshot, err := clusterStore(cluster, of).Load(ctx)
	if err != nil {
		return state.Snapshot{}, nil, err
	}
	newest, err := newestRuns(ctx, tekton.New(cluster, runsIn, of), runs)
	return snapshot, newest, err
}

// statusCluster connects to where Sentry runs, and returns where its runs are and which Sentry is meant. The
// configuration is not needed; where there is one, its namespaces and its instance are what people mean.
func (o *options) statusCluster() (cluster *kube.Cluster, runsIn string, of instance.Instance, err error) {
	var global config.Global
	if cfg, err := o.loadConfig(config.Options{AllowUnsetAuth: true}); err == nil {
		global = cfg.Global
	}
	if of, err = o.instanceOf(global); err == nil {
		cluster, err = o.connect(global.Namespace)
	}
	return cluster, cmp.Or(o.runs, global.RunNamespace), of, err
}

func statusOf(snapshot state.Snapshot, runs []runLine) status {
	s := status{Branches: []branchStatus{}, Problems: []problemStatus{}, Runs: append([]runLine{}, runs...)}
	for _, name := range slices.Sorted(maps.Keys(snapshot.Repositories)) {
		r := snapshot.Repositories[name]
		for _, branch := range slices.Sorted(maps.Keys(r.Branches)) {
			if b, ok := r.Branch(branch); ok {
				s.Branches = append(s.Branches, branchStatus{repo.Ref{Repository: name, Branch: branch}, b.SHA, b.N, b.Time})
			}
		}
		if r.Problem != nil {
			s.Problems = append(s.Problems, problemStatus{name, *r.Problem})
		}
	}
	problems := snapshot.Problems()
	for _, unit := range slices.Sorted(maps.Keys(problems)) {
		s.Problems = append(s.Problems, problemStatus{unit, problems[unit]})
	}
	return s
}

func (o *options) table(s status, now time.Time) error {
	w := tabwriter.NewWriter(o.Out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(w, "REPOSITORY\tBRANCH\tSHA\tRUNS\tAGE")
	for _, b := range s.Branches {
		term.Row(w, b.Repository, b.Branch, b.SHA.Short(), b.Runs, since(now, b.Time))
	}
	if len(s.Problems) > 0 {
		fmt.Fprintln(w, "\nPROBLEM ON\tKIND\tAGE\tWHAT")
		for _, p := range s.Problems {
			term.Row(w, p.On, p.Kind, since(now, p.Since), p.Message)
		}
	}
	if len(s.Runs) > 0 {
		fmt.Fprintln(w, "\nRUN\tUNIT\tSTATUS\tAGE\tTOOK")
		for _, r := range s.Runs {
			took := "-"
			if r.Ended != nil {
				took = since(*r.Ended, r.Created)
			}
			term.Row(w, r.Name, r.Unit, r.Reason, since(now, r.Created), took)
		}
	}
	return w.Flush()
}
