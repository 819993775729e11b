package gitea

import (
	"maps"
	"strings"
	"sync"
	"time"

	sdk "code.gitea.io/sdk/gitea"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

// repositoriesAPage is how many repositories a long page of the list must be able to save from being read, to be worth
// asking for at once: it takes the server as long as reading three to six.
const repositoriesAPage = 10

// index remembers what the list told of the wanted repositories, and which of them were read since.
type index struct {
	mu     sync.Mutex
	known  map[string]listed // by path; what the list showed last
	paths  map[int64]string  // of known, by the server's number
	sought map[string]bool   // paths that were looked for, found or not
	reads  int               // times that everything counted as changed
	clock  clock
	over   time.Time // what changed before is in known, by the server's clock
	next   int       // the page to look for sought repositories on; 0 = done
	worth  int       // up to which page that is worth it
}

// listed is what the list shows of a repository.
type listed struct {
	id      int64
	updated int64 // Unix seconds
	tells   bool  // a push moves updated
}

// mark is what was known of a repository when its heads were read, and their Validator: it is sure to cover the read.
type mark struct {
	listed
	reads int
}

// Cost implements repo.Validator.
func (*mark) Cost() int { return 32 }

func newIndex() index {
	return index{known: make(map[string]listed), paths: make(map[int64]string),
		sought: make(map[string]bool)}
}

// seek makes repositories that were not looked for yet looked for, from the list's first page. Those that are not
// wanted any more are forgotten once they are the larger part.
func (x *index) seek(want []githost.Wanted) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.sought) > 2*len(want) {
		x.forget(want)
	}
	for _, w := range want {
		if path, err := pathOf(w.URL); err == nil && !x.sought[path] {
			x.sought[path] = true
			x.next = 1
		}
	}
	if x.next == 1 {
		x.worth = 4 + (len(x.sought)-len(x.known))/repositoriesAPage
	}
}

func (x *index) forget(want []githost.Wanted) {
	paths := make(map[string]bool, len(want))
	for _, w := range want {
		path, _ := pathOf(w.URL)
		paths[path] = true
	}
	maps.DeleteFunc(x.sought, func(path string, _ bool) bool { return !paths[path] })
	maps.DeleteFunc(x.known, func(path string, _ listed) bool { return !paths[path] })
	maps.DeleteFunc(x.paths, func(_ int64, path string) bool { return !paths[path] })
}

// toLearn returns the page to look for sought repositories on, 0 when that is done.
func (x *index) toLearn() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.next
}

// learned goes on to the next page, as long as one follows, a repository is missing, and the way is worth it. That
// begins with a page for every ten that are missing, less work than reading those once, and each that is found, and is spared
// from then on, is worth a page more. So a server with far more repositories than are wanted is soon left alone.
func (x *index) learned(l list) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.next++
	if l.last || len(x.known) == len(x.sought) || x.next > x.worth {
		x.next = 0
	}
}

// since returns the time that the list has to be read back to, zero when it never was, and how many long
// pages that is worth.
func (x *index) since() (since time.Time, pages int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.over.IsZero() || len(x.known) == 0 {
		return time.Time{}, 0
	}
	return x.over.Add(-overlap), 1 + len(x.known)/repositoriesAPage
}

// hear returns a time by the server's clock that was over when a list was made. After the clock was set back, changes
// come in among those that were listed before, with times that others had already. So everything counts as
// changed then, until it is read again.
func (x *index) hear(l list) (over time.Time) {
	x.mu.Lock()
	defer x.mu.Unlock()
	over, back := x.clock.hear(l)
	if back {
		x.reads++
	}
	if back || x.over.IsZero() {
		x.over = over
	}
	return over
}

// refreshed notes that known holds all changes before a time.
func (x *index) refreshed(over time.Time) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.over = over
}

// add takes over what a page shows of the sought repositories.
func (x *index) add(repositories []*sdk.Repository) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, r := range repositories {
		path := strings.ToLower(r.FullName)
		if old, ok := x.paths[r.ID]; ok && old != path {
			delete(x.known, old) // renamed
			delete(x.paths, r.ID)
		}
		if !x.sought[path] {
			continue
		}
		old, ok := x.known[path]
		switch {
		case !ok:
			x.worth++
		case old.id != r.ID:
			delete(x.paths, old.id) // another repository took the name
		}
		x.known[path] = listed{r.ID, r.Updated.Unix(), !r.Mirror && !r.Archived}
		x.paths[r.ID] = path
	}
}

// marks returns what is known of repositories that are about to be read, nil where that says nothing: either nothing is
// known, or a push does not move what is, or the last change is so new that another one of the same second may follow
// the read, or it is in the future, of a clock that was set back since.
func (x *index) marks(want []githost.Wanted) []repo.Validator {
	x.mu.Lock()
	defer x.mu.Unlock()
	marks := make([]repo.Validator, len(want))
	for i, w := range want {
		path, _ := pathOf(w.URL)
		l := x.known[path]
		if x.settled(l) {
			marks[i] = &mark{l, x.reads}
		}
	}
	return marks
}

// forgetReads makes every repository changed until it is read again.
func (x *index) forgetReads() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.reads++
}

// changed compares what is known of repositories with what was known when they were read.
func (x *index) changed(want []githost.Wanted) []bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	changed := make([]bool, len(want))
	for i, w := range want {
		path, _ := pathOf(w.URL)
		m, ok := w.Validator.(*mark)
		changed[i] = !ok || *m != mark{x.known[path], x.reads}
	}
	return changed
}

// pushed reports for which repositories the list shows another change than when they were read, or has one that is old enough by
// now for a read to have a mark. What it does not tell of was not pushed to.
func (x *index) pushed(want []githost.Wanted) []bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	pushed := make([]bool, len(want))
	for i, w := range want {
		path, _ := pathOf(w.URL)
		l := x.known[path]
		if m, ok := w.Validator.(*mark); ok {
			pushed[i] = l.tells && m.listed != l
		} else {
			pushed[i] = x.settled(l)
		}
	}
	return pushed
}

// settled reports whether a read shows all of what is listed, so that the next push has another time.
func (x *index) settled(l listed) bool {
	return l.tells && !time.Unix(l.updated, 0).Add(overlap).After(x.over)
}
