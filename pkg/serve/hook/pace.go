package hook

import (
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// spacing is the time between two looks at a repository at least. Beyond burst of them the next ones are sustained
	// apart: an hour of a storm is then some 400 looks.
	spacing   = time.Second
	burst     = 60
	sustained = 10 * time.Second
	// together is the same for looks at any: each is one cycle, which costs a GitHub at least one of its 5,000 points an
	// hour. What comes meanwhile is looked at together.
	together      = 1500 * time.Millisecond
	togetherBurst = 60
	// again is how long after a look that showed no change Sentry looks once more: a host may tell of a push before
	// its API shows it.
	again = 5 * time.Second
)

// pace turns hooks into looks, no more often than is good for the hosts. The last hook of a storm is always followed
// by a look.
type pace struct {
	look func(repositories []string)

	mu    sync.Mutex
	end   bool
	by    map[string]*rhythm
	ready map[string]bool // repositories to look at together
	total *rate.Limiter
	timer *time.Timer // when they are looked at; nil = nothing is ready
}

// rhythm is the pace of one repository.
type rhythm struct {
	limit  *rate.Limiter
	looked time.Time   // when the last look was asked for
	due    *time.Timer // the look that a hook waits for; nil = none
	again  *time.Timer // the second look; nil = none
}

func newPace(look func([]string)) *pace {
	return &pace{look: look, by: map[string]*rhythm{}, ready: map[string]bool{}, total: rate.NewLimiter(rate.Every(together), togetherBurst)}
}

// hook asks for a look at the repositories, at once or as soon as it is time.
func (p *pace) hook(names []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.end {
		return
	}
	now := time.Now()
	for _, name := range names {
		r := p.by[name]
		if r == nil {
			r = &rhythm{limit: rate.NewLimiter(rate.Every(sustained), burst)}
			p.by[name] = r
		}
		if r.due != nil {
			continue
		}
		wait := max(r.limit.ReserveN(now, 1).DelayFrom(now), r.looked.Add(spacing).Sub(now))
		if wait <= 0 {
			p.first(name, r)
			continue
		}
		r.due = time.AfterFunc(wait, func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			if r.due != nil {
				r.due = nil
				p.first(name, r)
				p.start()
			}
		})
	}
	p.start()
}

// first looks for a hook, and makes sure of a second look.
func (p *pace) first(name string, r *rhythm) {
	r.rest()
	r.again = time.AfterFunc(again, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if r.again == nil {
			return
		}
		r.again = nil
		if r.due == nil { // else a look comes anyway
			r.looked = time.Now()
			p.ready[name] = true
			p.start()
		}
	})
	r.looked = time.Now()
	p.ready[name] = true
}

// start has all that is ready looked at, as soon as the looks before leave room.
func (p *pace) start() {
	if p.timer != nil || len(p.ready) == 0 {
		return
	}
	now := time.Now()
	if wait := p.total.ReserveN(now, 1).DelayFrom(now); wait > 0 {
		p.timer = time.AfterFunc(wait, func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.flush()
		})
		return
	}
	p.flush()
}

func (p *pace) flush() {
	p.timer = nil
	if len(p.ready) == 0 || p.end {
		return
	}
	p.look(slices.Sorted(maps.Keys(p.ready)))
	clear(p.ready)
}

// saw says that a change of the repository was seen, so that no second look is needed.
func (p *pace) saw(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r := p.by[name]; r != nil {
		r.rest()
	}
}

// rest does without the second look.
func (r *rhythm) rest() {
	if r.again != nil {
		r.again.Stop()
		r.again = nil
	}
}

// close ends it: nothing is looked at any more.
func (p *pace) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.end = true
	for _, r := range p.by {
		r.rest()
		if r.due != nil {
			r.due.Stop()
			r.due = nil
		}
	}
	if p.timer != nil {
		p.timer.Stop()
	}
}
