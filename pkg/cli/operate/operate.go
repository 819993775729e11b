// Package operate has the commands by which a person steps in: rerun, rollback and cancel, pause and resume.
package operate

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tekton-sentry/sentry/pkg/cli/byhand"
	"github.com/tekton-sentry/sentry/pkg/cli/complete"
	"github.com/tekton-sentry/sentry/pkg/cli/deeds"
	"github.com/tekton-sentry/sentry/pkg/cli/live"
	"github.com/tekton-sentry/sentry/pkg/cli/overview"
	"github.com/tekton-sentry/sentry/pkg/cli/setup"
	"github.com/tekton-sentry/sentry/pkg/cli/term"
	"github.com/tekton-sentry/sentry/pkg/cli/usage"
	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/plan/named"
	"github.com/tekton-sentry/sentry/pkg/result"
)

// Commands returns the commands.
func Commands(o *setup.Options) []*cobra.Command {
	return []*cobra.Command{newRerun(o), newRollback(o), newCancel(o), newPause(o), newResume(o)}
}

type flags struct {
	command string // its name
	run     string
	failed  bool
	back    bool // it is a rollback
	yes     bool
	follow  bool
	plain   bool
	local   bool
	state   string
}

func newRerun(o *setup.Options) *cobra.Command {
	var f flags
	cmd := f.makes(o)
	cmd.Use = "rerun NAME"
	cmd.Short = "Deploy again what a run deployed, or what failed of it"
	cmd.Long = `Deploy again what the newest run of NAME deployed that has ended, at the very commits of then, also
of the QA repository, and with the configuration of today. NAME is that of a unit, a group or a
repository. With --failed only those of its deployments run that did not succeed: failed, skipped
or cancelled ones.

What 'sentry watch' remembers is not touched, so that a change which came meanwhile is deployed by
it all the same. on_busy decides while a run of the unit is active, as with 'sentry trigger'.

Runs are known by the history, which they come into when they end while 'sentry watch' is running.
With --local only those of 'sentry watch --local' come into it: a run by hand on this machine is
not remembered, and does not count for SENTRY_SUCCEEDED_SHA.`
	cmd.Example = `  sentry rerun ai-blueprints --failed --follow
  sentry rerun rag-service --run rag-service-main-0123456789`
	cmd.Flags().BoolVar(&f.failed, "failed", false, "only what did not succeed")
	return cmd
}

func newRollback(o *setup.Options) *cobra.Command {
	f := flags{back: true}
	cmd := f.makes(o)
	cmd.Use = "rollback NAME"
	cmd.Short = "Deploy again what the last good run deployed"
	cmd.Long = `Deploy again what the last run of NAME that succeeded deployed, at the very commits of then: the
newest one that deployed all of the unit, and something else than what was deployed last. --run
chooses another one. It says what it will deploy, and asks; without a terminal it wants --yes.

It is no more than a run: the next push is deployed as usual, and 'sentry watch' does not deploy
again by itself what was rolled back.`
	cmd.Example = `  sentry rollback ai-blueprints
  sentry rollback rag-service --run rag-service-main-0123456789 --yes --follow`
	cmd.Flags().BoolVarP(&f.yes, "yes", "y", false, "do not ask")
	return cmd
}

// makes returns what both have in common.
func (f *flags) makes(o *setup.Options) *cobra.Command {
	cmd := &cobra.Command{
		Args:              usage.Args(usage.OneName),
		ValidArgsFunction: o.Offer(complete.Names),
		RunE: func(cmd *cobra.Command, names []string) error {
			f.command = cmd.Name()
			return f.do(cmd.Context(), o, names[0])
		},
	}
	cmd.Flags().StringVar(&f.run, "run", "", "`name` of the run to make again")
	cmd.Flags().BoolVarP(&f.follow, "follow", "f", false, "print progress until the run ends; exit with 1 when it failed")
	cmd.Flags().BoolVar(&f.plain, "no-progress", false, "print lines alone: no progress that is redrawn on a terminal")
	cmd.Flags().BoolVar(&f.local, "local", false, "run the commands on this machine, of what ran on it, and wait for their end")
	cmd.Flags().StringVar(&f.state, "state", "", "with --local: state `file`")
	complete.Flag(cmd, "run", cobra.NoFileCompletions)
	return cmd
}

func (f *flags) do(ctx context.Context, o *setup.Options, name string) (err error) {
	if f.state != "" && !f.local {
		return usage.Errorf("--state goes with --local; on a cluster the state is a ConfigMap")
	}
	cfg, log, err := o.Load(config.Options{})
	if err != nil {
		return err
	}
	if label, isBranch, err := deeds.LabelOf(cfg, name); err != nil && strings.Contains(name, "@") {
		return err
	} else if isBranch {
		name = label
	}
	prompt := o.Err // a question is no whole line, which is all that goes above a board
	board := live.New(o.Out, f.plain || !f.follow && !f.local)
	o.Out, o.Err = board.Above(o.Out), board.Above(o.Err)
	at := &byhand.Place{Local: f.local, State: f.state, Command: f.command}
	if err := at.Open(ctx, o, cfg, log); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, at.Close()) }()
	past, err := at.History(ctx)
	if err != nil {
		return err
	}
	choice := overview.Choose([]string{name}, overview.Members(cfg))
	past = slices.DeleteFunc(past, func(r result.Result) bool { return !choice.Run(r.Name, r.Unit, overview.RefsIn(r)) })
	if len(past) == 0 {
		if err := named.Check(cfg, []string{name}); err != nil {
			return err
		}
	}
	was, err := deeds.Choice{Run: f.run, Failed: f.failed, Back: f.back}.Of(past, name)
	if err != nil {
		return err
	}
	snapshot, err := at.Store.Load(ctx)
	if err != nil {
		// It only tells the commits before.
		log.Warn("cannot read the state; SENTRY_PREVIOUS_SHA and SENTRY_SUCCEEDED_SHA will be empty", "err", err)
	}
	run, err := deeds.Again(plan.Input{Config: cfg, Snapshot: snapshot, Now: time.Now()}, was, setup.Word())
	if err != nil {
		return err
	}
	fmt.Fprintf(o.Err, "As %s, which %s, this will be deployed:\n  %s\n", was.Name, ended(was), strings.Join(deeds.Words(run.Members), "\n  "))
	if f.back && !f.yes {
		if err := ask(o.In, prompt); err != nil {
			return err
		}
	}
	defer board.Start(ctx)()
	if err := byhand.Start(ctx, o, cfg, at, log, run); err != nil {
		return fmt.Errorf("%s: %w", run.Unit.Label, err)
	}
	if !f.follow && !f.local {
		return nil
	}
	return byhand.Follow(ctx, o, at, board, []plan.Run{run}, cfg.Global.RunsIn())
}

// ended says how a run ended.
func ended(r result.Result) string {
	if r.Verdict == result.Succeeded || r.Verdict == result.Failed {
		return string(r.Verdict)
	}
	return "ended as " + string(r.Verdict)
}

// ask asks whether to go on.
func ask(in io.Reader, out io.Writer) error {
	if !term.IsTerminal(in) {
		return usage.Errorf("it asks on a terminal only: give --yes to go on without")
	}
	fmt.Fprint(out, "Go on? [y/N] ")
	answer, _ := bufio.NewReader(in).ReadString('\n')
	if answer = strings.ToLower(strings.TrimSpace(answer)); answer != "y" && answer != "yes" {
		return errors.New("nothing was done")
	}
	return nil
}
