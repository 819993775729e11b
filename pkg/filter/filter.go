// Package filter tells which heads that moved run nothing, by what a repository says of its commits: monitor.ignore and
// monitor.paths. It asks hosts only about heads that moved, and only for repositories that say so.
package filter

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/state"
)

const (
	// maxAsking is how many repositories are asked about at once. What one host takes at once is for its endpoint to say.
	maxAsking = 8
	// patience is how long after the start of a call questions begin. What has not begun by then has its turn in the next cycle.
	patience = 30 * time.Second
	// most is how long a call takes at most: what has begun and has no answer by then cannot be known. The loop waits for it.
	most = 2 * patience
	// maxTries is how many looks in a row leave a head for the next one since nothing could be sent for it, as its host is not to be
	// asked for a while. Looks that come sooner than patience after the last that counted are none of them: hints and webhooks may have
	// them come every few seconds. After that it counts as a change: a run too many is better than one that never comes.
	maxTries = 5
	// rememberFor is how long at least an answer is kept that nobody asks for any more. A head that waits for its unit is asked
	// about in every cycle.
	rememberFor = 10 * time.Minute
)

// Commits is what hosts tell of commits. An error of which errors.Is finds repo.ErrUnsent says nothing about the commits.
type Commits interface {
	// Messages returns the messages of commits of a repository, in their order.
	Messages(ctx context.Context, source config.Source, commits []repo.SHA) ([]string, error)
	// Diff calls differs with the path of each file that is not the same in two commits, until it returns false. A file with another
	// name has two.
	Diff(ctx context.Context, source config.Source, before, after repo.SHA, differs func(path string) bool) error
}

// Question is about the heads of one repository that moved.
type Question struct {
	At      int // of the caller
	Monitor *config.Monitor
	Heads   []Head
}

// Head is a head that moved.
type Head struct {
	repo.Ref
	SHA  repo.SHA
	Base repo.SHA // up to which it is known what changed since a run; "" for a new branch
}

// Answer is what became of a Question.
type Answer struct {
	At      int
	Passed  map[string]repo.Pass // by branch: heads that run nothing
	Unclear []Unclear            // heads that count as changes, as they could not be told from them
	Late    error                // why it was not asked yet, so that nothing is known; nil = it was
}

// Unclear is a head of which it could not be told whether it runs anything.
type Unclear struct {
	Head
	Key string // that asks for it, such as ignore
	Err error
}

// Observed returns the observation that was asked about, with the answer.
func (a Answer) Observed(o repo.Observation) repo.Observation {
	if a.Late != nil {
		return repo.Observation{Status: repo.Late, Err: a.Late}
	}
	o.Passed = a.Passed
	return o
}

func isUnsent(u Unclear) bool { return errors.Is(u.Err, repo.ErrUnsent) }

var errLate = errors.New("the time was up before it could be read what its commits say")

// Of returns what has to be asked about a repository with these heads, before they can be planned. It is false for nearly all:
// those that say nothing of their commits, and those whose heads did not move.
func Of(r *config.Repository, s state.Snapshot, first config.OnFirstSeen, heads map[string]repo.SHA) (Question, bool) {
	if r.Monitor.Ignore == nil && r.Monitor.Paths == nil || !s.Seen(r.Name) && first != config.DeployFirst {
		return Question{}, false
	}
	was := s.Repositories[r.Name]
	q := Question{Monitor: &r.Monitor}
	for branch, sha := range heads {
		// What was cut off is made up for, whatever the head says.
		b, _ := was.Branch(branch)
		if _, tag := repo.Tag(branch); tag && b.SHA == "" {
			continue // a release is wanted, whatever the message of its commit says
		}
		if !b.Due(sha) || b.Redo || was.Damaged != nil || b.SHA == "" && r.Monitor.Ignore == nil {
			continue // all of a new branch is new
		}
		q.Heads = append(q.Heads, Head{repo.Ref{Repository: r.Name, Branch: branch}, sha, b.Base()})
	}
	slices.SortFunc(q.Heads, func(a, b Head) int { return a.Compare(b.Ref) })
	return q, len(q.Heads) > 0
}

// Filter asks. Its answers are kept for as long as they are asked for, and what failed is asked again. The zero Filter with Commits is
// ready for use.
type Filter struct {
	Commits Commits

	mu     sync.Mutex
	turned time.Time
	known  aging[key, repo.Pass]
	told   aging[key, string] // the keys of monitor of which it was told that they are unclear
	tries  aging[place, attempt]
}

