// Package ended keeps which runs ended, for the loop, until it remembers what they deployed.
package ended

import (
	"slices"
	"sync"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/plan/naming"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/result"
	"github.com/tekton-sentry/sentry/pkg/result/history"
)

// Endings are the runs that ended, of which the state does not hold yet what they deployed. Any goroutine may use it.
type Endings struct {
	mu  sync.Mutex
	all []result.Result
}

// Add adds one.
func (e *Endings) Add(r result.Result) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, r)
}

// Take returns them, and has none any more.
func (e *Endings) Take() []result.Result {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := e.all
	e.all = nil
	return all
}

const (
	// maxUnheard bounds the runs of one unit that are read to know how they ended.
	maxUnheard = 10
	// maxHeard bounds those of which that is known while there is no history, which has 2,000 at most.
	maxHeard = 20_000
)

// ReadWithin is how long a cycle goes on reading how runs in other clusters ended, before something is due there.
const ReadWithin = 10 * time.Second

// Heard are the runs of which it is known how they ended.
type Heard struct {
	Forgets func(result.Result) bool // reports whether the history was cut before a run, which was known once; may be nil
	runs    map[history.Identity]bool
}

// Add adds runs.
func (h *Heard) Add(ends []result.Result) {
	if h.runs == nil || len(h.runs) > maxHeard {
		h.runs = map[history.Identity]bool{}
	}
	for _, r := range ends {
		h.runs[history.Of(r)] = true
	}
}

// Not returns those of the runs, which are oldest first, of which it is not known how they ended; of a unit the newest.
func (h Heard) Not(runs []engine.Run) []engine.Run {
	var unheard []engine.Run
	of := map[string]int{}
	for _, r := range slices.Backward(runs) {
		if r.Active || of[r.Unit] == maxUnheard {
			continue
		}
		ran := result.Result{Name: r.Name, Cluster: r.Cluster, Unit: r.Unit, Created: r.Created}
		if refs := r.Trigger.Refs; len(refs) > 0 {
			ran.Refs = []result.Ref{{Ref: refs[0].Ref}}
		}
		if h.runs[history.Of(ran)] || h.Forgets != nil && h.Forgets(ran) {
			continue
		}
		of[r.Unit]++
		unheard = append(unheard, r)
	}
	return unheard
}

// Theirs returns the results without what they say of repositories whose runs are in another cluster: whoever may make runs in one says
// nothing of what is deployed in another.
func Theirs(cfg *config.Config, index *naming.Index, results []result.Result) []result.Result {
	theirs := results
	for i, of := range results {
		elsewhere := func(m result.Member) bool {
			at := index.Of(naming.Unit{Ref: repo.Ref{Repository: m.Repository}})
			return len(at) > 0 && cfg.GroupOf(&cfg.Repositories[at[0]]).Cluster != of.Cluster
		}
		if len(cfg.Clusters) == 0 && of.Cluster == "" || !slices.ContainsFunc(of.Members, elsewhere) {
			continue
		}
		if &theirs[0] == &results[0] {
			theirs = slices.Clone(results)
		}
		theirs[i].Members = slices.DeleteFunc(slices.Clone(of.Members), elsewhere)
	}
	return theirs
}

// LastIsGone reports whether the run before r in its unit was deleted, so that the history alone may say how it ended.
func LastIsGone(r plan.Run, runs []engine.Run) bool {
	last := r.Trigger.Refs[0].N - 1
	return last > 0 && !slices.ContainsFunc(runs, func(e engine.Run) bool {
		return e.Unit == r.Unit.Label && len(e.Trigger.Refs) > 0 && e.Trigger.Refs[0].N == last
	})
}
