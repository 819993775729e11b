package watching

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
	from := metrics.Sources{Hosts: w.reader.Stats, Found: w.finder.Found}
	if store, ok := w.watcher.Store.(interface{ Size() (state.Size, bool) }); ok {
		from.State = store.Size
	}
	if w.hooks != nil {
		from.Webhooks = w.hooks.Counts
	}
	if w.cluster != nil {
		from.Clusters = w.cluster.Answers
	}
	w.metrics.Ask(from)
	if w.replica != nil {
		w.metrics.Hear(false)
		w.metrics.Share(0)
	}
	w.watcher.Store = w.metrics.Store(w.watcher.Store)
	past := w.watcher.Past
	w.watcher.Past = func(ctx context.Context) ([]result.Result, error) {
		results, err := past(ctx)
		if err == nil {
			w.metrics.Past(results)
		}
		return results, err
	}
}

// hearing has it known how runs ended before this replica became the one that hears of it, and measured while it is.
func (w *watching) hearing() (over func()) {
	over = func() {}
	if w.metrics != nil {
		w.metrics.Hear(true)
		over = func() { w.metrics.Hear(false) }
	}
	w.watcher.Recall()
	return over
}
