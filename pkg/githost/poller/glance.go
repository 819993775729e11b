package poller

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/breaker"
)

const (
	// GlanceShare is the part of a budget that glances spend at most, with the looks at what they name: a quarter.
	GlanceShare = 4
	// namedForOne is how many repositories that are named cost about one request more to look at.
	namedForOne = 100
	// glanceIdle is how many times as long as a glance took the host is left in peace after it.
	glanceIdle = 10
	// leastRest and mostRest bound how long a repository that was named, and read to no avail, is not named again: it may be pushed to
	// all the time, at branches that nobody watches.
	leastRest, mostRest = 5 * time.Second, 20 * time.Second
)

// glances are those of an endpoint, of who has its turn.
type glances struct {
	breaker breaker.Breaker
	next    time.Time // not before
}

// Glance asks each host that has a list of what changed lately for that alone, and returns the indexes in want of what is worth a
// look now. It only makes things sooner: what it leaves out is read as ever, and nothing of what Heads does later follows from it.
//
// A host is passed over while it is being read, in trouble, or short of what it grants, and where nothing was read before. Each
// has a tenth of Timeout.
func (r *Reader) Glance(ctx context.Context, want []config.Monitor) []int {
	batches := r.glanced(want)
	var mu sync.Mutex
	var named []int
	var wait sync.WaitGroup
	for _, b := range batches {
		wait.Go(func() {
			for at, pushed := range r.glance(ctx, b) {
				if pushed {
					mu.Lock()
					named = append(named, b.indexes[at]...)
					mu.Unlock()
				}
			}
		})
	}
	wait.Wait()
	slices.Sort(named)
	return named
}

// glanced is what is glanced at of one endpoint.
type glanced struct {
	endpoint *endpoint
	glancer  githost.Glancer
	want     []githost.Wanted
	memory   []*memory
	indexes  [][]int // in the caller's list, of want[i]
	replicas int
}

// glanced groups what can be glanced at by endpoint. What is not known is not made known: another replica may read it.
func (r *Reader) glanced(want []config.Monitor) []*glanced {
	r.mu.Lock()
	defer r.mu.Unlock()
	var batches []*glanced
	of := make(map[*endpoint]*glanced)
	known := make(map[*memory]int)
	for i, m := range want {
		e := r.opened(m.Source)
		if e == nil {
			continue
		}
		glancer, ok := e.host.(githost.Glancer)
		if !ok {
			continue
		}
		w := githost.Wanted{URL: m.URL, Patterns: m.Branches}
		memory := e.memory[r.key(e, w)]
		if memory == nil {
			continue
		}
		b := of[e]
		if b == nil {
			b = &glanced{endpoint: e, glancer: glancer, replicas: max(1, r.replicas)}
			of[e], batches = b, append(batches, b)
		}
		at, again := known[memory]
		if !again {
			at = len(b.want)
			known[memory] = at
			b.want, b.memory, b.indexes = append(b.want, w), append(b.memory, memory), append(b.indexes, nil)
		}
		b.indexes[at] = append(b.indexes[at], i)
	}
	return batches
}

// glance reports what of b.want is worth a look; nil when the host is passed over or does not tell. One that ignores its context is
// left behind, and passed over until it returned.
func (r *Reader) glance(ctx context.Context, b *glanced) []bool {
	e := b.endpoint
	select {
	case e.turn <- struct{}{}:
	default:
		return nil
	}
	ctx, cancel := githost.WithTimeout(ctx, e.Host(), r.timeout()/10)
	defer cancel()
	done := make(chan []bool, 1)
	go func() {
		defer func() { <-e.turn }()
		done <- r.pushed(ctx, b)
	}()
	select {
	case pushed := <-done:
		return pushed
	case <-ctx.Done():
	}
	select {
	case pushed := <-done:
		return pushed
	default:
		return nil
	}
}

// pushed asks the host. It is called by who has the endpoint's turn.
func (r *Reader) pushed(ctx context.Context, b *glanced) []bool {
	e, began := b.endpoint, time.Now()
	before := e.gate.Status()
	if e.glances.breaker.State(began) == breaker.Open || began.Before(e.glances.next) || before.Why != nil {
		return nil
	}
	if down, unhealthy := e.gate.Begin(began, 1); down || unhealthy {
		return nil
	}
	for i, m := range b.memory {
		b.want[i].Validator = m.validator
	}
	var pushed []bool
	err := r.survive(e, func() (err error) {
		if pushed, err = b.glancer.Glance(ctx, b.want); err == nil && len(pushed) != len(b.want) {
			err = fmt.Errorf("%d hints for %d repositories", len(pushed), len(b.want))
		}
		return err
	})
	asked, named := e.gate.Status().Requests-before.Requests, 0
	if err == nil {
		for i, m := range b.memory {
			if pushed[i] = pushed[i] && m.nameable(began); pushed[i] {
				named++
			}
		}
	}
	looks := (named + namedForOne - 1) / namedForOne
	e.glances.next = time.Now().Add(max(glanceIdle*time.Since(began), e.affords((asked+looks)*b.replicas)))
	if err != nil {
		clean := e.gate.Redact(err)
		if clean.Kind == githost.RateLimited && asked > 0 {
			e.gate.Exhaust(clean)
		}
		e.glances.breaker.Fail(began, clean)
		r.Log.Debug("the host does not tell what was pushed to; the cycles do", "host", e.Host(), "err", clean)
		return nil
	}
	e.glances.breaker.Close()
	return pushed
}

// affords returns how long to wait after so many requests, so that as many from time to time take at most their part of what an hour
// grants, and of what is left.
func (e *endpoint) affords(requests int) (wait time.Duration) {
	for _, g := range e.gate.Grants() {
		if left := time.Until(g.Reset); left > 0 {
			part := func(grants int) float64 { return min(1, float64(GlanceShare*requests)/float64(max(1, grants))) }
			wait = max(wait, time.Duration(float64(left)*part(g.Remaining)), min(left, time.Duration(float64(time.Hour)*part(g.Limit))))
		}
	}
	return wait
}

// nameable reports whether a glance may name a repository, and notes that it does. One without a validator is read once more after
// it changed, to get one: where there is no room for it that does not help a second time.
func (m *memory) nameable(now time.Time) bool {
	if m.err != nil || m.read == 0 || time.Duration(at(now)-m.named) < m.rest || m.validator == nil && !m.changed {
		return false
	}
	if m.validator == nil {
		m.changed = false
	}
	m.named, m.rest = at(now), min(max(2*m.rest, leastRest), mostRest)
	return true
}
