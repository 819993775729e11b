package github

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/internal/graphql"
)

const (
	// maxOwners is how many owners one query lists, and listed how many of each one's repositories a page
	// has: 2,500 nodes, one point.
	maxOwners = 50
	listed    = 50
	// maxListPages is how far a list is followed. What lies beyond is read.
	maxListPages = 4
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

func sightingKey(w githost.Wanted) string { return w.URL + "\n" + w.Patterns.String() }

// saw keeps what the answer that held a repository's heads says of its last push.
func (h *host) saw(w githost.Wanted, t *target, at time.Time) {
	h.remember(func() {
		h.seen[sightingKey(w)] = sighting{canonical: t.canonical, pushed: t.pushed, read: at, verified: at}
	})
}

// Changed implements githost.Prefilter: it compares when each repository was last pushed to, in its
// owner's list of the repositories pushed to last, with what was told when Heads read it. The list is
// followed to two minutes before that. Everything is reported as changed when the lists would cost more
// queries than reading does. GitHub does not say whether the deletion of a branch counts as a push, and
// without a token it has no such list.
func (h *host) Changed(ctx context.Context, want []githost.Wanted) ([]bool, error) {
	h.mu.Lock()
	h.forget(want)
	without, seen := time.Now().Before(h.without) || h.token == "", maps.Clone(h.seen)
	h.mu.Unlock()
	if without {
		return nil, githost.NotAsked(githost.NewError(githost.Invalid, h.name, "without a token, or GraphQL, it does not tell what changed"))
	}
	changed := slices.Repeat([]bool{true}, len(want))
	lists := make(map[string]*list)
	for _, w := range want {
		s, ok := seen[sightingKey(w)]
		if !ok || s.pushed.IsZero() || s.read.IsZero() {
			continue
		}
		owner, _, _ := strings.Cut(s.canonical, "/")
		if lists[owner] == nil {
			lists[owner] = &list{owner: owner, floor: s.floor(), pushed: make(map[string]time.Time)}
		}
		lists[owner].floor = minTime(lists[owner].floor, s.floor())
	}
	if len(lists) == 0 || (len(lists)+maxOwners-1)/maxOwners >= (len(want)+99)/100 {
		return changed, nil
	}
	if err := h.fill(ctx, slices.SortedFunc(maps.Values(lists), func(a, b *list) int { return cmp.Compare(a.owner, b.owner) })); err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, w := range want {
		s := seen[sightingKey(w)]
		owner, _, _ := strings.Cut(s.canonical, "/")
		l := lists[owner]
		changed[i] = l == nil || l.tells(s)
		if !changed[i] && h.seen[sightingKey(w)] == s {
			s.verified = maxTime(s.verified, l.at)
			h.seen[sightingKey(w)] = s
		}
	}
	return changed, nil
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

// list is what an owner's repositories say, the one pushed to last first.
type list struct {
	owner  string
	floor  time.Time // how far back it has to go
	after  string    // cursor of the page before
	at     time.Time // when the first page was served; zero when it was not
	oldest time.Time // the oldest push on it
	whole  bool      // it holds all repositories
	pushed map[string]time.Time
}

// tells reports whether a repository may have changed.
func (l *list) tells(s sighting) bool {
	if s.pushed.IsZero() || s.read.IsZero() || l.at.IsZero() || s.read.Sub(s.pushed) < step {
		return true
	}
	if at, ok := l.pushed[s.canonical]; ok {
		return !at.Equal(s.pushed)
	}
	return l.whole || l.oldest.IsZero() || !l.oldest.Before(s.floor())
}

// fill reads the lists, page by page, each as far back as it has to go.
func (h *host) fill(ctx context.Context, lists []*list) error {
	for range maxListPages {
		var more []*list
		for batch := range slices.Chunk(lists, maxOwners) {
			answer, err := h.send(ctx, listsRequest(batch), "")
			if err != nil {
				return githost.WrapError(h.name, err)
			}
			problems := byAlias(answer.Problems)
			for i, l := range batch {
				alias := fmt.Sprintf("o%d", i)
				if _, refused := problems[alias]; refused {
					l.at = time.Time{} // its repositories are read, and say themselves what is wrong
					continue
				}
				next, err := l.read(answer, answer.Data[alias])
				if err != nil {
					return h.odd(err)
				}
				if next {
					more = append(more, l)
				}
			}
		}
		lists = more
	}
	return nil
}

func listsRequest(lists []*list) *request {
	r := newRequest()
	for i, l := range lists {
		login := r.variable(fmt.Sprintf("l%d", i), l.owner)
		after := ""
		if l.after != "" {
			after = ",after:" + r.variable(fmt.Sprintf("a%d", i), l.after)
		}
		fmt.Fprintf(&r.fields, "o%d:repositoryOwner(login:%s){repositories(first:%d,ownerAffiliations:[OWNER],"+
			"orderBy:{field:PUSHED_AT,direction:DESC}%s){nodes{nameWithOwner pushedAt} pageInfo{hasNextPage endCursor}}}",
			i, login, listed, after)
	}
	return r
}

// read takes a page, and returns whether another one is needed.
func (l *list) read(answer graphql.Answer, text json.RawMessage) (bool, error) {
	var owner *struct {
		Repositories struct {
			Nodes []*struct {
				NameWithOwner string    `json:"nameWithOwner"`
				PushedAt      time.Time `json:"pushedAt"`
			} `json:"nodes"`
			PageInfo page `json:"pageInfo"`
		} `json:"repositories"`
	}
	if len(text) == 0 {
		return false, fmt.Errorf("the answer leaves out an owner")
	}
	if err := json.Unmarshal(text, &owner); err != nil || owner == nil {
		return false, err
	}
	if l.after == "" {
		l.at = servedAt(answer.Header)
	}
	for _, n := range owner.Repositories.Nodes {
		// An empty repository was never pushed to, and may stand anywhere.
		if n == nil || n.PushedAt.IsZero() {
			continue
		}
		l.pushed[strings.ToLower(n.NameWithOwner)] = n.PushedAt
		if l.oldest.IsZero() || n.PushedAt.Before(l.oldest) {
			l.oldest = n.PushedAt
		}
	}
	next := owner.Repositories.PageInfo
	l.whole = !next.HasNextPage
	if l.whole || l.oldest.Before(l.floor) && !l.oldest.IsZero() || next.EndCursor == "" || next.EndCursor == l.after {
		return false, nil
	}
	l.after = next.EndCursor
	return true, nil
}

func minTime(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func maxTime(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
