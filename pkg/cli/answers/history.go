package answers

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tekton-sentry/sentry/pkg/cli/complete"
	"github.com/tekton-sentry/sentry/pkg/cli/overview"
	"github.com/tekton-sentry/sentry/pkg/cli/setup"
	"github.com/tekton-sentry/sentry/pkg/cli/term"
	"github.com/tekton-sentry/sentry/pkg/cli/usage"
	"github.com/tekton-sentry/sentry/pkg/config"
	where "github.com/tekton-sentry/sentry/pkg/config/place"
	"github.com/tekton-sentry/sentry/pkg/result"
	"github.com/tekton-sentry/sentry/pkg/result/statistics"
)

// historyFlags are those of history.
type historyFlags struct {
	place
	output    term.Output
	noHeaders bool
	limit     int
	stats     bool
}

func newHistory(o *setup.Options) *cobra.Command {
	f := historyFlags{output: term.OutputOf(term.Lists)}
	cmd := &cobra.Command{
		Use:   "history [NAME…]",
		Short: "Show how runs ended, and what that says in numbers",
		Long: `Show the runs that have ended, newest first: how, how long they took, what triggered them, and
with -o wide why they did not succeed. The history keeps what became of runs that are deleted,
of all units up to 2,000 runs and of one up to 200.

A NAME is that of a repository, a group or a unit, and shows only what concerns it.

With --stats it counts instead, over the last 7 days, and with -o wide or for machines over 24
hours and 30 days too:

  SUCCESS   how many succeeded of those that succeeded, failed or timed out; what somebody or a
            newer change cancelled counts as neither
  PER DAY   how many succeeded a day
  TOOK      the median of their durations, and the time within which 95 of 100 ended, where there
            are at least 20
  LEAD      the median time from when Sentry saw a change to the end of the run that deployed it:
            how old the commit was when it was seen is not known
  RESTORE   the median time from the end of the first failure in a row to the success after it
  SINCE     the end of the oldest run that is known: where that is later than the period's
            beginning, the numbers are of the time since then

A unit is counted by its runs, a repository by its deployments, of which a run may have many.`,
		Example: `  sentry history -n sentry
  sentry history rag-service -o wide           # and why
  sentry history --stats ai-blueprints
  sentry history -o json | jq '.runs[] | select(.verdict == "failed") | .why'`,
		Args: usage.Args(func(_ *cobra.Command, names []string) error {
			return usage.SomeNames(names, len(names) == 0)
		}),
		ValidArgsFunction: o.Offer(complete.Names),
		RunE:              func(cmd *cobra.Command, names []string) error { return history(cmd.Context(), o, f, names) },
	}
	f.register(cmd)
	cmd.Flags().VarP(&f.output, "output", "o", f.output.Want()+"; name is what kubectl takes")
	cmd.Flags().BoolVar(&f.noHeaders, "no-headers", false, "leave out the table's first line")
	cmd.Flags().IntVar(&f.limit, "limit", 0, "show at most this many runs; 0 = all")
	cmd.Flags().BoolVar(&f.stats, "stats", false, "show numbers instead of runs")
	complete.Flag(cmd, "output", complete.Words(f.output.Complete()...))
	complete.Flag(cmd, "limit", cobra.NoFileCompletions)
	return cmd
}

// history prints how the runs ended, of all units or of those that are named.
func history(ctx context.Context, o *setup.Options, f historyFlags, names []string) error {
	if err := f.check(); err != nil {
		return err
	}
	switch {
	case f.limit < 0:
		return usage.Errorf("--limit %d: want a number of runs, or 0 for all", f.limit)
	case f.stats && f.limit > 0:
		return usage.Errorf("--limit goes without --stats, which counts all runs of a period")
	case f.stats && f.output.Format == term.Name:
		return usage.Errorf("--output name goes without --stats, which lists no runs; want table, wide, json or yaml")
	}
	cfg := o.Glance()
	k, err := f.load(ctx, o, cfg)
	if err = cmp.Or(err, k.gap); err != nil {
		return err
	}
	choice := overview.Choose(names, overview.Members(cfg))
	past := overview.History{Runs: []result.Result{}}
	var all []overview.Run
	for _, p := range overview.Results(k.past, k.runs) {
		refs := overview.RefsIn(p)
		all = append(all, overview.Run{Name: p.Name, Unit: p.Unit, Refs: refs})
		if full := f.limit > 0 && len(past.Runs) == f.limit; !full && choice.Run(p.Name, p.Unit, refs) {
			past.Runs = append(past.Runs, p)
		}
	}
	if _, err := choice.Of(overview.Of(k.snapshot, all)); err != nil { // a name is nothing's
		return err
	}
	t := &term.Table{Out: o.Out, NoHeaders: f.noHeaders, Colours: term.Colours(o.Out)}
	switch {
	case f.stats:
		return printStatistics(t, f.output.Format, statistics.Of(past.Runs, time.Now()), names, cfg)
	case f.output.Format == term.JSON, f.output.Format == term.YAML:
		return term.Encode(o.Out, past, f.output.Format)
	case f.output.Format == term.Name:
		s := overview.Status{}
		for _, p := range past.Runs {
			s.Runs = append(s.Runs, overview.Run{Name: p.Name})
		}
		return s.PrintNames(t)
	}
	return printHistory(t, past.Runs, time.Now(), f.output.Format == term.Wide)
}

