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
	h.mu.Lock()
	without := h.withoutGraphQL() || h.token == ""
	h.mu.Unlock()
	lists := listsOf(want)
	if without {
		return nil, githost.NotAsked(githost.NewError(githost.Invalid, h.name, "without a token, or GraphQL, it does not tell what changed"))
	}
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

// listsOf returns an empty list for each owner of a repository that a list can tell of.
func listsOf(want []githost.Wanted) map[string]*list {
	lists, sizes := make(map[string]*list), make(map[string]int)
	for _, w := range want {
		sizes[sightingOf(w).owner()]++
	}
	for _, w := range want {
		s := sightingOf(w)
		if !s.comparable() {
			continue
		}
		owner := s.owner()
		if lists[owner] == nil {
			lists[owner] = &list{owner: owner, entries: make(map[string]entry, sizes[owner])}
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
