// Package byhand has what the commands have in common that make runs by hand: how such a run starts, and how it is followed.
package byhand

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/tekton-sentry/sentry/pkg/cli/deeds"
	"github.com/tekton-sentry/sentry/pkg/cli/live"
	"github.com/tekton-sentry/sentry/pkg/cli/setup"
	"github.com/tekton-sentry/sentry/pkg/cli/term"
	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/event/logsink"
	"github.com/tekton-sentry/sentry/pkg/oneline"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/plan/naming"
	"github.com/tekton-sentry/sentry/pkg/result"
	"github.com/tekton-sentry/sentry/pkg/watch"
)

// Engine is an engine that can tell how its runs go.
type Engine interface {
	watch.Engine
	Follow(ctx context.Context, name string, progress func(engine.Outcome)) (engine.Outcome, error)
}

// Start creates one run, as on_busy says.
func Start(ctx context.Context, o *setup.Options, cfg *config.Config, at *Place, log *slog.Logger, run plan.Run) error {
	run.By = at.By
	if err := deeds.Start(ctx, at.Engine, cfg, log, run); err != nil {
		return err
	}
	if !at.Local {
		logsink.Created(log, run, run.By)
		fmt.Fprintf(o.Out, "pipelinerun.tekton.dev/%s created\n%s\n", run.Name, setup.LogsOf(run, cfg.Global.RunsIn()))
	}
	return nil
}

// Follow prints how the runs go until they end, and shows them on the board, which is nil where nobody would see it.
func Follow(ctx context.Context, o *setup.Options, at *Place, board *live.Board, runs []plan.Run, namespace string) error {
	var past []result.Result
	if board != nil && len(runs) > 0 {
		past, _ = at.History(ctx) // what tasks take usually is told where it can be
	}
	var errs []error
	for _, run := range runs {
		usual := live.Usual(run.Unit.Label, past)
		show := func(out engine.Outcome) { board.Show(out, usual) }
		errs = append(errs, follow(ctx, o, at.Engine, naming.At(run.Group.Cluster, run.Name), setup.LogsOf(run, namespace), at.Local, board != nil, show))
	}
	return errors.Join(errs...)
}

// follow prints each task's changes and the end of the run, and shows how it goes. On this machine the engine prints all
// that itself. What works still is in what is shown, where that is seen.
func follow(ctx context.Context, o *setup.Options, eng Engine, at, logs string, here, seen bool, show func(engine.Outcome)) error {
	last := map[string]string{}
	_, name := naming.Place(at)
	out, err := eng.Follow(ctx, at, func(out engine.Outcome) {
		show(out)
		for _, t := range out.Tasks {
			if line := progress(t); !t.Idle() && line != last[t.Name] && !here && (!seen || t.Result != engine.Running) {
				last[t.Name] = line
				fmt.Fprintf(term.Screen{Writer: o.Out}, "[%s] %s\n", t.Name, line)
			}
		}
	})
	switch {
	case err != nil && ctx.Err() != nil && here:
		return fmt.Errorf("interrupted: %s was cancelled", name)
	case err != nil && ctx.Err() != nil:
		return fmt.Errorf("interrupted: %s goes on; follow it again: %s", name, logs)
	case err != nil:
		return fmt.Errorf("follow %s: %w", name, err)
	}
	// The words of a cluster: without control characters, whatever reads them.
	said := fmt.Sprintf("%s: %s: %s", name, oneline.Of(out.Reason, maxProgress), oneline.Of(out.Message, maxProgress))
	if !out.Succeeded {
		return errors.New(said)
	}
	if !here {
		fmt.Fprintln(o.Err, said)
	}
	return nil
}

// maxProgress bounds what a cluster says of a task, in bytes.
const maxProgress = 1000

// progress returns what is said of a task, on one line: how it goes or ended, and why it does not go on or did not end well.
func progress(t engine.Task) string {
	why := oneline.Of(t.Message, maxProgress)
	switch {
	case why == "" || t.Result == engine.Succeeded:
		return string(t.Result)
	case t.Result == engine.Running:
		return "waits: " + why
	}
	return string(t.Result) + ": " + why
}
