package hook

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"
)

// Outcome is what became of a request.
type Outcome string

// The outcomes. All after Unknown are refusals.
const (
	Accepted  Outcome = "accepted"     // Sentry looks at the repository
	Pinged    Outcome = "ping"         // the host tries whether somebody answers
	Ignored   Outcome = "ignored"      // an event that says nothing about refs
	Repeated  Outcome = "repeated"     // a delivery that came before
	Unknown   Outcome = "unknown"      // a repository that is not watched
	Method    Outcome = "method"       // not a POST
	Media     Outcome = "content type" // not JSON
	Limited   Outcome = "rate limit"
	Busy      Outcome = "busy"      // too many at once
	Forged    Outcome = "signature" // none, or not made with the secret
	Expired   Outcome = "timestamp" // signed too long ago
	TooLarge  Outcome = "too large"
	CutShort  Outcome = "cut short" // the body did not come
	Malformed Outcome = "malformed" // signed, and not what the host documents
)

// quiet are the outcomes that are no refusal.
var quiet = []Outcome{Accepted, Pinged, Ignored, Repeated, Unknown}

// summaryEvery is how often the log tells of refusals at most.
const summaryEvery = time.Minute

// counts are how many requests had which outcome. The log is told of refusals: of the first at once, and then of all in
// a minute together, as whoever finds the port can send as many as they like.
type counts struct {
	log *slog.Logger

	mu      sync.Mutex
	all     map[Outcome]int
	refused map[Outcome]int // since the log was told
	told    time.Time
	timer   *time.Timer // set while refusals wait to be told
}

func newCounts(log *slog.Logger) *counts {
	return &counts{log: log, all: map[Outcome]int{}, refused: map[Outcome]int{}}
}

func (c *counts) add(o Outcome) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all[o]++
	if slices.Contains(quiet, o) {
		return
	}
	c.refused[o]++
	if c.timer == nil {
		c.timer = time.AfterFunc(time.Until(c.told.Add(summaryEvery)), c.tell)
	}
}

// tell tells the log what was refused.
func (c *counts) tell() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timer != nil {
		c.timer.Stop()
	}
	c.timer = nil
	if len(c.refused) == 0 {
		return
	}
	var why []string
	for _, o := range slices.Sorted(maps.Keys(c.refused)) {
		why = append(why, fmt.Sprintf("%s: %d", o, c.refused[o]))
	}
	c.log.Warn("webhooks were refused; polling finds what they told of", "why", why)
	clear(c.refused)
	c.told = time.Now()
}

func (c *counts) copy() map[Outcome]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.all)
}
