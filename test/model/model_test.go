// Package model holds Sentry to its promise, never lost and never twice, in random histories: hosts that
// fail, lag and hang, an API server whose every call may fail, or succeed and say that it failed, people who
// push, reset, delete, rerun and edit, Sentrys that die at any call, and two at once by mistake. All but the
// world is real: pkg/watch, pkg/plan, pkg/pipelinerun and the state's codec. It is in memory and on a fake
// clock, and a seed gives one history:
//
//	go test ./test/model -seeds 100000 -from 2000
//	go test ./test/model -seed 4711 -v
package model

import (
	"flag"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tekton-sentry/sentry/pkg/repo"
)

var (
	seeds = flag.Uint64("seeds", 2000, "how many seeds to try")
	from  = flag.Uint64("from", 0, "the first of them")
	seed  = flag.Int64("seed", -1, "tell the story of this one")
)

// history plays one seed and returns its world.
func history(seed uint64) *world {
	w := newWorld(seed)
	sentrys := []*process{w.start("sentry"), w.start("twin")}
	for range 8 {
		edited := w.between()
		for i, p := range sentrys {
			if w.lists != nil && !p.dead {
				if w.lists.rand.IntN(3) == 0 {
					p.reload()
				}
				continue // else it knows the list of before
			}
			switch {
			case p.dead, edited && w.reloads.IntN(2) == 0:
				sentrys[i] = w.start(p.name)
			case edited:
				p.reload()
			}
		}
		w.asked()
		w.together(sentrys)
		w.progress(false)
		time.Sleep(time.Minute)
		if w.bad != "" {
			return w
		}
	}
	w.recovery(sentrys)
	return w
}

// together has a cycle of one Sentry, or of both, while people go on.
func (w *world) together(sentrys []*process) {
	at := sentrys[:1]
	if w.chance(w.odds.twins) {
		at = sentrys
	}
	var busy sync.WaitGroup
	for i, p := range at {
		delay := time.Duration(i) * time.Duration(w.rand.Int64N(int64(8*time.Second)))
		busy.Go(func() { time.Sleep(delay); p.cycle() })
	}
	var pauses []time.Duration
	for range w.rand.IntN(6) {
		pauses = append(pauses, time.Duration(w.rand.Int64N(int64(4*time.Second))))
	}
	busy.Go(func() {
		for _, pause := range pauses {
			time.Sleep(pause)
			w.people()
		}
	})
	busy.Wait()
}

// recovery has cycles in which nothing fails, after which every head must count as deployed and a cycle do
// nothing. Only one Sentry goes on, and sometimes it is a new one.
func (w *world) recovery(sentrys []*process) {
	w.calm = true
	w.resume()
	p := sentrys[0]
	if p.dead || w.one(2) {
		p = w.start("sentry")
	}
	if w.lists != nil {
		p.reload()
	}
	w.tell("from here on nothing fails and nobody does anything")
	w.outage(p)
	cycles := 6
	if w.places.rand != nil {
		cycles += 2 // one that was down is tried beside a cycle
	}
	if w.most > 0 {
		cycles += len(w.file.entries) * len(branches) / w.most // of one group, and all changed
	}
	rush := w.rush()
	if rush.cycles > 0 {
		cycles += rush.cycles
	}
	for i, more := 0, 0; i < cycles+more; i++ {
		pushed := rush.push(w, i)
		var said map[repo.Ref]repo.SHA
		if !w.limits.any() || i%4 == 0 { // there are many cycles then
			said = w.asked()
		}
		report := p.cycle()
		if !w.limits.any() { // who has the next place only the process knows
			w.keeps(said)
		}
		if pushed && i == rush.cycles-1 {
			w.checkNobodyWaits(rush)
		}
		if report.Waiting > 0 && more < w.limits.patience() {
			more++
		}
		w.progress(true)
		time.Sleep(time.Minute)
		if i == 0 && w.odds.twins > 0 {
			time.Sleep(time.Hour) // by then the runs of a twin that is gone are found too
		}
	}
	w.checkDeployed()
	writes := w.writes
	if report := p.cycle(); len(report.Created)+report.Waiting+report.Problems > 0 || w.writes != writes {
		w.wrong("an idle cycle does something: %+v", report)
	}
}

// play plays a seed on a clock of its own.
func play(t *testing.T, seed uint64) (w *world) {
	synctest.Test(t, func(*testing.T) { w = history(seed) })
	return w
}

func (w *world) report(t *testing.T) {
	t.Helper()
	t.Errorf("seed %d: %s\nrepeat it: go test ./test/model -seed %d -v\n%s", w.seed, w.bad, w.seed, strings.Join(w.told, "\n"))
}

func TestModel(t *testing.T) {
	if *seed >= 0 {
		w := play(t, uint64(*seed))
		t.Log(strings.Join(w.told, "\n"))
		if w.bad != "" {
			t.Errorf("seed %d: %s", w.seed, w.bad)
		}
		return
	}
	var next, runs atomic.Uint64
	t.Cleanup(func() { t.Logf("%d seeds from %d, %d runs created", min(next.Load(), *seeds), *from, runs.Load()) })
	for i := range runtime.GOMAXPROCS(0) {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			t.Parallel()
			for !t.Failed() {
				n := next.Add(1) - 1
				if n >= *seeds {
					return
				}
				w := play(t, *from+n)
				runs.Add(uint64(w.truth.made))
				if w.bad != "" {
					w.report(t)
				}
			}
		})
	}
}

// A seed gives one history.
func TestSeedsRepeat(t *testing.T) {
	for n := range uint64(20) {
		if a, b := play(t, n), play(t, n); !slices.Equal(a.told, b.told) {
			t.Errorf("seed %d: two stories:\n%s\n\n%s", n, strings.Join(a.told, "\n"), strings.Join(b.told, "\n"))
		}
	}
}

// Histories that once went wrong.
func TestRegressions(t *testing.T) {
	for what, seed := range map[string]uint64{
		"a twin makes a run, does not learn of it and never comes back":              6117,
		"a name is foreign to one twin, and pruned before the other one uses it":     20892,
		"a branch is deleted while its run is active, and comes back":                67728,
		"a tag is recorded at the number of one that was forgotten":                  18054,
		"a twin forgets a branch while the other one's first run of another is lost": 29493,
	} {
		if w := play(t, seed); w.bad != "" {
			t.Log(what)
			w.report(t)
		}
	}
}