func printHistory(t *term.Table, runs []result.Result, now time.Time, wide bool) error {
	header := []string{"RUN", "UNIT", "VERDICT", "AGE", "TOOK", "TRIGGER", "FAILED"}
	if wide {
		header = append(header, "WHY")
	}
	elsewhere := slices.ContainsFunc(runs, func(p result.Result) bool { return p.Cluster != "" })
	if elsewhere {
		header = append(header, "CLUSTER")
	}
	rows := make([][]any, len(runs))
	for i, p := range runs {
		var failed []string
		for _, m := range p.Members {
			if m.Verdict != result.Succeeded {
				failed = append(failed, m.Task)
			}
		}
		verdict := string(p.Verdict)
		if words := p.Rollbacks(); words != "" {
			verdict += "; " + words
		}
		rows[i] = []any{p.Name, p.Unit, verdict, term.Age(now, p.Created), overview.Took(p.Seconds), overview.Trigger(overview.RefsIn(p)), cmp.Or(strings.Join(failed, ","), "-")}
		if wide {
			rows[i] = append(rows[i], cmp.Or(p.Why, "-"))
		}
		if elsewhere {
			rows[i] = append(rows[i], cmp.Or(p.Cluster, where.Home))
		}
	}
	return t.Print(header, rows, overview.PaintVerdict)
}

// printStatistics writes the numbers of what is named, or of everything.
func printStatistics(t *term.Table, format term.Format, s statistics.Statistics, names []string, cfg *config.Config) error {
	// Of the repositories of a run that concerns a name, only those that it stands for.
	choice := overview.Choose(names, overview.Members(cfg))
	maps.DeleteFunc(s.Repositories, func(name string, _ []statistics.Measures) bool { return !choice.Has(name) })
	if format == term.JSON || format == term.YAML {
		return term.Encode(t.Out, s, format)
	}
	const week = 1 // in statistics.Periods
	header := []string{"OF", "PERIOD", "RUNS", "SUCCESS", "PER DAY", "TOOK", "LEAD", "RESTORE", "SINCE"}
	var rows [][]any
	add := func(of string, measures []statistics.Measures) {
		for i, m := range measures {
			if i == week || format == term.Wide {
				rows = append(rows, row(of, m))
			}
		}
	}
	add("all", s.All)
	for _, unit := range slices.Sorted(maps.Keys(s.Units)) {
		add(unit, s.Units[unit])
	}
	for _, name := range slices.Sorted(maps.Keys(s.Repositories)) {
		add("repository "+name, s.Repositories[name])
	}
	return t.Print(header, rows, nil)
}

func row(of string, m statistics.Measures) []any {
	rate, since := "-", "-"
	if m.SuccessRate != nil {
		rate = fmt.Sprintf("%.0f%%", 100**m.SuccessRate)
	}
	if !m.Since.IsZero() {
		since = m.Since.Format("2006-01-02 15:04")
	}
	return []any{of, m.Period, m.Succeeded + m.Failed, rate, m.PerDay, spread(m.Duration), spread(m.LeadTime), spread(m.Restore), since}
}

// spread is how values are spread, in a table.
func spread(s *statistics.Spread) string {
	switch {
	case s == nil:
		return "-"
	case s.P95 == 0:
		return overview.Took(s.Median)
	}
	return overview.Took(s.Median) + ", 95%: " + overview.Took(s.P95)
}
