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

// sighting is what was known of a repository when Heads last read it, and its Validator. All times are the server's.
type sighting struct {
	canonical string
	pushed    time.Time // the last push, as told with the heads
	read      time.Time // when Heads read it
	verified  time.Time // when it was last known to be unchanged since
}

// sightingOf returns the sighting of what is wanted, an empty one where there is none.
func sightingOf(w githost.Wanted) *sighting {
	if s, ok := w.Validator.(*sighting); ok {
		return s
	}
	return &sighting{}
}

// Cost implements repo.Validator.
func (s *sighting) Cost() int { return 100 + len(s.canonical) }

// Changed implements githost.Prefilter: it compares when each repository was last pushed to, in its
// owner's list of the repositories pushed to last, with what was told when Heads read it. The list is
// followed to two minutes before that, while that takes at most half of the queries that reading everything does.
// What the lists leave open is reported as changed. GitHub does not say whether the deletion of a branch counts
// as a push, and without a token it has no such list.
func (h *host) Changed(ctx context.Context, want []githost.Wanted) ([]bool, error) {
	if err := h.tellsNothing(); err != nil {
		return nil, err
	}
	lists := listsOf(want, firstListed, (*sighting).comparable)
	if err := h.fill(ctx, slices.Collect(maps.Values(lists)), queries(len(want))/2); err != nil {
		return nil, err
	}
	changed := make([]bool, len(want))
	for i, w := range want {
		s := sightingOf(w)
		l := lists[s.owner()]
		if changed[i] = l == nil || l.tells(s); !changed[i] {
			s.verified = maxTime(s.verified, l.at)
		}
	}
	return changed, nil
}

// Glance implements githost.Glancer by the first page of the lists. With so many owners that this takes as many queries as half
// of what reading everything does, it does not tell.
func (h *host) Glance(ctx context.Context, want []githost.Wanted) ([]bool, error) {
	if err := h.tellsNothing(); err != nil {
		return nil, err
	}
	lists := listsOf(want, glanced, func(s *sighting) bool { return !s.pushed.IsZero() })
	asks := (len(lists) + maxOwners - 1) / maxOwners
	if asks > max(1, queries(len(want))/2) {
		return nil, githost.NotAsked(githost.NewError(githost.Invalid, h.name, "the lists of %d owners cost as much as reading their repositories", len(lists)))
	}
	for some := range slices.Chunk(slices.Collect(maps.Values(lists)), maxOwners) {
		if _, err := h.nextPage(ctx, some); err != nil {
			return nil, err
		}
	}
	pushed := make([]bool, len(want))
	for i, w := range want {
		s := sightingOf(w)
		l := lists[s.owner()]
		if l == nil || l.at.IsZero() {
			continue
		}
		at := l.entries[s.canonical].at
		pushed[i] = at.After(s.pushed) || !at.IsZero() && !s.comparable() && l.at.Sub(s.pushed) >= step
	}
	return pushed, nil
}

// tellsNothing returns an error where there are no lists.
func (h *host) tellsNothing() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.withoutGraphQL() || h.token == "" {
		return githost.NotAsked(githost.NewError(githost.Invalid, h.name, "without a token, or GraphQL, it does not tell what changed"))
	}
	return nil
}

// listsOf returns an empty list, whose first page has so many, for each owner of a repository that a list can tell of.
func listsOf(want []githost.Wanted, first int, tells func(*sighting) bool) map[string]*list {
	lists, sizes := make(map[string]*list), make(map[string]int)
	for _, w := range want {
		sizes[sightingOf(w).owner()]++
	}
	for _, w := range want {
		s := sightingOf(w)
		if !tells(s) {
			continue
		}
		owner := s.owner()
		if lists[owner] == nil {
			lists[owner] = &list{owner: owner, first: first, entries: make(map[string]entry, sizes[owner])}
		}
		lists[owner].add(s)
	}
	return lists
}

// floor is the time that a list has to reach back to, to say that nothing was pushed since.
func (s *sighting) floor() time.Time { return s.verified.Add(-lag) }

func (s *sighting) owner() string {
	owner, _, _ := strings.Cut(s.canonical, "/")
	return owner
}

// comparable reports whether a later push has another time than the one that is known.
func (s *sighting) comparable() bool {
	return !s.pushed.IsZero() && !s.read.IsZero() && s.read.Sub(s.pushed) >= step
}

func maxTime(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
