package model

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/freeze"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/plan/naming"
)

// limits are what the file says of when runs are started, beside on_busy. Nothing is limited in most seeds.
type limits struct {
	max      int                       // global.max_runs
	notOn    map[string]freeze.Windows // by group
	priority map[string]int            // by group
	storm    *rand.Rand                // of who pushes to one branch in each cycle of the recovery; nil where nobody does
}

// lastWindow is the minute of the day at which the last window has ended. A story begins at midnight.
const lastWindow = 20

// windows has those of a minute and more, by when they begin.
var windows = func() (all [][]freeze.Window) {
	for begin := range 15 {
		var of []freeze.Window
		for length := 1; length <= 5; length++ {
			w, err := freeze.Parse(fmt.Sprintf("00:%02d - 00:%02d", begin, begin+length))
			if err != nil {
				panic(err)
			}
			of = append(of, w)
		}
		all = append(all, of)
	}
	return all
}()

func newLimits(seed uint64) (l limits) {
	random := rand.New(rand.NewPCG(seed, 9))
	what := random.IntN(16)
	if what == 0 || what == 2 {
		l.max, l.priority = 1+random.IntN(3), map[string]int{}
		for _, g := range groups {
			l.priority[g] = []int{0, 0, 1}[random.IntN(3)]
		}
		if what == 0 && random.IntN(2) == 0 {
			l.storm = random
		}
	}
	if what == 1 || what == 2 {
		l.notOn = map[string]freeze.Windows{}
		for _, g := range groups {
			for range random.IntN(3) {
				of := windows[random.IntN(len(windows))]
				l.notOn[g] = append(l.notOn[g], of[random.IntN(len(of))])
			}
		}
	}
	return l
}

// any reports whether anything is limited.
func (l limits) any() bool { return l.max > 0 || l.notOn != nil }

// patience is within how many cycles everything that is due has run, if nothing more is pushed.
func (l limits) patience() (cycles int) {
	if l.max > 0 {
		cycles += 6 + 24/l.max
	}
	if l.notOn != nil {
		cycles += lastWindow
	}
	return cycles
}

// apply puts the limits into a configuration.
func (l limits) apply(c *config.Config) {
	c.Global.MaxRuns = l.max
	for i, r := range c.Repositories {
		if r.Group == "" {
			c.Repositories[i].Deploy.NotOn, c.Repositories[i].Deploy.Priority = l.notOn[""], l.priority[""]
		}
	}
	for name, g := range c.Groups {
		g.NotOn, g.Priority = l.notOn[name], l.priority[name]
		c.Groups[name] = g
	}
}

// checkNow checks that the creation of a run may begin now, whose call takes a while.
func (w *world) checkNow(r plan.Run) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if h, in := w.limits.notOn[r.Unit.Group].At(time.Now()); in {
		w.wrong("%s starts in the window %s", r.Name, h.Window)
	}
}

// checkPlace checks that there is a place for a run.
func (w *world) checkPlace(p *process, name string) {
	active := 0
	for _, r := range w.runs {
		if r.active && !r.byHand {
			active++
		}
	}
	// Two that start something at the same moment do not see each other's runs.
	if w.limits.max > 0 && w.odds.twins == 0 && w.places.rand == nil && active >= w.limits.max {
		w.wrong("%s creates %s while %d runs are active, want at most %d", p.name, name, active, w.limits.max)
	}
}

// checkCancel checks that a run is cancelled only for one that does not have to wait for a window then.
func (w *world) checkCancel(r *run) {
	group := r.unit
	if naming.IsRefLabel(r.unit) {
		group = ""
	}
	for ahead := range 5 {
		if h, in := w.limits.notOn[group].At(time.Now().Add(time.Duration(ahead) * time.Minute)); in {
			w.wrong("%s is cancelled, and what replaces it waits for the end of %s", r.name, h.Window)
		}
	}
}

// rush is what somebody does who pushes to one branch in each cycle, while others wait for a place.
type rush struct {
	entry
	branch string
	cycles int
}

func (w *world) rush() rush {
	if w.limits.storm == nil {
		return rush{}
	}
	return rush{w.file.entries[w.limits.storm.IntN(len(w.file.entries))], branches[w.limits.storm.IntN(len(branches))], w.limits.patience()}
}

// push is one of the pushes. It reports whether there is one in that cycle.
func (r rush) push(w *world, cycle int) bool {
	if cycle >= r.cycles {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.remote(url(r.name)).push(r.branch, fmt.Sprintf("%07x", 0xb000000+cycle))
	w.tell("somebody pushes to %s@%s in each cycle", r.name, r.branch)
	return true
}

// checkNobodyWaits checks, at the end of a rush, that everybody else of at least its priority has run.
func (w *world) checkNobodyWaits(r rush) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.file.entries {
		if w.limits.priority[e.group] < w.limits.priority[r.group] || r.group != "" && e.group == r.group {
			continue
		}
		w.checkHeads(e, func(branch string) bool { return e.name != r.name || branch != r.branch })
	}
}
