package answers

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tekton-sentry/sentry/pkg/cli/complete"
	"github.com/tekton-sentry/sentry/pkg/cli/setup"
	"github.com/tekton-sentry/sentry/pkg/cli/term"
	"github.com/tekton-sentry/sentry/pkg/cli/usage"
	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/event"
	"github.com/tekton-sentry/sentry/pkg/event/logsink"
	"github.com/tekton-sentry/sentry/pkg/explain"
	"github.com/tekton-sentry/sentry/pkg/filter"
	"github.com/tekton-sentry/sentry/pkg/githost/transport"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/plan/named"
	"github.com/tekton-sentry/sentry/pkg/plan/naming"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

type explainFlags struct {
	place
	ask    bool
	output term.Output
}

func newExplain(o *setup.Options) *cobra.Command {
	f := explainFlags{output: term.OutputOf(term.Answers)}
	cmd := &cobra.Command{
		Use:   "explain NAME…",
		Short: "Say why something was deployed or not, and what happens next",
		Long: `Say of each branch that a NAME stands for: which entry of the configuration watches it, what
Sentry remembers of it, which run acted upon it and how that went, what keeps it from running,
and what happens next.

A NAME is that of a repository, a group or a unit, or REPOSITORY@BRANCH, whether or not such a
branch is watched or was ever seen.

No Git host is asked: what is said is what the state and the runs tell. With --ask the
repositories are read now, with the credentials of this configuration, and it says what the
next cycle would do with that. Nothing is changed in either case.`,
		Example: `  sentry explain rag-service -n sentry
  sentry explain rag-service@feature/x         # is that branch watched at all?
  sentry explain ai-blueprints --ask           # is something due just now?`,
		Args:              usage.Args(usage.AtLeastOneName),
		ValidArgsFunction: o.Offer(complete.Names),
		RunE:              func(cmd *cobra.Command, names []string) error { return runExplain(cmd.Context(), o, f, names) },
	}
	f.register(cmd)
	cmd.Flags().BoolVar(&f.ask, "ask", false, "read the repositories now, and say what the next cycle would do")
	cmd.Flags().VarP(&f.output, "output", "o", f.output.Want())
	complete.Flag(cmd, "output", complete.Words(f.output.Complete()...))
	return cmd
}

// maxBranches bounds what is printed of one name: a pattern may match thousands.
const maxBranches = 50

func runExplain(ctx context.Context, o *setup.Options, f explainFlags, names []string) error {
	if err := f.check(); err != nil {
		return err
	}
	cfg, log, err := o.Load(config.Options{AllowUnsetAuth: !f.ask})
	if err != nil {
		return err
	}
	k, err := f.load(ctx, o, cfg)
	if err != nil {
		return err
	}
	k.warn(o)
	in := explain.Input{Config: cfg, Snapshot: k.snapshot, Runs: k.runs, Past: k.past, Now: time.Now()}
	if f.local {
		in.Key = &naming.Key{}
		if in.Runs, in.Begun, err = o.LocalRuns(f.state); err != nil {
			fmt.Fprintf(o.Err, "Which runs there were on this machine cannot be read: %v\n", err)
		}
	}
	if f.ask {
		reader := o.Reader(log, 0, transport.NewNetwork(cfg.Global))
		in.Observed = observe(ctx, cfg, reader, names)
		f := filter.Filter{Commits: reader}
		f.Look(ctx, cfg, in.Snapshot, in.Observed, func(u filter.Unclear) {
			logsink.Write(log, event.HeadUnclear{Ref: u.Ref, SHA: u.SHA, Key: u.Key, Err: u.Err})
		})
	}
	e := explain.New(in)
	all := explain.Explanations{Branches: []explain.Subject{}}
	for _, name := range names {
		refs, err := e.Named(name)
		if err != nil {
			return err
		}
		if more := len(refs) - maxBranches; more > 0 {
			fmt.Fprintf(o.Err, "%d more branches of %s are left out: name one, as REPOSITORY@BRANCH.\n", more, name)
			refs = refs[:maxBranches]
		}
		for _, ref := range refs {
			all.Branches = append(all.Branches, e.Of(ref))
		}
	}
	if f.output.Format != term.Plain {
		return term.Encode(o.Out, all, f.output.Format)
	}
	return printExplanations(term.Screen{Writer: o.Out}, all)
}

// printExplanations writes a paragraph for each branch, a line for each statement.
func printExplanations(w io.Writer, all explain.Explanations) error {
	var text strings.Builder
	for i, s := range all.Branches {
		if i > 0 {
			text.WriteByte('\n')
		}
		fmt.Fprintln(&text, term.Printable(s.Ref.String(), ""))
		for _, said := range s.Statements {
			fmt.Fprintln(&text, "  "+term.Printable(said.Words, ""))
		}
	}
	_, err := io.WriteString(w, text.String())
	return err
}

// heads is what reads the branches of repositories.
type heads interface {
	Heads(ctx context.Context, want []config.Monitor) []repo.Observation
}

// observe reads the repositories that the names concern: also the other members of their groups, with which they would run.
func observe(ctx context.Context, cfg *config.Config, hosts heads, names []string) []repo.Observation {
	groups, asked := map[string]bool{}, make([]bool, len(cfg.Repositories))
	for _, name := range names {
		before, _, _ := strings.Cut(name, "@")
		for i, r := range cfg.Repositories {
			if _, named := named.Asked(&r, []string{before}); named {
				asked[i], groups[r.Group] = true, r.Group != ""
			}
		}
	}
	observed := make([]repo.Observation, len(cfg.Repositories))
	var want []config.Monitor
	var index []int
	for i, r := range cfg.Repositories {
		observed[i].Status = repo.Skipped
		if asked[i] || groups[r.Group] {
			want, index = append(want, r.Monitor), append(index, i)
		}
	}
	for i, o := range hosts.Heads(ctx, want) {
		observed[index[i]] = plan.Watched(o, want[i])
	}
	return observed
}