// attempt is how often in a row nothing could be sent about the heads of a branch. Their commits are no part of it: a branch that moves
// all the time would begin anew each time, and hold up all else of its repository.
type attempt struct {
	unsent int       // of those that count
	last   time.Time // when the last one was that counts
}

// place is a branch or tag, and what the file said of it.
type place struct {
	repo.Ref
	ignore, paths string
}

// key is a head of it.
type key struct {
	place
	sha, base repo.SHA
}

func keyOf(m *config.Monitor, h Head) key {
	k := key{place{Ref: h.Ref, paths: m.Paths.Key()}, h.SHA, h.Base}
	if m.Ignore != nil {
		k.ignore = m.Ignore.String()
	}
	return k
}

// aging is a map that forgets what nobody asked for between two turns.
type aging[K comparable, V any] struct{ now, past map[K]V }

func (a *aging[K, V]) get(k K) (v V, ok bool) {
	if v, ok = a.now[k]; ok {
		return v, true
	}
	if v, ok = a.past[k]; ok {
		a.put(k, v)
	}
	return v, ok
}

func (a *aging[K, V]) put(k K, v V) {
	if a.now == nil {
		a.now = map[K]V{}
	}
	a.now[k] = v
}

func (a *aging[K, V]) remove(k K) {
	delete(a.now, k)
	delete(a.past, k)
}

func (a *aging[K, V]) turn() { a.past, a.now = a.now, nil }

// Each calls answered for each repository, with the answers to all that was asked about it. The calls come one at a time.
func (f *Filter) Each(ctx context.Context, questions []Question, answered func([]Answer)) {
	f.turn()
	bySource := map[config.Source][]Question{}
	var order []config.Source
	for _, q := range questions {
		if bySource[q.Monitor.Source] == nil {
			order = append(order, q.Monitor.Source)
		}
		bySource[q.Monitor.Source] = append(bySource[q.Monitor.Source], q)
	}
	answers := make(chan []Answer)
	turns := make(chan struct{}, maxAsking)
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	for _, source := range order {
		go func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			l := look{Filter: f, source: source, questions: bySource[source], began: began, late: time.Since(began) > patience || ctx.Err() != nil}
			answers <- l.ask(ctx)
		}()
	}
	for range order {
		answered(<-answers)
	}
}

// Look asks about all that was observed, one for each of cfg.Repositories, and puts the answers there.
func (f *Filter) Look(ctx context.Context, cfg *config.Config, s state.Snapshot, observed []repo.Observation, unclear func(Unclear)) {
	var questions []Question
	for i := range cfg.Repositories {
		if q, open := Of(&cfg.Repositories[i], s, cfg.Global.OnFirstSeen, observed[i].Heads); open {
			q.At = i
			questions = append(questions, q)
		}
	}
	f.Each(ctx, questions, func(answers []Answer) {
		for _, a := range answers {
			observed[a.At] = a.Observed(observed[a.At])
			for _, u := range a.Unclear {
				unclear(u)
			}
		}
	})
}

// turn forgets what nobody asked for in a while.
func (f *Filter) turn() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now := time.Now(); now.Sub(f.turned) > rememberFor {
		f.turned = now
		f.known.turn()
		f.told.turn()
		f.tries.turn()
	}
}

// recall returns what is known of a head.
func (f *Filter) recall(k key) (why repo.Pass, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.known.get(k)
}

func (f *Filter) learn(k key, why repo.Pass) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.known.put(k, why)
	f.told.remove(k)
	f.tries.remove(k.place)
}

// postpone counts a look for which nothing could be sent, and reports whether the head waits for the next one.
func (f *Filter) postpone(p place) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	a, _ := f.tries.get(p)
	if now := time.Now(); a.unsent == 0 || now.Sub(a.last) >= patience {
		a = attempt{min(a.unsent+1, maxTries+1), now}
		f.tries.put(p, a)
	}
	return a.unsent <= maxTries
}

// news returns what was not told of a head yet: it is unclear in each look until its run is made.
func (f *Filter) news(k key, unclear []Unclear) []Unclear {
	f.mu.Lock()
	defer f.mu.Unlock()
	told, _ := f.told.get(k)
	unclear = slices.DeleteFunc(unclear, func(u Unclear) bool { return strings.Contains(told, u.Key) })
	for _, u := range unclear {
		told += " " + u.Key
	}
	f.told.put(k, told)
	return unclear
}
