package watch

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/event"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/plan/naming"
	"github.com/tekton-sentry/sentry/pkg/result"
	"github.com/tekton-sentry/sentry/pkg/result/history"
	"github.com/tekton-sentry/sentry/pkg/state"
	"github.com/tekton-sentry/sentry/pkg/watch/ended"
)

// lookEvery is how often the runs of all units are looked at. At 10,000 runs a look reads some 50 MB, 50 runs
// at a time, which is nothing once an hour and much once a minute.
const lookEvery = time.Hour

// recover adds to the state what the engine's runs say was done beyond it. The runs are looked at before the
// hosts are asked, so that a head is never older than what it is compared with. All runs are looked at once,
// after the start, because the Sentry before may have died between creating a run and remembering it, with
// another configuration too; later only those of units where a call's outcome is not known. Another Sentry may
// have died without one being started in its place: hence the look at all runs once in a while.
func (c *cycle) recover(ctx context.Context) error {
	all := c.looked.IsZero() || c.Now().Sub(c.looked) >= lookEvery
	if !all && len(c.unsure)+len(c.unlisted) == 0 {
		return nil
	}
	var units []string
	if !all {
		units = slices.Collect(maps.Keys(c.unsure))
		for cluster := range c.unlisted {
			units = append(units, naming.At(cluster, ""))
		}
		slices.Sort(units)
	}
	existing, err := c.existing(ctx, units)
	unlisted, partly := errors.AsType[engine.Unlisted](err)
	if err != nil && !partly {
		return fmt.Errorf("find the runs that an earlier cycle may have made: %w", err)
	}
	if all {
		c.looked = c.Now()
	}
	// Of a cluster that does not answer it is asked again. None of its units has a run made before: see hold.
	c.Watcher.unlisted = unlisted
	maps.DeleteFunc(c.unsure, func(at string, _ bool) bool {
		cluster, _ := naming.Place(at)
		return unlisted[cluster] == nil
	})
	if news := c.learn(existing); len(news) > 0 {
		c.Tell(event.RunsLearned{Repositories: slices.Sorted(maps.Keys(news))})
	}
	return nil
}

// existing returns the units' runs that the engine has; no units mean all.
func (c *cycle) existing(ctx context.Context, units []string) ([]plan.Existing, error) {
	runs, err := c.Engine.Runs(ctx, units)
	return engine.Existing(runs), err
}

// learn adds to the state what the runs say was done beyond it, and returns the repositories of which that
// is news.
func (c *cycle) learn(existing []plan.Existing) map[string]bool {
	next, news := c.recovered(c.next, existing)
	c.next = next
	if len(news) > 0 {
		c.made = append(c.made, existing...)
		c.forgetHeads(func(name string) bool { return news[name] })
	}
	return news
}

// recovered returns a state with what the runs say was done beyond it, and the repositories of which that is news.
func (c *cycle) recovered(s state.Snapshot, runs []plan.Existing) (state.Snapshot, map[string]bool) {
	return plan.Recover(s, c.key, runs, c.Config.Decides(s.Found))
}

// forgetOthers has the heads forgotten of the repositories in which somebody else, such as another replica, acted since the
// state was known here: heads from before that, which a host's hint calls unchanged, would be taken for a change back.
func (c *cycle) forgetOthers(loaded state.Snapshot) {
	if c.known.Epoch == "" || loaded.Equal(c.known) {
		return
	}
	c.forgetHeads(func(name string) bool {
		now, before := loaded.Repositories[name].Branches, c.known.Repositories[name].Branches
		return !now.EqualFunc(before, func(a, b state.Branch) bool { return a.SHA == b.SHA })
	})
}

func (c *cycle) forgetHeads(which func(name string) bool) {
	heads, ok := c.Heads.(Forgetter)
	if !ok {
		return
	}
	var of []config.Monitor
	for _, r := range c.Config.Repositories {
		if which(r.Name) {
			of = append(of, r.Monitor)
		}
	}
	heads.Forget(of)
}

// markUnsure notes that the state may not hold what this cycle did and found.
func (c *cycle) markUnsure() {
	for _, r := range c.made {
		c.unsure[naming.At(r.Cluster, r.Unit)] = true
	}
}

