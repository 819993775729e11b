package watching

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/tekton-sentry/sentry/pkg/cli/usage"
	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/serve"
)

func (f flags) checkHealth() error {
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
func (w *watching) before(ctx context.Context, cycle bool) {
	if w.health.Alive(); cycle {
		w.health.Begin()
		w.Modules.Cycle(w.health.Alive)
	}
	if w.replica != nil {
		w.finder.Follow(ctx)
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
