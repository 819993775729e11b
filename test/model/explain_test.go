package model

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/explain"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/state"
)

// listed returns the runs as a list has them.
func (w *world) listed() (runs []engine.Run) {
	for _, name := range slices.Sorted(maps.Keys(w.runs)) {
		if r := w.runs[name]; !r.unlabelled {
			e := plan.Existing{Name: name, Unit: r.unit, Created: time.Now(), Active: r.active}
			if !r.anonymous {
				e.Trigger, e.Signature = r.trigger, r.signature
			}
			runs = append(runs, engine.Run{Existing: e})
		}
	}
	return runs
}

// asked asks explain about every branch, with what the hosts have, and checks that what it says is true. It returns the
// heads that it says the next cycle deploys.
func (w *world) asked() map[repo.Ref]repo.SHA {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.places.rand != nil {
		return nil // who explains may reach a cluster that the loop does not
	}
	k, _ := key(context.Background())
	cfg := w.config()
	in := explain.Input{Config: cfg, Snapshot: w.stored, Runs: w.listed(), Key: &k, Now: time.Now(), Observed: make([]repo.Observation, len(cfg.Repositories))}
	for i, r := range cfg.Repositories {
		in.Observed[i].Heads = maps.Clone(w.remote(r.Monitor.URL).heads)
		maps.DeleteFunc(in.Observed[i].Heads, func(name string, _ repo.SHA) bool { return !r.Monitor.Branches.Match(name) })
	}
	e := explain.New(in)
	runs := map[repo.Ref]repo.SHA{}
	for _, r := range cfg.Repositories {
		for _, branch := range all {
			s := e.Of(repo.Ref{Repository: r.Name, Branch: branch})
			for _, said := range s.Statements {
				w.judge(s.Ref, in.Snapshot, said)
			}
			if has(s, explain.WouldRun) {
				runs[s.Ref] = w.remote(r.Monitor.URL).heads[branch]
			}
			w.judgeWhole(s)
		}
	}
	return runs
}

func has(s explain.Subject, kinds ...explain.Kind) bool {
	return slices.ContainsFunc(s.Statements, func(said explain.Statement) bool { return slices.Contains(kinds, said.Kind) })
}

// judge checks one statement by what happened.
func (w *world) judge(ref repo.Ref, stored state.Snapshot, said explain.Statement) {
	lie := func(why string) { w.wrong("of %s explain says %q, and %s", ref, said.Words, why) }
	ran := slices.ContainsFunc(w.truth.ran[ref], func(c change) bool { return c.New == said.SHA })
	run, there := w.runs[said.Run]
	entry, known := stored.Repositories[ref.Repository]
	switch said.Kind {
	case explain.ActedUpon, explain.NotYetLearned:
		if now := w.deployed(ref, said); !ran || now != said.SHA {
			lie("it is deployed at " + now.Short())
		}
		if there && !slices.ContainsFunc(run.trigger.Refs, func(c plan.Change) bool { return c.Ref == ref && c.New == said.SHA }) {
			lie("that run deploys something else")
		}
		if last := w.truth.ran[ref]; there && len(last) > 0 && run.trigger.Refs[0].N != last[len(last)-1].N {
			lie("that is an earlier run of the same commit")
		}
		if b := entry.Branches.Get(ref.Branch); there && (said.Kind == explain.ActedUpon) != (b.N == run.trigger.Refs[0].N) {
			lie("the state has " + b.SHA.Short())
		}
	case explain.Recorded:
		if len(w.truth.ran[ref]) > 0 && !w.truth.gone[ref] || entry.Branches.Get(ref.Branch).SHA != said.SHA {
			lie("it ran")
		}
	case explain.RunGone:
		if !ran || there {
			lie("there was no such run, or it is there")
		}
	case explain.Active, explain.Busy:
		if !there || !run.active {
			lie("it is not")
		}
	case explain.Succeeded, explain.Failed, explain.Cancelled, explain.TimedOut:
		if there && run.active {
			lie("it is active")
		}
	case explain.NeverSeen:
		if known && !entry.Unseen {
			lie("it was")
		}
	case explain.Head:
		if w.remote(url(ref.Repository)).heads[ref.Branch] != said.SHA {
			lie("it is not")
		}
	case explain.NoHead:
		if w.remote(url(ref.Repository)).heads[ref.Branch] != "" && w.watched(ref) {
			lie("it does")
		}
	}
}

// watched reports whether the file, as it is now, has a ref watched.
func (w *world) watched(ref repo.Ref) bool {
	return slices.ContainsFunc(w.config().Repositories, func(r config.Repository) bool {
		return r.Name == ref.Repository && r.Monitor.Branches.Match(ref.Branch)
	})
}

// deployed returns what a ref counts as deployed at. A repository that left the file and is back is seen for the first
// time again, and yet a run of it that no Sentry had remembered by then is learned as the last word on its ref.
func (w *world) deployed(ref repo.Ref, said explain.Statement) repo.SHA {
	if ran, there := w.truth.ran[ref], w.runs[said.Run] != nil; w.truth.now[ref] == "" && said.Kind == explain.NotYetLearned && there && len(ran) > 0 {
		return ran[len(ran)-1].New
	}
	return w.truth.now[ref]
}

// judgeWhole checks that a branch is said to be due exactly when its head is not deployed.
func (w *world) judgeWhole(s explain.Subject) {
	head := w.remote(url(s.Repository)).heads[s.Branch]
	deployed := w.truth.now[s.Ref]
	for _, said := range s.Statements {
		deployed = cmp.Or(deployed, w.deployed(s.Ref, said))
	}
	due := has(s, explain.WouldRun, explain.WouldLearn, explain.WouldWait, explain.WouldPause, explain.WouldCancel, explain.WouldDefer, explain.WouldFreeze, explain.WouldQueue)
	if has(s, explain.NotWatched) && !due {
		return // whatever its head is
	}
	if !due && has(s, explain.NothingDue) && head != "" && head != deployed {
		w.wrong("explain says that nothing is due for %s, whose head is %s and which is deployed at %q", s.Ref, head.Short(), deployed.Short())
	}
	if due && head == deployed && !w.truth.gone[s.Ref] {
		w.wrong("explain says that %s is due, and its head %s is deployed", s.Ref, head.Short())
	}
}

// keeps checks that the cycle did what explain said it would.
func (w *world) keeps(said map[repo.Ref]repo.SHA) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, ref := range slices.SortedFunc(maps.Keys(said), repo.Ref.Compare) {
		if w.most == 0 && w.truth.now[ref] != said[ref] {
			w.wrong("explain said that the next cycle deploys %s of %s, and it is deployed at %q", said[ref].Short(), ref, w.truth.now[ref].Short())
		}
	}
}
