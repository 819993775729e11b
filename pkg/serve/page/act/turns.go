package act

import (
	"context"
	"maps"
	"sync"
	"time"
)

// turns let a few people do something at once, each of them at most maxOwn things.
type turns struct {
	all chan struct{}
	mu  sync.Mutex
	own map[string]*own
}

type own struct {
	turns chan struct{}
	here  int // who has one or waits
}

// maxOwn is how many turns one person has at most.
const maxOwn = 2

func newTurns(n int) *turns { return &turns{all: make(chan struct{}, n), own: map[string]*own{}} }

// take waits for a turn of somebody, and returns what gives it back; false where the context ends before there is one.
func (t *turns) take(ctx context.Context, who string) (give func(), ok bool) {
	t.mu.Lock()
	o := t.own[who]
	if o == nil {
		o = &own{turns: make(chan struct{}, maxOwn)}
		t.own[who] = o
	}
	o.here++
	t.mu.Unlock()
	leave := func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if o.here--; o.here == 0 {
			delete(t.own, who)
		}
	}
	select {
	case o.turns <- struct{}{}:
	case <-ctx.Done():
		leave()
		return nil, false
	}
	select {
	case t.all <- struct{}{}:
		return func() { <-t.all; <-o.turns; leave() }, true
	case <-ctx.Done():
		<-o.turns
		leave()
		return nil, false
	}
}

// deeds remember what was done of which form, so that none is done twice: a pause that somebody has ended would begin anew.
type deeds struct {
	mu  sync.Mutex
	all map[string]*deed
}

type deed struct {
	turn  chan struct{} // held while it is done
	done  bool
	run   string
	until time.Time // when its form is too old
}

// maxDeeds bounds how many are remembered.
const maxDeeds = 10_000

// of returns what is known of a form, by its word.
func (d *deeds) of(word string, until, now time.Time) *deed {
	d.mu.Lock()
	defer d.mu.Unlock()
	if found := d.all[word]; found != nil {
		return found
	}
	if len(d.all) >= maxDeeds {
		maps.DeleteFunc(d.all, func(_ string, x *deed) bool { return !now.Before(x.until) })
	}
	x := &deed{turn: make(chan struct{}, 1), until: until}
	d.all[word] = x
	return x
}
