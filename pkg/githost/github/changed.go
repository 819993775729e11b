package github

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tekton-sentry/sentry/pkg/githost"
)

const (
	// lag is how late a push may appear in the list. GitHub names no bound.
	lag = 2 * time.Minute
	// step is the exactness of pushedAt, a second, with room for clocks that differ: of two pushes
	// within it the later one may not show.
	step = 5 * time.Second
)

// sighting is what was known of a repository when Heads last read it. All times are the server's.
type sighting struct {
	canonical string
	pushed    time.Time // the last push, as told with the heads
	read      time.Time // when Heads read it
	verified  time.Time // when it was last known to be unchanged since
}

func sightingKey(w githost.Wanted) string { return w.URL + "\n" + w.Patterns.Key() }

// saw keeps what the answer that held a repository's heads says of its last push.
func (h *host) saw(w githost.Wanted, t *target, at time.Time) {
	h.remember(func() {
		h.seen[sightingKey(w)] = sighting{canonical: t.canonical, pushed: t.pushed, read: at, verified: at}
	})
}

// Changed implements githost.Prefilter: it compares when each repository was last pushed to, in its
// owner's list of the repositories pushed to last, with what was told when Heads read it. The list is
// followed to two minutes before that, while that takes at most half of the queries that reading everything does.
// What the lists leave open is reported as changed. GitHub does not say whether the deletion of a branch counts
// as a push, and without a token it has no such list.
func (h *host) Changed(ctx context.Context, want []githost.Wanted) ([]bool, error) {
	h.mu.Lock()
	h.forget(want)
	without, lists := time.Now().Before(h.without) || h.token == "", h.lists(want)
	h.mu.Unlock()
	if without {
		return nil, githost.NotAsked(githost.NewError(githost.Invalid, h.name, "without a token, or GraphQL, it does not tell what changed"))
	}
	if err := h.fill(ctx, slices.Collect(maps.Values(lists)), queries(len(want))/2); err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	changed := make([]bool, len(want))
	for i, w := range want {
		key := sightingKey(w)
		s := h.seen[key]
		l := lists[s.owner()]
		if changed[i] = l == nil || l.tells(s); !changed[i] {
			s.verified = maxTime(s.verified, l.at)
			h.seen[key] = s
		}
	}
	return changed, nil
}

// lists returns an empty list for each owner of a repository that a list can tell of. It is called with h.mu held.
func (h *host) lists(want []githost.Wanted) map[string]*list {
	lists := make(map[string]*list)
	for _, w := range want {
		s := h.seen[sightingKey(w)]
		if !s.comparable() {
			continue
		}
		owner := s.owner()
		if lists[owner] == nil {
			lists[owner] = &list{owner: owner, entries: make(map[string]entry)}
		}
		lists[owner].add(s)
	}
	return lists
}

// forget drops what is known of repositories that are not wanted any more, once that is the larger part. It is
// called with h.mu held.
func (h *host) forget(want []githost.Wanted) {
	if len(h.seen) <= 2*len(want) {
		return
	}
	wanted := make(map[string]bool, len(want))
	for _, w := range want {
		wanted[sightingKey(w)] = true
	}
	maps.DeleteFunc(h.seen, func(key string, _ sighting) bool { return !wanted[key] })
}

// floor is the time that a list has to reach back to, to say that nothing was pushed since.
func (s sighting) floor() time.Time { return s.verified.Add(-lag) }

func (s sighting) owner() string {
	owner, _, _ := strings.Cut(s.canonical, "/")
	return owner
}

// comparable reports whether a later push has another time than the one that is known.
func (s sighting) comparable() bool {
	return !s.pushed.IsZero() && !s.read.IsZero() && s.read.Sub(s.pushed) >= step
}

func maxTime(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
