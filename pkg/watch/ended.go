package watch

import (
	"context"
	"sync"

	"github.com/tekton-sentry/sentry/pkg/event"
	"github.com/tekton-sentry/sentry/pkg/result"
)

// endings are the runs that ended, of which the state does not hold yet what they deployed.
type endings struct {
	mu  sync.Mutex
	all []result.Result
}

// Ended tells the loop how a run ended. It may be called at any time. The next cycle remembers what was deployed, in the one
// write that it does; one whose process is killed before that leaves it to Past.
func (w *Watcher) Ended(r result.Result) {
	w.endings.mu.Lock()
	defer w.endings.mu.Unlock()
	w.endings.all = append(w.endings.all, r)
}

func (e *endings) take() []result.Result {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := e.all
	e.all = nil
	return all
}

// learnEnds finds out which runs ended: all that are known, after the start and once in a while, and else those that Ended told.
// A history that cannot be read costs what it would have told, and no deployment.
func (c *cycle) learnEnds(ctx context.Context) {
	c.ended = append(c.Watcher.unsaved, c.endings.take()...)
	if c.Past != nil && (c.pastRead.IsZero() || c.Now().Sub(c.pastRead) >= lookEvery) {
		past, err := c.Past(ctx)
		if err == nil {
			c.pastRead = c.Now()
			c.ended = append(c.ended, past...)
		}
		if err != nil && !c.pastTold {
			c.Tell(event.PastUnknown{Err: err})
		}
		c.pastTold = err != nil
	}
	c.Watcher.unsaved = c.ended
	c.deployed()
}

// deployed adds to the state which commits the runs deployed that ended.
func (c *cycle) deployed() { c.next = c.ledger.Learn(c.next, c.ended) }
