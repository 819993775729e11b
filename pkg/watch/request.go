package watch

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// Request asks for a cycle before its time: look at these, because.
type Request struct {
	Repositories []string  // by name; none are all. Names that are not configured are passed over
	All          bool      // all are looked at beside those, which may be another replica's
	Reason       string    // for people
	Due          time.Time // when the look was due, where a timer wants it
}

func (r Request) all() bool { return r.All || len(r.Repositories) == 0 }

// maxAsked bounds the repositories that requests name until the next cycle. Beyond that it looks at
// all: so a sender that goes wild costs no memory and at most one cycle after the other. What is another
// replica's then waits for that one.
const maxAsked = 1000

// requests are what the next cycle is to look at. Any number of requests become one.
type requests struct {
	mu      sync.Mutex
	pending bool
	all     bool
	names   map[string]bool
	reason  string
	due     time.Time     // the first that was due
	signal  chan struct{} // holds one value while there is something pending
}

// Ask wants a cycle as soon as the one in hand has ended. It may be called at any time and never
// waits. Requests that come meanwhile become one; its Reason is that of the first one, or of the
// first one for all.
func (w *Watcher) Ask(r Request) {
	q := &w.requests
	signal := q.wake()
	q.mu.Lock()
	defer q.mu.Unlock()
	all := r.all()
	if !q.pending || all && !q.all {
		q.reason = r.Reason
	}
	if !r.Due.IsZero() && (q.due.IsZero() || r.Due.Before(q.due)) {
		q.due = r.Due
	}
	q.pending, q.all = true, q.all || all
	for _, name := range r.Repositories {
		if len(q.names) >= maxAsked {
			q.all = true
			break
		}
		if q.names == nil {
			q.names = make(map[string]bool)
		}
		q.names[name] = true
	}
	select {
	case signal <- struct{}{}:
	default:
	}
}

func (q *requests) wake() chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.signal == nil {
		q.signal = make(chan struct{}, 1)
	}
	return q.signal
}

// take returns what is pending as one request. What is named stays so beside all, which are those of this replica's share.
func (q *requests) take() Request {
	q.mu.Lock()
	defer q.mu.Unlock()
	r := Request{Repositories: slices.Sorted(maps.Keys(q.names)), All: q.all, Reason: q.reason, Due: q.due}
	q.pending, q.all, q.names, q.reason, q.due = false, false, nil, "", time.Time{}
	select {
	case <-q.signal: // of what came since Run woke up
	default:
	}
	return r
}
