package watching

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/tekton-sentry/sentry/pkg/cli/live"
	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/engine/local"
	"github.com/tekton-sentry/sentry/pkg/event"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/plan/naming"
	"github.com/tekton-sentry/sentry/pkg/result"
	"github.com/tekton-sentry/sentry/pkg/state/file"
)

// takeUp makes the engine know the runs of the Sentrys that watched with this state before, and the state
// forget what was cut off of them: the next cycle finds it due.
func takeUp(ctx context.Context, eng *local.Engine, store *file.Store, log *slog.Logger) error {
	cutOff, err := eng.Recall()
	if err != nil || len(cutOff) == 0 {
		return err
	}
	s, err := store.Load(ctx)
	if err != nil {
		return fmt.Errorf("load the state: %w", err)
	}
	// A run that is cut off before the state knows it has begun all the same.
	known, news := plan.Recover(s, naming.Key{}, cutOff, true)
	if next, changed := plan.Reopen(known, cutOff); changed || len(news) > 0 {
		if err := store.Save(ctx, next); err != nil {
			return fmt.Errorf("save what is to be deployed again: %w", err)
		}
	}
	for _, r := range cutOff {
		log.Warn("the run was cut off when Sentry ended; what changed is deployed again", "unit", r.Unit, "run", r.Name)
	}
	return eng.Forget(cutOff)
}

// leave ends the engine, and returns an error that names the runs which had not come to their end.
func leave(eng *local.Engine) error {
	err := eng.Close()
	cutOff := eng.CutOff()
	if len(cutOff) == 0 {
		return err
	}
	names := make([]string, len(cutOff))
	for i, r := range cutOff {
		names[i] = r.Name
	}
	return errors.Join(err, fmt.Errorf("cut off, and deployed again by the next start: %s", strings.Join(names, ", ")))
}

// show puts each run on the board that is made, until it has ended.
func (w *watching) show(ctx context.Context, events []event.Event) {
	for _, e := range events {
		created, ok := e.(event.RunCreated)
		if !ok {
			continue
		}
		past, _ := w.LocalHistory(ctx, w.flags.state) // it only tells what tasks take usually
		usual := live.Usual(created.Run.Unit.Label, past)
		go func() { // ends with the run, which the engine ends when it is closed
			_, _ = w.machine.Follow(ctx, created.Run.Name, func(out engine.Outcome) { w.board.Show(out, usual) })
		}()
	}
}

// onMachine gets the engine and the state of a trial on this machine. closed ends them.
func (w *watching) onMachine(ctx context.Context) (closed func() error, err error) {
	machine, store, err := w.Options.OnMachine(ctx, w.cfg, w.flags.state, w.log)
	if err != nil {
		return nil, err
	}
	owner, err := store.Own()
	if err != nil {
		return nil, err
	}
	closed = func() error {
		defer owner.Unlock()
		return leave(machine)
	}
	if err := takeUp(ctx, machine, store, w.log); err != nil {
		return nil, errors.Join(err, closed())
	}
	w.machine, w.watcher.Engine, w.watcher.Store = machine, machine, store
	if w.finder.Store, err = w.FoundBeside(w.flags.state); err != nil {
		return nil, errors.Join(err, closed())
	}
	w.watcher.Past = func(ctx context.Context) ([]result.Result, error) { return w.LocalHistory(ctx, w.flags.state) }
	return closed, nil
}
