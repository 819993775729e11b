package deeds

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/tekton-sentry/sentry/pkg/audit"
	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/plan/naming"
	"github.com/tekton-sentry/sentry/pkg/watch"
)

// Start creates one run, as on_busy says, for whom it has in By.
func Start(ctx context.Context, eng watch.Engine, cfg *config.Config, log *slog.Logger, run plan.Run) error {
	if h, in := run.Group.NotOn.At(time.Now()); in {
		log.Info("not_on holds now; what is asked for by hand is started all the same", "unit", run.Unit.Label, "window", h.Window.String(), "until", h.Until.Format(time.RFC3339))
	}
	if err := makeWay(ctx, eng, log, run); err != nil {
		return err
	}
	_, err := eng.Create(ctx, cfg, run)
	return err
}

// makeWay returns when the unit has no active run that on_busy forbids beside the new one.
func makeWay(ctx context.Context, eng watch.Engine, log *slog.Logger, run plan.Run) error {
	if run.Group.OnBusy == config.StartAtOnce {
		return nil
	}
	cancelled := map[string]bool{}
	for {
		runs, err := eng.Runs(ctx, []string{run.At()})
		if err != nil {
			return err
		}
		// Also those that are held back: who asks for a run by hand is told what stands in its way.
		busy := plan.Names(plan.ActiveOf(engine.Existing(runs), func(plan.Existing) bool { return true })[run.Unit.Label])
		busy = slices.DeleteFunc(busy, func(name string) bool { return name == run.Name }) // it was asked for before
		if len(busy) == 0 {
			return nil
		}
		if run.Group.OnBusy == config.Queue {
			return fmt.Errorf("its run %s is still active: wait for its end, cancel it (sentry cancel %s), or set on_busy of the group",
				strings.Join(busy, ", "), busy[0])
		}
		for _, name := range busy {
			if cancelled[name] {
				continue
			}
			if err := eng.Cancel(ctx, naming.At(run.Group.Cluster, name), run.Name); err != nil {
				return err
			}
			cancelled[name] = true
			log.Info("cancelled; waiting for its end",
				append([]any{"unit", run.Unit.Label, "run", name, "for", run.Name}, run.By.Attrs(audit.Cancelled)...)...)
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// ErrEnded says that there is nothing to cancel.
var ErrEnded = errors.New("it has ended by itself already, and was not cancelled")

// Canceller is an engine whose runs can be cancelled by a person.
type Canceller interface {
	Ended(ctx context.Context, name string) (time.Time, error)
	Annotate(ctx context.Context, name, key, value string) error
	Cancel(ctx context.Context, name, superseded string) error
}

// Cancel ends an active run for a person. One that has ended is ErrEnded, so that nobody is noted on it.
func Cancel(ctx context.Context, eng Canceller, r plan.Existing, by audit.By, log *slog.Logger) error {
	switch ended, err := eng.Ended(ctx, r.At()); {
	case err != nil:
		return err
	case !ended.IsZero():
		return fmt.Errorf("%s: %w", r.Name, ErrEnded)
	}
	// Before it ends, as who tells of its end does so at once.
	if err := eng.Annotate(ctx, r.At(), audit.AnnotationCancelled, by.Note(r.Name)); err != nil {
		log.Warn("who cancels the run cannot be noted on it", "run", r.Name, "err", err)
	}
	if err := eng.Cancel(ctx, r.At(), ""); err != nil {
		return err
	}
	log.Info("cancelled the run", append([]any{"unit", r.Unit, "run", r.Name}, by.Attrs(audit.Cancelled)...)...)
	return nil
}
