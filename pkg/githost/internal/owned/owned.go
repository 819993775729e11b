// Package owned reads whole lists of an owner's repositories, page by page, and afterwards only what changed since. It is what the
// hosts with such lists have in common: when a list is whole, and when the short way is good enough.
package owned

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/tekton-sentry/sentry/pkg/githost"
)

const (
	// MaxPage is how many repositories are asked for on a page, the most that the hosts have on one.
	MaxPage = 100
	// MaxTopics bounds the topics that are kept of one repository.
	MaxTopics = 100
	// MaxText bounds each of its texts in bytes.
	MaxText = 1 << 10

	// few is how many are asked for on the first page of what changed: mostly nothing did.
	few = 20
	// maxRepositories bounds a list, twice what one Sentry is measured with. Beyond it, an owner is named by parts.
	maxRepositories = 20_000
	// maxPages bounds the pages of a list, some of which may be small.
	maxPages = 2_000
	// maxBytes bounds what a list keeps, with the files in it.
	maxBytes = 64 << 20
	// wholeEvery is after how long a list is read whole, whatever changed: no order of the hosts' shows everything. anewEvery is after how
	// long all files are read with it.
	wholeEvery = time.Hour
	anewEvery  = 24 * time.Hour
)

// Entry is a repository on a page.
type Entry struct {
	githost.OwnedRepository
	Key    time.Time // by which the page is ordered; zero where it has none
	Pushed time.Time // when its file may have changed last; zero where that is not told
	Had    bool      // a file in the last list, which Files may have a second look for
}

// Page is one page of a list.
type Page struct {
	Entries []Entry
	Total   int       // repositories of the whole list; negative when that is not told
	Next    string    // cursor of the page that follows, "" after the last
	Date    time.Time // when it was served, by the server's clock; zero when that is not told
}

// Lister reads the lists of one owner.
type Lister struct {
	Host string
	githost.OwnedBy
	// Page reads a page, of size repositories if there are as many: from the cursor of the page before, "" for the first. The
	// empty order is one in which no repository changes its place, whatever becomes of it; all others have what changed last first.
	Page func(ctx context.Context, order string, size int, cursor string) (Page, error)
	// Orders are those that show between them all that changed.
	Orders []string
	// Slack is how much older a change may look than it is, by the server's clock.
	Slack time.Duration
	// Files reads the wanted file of each entry. nil where pages have it, or none is wanted.
	Files func(ctx context.Context, of []*Entry) error
	// Agrees reports whether the host counts the same in some other way. nil where that is not needed.
	Agrees func(ctx context.Context, all []githost.OwnedRepository) (bool, error)
}

// mark is what is remembered from one question to the next.
type mark struct {
	asked time.Time // when the last question was answered, by the server's clock
	whole time.Time // when the list was read whole, by ours
	anew  time.Time // when it was, with all files
}

func (m mark) String() string {
	return fmt.Sprintf("%d %d %d", m.asked.Unix(), m.whole.Unix(), m.anew.Unix())
}

// markOf returns the mark of the last answer, not ok where all is to be read anew.
func markOf(last *githost.Owned) (m mark, ok bool) {
	var asked, whole, anew int64
	if last == nil {
		return m, false
	}
	if _, err := fmt.Sscanf(last.Mark, "%d %d %d", &asked, &whole, &anew); err != nil || asked <= 0 {
		return m, false
	}
	m = mark{time.Unix(asked, 0), time.Unix(whole, 0), time.Unix(anew, 0)}
	return m, within(m.anew, anewEvery)
}

// within reports whether something was so short a time ago.
func within(at time.Time, d time.Duration) bool {
	age := time.Since(at)
	return age >= 0 && age < d
}

// Owned implements githost.Owners for the owner. A list of a page or less is read whole each time, which takes no more than to look for
// what changed.
func (l Lister) Owned(ctx context.Context, last *githost.Owned) (*githost.Owned, error) {
	m, ok := markOf(last)
	if !ok {
		return l.whole(ctx, last, mark{anew: time.Now()})
	}
	if len(last.Repositories) > MaxPage && within(m.whole, wholeEvery) {
		if list, err := l.since(ctx, last, m); err != nil || list != nil {
			return list, err
		}
	}
	return l.whole(ctx, last, m)
}

// floor returns the time before which nothing changed that is not in the last list.
func (l Lister) floor(m mark) time.Time { return m.asked.Add(-l.Slack) }

// whole reads all of a list, and once again where it changed meanwhile. Files are taken over from the last one where nothing was pushed
// since.
func (l Lister) whole(ctx context.Context, last *githost.Owned, m mark) (*githost.Owned, error) {
	var c *collection
	for range 2 {
		c = newCollection(l)
		if err := l.walk(ctx, "", MaxPage, c.take); err != nil {
			return nil, err
		}
		if c.steady() {
			if err := c.files(ctx, last, l.floor(m)); err != nil {
				return nil, err
			}
			return c.answer(last, c.sorted(), mark{c.asked, time.Now(), m.anew}), nil
		}
	}
	return nil, githost.NewError(githost.Temporary, l.Host, "the list of the repositories of %.100q changed while it was read, twice: "+
		"its pages have %d, and it tells of %d", l.Owner, len(c.entries), c.total)
}

