package answers

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/tekton-sentry/sentry/pkg/cli/complete"
	"github.com/tekton-sentry/sentry/pkg/cli/overview"
	"github.com/tekton-sentry/sentry/pkg/cli/setup"
	"github.com/tekton-sentry/sentry/pkg/cli/term"
	"github.com/tekton-sentry/sentry/pkg/cli/usage"
	"github.com/tekton-sentry/sentry/pkg/engine/tekton/logs"
	"github.com/tekton-sentry/sentry/pkg/result"
)

type logsFlags struct {
	local  bool
	run    string
	follow bool
	failed bool
}

func newLogs(o *setup.Options) *cobra.Command {
	var f logsFlags
	cmd := &cobra.Command{
		Use:   "logs NAME",
		Short: "Print what the newest run of a unit printed",
		Long: `Print what the steps of a run printed, each line behind its task and step, as tkn does: of the
newest run that concerns NAME, which is that of a unit, a group or a repository, or of the run
that --run names.

It reads the pods with your own rights, which have to include pods/log in the namespace of the
runs. Where a pod is gone it prints the last lines that the history keeps, if there are any.`,
		Example: `  sentry logs rag-service -n sentry --run-namespace sentry-runs
  sentry logs ai-blueprints -f                 # until the run ends
  sentry logs ai-blueprints --failed           # of the tasks that failed`,
		Args:              usage.Args(usage.OneName),
		ValidArgsFunction: o.Offer(complete.Names),
		RunE:              func(cmd *cobra.Command, names []string) error { return runLogs(cmd.Context(), o, f, names) },
	}
	cmd.Flags().BoolVar(&f.local, "local", false, "is refused, and says where such logs are")
	_ = cmd.Flags().MarkHidden("local")
	cmd.Flags().StringVar(&f.run, "run", "", "`name` of the run (default: the newest)")
	cmd.Flags().BoolVarP(&f.follow, "follow", "f", false, "go on until the run ends")
	cmd.Flags().BoolVar(&f.failed, "failed", false, "only of the tasks that failed")
	complete.Flag(cmd, "run", cobra.NoFileCompletions)
	return cmd
}

func runLogs(ctx context.Context, o *setup.Options, f logsFlags, names []string) error {
	if f.local {
		return usage.Errorf("--local: no logs are kept on this machine, where 'sentry watch --local' prints what the commands do; " +
			"the last lines of what failed: sentry history --local -o yaml")
	}
	at, err := o.Look(ctx)
	if err != nil {
		return err
	}
	past, gap := o.History(ctx, at.Engine)
	if gap != nil {
		fmt.Fprintf(o.Err, "The lines that are kept of runs cannot be read: %v\n", gap)
	}
	choice := overview.Choose(names, overview.Members(at.Config))
	past = overview.Results(past, nil)
	name, exactly, there := f.run, "", false
	for _, r := range slices.Backward(at.Runs) {
		if f.run == "" && choice.Run(r.Name, r.Unit, overview.RefsOf(r.Trigger)) || r.Name == f.run {
			name, exactly, there = r.Name, r.At(), true
			break
		}
	}
	screen := term.Screen{Writer: o.Hider.Over(o.Out)}
	i := slices.IndexFunc(past, func(p result.Result) bool {
		return p.Name == name || name == "" && choice.Run(p.Name, p.Unit, overview.RefsIn(p))
	})
	switch {
	case there:
		in, _, err := at.Engine.Find(exactly)
		if err != nil {
			return err
		}
		reader := &logs.Reader{Cluster: in.Cluster(), Namespace: in.Namespace(), Run: name, Follow: f.follow, Failed: f.failed, Out: screen,
			Trouble: func(err error) { fmt.Fprintf(o.Err, "The API server is in trouble; it is tried again: %v\n", err) }}
		if i >= 0 {
			reader.Kept = func(task string) []string { return kept(past[i], task) }
		}
		return reader.Print(ctx)
	case i >= 0:
		return printKept(screen, past[i], f.failed)
	case f.run != "":
		return fmt.Errorf("there is no run %.80q, and the history has none either", f.run)
	}
	return fmt.Errorf("there is no run of %.80q, and the history has none either: why says 'sentry explain'", names[0])
}

// kept returns the last lines of a task that the history has.
func kept(p result.Result, task string) []string {
	for _, m := range p.Members {
		if m.Task == task {
			return m.Output
		}
	}
	return nil
}

// printKept writes what the history has of a run that was deleted.
func printKept(screen term.Screen, p result.Result, failed bool) error {
	_, err := fmt.Fprintf(screen, "%s %s and was deleted; these are the last lines, where the history keeps them\n", p.Name, p.Verdict)
	for _, m := range p.Members {
		if failed && m.Verdict != result.Failed && m.Verdict != result.TimedOut {
			continue
		}
		for _, line := range m.Output {
			fmt.Fprintf(screen, "[%s] %s\n", m.Task, line)
		}
	}
	return err
}
