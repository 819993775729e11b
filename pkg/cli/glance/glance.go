// Package glance looks every few seconds at the hosts' lists of what was pushed to lately, between the cycles that read everything, and
// wants a look at what they name. Polling promises what it does without.
package glance

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/config/timing"
)

// Glances are those of a Sentry that watches. Set the exported fields before the first Apply.
type Glances struct {
	// Heads returns the indexes of what was pushed to, as poller.Reader.Glance does.
	Heads func(ctx context.Context, want []config.Monitor) []int
	// Look wants a look at repositories, by name. It does not wait for that.
	Look func(repositories []string)

	now     atomic.Pointer[settings]
	changed chan struct{} // of capacity one, full when now is another
}

// settings follow from a configuration. Nobody changes them.
type settings struct {
	every time.Duration // 0 = never
	want  []config.Monitor
	names []string
}

// Apply replaces the configuration, of which a cycle begins every interval.
func (g *Glances) Apply(cfg *config.Config, interval time.Duration) {
	s := &settings{every: timing.Glances(cfg.Global.Glance, interval)}
	if s.every > 0 {
		for _, r := range cfg.Repositories {
			s.want, s.names = append(s.want, r.Monitor), append(s.names, r.Name)
		}
	}
	g.now.Store(s)
	if g.changed == nil { // before Run
		g.changed = make(chan struct{}, 1)
	}
	select {
	case g.changed <- struct{}{}:
	default:
	}
}

// Run glances until ctx ends.
func (g *Glances) Run(ctx context.Context) {
	for {
		s := g.now.Load()
		var next <-chan time.Time // never, while glances are not wanted
		if s.every > 0 {
			next = time.After(s.every)
		}
		select {
		case <-ctx.Done():
			return
		case <-g.changed:
			continue
		case <-next:
		}
		var names []string
		for _, i := range g.Heads(ctx, s.want) {
			names = append(names, s.names[i])
		}
		if len(names) > 0 {
			g.Look(names)
		}
	}
}
