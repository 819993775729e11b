// Package asked keeps what the next cycle of the loop is to look at, until it begins.
package asked

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

// Everything reports whether all are looked at.
func (r Request) Everything() bool { return r.All || len(r.Repositories) == 0 }

// maxAsked bounds the repositories that requests name until the next cycle. Beyond that it looks at
// all: so a sender that goes wild costs no memory and at most one cycle after the other. What is another
// replica's then waits for that one.
const maxAsked = 1000

// Requests are what the next cycle is to look at. Any number of requests become one.
type Requests struct {
	mu      sync.Mutex
	pending bool
	all     bool
	names   map[string]bool
	reason  string
	due     time.Time     // the first that was due
	signal  chan struct{} // holds one value while there is something pending
}

// Wake returns a channel that holds one value while there is something pending.
func (q *Requests) Wake() chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.signal == nil {
		q.signal = make(chan struct{}, 1)
	}
	return q.signal
}

// Take returns what is pending as one request. What is named stays so beside all, which are those of this replica's share.
func (q *Requests) Take() Request {
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

// Add takes a request. It never waits.
func (q *Requests) Add(r Request) {
	signal := q.Wake()
	q.mu.Lock()
	defer q.mu.Unlock()
	all := r.Everything()
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
