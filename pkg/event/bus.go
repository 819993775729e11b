package event

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
)

// Room is how many events a sink may be behind. What comes after is lost to that sink, and counted.
const Room = 4096

// Sink takes the events that came since it was called last, in their order. The calls come one at a
// time. ctx ends when Sentry has to.
type Sink func(ctx context.Context, events []Event)

// Bus takes events to sinks. Each sink has a goroutine and a queue of its own: one that hangs or
// panics holds up neither the loop nor another sink, and loses only its own events.
type Bus struct {
	log    *slog.Logger
	queues []*queue
	end    context.CancelFunc
}

// NewBus starts a Bus that has the sinks by their names. Close ends it. The log is told of what a sink lost.
func NewBus(log *slog.Logger, sinks map[string]Sink) *Bus {
	ctx, cancel := context.WithCancel(context.Background())
	b := &Bus{log: log, end: cancel}
	for name, sink := range sinks {
		q := &queue{name: name, sink: sink, wake: make(chan struct{}, 1), done: make(chan struct{})}
		b.queues = append(b.queues, q)
		go q.work(ctx, log)
	}
	return b
}

// Send hands an event to every sink. It never waits.
func (b *Bus) Send(e Event) {
	for _, q := range b.queues {
		q.put(e)
	}
}

// Close waits until the sinks have taken what was sent, but not beyond the end of ctx, and ends them.
// Nothing may be sent meanwhile or afterwards. A sink that ignores the end of its own context is left
// behind.
func (b *Bus) Close(ctx context.Context) {
	defer b.end()
	for _, q := range b.queues {
		q.close()
	}
	for _, q := range b.queues {
		select {
		case <-q.done:
			continue
		case <-ctx.Done():
		}
		select {
		case <-q.done:
		default:
			b.log.Warn("not everything was told before the end", "sink", q.name)
		}
	}
}

// queue is what one sink has yet to take.
type queue struct {
	name string
	sink Sink
	wake chan struct{} // holds one value when there is something to do
	done chan struct{} // closed when the goroutine ends

	mu     sync.Mutex
	events []Event
	lost   int
	closed bool
}

func (q *queue) put(e Event) {
	q.mu.Lock()
	if len(q.events) < Room {
		q.events = append(q.events, e)
	} else {
		q.lost++
	}
	q.mu.Unlock()
	q.rouse()
}

func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.rouse()
}

func (q *queue) rouse() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// take empties the queue.
func (q *queue) take() (events []Event, lost int, closed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	events, lost = q.events, q.lost
	q.events, q.lost = nil, 0
	return events, lost, q.closed
}

func (q *queue) work(ctx context.Context, log *slog.Logger) {
	defer close(q.done)
	for {
		events, lost, closed := q.take()
		if lost > 0 {
			log.Warn("events were lost, as their sink is too slow", "sink", q.name, "events", lost)
		}
		if len(events) > 0 {
			q.give(ctx, log, events)
			continue
		}
		if closed {
			return
		}
		select {
		case <-q.wake:
		case <-ctx.Done():
			return
		}
	}
}

// give calls the sink. A panic costs it these events.
func (q *queue) give(ctx context.Context, log *slog.Logger, events []Event) {
	defer func() {
		if r := recover(); r != nil {
			log.Error("a sink of events failed", "sink", q.name, "events", len(events), "err", fmt.Sprint(r))
		}
	}()
	q.sink(ctx, events)
}
