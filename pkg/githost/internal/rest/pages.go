package rest

import (
	"context"
	"iter"
	"sync"

	"github.com/tekton-sentry/sentry/pkg/githost"
)

const (
	// maxPages and maxBranches bound what one repository may answer. A server that has more, or invents
	// more, is no longer believed.
	maxPages    = 1_000
	maxBranches = 100_000
	// maxRemembered bounds the branches that a Memory holds, about 30 MB of them.
	maxRemembered = 200_000
)

// Head is a branch and the object name that a server gives it, both unchecked.
type Head struct{ Branch, Name string }

// Page is one page of a server's answer.
type Page struct {
	Heads     []Head
	Next      int    // number of the page that follows, 0 after the last
	ETag      string // "" when the server sent none
	Unchanged bool   // the server answered 304: what it told before under the same ETag still holds
}

// Fetch asks for one page, numbered from 1. With an ETag it asks only for what changed since.
type Fetch func(ctx context.Context, number int, etag string) (Page, error)

// Memory keeps the last answers that carried an ETag, so that asking again costs a 304. The zero Memory
// is ready to use.
type Memory struct {
	mu       sync.Mutex
	pages    map[pageKey]Page
	branches int
}

type pageKey struct {
	request string
	number  int
}

// Read reads all pages of a request and returns their heads. request names what is asked for. size is how
// many branches a full page has, 0 when the host answers in one.
//
// An ETag is made of a page's body alone, so a full last page does not change when a page after it
// appears: such a page is followed by another request.
func (m *Memory) Read(ctx context.Context, host, request string, size int, fetch Fetch) ([]Head, error) {
	var heads []Head
	number := 1
	for range maxPages {
		key := pageKey{request, number}
		known := m.recall(key)
		page, err := fetch(ctx, number, known.ETag)
		if err != nil {
			return nil, err
		}
		if page.Unchanged {
			if known.ETag == "" {
				return nil, githost.NewError(githost.Invalid, host, "it answers \"unchanged\" to a first question: is a proxy in between?")
			}
			page = known
			if page.Next == 0 && size > 0 && len(page.Heads) >= size {
				page.Next = number + 1
			}
		} else {
			m.keep(key, page)
		}
		heads = append(heads, page.Heads...)
		switch {
		case len(heads) > maxBranches:
			return nil, githost.NewError(githost.Invalid, host, "more than %d branches: narrow monitor.branches", maxBranches)
		case page.Next == 0:
			return heads, nil
		case page.Next <= number:
			return nil, githost.NewError(githost.Invalid, host, "page %d of the branches says that page %d follows", number, page.Next)
		}
		number = page.Next
	}
	return nil, githost.NewError(githost.Invalid, host, "the branches do not end after %d pages", maxPages)
}

func (m *Memory) recall(key pageKey) Page {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.pages[key]
}

func (m *Memory) keep(key pageKey, page Page) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.branches -= len(m.pages[key].Heads)
	delete(m.pages, key)
	if page.ETag == "" {
		return
	}
	if m.pages == nil || m.branches+len(page.Heads) > maxRemembered {
		m.pages, m.branches = make(map[pageKey]Page), 0
	}
	m.pages[key] = page
	m.branches += len(page.Heads)
}

// Nameless is the error of an answer that does not say of each branch which it is: one that is passed over would count
// as deleted.
func Nameless(host string) *githost.Error {
	return githost.NewError(githost.Invalid, host, "the answer holds a branch without its name")
}

// Pairs gives heads the form that githost.CollectHeads reads.
func Pairs(heads []Head) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for _, h := range heads {
			if !yield(h.Branch, h.Name) {
				return
			}
		}
	}
}
