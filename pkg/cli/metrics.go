package cli

import (
	"context"
	"net/http"

	"github.com/tekton-sentry/sentry/pkg/result"
	"github.com/tekton-sentry/sentry/pkg/serve/metrics"
	"github.com/tekton-sentry/sentry/pkg/state"
)

// answers returns what operators are answered, by path. Nothing is counted where there is no address for that.
func (w *watching) answers() map[string]http.Handler {
	w.metrics = metrics.New(w.Version, w.cfg, w.interval(w.cfg))
	w.reader.Observe = w.metrics.Called
	handlers := w.health.Handlers()
	handlers[metrics.Path] = w.metrics.Handler()
	return handlers
}

// measure has looked up at each scrape what there is by now, and in the history which units fail.
func (w *watching) measure() {
	if w.metrics == nil {
		return
	}
	from := metrics.Sources{Hosts: w.reader.Stats}
	if store, ok := w.watcher.Store.(interface{ Size() (state.Size, bool) }); ok {
		from.State = store.Size
	}
	if w.hooks != nil {
		from.Webhooks = w.hooks.Counts
	}
	w.metrics.Ask(from)
	w.metrics.Hear(w.replica == nil)
	past := w.watcher.Past
	w.watcher.Past = func(ctx context.Context) ([]result.Result, error) {
		results, err := past(ctx)
		if err == nil {
			w.metrics.Past(results)
		}
		return results, err
	}
}

// hearing has measured how runs end while this replica is the one that hears of it, until ctx ends.
func (w *watching) hearing(ctx context.Context) (over func()) {
	if w.metrics == nil {
		return func() {}
	}
	w.metrics.Hear(true)
	_, _ = w.watcher.Past(ctx) // the loop tells where the history cannot be read
	return func() { w.metrics.Hear(false) }
}
