package watching

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tekton-sentry/sentry/pkg/serve/health"
	"github.com/tekton-sentry/sentry/pkg/watch"
)

func (w *watching) run(ctx context.Context) error {
	if w.flags.once {
		return w.runOnce(ctx)
	}
	w.log.Info("watching", "repositories", len(w.cfg.Repositories), "groups", len(w.cfg.Groups),
		"interval", w.interval(w.cfg))
	w.watcher.Run(health.Loop(ctx))
	return nil
}

// runOnce does one cycle, and waits for the runs that it started on this machine.
func (w *watching) runOnce(ctx context.Context) error {
	report, err := w.watcher.RunOnce(ctx, watch.Request{Reason: "--once"})
	if err == nil && w.finder.Late() && len(w.cfg.Discover) == 0 { // which was taken out of the file: what was found is forgotten
		w.findOnce(ctx)
		_, err = w.watcher.RunOnce(ctx, watch.Request{Repositories: []string{""}, Reason: "what was found"})
	}
	if w.machine != nil {
		_ = w.machine.Wait(ctx) // what goes on when ctx ends is cut off, and named then
	}
	if err != nil {
		return err
	}
	if report.Stopped {
		return fmt.Errorf("interrupted before the cycle was done, with %d runs created; the next one does the rest", len(report.Created))
	}
	if report.Failing+report.Problems > 0 {
		return fmt.Errorf("%d of %d repositories could not be read and %d runs could not be made; see the log above",
			report.Failing, report.Repositories, report.Problems)
	}
	return w.failed(ctx, report.Created)
}

// failed names those of the runs that ended on this machine, and not well.
func (w *watching) failed(ctx context.Context, created []string) error {
	if w.machine == nil {
		return nil
	}
	runs, err := w.machine.Runs(ctx, nil)
	if err != nil {
		return err
	}
	var names []string
	for _, r := range runs {
		if r.Failed() && slices.Contains(created, r.Name) {
			names = append(names, r.Name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d runs did not succeed: %s", len(names), len(created), strings.Join(names, ", "))
}
