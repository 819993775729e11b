package answers

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tekton-sentry/sentry/pkg/cli/complete"
	"github.com/tekton-sentry/sentry/pkg/cli/overview"
	"github.com/tekton-sentry/sentry/pkg/cli/setup"
	"github.com/tekton-sentry/sentry/pkg/cli/term"
	"github.com/tekton-sentry/sentry/pkg/cli/usage"
)

type statusFlags struct {
	place
	output    term.Output
	noHeaders bool
	runs      int
	past      bool
	again     bool
	colours   bool
}

func newStatus(o *setup.Options) *cobra.Command {
	f := statusFlags{output: term.OutputOf(term.Lists)}
	cmd := &cobra.Command{
		Use:   "status [NAME…]",
		Short: "Show how each unit stands, what keeps things from running, and the latest runs",
		Long: `Show the problems that keep repositories or units from running, then the latest PipelineRuns,
and then the branches that Sentry remembers with the SHA it acted upon last. It reads the state
and the cluster; no Git host is asked, and no configuration is needed.

A NAME is that of a repository, a group or a unit, and shows only what concerns it. The branches
are shown with a NAME, with -o wide and with --local.

A problem of kind "state" means that the repository's entry in the state was damaged: it is
kept as it stands and nothing runs for the repository. Mend the entry where it is stored, in
the ConfigMap sentry-state or one numbered after it, or delete it: then the repository counts
as seen for the first time.

One of kind "too many branches" means that the repository has more than the state holds for
one: it is as it was until 'branches' is narrowed. A problem on "the state" means that all
repositories together have: runs are remembered, and nothing else is saved. One on NAME.* is
that of further branches of a repository, of which twenty have a line of their own.

--history is the command 'sentry history'. Why something was deployed or not says 'sentry explain'.`,
		Example: `  sentry status -n sentry
  sentry status rag-service ai-blueprints      # these alone
  sentry status -o json | jq '.problems'
  sentry status -w -o wide                     # again and again, with why runs failed`,
		Args: usage.Args(func(_ *cobra.Command, names []string) error {
			return usage.SomeNames(names, len(names) == 0)
		}),
		ValidArgsFunction: o.Offer(complete.Names),
		RunE: func(cmd *cobra.Command, names []string) error {
			if err := f.check(); err != nil {
				return err
			}
			switch {
			case f.runs < 0:
				return usage.Errorf("--runs %d: want a number of runs, or 0 for none", f.runs)
			case f.past && f.again:
				return usage.Errorf("--watch goes without --history, which shows what has ended")
			case f.past:
				return history(cmd.Context(), o, historyFlags{place: f.place, output: f.output, noHeaders: f.noHeaders}, names)
			}
			f.colours = term.Colours(o.Out)
			if !f.again {
				return status(cmd.Context(), o, f, names)
			}
			if !term.IsTerminal(o.Out) || f.output.Format == term.JSON || f.output.Format == term.YAML {
				return usage.Errorf("--watch redraws a table on a terminal")
			}
			beside := o.Err
			defer func() { o.Err = beside }()
			return redraw(cmd.Context(), &o.Out, every, func() error {
				o.Err = o.Out // one screen shows both
				return status(cmd.Context(), o, f, names)
			})
		},
	}
	f.register(cmd)
	cmd.Flags().VarP(&f.output, "output", "o", f.output.Want()+"; name is what kubectl takes")
	cmd.Flags().BoolVar(&f.noHeaders, "no-headers", false, "leave out the tables' first lines")
	cmd.Flags().IntVar(&f.runs, "runs", 20, "show at most this many runs")
	cmd.Flags().BoolVar(&f.past, "history", false, "show how runs ended, as 'sentry history' does")
	cmd.Flags().BoolVarP(&f.again, "watch", "w", false, "show it again every two seconds, until interrupted")
	complete.Flag(cmd, "output", complete.Words(f.output.Complete()...))
	complete.Flag(cmd, "runs", cobra.NoFileCompletions)
	return cmd
}

// newestRuns returns the newest of the chosen runs, newest first, at most so many.
func (k known) newestRuns(ctx context.Context, most int, c overview.Choice) ([]overview.Run, error) {
	var newest []overview.Run
	for _, r := range slices.Backward(k.runs) {
		refs := overview.RefsOf(r.Trigger)
		if len(newest) >= most || !c.Run(r.Name, r.Unit, refs) {
			continue
		}
		run := overview.Run{Name: r.Name, Cluster: r.Cluster, Unit: cmp.Or(r.Unit, "-"), Reason: cmp.Or(r.Reason, "Pending"), Created: r.Created, Refs: refs}
		if !r.Active {
			ended, err := k.engine.Ended(ctx, r.At())
			if err != nil {
				return nil, err
			}
			if !ended.IsZero() {
				run.Ended = &ended
			}
		}
		newest = append(newest, run)
	}
	return newest, nil
}

func status(ctx context.Context, o *setup.Options, f statusFlags, names []string) error {
	cfg := o.Glance()
	choice := overview.Choose(names, overview.Members(cfg))
	k, err := f.load(ctx, o, cfg)
	if err != nil {
		return err
	}
	k.warn(o)
	runs, err := k.newestRuns(ctx, f.runs, choice)
	if err != nil {
		return err
	}
	groups := map[string]string{}
	for _, r := range cfg.Repositories {
		groups[r.Name] = r.Group
	}
	all := overview.Of(k.snapshot, runs)
	all.Units = overview.Units(k.snapshot, k.runs, overview.Results(k.past, k.runs), groups, time.Now())
	all.Problems = append(all.Problems, overview.NotFound(o.Found)...)
	all.Problems = append(all.Problems, overview.Frozen(cfg, time.Now())...)
	s, err := choice.Of(all)
	if err != nil {
		return err
	}
	switch f.output.Format {
	case term.JSON, term.YAML:
		return term.Encode(o.Out, s, f.output.Format)
	case term.Name:
		return s.PrintNames(table(o, f))
	}
	heads := f.output.Format == term.Wide || f.local || len(names) > 0
	switch {
	case k.snapshot.Epoch == "":
		fmt.Fprintln(o.Err, "Nothing is remembered here: 'sentry watch' has not run yet, or with another namespace (-n), configuration or --state.")
	case !heads:
		defer fmt.Fprintf(o.Err, "Branches that are remembered: %d. They are shown with -o wide, or with the NAME of a repository.\n", len(s.Branches))
	}
	return s.Print(table(o, f), time.Now(), f.output.Format == term.Wide, heads)
}

func table(o *setup.Options, f statusFlags) *term.Table {
	return &term.Table{Out: o.Out, NoHeaders: f.noHeaders, Colours: f.colours}
}

// every is how often what is watched is shown again.
const every = 2 * time.Second

// redraw shows what a command writes to out, in place of what it wrote before, until ctx ends. The first failure ends it;
// a later one is shown, since a server that is down for a moment is what one watches for.
func redraw(ctx context.Context, out *io.Writer, every time.Duration, write func() error) error {
	screen := *out
	defer func() { *out = screen }()
	for first := true; ; first = false {
		var text bytes.Buffer
		*out = &text
		if err := write(); err != nil && (first || ctx.Err() != nil) {
			return cmp.Or(ctx.Err(), err)
		} else if err != nil {
			fmt.Fprintln(term.Screen{Writer: &text}, err)
		}
		const home, clearLine, clearBelow = "\x1b[H", "\x1b[K", "\x1b[J"
		page := home + strings.ReplaceAll(text.String(), "\n", clearLine+"\n") + clearBelow
		if _, err := io.WriteString(screen, page); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(every):
		}
	}
}
