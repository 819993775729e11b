// Package health answers whether Sentry is alive and whether it can work, for the probes of Kubernetes and for people. What Git
// hosts do changes neither: a host that is down is no reason to restart Sentry, nor to take it for broken.
package health

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/tekton-sentry/sentry/pkg/event"
	"github.com/tekton-sentry/sentry/pkg/oneline"
	"github.com/tekton-sentry/sentry/pkg/serve/internal/store"
	"github.com/tekton-sentry/sentry/pkg/state"
)

// Patience is how long the loop may show no progress while a cycle is under way, before it counts as stuck. The longest
// that it waits for something is for hosts that do not answer: 31 s for heads, then 31 s for the revision of a QA repository,
// and 30 s for the call to the API server that follows.
const Patience = 2 * time.Minute

// maxText bounds what a line says of an error, in bytes.
const maxText = 300

// Health is how Sentry is. Begin must be called before anything else. Any goroutine may use it.
type Health struct {
	Hide func(string) string // takes credentials out of what others said; nil where there are none

	mu           sync.Mutex
	repositories int
	interval     time.Duration
	replicas     *int      // that are alive, this one among them; 0 while that is not known, nil of one Sentry alone
	progress     time.Time // when the loop last showed any
	began        time.Time // when the cycle that is under way did; zero between two
	ended        time.Time // when the one before did
	state        outcome   // of the last call for the state
	server       outcome   // of the last request to the API server
	cycle        outcome   // of the last cycle, but for what the state and the API server have lines for
}

// outcome is how the last try went.
type outcome struct {
	at  time.Time // zero before the first
	why string    // it failed; "" where it did not
}

// Use says what is watched, and how often. It may be called again.
func (h *Health) Use(repositories int, interval time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.repositories, h.interval = repositories, interval
}

// Begin says that a cycle begins.
func (h *Health) Begin() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.progress = time.Now()
	h.began = h.progress
}

// Alive says that the loop comes round, between two cycles.
func (h *Health) Alive() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.progress = time.Now()
}

// Share says how many replicas are alive, this one among them; 0 while that is not known, and this one looks at nothing by itself.
func (h *Health) Share(replicas int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.replicas = &replicas
}

// Hear hears from the loop how cycles end. It is called as they do, and not by way of a queue: the next one may have begun by then.
func (h *Health) Hear(e event.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch e := e.(type) {
	case event.CycleDone: // one that failed is told of by both events, in this order
		h.end(nil)
	case event.CycleFailed:
		h.end(e.Err)
	}
}

// end notes how a cycle ended. What the state or the API server did to it has a line already, which goes as soon as they work
// again. With a state that is too large Sentry works on: runs are made and remembered.
func (h *Health) end(err error) {
	h.ended, h.began = time.Now(), time.Time{}
	h.progress = h.ended
	if err != nil && (h.state.why != "" || h.server.why != "") {
		return
	}
	if errors.Is(err, state.ErrTooLarge) {
		err = nil
	}
	h.cycle = h.outcome(err)
}

func (h *Health) outcome(err error) outcome {
	o := outcome{at: time.Now()}
	if err == nil {
		return o
	}
	text := err.Error()
	if h.Hide != nil {
		text = h.Hide(text)
	}
	o.why = oneline.Of(text, maxText)
	return o
}

// loop marks the context of what the loop does.
type loop struct{}

// Loop marks ctx as that of the loop, whose requests to the API server are progress: a list of thousands of runs takes many.
func Loop(ctx context.Context) context.Context { return context.WithValue(ctx, loop{}, true) }

// Answered says that a request to the API server had an answer, or why it had none. ctx is that of the request.
func (h *Health) Answered(ctx context.Context, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.server = h.outcome(err)
	if ctx.Value(loop{}) != nil {
		h.progress = time.Now()
	}
}

// Store returns the store, which tells h how its calls go.
func (h *Health) Store(s store.Store) store.Store {
	return store.Watched(s, func(ctx context.Context, _ state.Snapshot, err error) { h.called(ctx, err) })
}

// called notes how a call for the state went. That another Sentry wrote it, or that not all has room in it, is the loop's
// business.
func (h *Health) called(ctx context.Context, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.progress = time.Now()
	if ctx.Err() != nil { // Sentry ends
		return
	}
	if errors.Is(err, state.ErrConflict) || errors.Is(err, state.ErrTooLarge) {
		err = nil
	}
	h.state = h.outcome(err)
}