// since reads what changed, and returns nil where that does not explain how many repositories there are, or where all is read as
// cheaply.
func (l Lister) since(ctx context.Context, last *githost.Owned, m mark) (*githost.Owned, error) {
	c, floor := newCollection(l), l.floor(m)
	for _, order := range l.Orders {
		if done, err := l.changes(ctx, c, order, floor); err != nil || !done {
			return nil, err
		}
	}
	merged := c.merge(last)
	if c.unsteady || len(merged) != c.total || c.asked.Before(floor) { // or its clock was set back
		return nil, nil
	}
	if l.Agrees != nil {
		if ok, err := l.Agrees(ctx, merged); err != nil || !ok {
			return nil, err
		}
	}
	if err := c.files(ctx, last, floor); err != nil {
		return nil, err
	}
	return c.answer(last, c.merge(last), mark{c.asked, m.whole, m.anew}), nil
}

// changes reads what an order shows first, until what was there before floor. It is not done where that is more than half of the
// list.
func (l Lister) changes(ctx context.Context, c *collection, order string, floor time.Time) (done bool, err error) {
	for _, size := range []int{few, MaxPage} {
		read := 0
		err := l.walk(ctx, order, size, func(p Page) (bool, error) {
			if _, err := c.take(p); err != nil {
				return false, err
			}
			read += len(p.Entries)
			oldest := oldest(p)
			done = p.Next == "" && read >= c.total || !oldest.IsZero() && oldest.Before(floor)
			return !done && size > few && read < c.total/2, nil
		})
		if done || err != nil {
			return done, err
		}
	}
	return false, nil
}

// oldest returns the key of the last entry of a page that has one.
func oldest(p Page) time.Time {
	for _, e := range slices.Backward(p.Entries) {
		if !e.Key.IsZero() {
			return e.Key
		}
	}
	return time.Time{}
}

// walk reads the pages of a list, and calls take with each, until that returns false or none follows.
func (l Lister) walk(ctx context.Context, order string, size int, take func(Page) (bool, error)) error {
	cursors := map[string]bool{"": true}
	cursor := ""
	for range maxPages {
		p, err := l.Page(ctx, order, size, cursor)
		if err == nil {
			err = l.check(p, size)
		}
		if err != nil {
			return err
		}
		more, err := take(p)
		if err != nil || !more || p.Next == "" {
			return err
		}
		if cursor = p.Next; cursors[cursor] {
			return l.invalid("has the page after %.40q twice", cursor)
		}
		cursors[cursor] = true
	}
	return githost.NewError(githost.TooLarge, l.Host, "the list of the repositories of %.100q does not end after %d pages", l.Owner, maxPages)
}

// check returns what is wrong with a page. Nothing of it is passed over: what is missing would count as deleted.
func (l Lister) check(p Page, size int) error {
	switch {
	case p.Total < 0:
		return l.invalid("does not tell how many they are")
	case p.Total > maxRepositories:
		return githost.NewError(githost.TooLarge, l.Host, "%.100q has %d repositories, and %d are read: discover parts of it", l.Owner, p.Total, maxRepositories)
	case len(p.Entries) > size:
		return l.invalid("has %d on a page of %d", len(p.Entries), size)
	}
	for _, e := range p.Entries {
		below, ok := cutFold(e.Path, l.Owner+"/")
		switch {
		case e.ID == "" || e.URL == "" || len(e.Path) > MaxText || len(e.URL) > MaxText || len(e.SSH) > MaxText || len(e.DefaultBranch) > MaxText:
			return l.invalid("has one, %.100q, without its number or its address, or with one that is too long", e.Path)
		case !ok || below == "":
			return l.invalid("has %.100q, which is not its own: was the owner renamed?", e.Path)
		}
	}
	return nil
}

func (l Lister) invalid(format string, args ...any) error {
	return githost.NewError(githost.Invalid, l.Host, "the list of the repositories of %.100q %s", l.Owner, fmt.Sprintf(format, args...))
}

// cutFold is strings.CutPrefix for a prefix in whatever case.
func cutFold(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return "", false
	}
	return s[len(prefix):], true
}

// Check returns what is wrong with a question before it is asked. deep is for hosts with groups within groups.
func Check(host string, q githost.OwnedBy, deep bool) error {
	parts := strings.Split(q.Owner, "/")
	if len(parts) > 1 && !deep {
		return githost.NewError(githost.Invalid, host, "the owner %.100q: want one name, as in https://HOST/OWNER", q.Owner)
	}
	if slices.ContainsFunc(parts, wrongPart) || len(q.Owner) > MaxText {
		return githost.NewError(githost.Invalid, host, "the owner %.100q is not the name of one: want it as in https://HOST/OWNER/REPOSITORY", q.Owner)
	}
	if q.File != "" && (slices.ContainsFunc(strings.Split(q.File, "/"), wrongPart) || len(q.File) > MaxText) {
		return githost.NewError(githost.Invalid, host, "the file %.100q: want its path in the repository, such as .sentry.yaml", q.File)
	}
	return nil
}

func wrongPart(part string) bool {
	return part == "" || part == "." || part == ".." || strings.ContainsFunc(part, unicode.IsControl) || strings.Contains(part, `\`)
}

// same reports whether two entries of a list say the same.
func same(a, b githost.OwnedRepository) bool {
	return a.ID == b.ID && a.Path == b.Path && a.URL == b.URL && a.SSH == b.SSH && a.DefaultBranch == b.DefaultBranch &&
		slices.Equal(a.Topics, b.Topics) && a.Archived == b.Archived && a.Fork == b.Fork && a.Empty == b.Empty &&
		(a.File == nil) == (b.File == nil) && bytes.Equal(a.File, b.File)
}
