package watching

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/tekton-sentry/sentry/pkg/cli/glance"
	"github.com/tekton-sentry/sentry/pkg/cli/reporting"
	"github.com/tekton-sentry/sentry/pkg/cli/usage"
	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/event"
	"github.com/tekton-sentry/sentry/pkg/result"
	"github.com/tekton-sentry/sentry/pkg/serve"
	"github.com/tekton-sentry/sentry/pkg/serve/hook"
	"github.com/tekton-sentry/sentry/pkg/watch"
)

// discover looks for repositories that nobody wrote down, and returns what waits for the end of that. Of several replicas one does.
func (w *watching) discover(ctx context.Context) (wait func()) {
	w.finder.Apply(w.cfg, w.findEvery(w.cfg))
	var finding sync.WaitGroup
	switch {
	case w.flags.once && len(w.cfg.Discover) == 0:
	case w.flags.once:
		w.findOnce(ctx)
	case w.replica != nil:
		finding.Go(func() { w.replica.Lead(ctx, w.finder.Run) })
	default:
		finding.Go(func() { w.finder.Run(ctx) })
	}
	return finding.Wait
}

// findOnce asks once, and uses what is said.
func (w *watching) findOnce(ctx context.Context) {
	w.finder.Once(ctx)
	w.again.Hurry()
	w.again.Look()
	w.watcher.Config = w.cfg
}

// findEvery is how often hosts are asked what there is: in a trial with --interval, every ten cycles.
func (w *watching) findEvery(cfg *config.Config) time.Duration {
	return cmp.Or(10*w.flags.interval, cfg.Global.Discover)
}

// hear takes webhooks, and returns what waits for the end of that.
func (w *watching) hear(ctx context.Context) (ended func(), err error) {
	look := func(repositories []string) {
		w.watcher.Ask(watch.Request{Repositories: repositories, Reason: "webhook"})
	}
	if w.hooks, err = hook.New(w.cfg, look, w.log); err != nil {
		return nil, usage.Error(err)
	}
	l, err := serve.Listen(ctx, w.flags.listen)
	if err != nil {
		return nil, fmt.Errorf("--listen: %w", err)
	}
	w.log.Info("taking webhooks", "address", l.Addr().String())
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := serve.Serve(ctx, l, w.hooks.Handlers(), w.log); err != nil {
			w.log.Error("no webhook is taken any more, and polling goes on; restart Sentry", "err", err)
		}
	})
	return func() {
		serving.Wait()
		w.hooks.Close()
	}, nil
}

// tellEnds has it told how runs end, and returns what waits for the end of that. One cycle on a cluster ends before its runs.
func (w *watching) tellEnds(ctx context.Context, bus *event.Bus) (wait func()) {
	tell := func(r result.Result) {
		w.watcher.Ended(r)
		bus.Send(event.RunEnded{Result: r})
	}
	ends := func(ctx context.Context) {
		w.reports.During(ctx, func() { w.cluster.Ends(ctx, w.log, tell) })
	}
	var listening sync.WaitGroup
	switch {
	case w.machine != nil:
		w.machine.Ended = tell
	case w.replica != nil:
		listening.Go(func() {
			w.replica.Lead(ctx, func(ctx context.Context) {
				defer w.hearing()()
				ends(ctx)
			})
		})
	case !w.flags.once:
		listening.Go(func() { ends(ctx) })
	}
	return listening.Wait
}

// glance looks for what was pushed to between the cycles, and returns what waits for the end of that.
func (w *watching) glance(ctx context.Context) (wait func()) {
	if w.flags.once {
		return func() {}
	}
	w.glances = &glance.Glances{Heads: w.reader.Glance, Look: func(repositories []string) {
		w.watcher.Ask(watch.Request{Repositories: repositories, Reason: "a push"})
	}}
	w.glances.Apply(w.cfg, w.interval(w.cfg))
	var glancing sync.WaitGroup
	glancing.Go(func() { w.glances.Run(ctx) })
	return glancing.Wait
}

// report has the runs reported of whose ends it is told. Only who stays learns how runs on a cluster end.
func (w *watching) report() {
	switch {
	case w.machine == nil && !w.flags.once:
		w.reports = reporting.New(w.cfg, reporting.Options{
			Log: w.log, Version: w.Version, Engine: w.cluster, Key: w.watcher.Key, Reader: w.reader, Transport: w.network.Patient(),
		})
		w.watcher.Store = w.reports.Store(w.watcher.Store)
	case reporting.Configured(w.cfg):
		w.log.Info("nothing is reported: that takes sentry watch on a cluster, without --once and --local")
		if w.machine == nil {
			w.watcher.Config = reporting.Without(w.cfg)
		}
	}
}

// join has this process be a replica, where it is to be one, and returns what waits for the end of that.
func (w *watching) join(ctx context.Context) (wait func()) {
	if w.replica == nil {
		return func() {}
	}
	w.health.Share(0)
	return w.replica.Start(ctx, func(members int) {
		w.reader.SetReplicas(members)
		w.health.Share(members)
		if w.metrics != nil {
			w.metrics.Share(members)
		}
		w.watcher.Ask(watch.Request{Reason: "the replicas changed"})
	})
}
