package model

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/config/discover"
	"github.com/tekton-sentry/sentry/pkg/state"
)

// lists are what was found, one after the other, where repositories are found: those of the file come and go then, and two Sentrys learn of
// that one after the other. The number of a list is its index, plus one.
type lists struct {
	rand *rand.Rand
	all  []file
}

// newLists has repositories found in half of the seeds with replicas.
func newLists(seed uint64, odds odds) *lists {
	random := rand.New(rand.NewPCG(seed, 10))
	if odds.hang == 0 || odds.edit == 0 || random.IntN(2) == 0 {
		return nil
	}
	return &lists{rand: random}
}

// change has a repository come or go, in the group that it always had.
func (w *world) change() bool {
	l, f := w.lists, &w.file
	if l.rand.IntN(100) >= 2*w.odds.edit {
		return false
	}
	var gone []entry
	for _, e := range l.all[0].entries {
		if !slices.Contains(f.entries, e) {
			gone = append(gone, e)
		}
	}
	f.entries = slices.Clone(f.entries)
	switch i := 1 + l.rand.IntN(len(f.entries)-1); { // the first one stands in the file
	case len(gone) > 0 && (len(f.entries) < 3 || l.rand.IntN(2) == 0):
		f.entries = append(f.entries, gone[l.rand.IntN(len(gone))])
	default:
		f.entries = slices.Delete(f.entries, i, i+1)
	}
	l.all = append(l.all, *f)
	w.truth.edited(*f)
	w.tell("the list %d has %v", len(l.all), f.entries)
	return true
}

// known returns the list that a process reads: the last one, or now and then at a start none.
func (p *process) known(starts bool) (number int) {
	if p.lists == nil {
		return 0
	}
	if starts && !p.calm && p.lists.rand.IntN(6) == 0 {
		p.tell("%s cannot read the list", p.name)
		return 0
	}
	return len(p.lists.all)
}

// found returns the configuration by a list.
func (w *world) found(number int) *config.Config {
	if w.lists == nil {
		return w.config()
	}
	now := w.file
	defer func() { w.file = now }()
	if w.file = w.lists.all[max(0, number-1)]; number == 0 {
		w.file.entries = w.file.entries[:1] // which stands in the file
	}
	c := w.config()
	c.Files, c.Found = "f", &discover.Found{Number: int64(number), For: "f"}
	for i, r := range c.Repositories {
		if i > 0 {
			c.Repositories[i].ID = fmt.Sprintf("%.12s", r.Name+"000000000000")
		}
	}
	return c
}

// checkLists checks that a write of the state takes up and forgets what was found by the list that it goes by.
func (w *world) checkLists(p *process, was, next state.Snapshot) {
	if w.lists == nil || was.Epoch == "" {
		return
	}
	has := func(name string) bool {
		return next.Found > 0 && slices.ContainsFunc(w.lists.all[next.Found-1].entries, func(e entry) bool { return e.name == name })
	}
	for _, e := range w.lists.all[0].entries[1:] {
		seen, sees := was.Seen(e.name), next.Seen(e.name)
		switch {
		case seen && !sees && has(e.name):
			w.wrong("%s forgets %s, which is in the list %d", p.name, e.name, next.Found)
		case !seen && sees && !has(e.name) && !ranOnly(w, e.name):
			w.wrong("%s takes up %s, which is not in the list %d", p.name, e.name, next.Found)
		}
	}
	if next.Found < was.Found {
		w.wrong("%s goes back from the list %d to %d", p.name, was.Found, next.Found)
	}
}

// ranOnly reports whether a repository has a run, of which the state may have learned.
func ranOnly(w *world, name string) bool {
	return slices.ContainsFunc(slices.Collect(maps.Keys(w.runs)), func(run string) bool {
		for _, c := range w.runs[run].trigger.Refs {
			if c.Repository == name {
				return true
			}
		}
		return false
	})
}
