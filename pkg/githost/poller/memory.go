package poller

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"
	"unique"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/breaker"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

// forgetAfter is how long a repository that nobody asks for is remembered. It is longer than the longest wait, so
// that one that is left out for a while is asked no more often for it.
const forgetAfter = time.Hour

// fewNames is how many patterns may be remembered beside those that are wanted.
const fewNames = 1000

// memory is what an endpoint remembers of one repository from round to round. There may be 50,000 of them.
type memory struct {
	heads         []head           // of the last look; nil when it failed, and when nobody asks for them or there is no room for them
	err           *githost.Error   // of the last look
	read          instant          // when the look that gave heads began; zero when it is due again
	tried         instant          // when the last look began
	breaker       *breaker.Breaker // of a repository that fails while others answer; nil for one that does not
	validator     repo.Validator   // for the next question; nil when the host gave none, and when there is no room for it
	cost          int32            // of heads, in bytes
	validatorCost int32            // in bytes
	phase         uint64           // when in a sweep it has its turn

	named   instant       // when a glance named it last
	rest    time.Duration // how long no glance names it again
	changed bool          // that its heads did since a glance named it

	// Of who holds Reader.mu:
	wanted instant // when a caller last asked for it
	call   uint32  // the one that last asked for it
	at     int32   // its index in the batch of that call
}

// instant is a time in a third of the memory: nanoseconds after one that is before all others, by the monotonic clock. Zero is no time.
type instant int64

// before is a hundred years before the process began: the clocks of tests stand in the past.
var before = time.Now().Add(-100 * 365 * 24 * time.Hour)

func at(t time.Time) instant { return instant(t.Sub(before)) }

// key tells what is wanted of an endpoint apart.
type key struct {
	path     string // a part of the URL, and in its memory
	patterns uint32 // by Reader.patterns
}

// head is one branch, in less memory than a map takes.
type head struct {
	branch unique.Handle[string]
	sha    repo.SHA
}

// forget drops the repositories that nobody asked for since then, and the endpoints, such as those of a token that was
// replaced: some live for an hour. It is called with r.mu held.
func (r *Reader) forget(since time.Time) {
	maps.DeleteFunc(r.endpoints, func(_ githost.Account, e *endpoint) bool {
		maps.DeleteFunc(e.memory, func(_ key, m *memory) bool { return m.wanted < at(since) })
		if !e.wanted.Before(since) {
			return false
		}
		e.closeIdle()
		clear(r.sources)
		r.order = slices.DeleteFunc(r.order, func(other *endpoint) bool { return other == e })
		return true
	})
	if len(r.patterns) > r.kept+fewNames {
		r.forgetPatterns()
	}
}

// forgetPatterns drops the numbers of patterns by which nothing is remembered any more. It is called with r.mu held.
func (r *Reader) forgetPatterns() {
	used := make(map[uint32]bool)
	for _, e := range r.endpoints {
		for k := range e.memory {
			used[k.patterns] = true
		}
	}
	maps.DeleteFunc(r.patterns, func(_ string, number uint32) bool { return !used[number] })
	r.kept = 2 * len(r.patterns)
}

// Forget drops what is remembered of repositories, so that they are read afresh when they are wanted again: somebody else
// looks at them meanwhile, and heads from before that must not be compared with what was acted upon since.
func (r *Reader) Forget(repositories []config.Monitor) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range repositories {
		if e := r.opened(m.Source); e != nil {
			delete(e.memory, r.key(e, githost.Wanted{URL: m.URL, Patterns: m.Branches}))
		}
	}
}

// remember keeps a good answer of a look that began at that time, if its heads take no more than so many bytes: a
// repository whose heads are not kept is read again the next time. Their texts may be parts of a long one, so they are copied. The
// copies take their places in the answer, so that the state has the same.
func (m *memory) remember(heads map[string]repo.SHA, began time.Time, room int) {
	m.err, m.read = nil, at(began)
	m.breaker = nil
	if m.knows(heads) {
		return
	}
	m.rest, m.changed = 0, true
	m.heads, m.cost = nil, 0
	cost := 0
	for branch := range heads {
		cost += githost.Cost(branch)
	}
	if cost > room {
		m.read = 0
		return
	}
	m.heads, m.cost = make([]head, 0, len(heads)), int32(cost)
	for branch, sha := range heads {
		m.heads = append(m.heads, head{unique.Make(branch), repo.SHA(strings.Clone(string(sha)))})
	}
	clear(heads)
	for _, h := range m.heads {
		heads[h.branch.Value()] = h.sha
	}
}

// validate keeps the validator of an observation, if it takes no more than so many bytes. An error without one, but that
// of a repository that answers, says nothing about the last one.
func (m *memory) validate(o repo.Observation, room int) {
	if e, failed := errors.AsType[*githost.Error](o.Err); o.Validator == nil && failed && e.Kind != githost.NoBranch {
		return
	}
	m.validator, m.validatorCost = nil, 0
	if o.Validator == nil {
		return
	}
	if cost := o.Validator.Cost(); cost <= room {
		m.validator, m.validatorCost = o.Validator, int32(cost)
	}
}

func (m *memory) knows(heads map[string]repo.SHA) bool {
	if len(m.heads) != len(heads) {
		return false
	}
	for _, h := range m.heads {
		if heads[h.branch.Value()] != h.sha {
			return false
		}
	}
	return true
}

// fail keeps the error of a look that began at that time. alone says that it is the repository's own, so
// that it is asked less often. A repository without a matching branch answers as well as any other.
func (m *memory) fail(err *githost.Error, began time.Time, alone bool) {
	m.heads, m.cost, m.err = nil, 0, err
	if alone && err.Kind != githost.NoBranch {
		if m.breaker == nil {
			m.breaker = new(breaker.Breaker)
		}
		m.breaker.Fail(began, err)
	}
}

// due reports whether a repository has to be read whatever hints say: the last look gave no heads, or a sweep of that
// length has come to it since. Each has its turn at another moment of the sweep, once within every sweep.
func (m *memory) due(now time.Time, sweep time.Duration) bool {
	since := time.Duration((uint64(now.UnixNano()) - m.phase%uint64(sweep)) % uint64(sweep))
	return m.err != nil || m.read < at(now.Add(-since))
}

// recall returns the heads that are remembered.
func (m *memory) recall() repo.Observation {
	heads := make(map[string]repo.SHA, len(m.heads))
	for _, h := range m.heads {
		heads[h.branch.Value()] = h.sha
	}
	return repo.Observation{Heads: heads, Status: repo.Cached}
}

// order compares two repositories by what is to be read first: who failed comes after the others, because the first
// answers tell whether host and credential are good. In both, who waits the longest comes first, so that
// each has its turn on a host that is tried with one repository at a time.
func (m *memory) order(other *memory) int {
	if failing := m.err != nil; failing != (other.err != nil) {
		if failing {
			return 1
		}
		return -1
	}
	return cmp.Compare(m.tried, other.tried)
}