// current returns the runs that may be made, given those that exist in their units. What another Sentry made
// since this cycle read the state is remembered, and the repositories concerned are left to the next cycle:
// their heads were read before that, perhaps.
func (c *cycle) current(runs []plan.Run, existing []plan.Existing) []plan.Run {
	news := c.learn(existing)
	var current []plan.Run
	for _, r := range runs {
		stale := slices.ContainsFunc(r.Members, func(m plan.Member) bool { return news[m.Repository.Name] })
		if !stale {
			current = append(current, r.After(existing))
		}
	}
	return current
}

// isOurs reports whether the run's name belongs to a run that another Sentry made on this state, and not to
// something foreign.
func (c *cycle) isOurs(ctx context.Context, run plan.Run) (bool, error) {
	existing, err := c.existing(ctx, []string{run.At()})
	if err != nil {
		return false, fmt.Errorf("find who has the name %s: %w", run.Name, err)
	}
	return slices.ContainsFunc(existing, func(e plan.Existing) bool {
		return e.Name == run.Name && c.ours(e)
	}), nil
}

// ours reports whether a Sentry on this state made the run.
func (c *cycle) ours(e plan.Existing) bool { return e.Ours(c.key, c.next.Epoch) }

// Ended tells the loop how a run ended. It may be called at any time. The next cycle remembers what was deployed, in the one
// write that it does; one whose process is killed before that leaves it to Past.
func (w *Watcher) Ended(r result.Result) {
	w.endings.Add(r)
}

// Recall has Past read in the next cycle, which it asks for and which looks at no repository: whoever is told of ends from now on
// missed those before. It may be called at any time.
func (w *Watcher) Recall() {
	w.recall.Store(true)
	w.Ask(Request{Repositories: []string{""}, Reason: "how runs ended"})
}

// learnEnds finds out which runs ended: all that are known, after the start and once in a while, and else those that Ended told.
// A history that cannot be read costs what it would have told, and no deployment.
func (c *cycle) learnEnds(ctx context.Context) {
	c.ended = c.Watcher.unsaved
	c.hear(c.endings.Take())
	if due := c.pastRead.IsZero() || c.Now().Sub(c.pastRead) >= lookEvery; c.recall.Swap(false) || due {
		c.readPast(ctx)
	}
	c.deployed()
}

// hear keeps how runs ended.
func (c *cycle) hear(ends []result.Result) {
	c.heard.Add(ends)
	c.ended = history.Add(c.ended, ends) // each once, however often it is read while the state cannot be saved
	c.Watcher.unsaved = c.ended
}

// readPast keeps how the runs ended that the history has.
func (c *cycle) readPast(ctx context.Context) {
	if c.Past == nil {
		return
	}
	past, err := c.Past(ctx)
	if err != nil && !c.pastTold {
		c.Tell(event.PastUnknown{Err: err})
	}
	if c.pastTold = err != nil; err != nil {
		c.pastRead = time.Time{}
		return
	}
	c.pastRead, c.heard = c.Now(), ended.Heard{}
	c.hear(slices.Concat(c.ended, past))
	c.heard.Forgets = history.Forgets(past)
}

// hearEnds finds out how those of the units' runs ended of which this Sentry was not told, before more runs are due in them: of
// several replicas one is told, and a list may be ahead of a watch. What cannot be read is as it was known.
func (c *cycle) hearEnds(ctx context.Context, due []plan.Run, runs []engine.Run) {
	if len(c.heard.Not(runs)) == 0 && !slices.ContainsFunc(due, func(r plan.Run) bool { return ended.LastIsGone(r, runs) }) {
		return
	}
	c.readPast(ctx)
	if c.Result != nil { // the history is written some seconds later than a run ends
		began := c.Now()
		for _, r := range c.heard.Not(runs) {
			if r.Cluster != "" && c.Now().Sub(began) >= ended.ReadWithin {
				break // the rest is told by whoever watches that cluster, or in the next cycle
			}
			if ended, err := c.Result(ctx, r); err == nil {
				c.hear([]result.Result{ended})
			}
		}
	}
	c.deployed()
}

// succeeded returns the runs with the commits that are known by now to have succeeded last.
func (c *cycle) succeeded(runs []plan.Run) []plan.Run {
	for i := range runs {
		runs[i].Members = slices.Clone(runs[i].Members)
		for j, m := range runs[i].Members {
			runs[i].Members[j].Succeeded = c.next.Repositories[m.Repository.Name].Branches.Get(m.Branch).Succeeded
		}
	}
	return runs
}

// deployed adds to the state which commits the runs deployed that ended.
func (c *cycle) deployed() { c.next = c.ledger.Learn(c.next, ended.Theirs(c.Config, c.index, c.ended)) }
