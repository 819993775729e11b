package rest

import (
	"cmp"
	"context"

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

// Head is a branch and the object name that a server gives it, both unchecked, or an open request with all that it says of it.
type Head struct {
	Branch, Name string
	Request      *repo.Request // nil for a branch
}

// AddTo adds it to heads, but for a request without a head, such as one whose branch was deleted: it has nothing to run.
func (h Head) AddTo(heads *githost.Heads) {
	switch {
	case h.Request == nil:
		heads.Add(h.Branch, h.Name)
	case h.Name != "":
		heads.AddRequest(h.Branch, h.Name, *h.Request)
	}
}

// Page is one page of a server's answer, but for its heads.
type Page struct {
	Next      int    // number of the page that follows, 0 after the last
	ETag      string // "" when the server sent none
	Unchanged bool   // the server answered 304: what it told before under the same ETag still holds
	Total     *int   // how many there are on all pages, as the server says beside this one; nil where it does not
}

// Fetch asks for one page, numbered from 1, and adds its heads. With an ETag it asks only for what changed since. An
// error of add is its own.
type Fetch func(ctx context.Context, number int, etag string, add func(Head) error) (Page, error)

// Pages are the answers of one repository that carried an ETag, so that asking again costs a 304. They are its
// Validator.
type Pages struct {
	before, now []known
}

// known is a page with the heads that may be wanted.
type known struct {
	Page
	request  string
	number   int
	heads    []Head
	cost     int // of heads, in bytes
	branches int // that the page has, wanted or not
}

// PagesOf returns what was answered before for what is wanted.
func PagesOf(w githost.Wanted) *Pages {
	p, _ := w.Validator.(*Pages)
	return p.Again()
}

// Again returns the pages for the next question.
func (p *Pages) Again() *Pages {
	if p == nil {
		return &Pages{}
	}
	return &Pages{before: p.now}
}

// Cost implements repo.Validator.
func (p *Pages) Cost() int {
	if p == nil {
		return 0
	}
	cost := 0
	for _, k := range p.now {
		cost += len(k.ETag) + k.cost
	}
	return cost
}

// Observation returns what was collected of all pages, or why it was not.
func (p *Pages) Observation(heads *githost.Heads, err error) repo.Observation {
	if err == nil {
		o := heads.Observation()
		o.Validator = p
		return o
	}
	heads.Drop()
	// What was not answered anew is asked for with the old ETags again.
	for _, k := range p.before {
		if _, ok := find(p.now, k.request, k.number); !ok {
			p.now = append(p.now, k)
		}
	}
	o := githost.Failed(err)
	o.Validator = p
	return o
}

// Request is what is asked for of one repository.
type Request struct {
	Host     string
	Name     string // what tells it from others of the repository
	Size     int    // how many branches a full page has, 0 when the host answers in one
	Patterns repo.Patterns
}

// Read reads all pages of a request into heads.
//
// An ETag is made of a page's body alone, so a full last page does not change when a page after it
// appears: such a page is followed by another request.
//
// What closes while pages are read moves what follows up a place, and one of them onto a page that was read before. So it is an error when
// the total is not the same beside each page, or is another number than was listed.
func (p *Pages) Read(ctx context.Context, r Request, heads *githost.Heads, fetch Fetch) error {
	number, branches := 1, 0
	var total *int
	for range maxPages {
		page, err := p.page(ctx, r, number, heads, fetch)
		if err != nil {
			return err
		}
		branches += page.branches
		if page.Total != nil {
			if total != nil && *total != *page.Total {
				return Moved(r.Host, *total, *page.Total)
			}
			total = page.Total
		}
		switch {
		case branches > maxBranches:
			return githost.NewError(githost.TooLarge, r.Host, "more than %d branches: narrow monitor.branches", maxBranches)
		case page.Next == 0 && total != nil && *total != branches:
			return CutShort(r.Host, *total, branches)
		case page.Next == 0:
			return nil
		case page.Next <= number:
			return githost.NewError(githost.Invalid, r.Host, "page %d of the branches says that page %d follows", number, page.Next)
		}
		number = page.Next
	}
	return githost.NewError(githost.Invalid, r.Host, "the branches do not end after %d pages", maxPages)
}

// CutShort is the error of a list of open requests that holds fewer or more than its host says that there are.
func CutShort(host string, told, listed int) error {
	return githost.NewError(githost.Temporary, host, "it lists %d open requests and says that there are %d", listed, told)
}

// Moved is the error of a list of open requests that is another one from page to page.
func Moved(host string, was, is int) error {
	return githost.NewError(githost.Temporary, host, "it says that there are %d open requests, and on a later page that there are %d", was, is)
}

// page reads a page into heads.
func (p *Pages) page(ctx context.Context, r Request, number int, heads *githost.Heads, fetch Fetch) (known, error) {
	before, _ := find(p.before, r.Name, number)
	now := known{request: r.Name, number: number}
	var err error
	now.Page, err = fetch(ctx, number, before.ETag, func(h Head) error {
		if now.branches++; now.branches > maxBranches {
			return githost.NewError(githost.TooLarge, r.Host, "more than %d branches: narrow monitor.branches", maxBranches)
		}
		if r.Patterns.Match(h.Branch) && repo.CheckBranch(h.Branch) == nil {
			now.heads, now.cost = append(now.heads, h), now.cost+githost.Cost(h.Branch)
		}
		h.AddTo(heads)
		return heads.Err()
	})
	switch {
	case err != nil:
		return known{}, err
	case !now.Unchanged:
		if now.ETag != "" {
			p.now = append(p.now, now)
		}
		return now, nil
	case before.ETag == "":
		return known{}, githost.NewError(githost.Invalid, r.Host, "it answers \"unchanged\" to a first question: is a proxy in between?")
	}
	before.Total = now.Total // what it said before may be of other pages
	p.now = append(p.now, before)
	if before.Next == 0 && r.Size > 0 && before.branches >= r.Size {
		before.Next = number + 1
	}
	for _, h := range before.heads {
		h.AddTo(heads)
	}
	return before, heads.Err()
}

func find(pages []known, request string, number int) (known, bool) {
	for _, k := range pages {
		if k.request == request && k.number == number {
			return k, true
		}
	}
	return known{}, false
}

// CheckItem returns what is wrong with an item of a list that was just read, and gave a branch this name. One that is
// passed over would count as deleted.
func CheckItem(v *jsonstream.Reader, host, name string) error {
	err := cmp.Or(v.Err(), v.Shape())
	if err == nil && name == "" {
		err = githost.NewError(githost.Invalid, host, "the answer holds a branch without its name")
	}
	if err != nil {
		v.Stop() // a hostile answer may go on for long
	}
	return err
}
