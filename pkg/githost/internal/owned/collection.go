package owned

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tekton-sentry/sentry/pkg/githost"
)

// collection is what the pages of a list have told.
type collection struct {
	lister   Lister
	entries  map[string]*Entry // by ID
	total    int               // repositories that there are, as the first page has it; negative before that
	unsteady bool              // a later page has it otherwise
	asked    time.Time         // when the first page was served
	bytes    int
}

func newCollection(l Lister) *collection {
	return &collection{lister: l, entries: make(map[string]*Entry), total: -1}
}

// take takes a page. One that comes twice, as when another one was pushed to between two pages, counts once.
func (c *collection) take(p Page) (bool, error) {
	if c.total < 0 {
		c.total, c.asked = p.Total, p.Date
	}
	c.unsteady = c.unsteady || p.Total != c.total
	for _, e := range p.Entries {
		if c.entries[e.ID] == nil && len(c.entries) == maxRepositories {
			return false, githost.NewError(githost.TooLarge, c.lister.Host, "%.100q has more than %d repositories: discover parts of it",
				c.lister.Owner, maxRepositories)
		}
		if err := c.grow(len(e.Path) + len(e.URL) + len(e.SSH) + len(e.DefaultBranch) + len(strings.Join(e.Topics, "")) + len(e.File)); err != nil {
			return false, err
		}
		c.entries[e.ID] = &e
	}
	return true, nil
}

func (c *collection) grow(bytes int) error {
	if c.bytes += bytes; c.bytes > maxBytes {
		return githost.NewError(githost.TooLarge, c.lister.Host, "the list of the repositories of %.100q, with their files, is larger than %d MiB",
			c.lister.Owner, maxBytes>>20)
	}
	return nil
}

// steady reports whether the pages have as many repositories as all of them say that there are.
func (c *collection) steady() bool { return !c.unsteady && len(c.entries) == c.total }

// files reads the files of those that may have another one than in the last list.
func (c *collection) files(ctx context.Context, last *githost.Owned, floor time.Time) error {
	l := c.lister
	if l.File == "" || l.Files == nil {
		return nil
	}
	before := byID(last)
	var open []*Entry
	for _, id := range slices.Sorted(maps.Keys(c.entries)) {
		e := c.entries[id]
		old, known := before[id]
		e.Had = old.File != nil
		switch {
		case e.Empty:
		case known && !old.Empty && old.DefaultBranch == e.DefaultBranch && !e.Pushed.IsZero() && e.Pushed.Before(floor):
			e.File = old.File
		default:
			open = append(open, e)
		}
	}
	if len(open) == 0 {
		return nil
	}
	if err := l.Files(ctx, open); err != nil {
		return err
	}
	for _, e := range open {
		if len(e.File) > githost.MaxOwnedFile {
			return l.invalid("has one, %.100q, with a file of %d bytes", e.Path, len(e.File))
		}
		if err := c.grow(len(e.File)); err != nil {
			return err
		}
	}
	return nil
}

// merge returns the last list with what the pages tell.
func (c *collection) merge(last *githost.Owned) []githost.OwnedRepository {
	merged := slices.Clone(last.Repositories)
	known := make(map[string]bool, len(merged))
	for i, old := range merged {
		known[old.ID] = true
		if e := c.entries[old.ID]; e != nil {
			merged[i] = e.OwnedRepository
		}
	}
	for id, e := range c.entries {
		if !known[id] {
			merged = append(merged, e.OwnedRepository)
		}
	}
	sortByID(merged)
	return merged
}

// answer returns a list, which has the repositories of the last one themselves where it says the same.
func (c *collection) answer(last *githost.Owned, all []githost.OwnedRepository, m mark) *githost.Owned {
	if last != nil && slices.EqualFunc(last.Repositories, all, same) {
		all = last.Repositories
	}
	return &githost.Owned{Repositories: all, Mark: m.String()}
}

func (c *collection) sorted() []githost.OwnedRepository {
	all := make([]githost.OwnedRepository, 0, len(c.entries))
	for _, e := range c.entries {
		all = append(all, e.OwnedRepository)
	}
	sortByID(all)
	return all
}

func byID(list *githost.Owned) map[string]githost.OwnedRepository {
	all := make(map[string]githost.OwnedRepository)
	if list != nil {
		for _, r := range list.Repositories {
			all[r.ID] = r
		}
	}
	return all
}

func sortByID(all []githost.OwnedRepository) {
	slices.SortFunc(all, func(a, b githost.OwnedRepository) int { return cmp.Compare(a.ID, b.ID) })
}
