package cli

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/tekton-sentry/sentry/pkg/cli/pages"
	"github.com/tekton-sentry/sentry/pkg/cli/usage"
	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/instance"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/result"
	"github.com/tekton-sentry/sentry/pkg/serve"
	"github.com/tekton-sentry/sentry/pkg/serve/page"
	"github.com/tekton-sentry/sentry/pkg/serve/page/reading"
)

func (f watchFlags) checkHealth() error {
	switch {
	case f.health == "":
		return nil
	case f.once:
		return usage.Errorf("--health does not go with --once, which ends by itself and says by its exit code how it went")
	case f.health == f.listen:
		return usage.Errorf("--health and --listen want an address each: webhooks come from outside, and probes do not")
	}
	return nil
}

// before is done before each cycle, and between two as often as the loop looks whether there is another configuration.
func (w *watching) before(cycle bool) {
	if w.health.Alive(); cycle {
		w.health.Begin()
	}
	w.again.Look()
}

// interval is how often everything is looked at.
func (w *watching) interval(cfg *config.Config) time.Duration {
	return cmp.Or(w.flags.interval, cfg.PollingInterval)
}

// answerProbes answers probes where an address is given for that, and returns what ends it. It goes on after the signal to
// end, until all is done.
func (w *watching) answerProbes(ctx context.Context) (ended func(), err error) {
	w.health.Hide = w.Hider.Hide
	w.health.Use(len(w.cfg.Repositories), w.interval(w.cfg))
	w.health.Begin()
	if w.flags.health == "" {
		return func() {}, nil
	}
	w.Answered = w.health.Answered
	l, err := serve.Listen(ctx, w.flags.health)
	if err != nil {
		return nil, fmt.Errorf("--health: %w", err)
	}
	w.log.Info("answering probes", "address", l.Addr().String())
	handlers := w.answers()
	answering, end := context.WithCancel(context.WithoutCancel(ctx))
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := serve.Serve(answering, l, handlers, w.log); err != nil {
			w.log.Error("no probe is answered any more, and polling goes on; restart Sentry", "err", err)
		}
	})
	return func() {
		end()
		serving.Wait()
	}, nil
}

func (f watchFlags) checkPage() error {
	switch {
	case f.page == "" && len(f.names) > 0:
		return usage.Errorf("--page-host goes with --page")
	case f.page == "":
		return nil
	case f.once:
		return usage.Errorf("--page does not go with --once, which ends by itself; 'sentry page' shows what it did")
	case f.page == f.listen, f.page == f.health:
		return usage.Errorf("--page wants an address of its own: who may read what is deployed is another circle than those of --listen and --health")
	}
	if err := pages.CheckNames(f.names); err != nil {
		return usage.Errorf("--page-host: %w", err)
	}
	return nil
}

// servePage serves the page where an address is given for that, and returns what waits for its end. The loop does nothing for it: what it
// loads and saves is shown by reference, and all else is asked for by the page, while somebody looks.
func (w *watching) servePage(ctx context.Context) (ended func(), err error) {
	if w.flags.page == "" {
		return func() {}, nil
	}
	l, err := serve.Listen(ctx, w.flags.page)
	if err != nil {
		return nil, fmt.Errorf("--page: %w", err)
	}
	w.shown.Store(w.cfg)
	latest := &reading.Latest{}
	w.watcher.Store = latest.Store(w.watcher.Store)
	from := reading.Sources{
		Config: w.shown.Load, State: latest.State, Hosts: pages.Hosts(w.reader, w.Hider.Hide), Now: time.Now,
	}
	var runs interface {
		Runs(ctx context.Context, units []string) ([]engine.Run, error)
	}
	if w.machine != nil {
		runs, from.Follow, from.History = w.machine, w.machine.Follow, w.watcher.Past
	} else {
		api, err := w.ConnectBeside(w.cfg.Global.Namespace)
		if err != nil {
			return nil, fmt.Errorf("--page: %w", err)
		}
		beside := w.EngineOn(api, w.cfg.Global.RunsIn(), instance.Instance{Name: w.cfg.Global.Instance})
		runs, from.Follow = beside, beside.Follow
		from.History = func(ctx context.Context) ([]result.Result, error) { return w.History(ctx, beside) }
	}
	from.Runs = func(ctx context.Context) (list []engine.Run, _ []plan.Existing, err error) {
		list, err = runs.Runs(ctx, nil)
		return list, nil, err
	}
	w.log.Info("serving the page", "address", l.Addr().String())
	o := page.Options{
		Source: reading.New(from), Log: w.log, Hide: w.Hider.Hide, Link: pages.Link, Names: w.flags.names, Place: w.cfg.Global.Namespace,
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := pages.Serve(ctx, l, o); err != nil {
			w.log.Error("the page is not served any more, and polling goes on; restart Sentry", "err", err)
		}
	})
	return serving.Wait, nil
}
