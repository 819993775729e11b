package watching

import (
	"time"

	"github.com/tekton-sentry/sentry/pkg/watch"
)

// listedWithin is how long a cycle waits for all runs of another cluster, which are needed before anything begins there.
const listedWithin = 5 * time.Second

// answered returns what tells of other clusters that do not answer any more, and has what is owed looked for once one does.
func (w *watching) answered() func(cluster string, err error) {
	return func(cluster string, err error) {
		if err != nil {
			w.log.Error("another cluster does not answer; its units wait, and it is tried again", "cluster", cluster, "err", err)
			return
		}
		w.log.Info("the cluster answers again", "cluster", cluster)
		w.watcher.Ask(watch.Request{Reason: "the cluster " + cluster + " answers again"})
	}
}
