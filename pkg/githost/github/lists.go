package github

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/github/internal/reply"
	"github.com/tekton-sentry/sentry/pkg/githost/internal/graphql"
	"github.com/tekton-sentry/sentry/pkg/githost/internal/jsonstream"
)

const (
	// maxOwners is how many owners one query lists, firstListed how many of each one's repositories the first page
	// has, and listed a further one: 2,500 and 5,000 nodes, one point.
	maxOwners   = 50
	firstListed = 50
	listed      = 100
	// glanced is how many of each owner's repositories a glance shows: it comes every few seconds, and is to be small.
	glanced = 20
	// maxListPages is how far a list is followed. What lies beyond is read.
	maxListPages = 4
)

// queries returns how many queries it takes to read so many repositories.
func queries(repositories int) int {
	return (repositories + graphql.MaxSize - 1) / graphql.MaxSize
}

// list is what an owner's repositories say, the one pushed to last first, of those that are wanted.
type list struct {
	owner   string
	first   int       // how many of them the first page has
	after   string    // cursor of the page before
	at      time.Time // when the first page was served; zero when it was not
	oldest  time.Time // the oldest push on it
	whole   bool      // it holds all repositories
	entries map[string]entry
	open    int // how many of what is wanted it does not tell of
}

// entry is a repository that is wanted.
type entry struct {
	at    time.Time // of its last push as listed; zero when it is not
	floor time.Time // how far back the list has to go to say that nothing was pushed
	wants int       // how often it is wanted, with different branches
}

// add adds what is wanted.
func (l *list) add(s *sighting) {
	e, known := l.entries[s.canonical]
	if floor := s.floor(); !known || floor.Before(e.floor) {
		e.floor = floor
	}
	e.wants++
	l.entries[s.canonical] = e
	l.open++
}

// tells reports whether a repository may have changed.
func (l *list) tells(s *sighting) bool {
	if !s.comparable() || l.at.IsZero() {
		return true
	}
	if at := l.entries[s.canonical].at; !at.IsZero() {
		return !at.Equal(s.pushed)
	}
	return !l.reaches(s.floor())
}

// reaches reports whether the list goes back beyond a time, so that what is not on it was not pushed to since. Of a
// list of everything that says nothing.
func (l *list) reaches(floor time.Time) bool {
	return !l.whole && !l.oldest.IsZero() && l.oldest.Before(floor)
}

// fill reads the lists, page by page, each as far back as it has to go. It sends at most budget queries, and none
// that would tell of fewer repositories than two that read. Owners of many repositories come first.
func (h *host) fill(ctx context.Context, lists []*list, budget int) error {
	asked := 0
	for range maxListPages {
		slices.SortFunc(lists, func(a, b *list) int { return cmp.Or(cmp.Compare(b.open, a.open), cmp.Compare(a.owner, b.owner)) })
		var more []*list
		for batch := range slices.Chunk(lists, maxOwners) {
			open := 0
			for _, l := range batch {
				open += l.open
			}
			late := asked > 0 && ctx.Err() != nil // what there was no time for is read
			if asked == budget || queries(open) < 2 || late {
				break
			}
			next, err := h.nextPage(ctx, batch)
			if err != nil && (asked == 0 || ctx.Err() == nil) {
				return err
			}
			asked++
			more = append(more, next...)
		}
		lists = more
	}
	return nil
}

// nextPage reads the next page of each list, and returns those of which another one is needed.
func (h *host) nextPage(ctx context.Context, lists []*list) (more []*list, err error) {
	pages := make([]listPage, len(lists))
	answer, err := h.send(ctx, listsRequest(lists), "", func(alias string, v *jsonstream.Reader) {
		if i := graphql.Numbered(alias, "o", len(pages)); i >= 0 && !pages[i].told {
			pages[i] = lists[i].read(v)
		}
	})
	if err != nil {
		return nil, githost.WrapError(h.name, err)
	}
	problems := byAlias(answer.Problems)
	for i, l := range lists {
		if _, refused := problems[fmt.Sprintf("o%d", i)]; refused {
			l.at = time.Time{} // its repositories are read, and say themselves what is wrong
			continue
		}
		next, err := l.take(pages[i], servedAt(answer.Header))
		if err != nil {
			return nil, h.unreadable(err)
		}
		if next {
			more = append(more, l)
		}
	}
	return more, nil
}

func listsRequest(lists []*list) *request {
	r := newRequest()
	for i, l := range lists {
		login := r.variable(fmt.Sprintf("l%d", i), l.owner)
		first, after := l.first, ""
		if l.after != "" {
			first, after = listed, ",after:"+r.variable(fmt.Sprintf("a%d", i), l.after)
		}
		fmt.Fprintf(&r.fields, "o%d:repositoryOwner(login:%s){repositories(first:%d,ownerAffiliations:[OWNER],"+
			"orderBy:{field:PUSHED_AT,direction:DESC}%s){nodes{nameWithOwner pushedAt} pageInfo{hasNextPage endCursor}}}",
			i, login, first, after)
	}
	return r
}

// listPage is what an answer says of a list.
type listPage struct {
	told, null bool
	oldest     time.Time            // the oldest push
	pushes     map[string]time.Time // of those repositories that are wanted
	page       reply.Page
	err        error
}

// read reads a page.
func (l *list) read(v *jsonstream.Reader) listPage {
	p := listPage{told: true, pushes: make(map[string]time.Time)}
	if v.IsNull() {
		p.null = true
		return p
	}
	for field := range v.Fields() {
		if field != "repositories" {
			continue
		}
		for field := range v.Fields() {
			switch field {
			case "nodes":
				for range v.Items() {
					p.add(v, l)
				}
			case "pageInfo":
				p.page = reply.ReadPage(v)
			}
		}
	}
	if err := v.Shape(); err != nil {
		p.err = err
	}
	return p
}

// add reads a repository of a list.
func (p *listPage) add(v *jsonstream.Reader, l *list) {
	var name string
	var pushed time.Time
	for field := range v.Fields() {
		var err error
		switch field {
		case "nameWithOwner":
			name = strings.ToLower(v.Text())
		case "pushedAt":
			pushed, err = reply.ReadTime(v)
		}
		p.err = cmp.Or(p.err, err)
	}
	// An empty repository was never pushed to, and may stand anywhere.
	if pushed.IsZero() {
		return
	}
	if p.oldest.IsZero() || pushed.Before(p.oldest) {
		p.oldest = pushed
	}
	if _, wanted := l.entries[name]; wanted {
		p.pushes[name] = maxTime(p.pushes[name], pushed)
	}
}

// take takes a page that was served at a time, and returns whether another one is needed.
func (l *list) take(p listPage, at time.Time) (bool, error) {
	switch {
	case !p.told:
		return false, fmt.Errorf("the answer leaves out an owner")
	case p.err != nil || p.null:
		return false, p.err
	}
	if l.after == "" {
		l.at = at
	}
	if !p.oldest.IsZero() && (l.oldest.IsZero() || p.oldest.Before(l.oldest)) {
		l.oldest = p.oldest
	}
	for name, pushed := range p.pushes {
		e := l.entries[name]
		e.at = maxTime(e.at, pushed)
		l.entries[name] = e
	}
	l.whole = !p.page.Next
	l.open = 0
	for _, e := range l.entries {
		if e.at.IsZero() && !l.reaches(e.floor) {
			l.open += e.wants
		}
	}
	if l.whole || l.open == 0 || p.page.Cursor == "" || p.page.Cursor == l.after {
		return false, nil
	}
	l.after = p.page.Cursor
	return true, nil
}
