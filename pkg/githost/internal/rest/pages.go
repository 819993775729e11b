package rest

import (
	"cmp"
	"context"
	"strconv"
	"sync"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/internal/jsonstream"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

const (
	// maxPages and maxBranches bound what one repository may answer, matching or not. A server that has more, or
	// invents more, is no longer believed.
	maxPages    = 1_000
	maxBranches = 100_000
)

// Head is a branch and the object name that a server gives it, both unchecked.
type Head struct{ Branch, Name string }

// Page is one page of a server's answer, but for its heads.
type Page struct {
	Next      int    // number of the page that follows, 0 after the last
	ETag      string // "" when the server sent none
	Unchanged bool   // the server answered 304: what it told before under the same ETag still holds
}

// Fetch asks for one page, numbered from 1, and adds its heads. With an ETag it asks only for what changed since. An
// error of add is its own.
type Fetch func(ctx context.Context, number int, etag string, add func(Head) error) (Page, error)

// Memory keeps the last answers that carried an ETag, so that asking again costs a 304. The zero Memory
// is ready to use.
type Memory struct {
	mu    sync.Mutex
	pages map[pageKey]known
	cost  int // of all heads, in bytes
}

type pageKey struct {
	request string
	number  int
}

// known is a page with the heads that may be wanted.
type known struct {
	Page
	heads    []Head
	cost     int // of heads, in bytes
	branches int // that the page has, wanted or not
}

// Request is what is asked for of one repository.
type Request struct {
	Host     string
	Name     string // what tells it from others
	Size     int    // how many branches a full page has, 0 when the host answers in one
	Patterns repo.Patterns
}

// Read reads all pages of a request into heads.
//
// An ETag is made of a page's body alone, so a full last page does not change when a page after it
// appears: such a page is followed by another request.
func (m *Memory) Read(ctx context.Context, r Request, heads *githost.Heads, fetch Fetch) error {
	number, branches := 1, 0
	for range maxPages {
		key := pageKey{r.key(), number}
		page, err := m.page(ctx, r, key, heads, fetch)
		if err != nil {
			return err
		}
		branches += page.branches
		switch {
		case branches > maxBranches:
			return githost.NewError(githost.TooLarge, r.Host, "more than %d branches: narrow monitor.branches", maxBranches)
		case page.Next == 0:
			return nil
		case page.Next <= number:
			return githost.NewError(githost.Invalid, r.Host, "page %d of the branches says that page %d follows", number, page.Next)
		}
		number = page.Next
	}
	return githost.NewError(githost.Invalid, r.Host, "the branches do not end after %d pages", maxPages)
}

// page reads a page into heads.
func (m *Memory) page(ctx context.Context, r Request, key pageKey, heads *githost.Heads, fetch Fetch) (known, error) {
	before := m.recall(key)
	var now known
	var err error
	now.Page, err = fetch(ctx, key.number, before.ETag, func(h Head) error {
		if now.branches++; now.branches > maxBranches {
			return githost.NewError(githost.TooLarge, r.Host, "more than %d branches: narrow monitor.branches", maxBranches)
		}
		if r.Patterns.Match(h.Branch) && repo.CheckBranch(h.Branch) == nil {
			now.heads, now.cost = append(now.heads, h), now.cost+githost.Cost(h.Branch)
		}
		heads.Add(h.Branch, h.Name)
		return heads.Err()
	})
	switch {
	case err != nil:
		return known{}, err
	case !now.Unchanged:
		m.keep(key, now, githost.RoomOf(ctx).Size())
		return now, nil
	case before.ETag == "":
		return known{}, githost.NewError(githost.Invalid, r.Host, "it answers \"unchanged\" to a first question: is a proxy in between?")
	}
	if before.Next == 0 && r.Size > 0 && before.branches >= r.Size {
		before.Next = key.number + 1
	}
	for _, h := range before.heads {
		heads.Add(h.Branch, h.Name)
	}
	return before, heads.Err()
}

// key names what is asked for and what is kept of it. The same text may be an exact name and an expression.
func (r Request) key() string {
	key := strconv.Quote(r.Name)
	for _, p := range r.Patterns {
		_, exact := p.Exact()
		key += " " + strconv.FormatBool(exact) + strconv.Quote(p.String())
	}
	return key
}

func (m *Memory) recall(key pageKey) known {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.pages[key]
}

// keep keeps a page. All take at most so many bytes: when that is not enough, they are forgotten.
func (m *Memory) keep(key pageKey, page known, room int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.cost -= m.pages[key].cost
	delete(m.pages, key)
	if page.ETag == "" || page.cost > room {
		return
	}
	if m.pages == nil || m.cost+page.cost > room {
		m.pages, m.cost = make(map[pageKey]known), 0
	}
	m.pages[key] = page
	m.cost += page.cost
}

// CheckItem returns what is wrong with an item of a list that was just read, and gave a branch this name. One that is
// passed over would count as deleted.
func CheckItem(v *jsonstream.Reader, host, name string) error {
	switch {
	case v.Err() != nil:
		return v.Err()
	case name != "":
		return v.Shape()
	}
	return cmp.Or[error](v.Shape(), githost.NewError(githost.Invalid, host, "the answer holds a branch without its name"))
}
