package bitbucket

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

const (
	// mostPages is how far what changed is followed in one call: 2,000 repositories.
	mostPages = 20
	// overlap is how much later than a newer change the list may show one.
	overlap = 30 * time.Second
	// settling is how long after a change another one may have the same time, or be told of before its branches are seen.
	settling = 10 * time.Second
	// relearn is how often repositories that the list did not show are looked for again, and a list is asked for that was refused.
	relearn = time.Hour
	// tooMany is how long a workspace is not asked that has far more repositories than are wanted.
	tooMany = 24 * time.Hour
)

// index remembers what the lists told of the wanted repositories.
type index struct {
	mu     sync.Mutex
	spaces map[string]*space
}

// space is a workspace.
type space struct {
	name   string
	sought map[string]bool   // paths that are wanted
	known  map[string]listed // by path
	paths  map[string]string // of known, by UUID
	last   time.Time         // the last change that was listed and was not in the future by ours, by the server's clock
	newest time.Time         // last, up to where the list was read; zero = it was not gone through yet
	shown  time.Time         // when the list had shown it first, by ours
	asked  time.Time         // when the list was asked last for all that had changed, by ours
	reads  int               // times that everything counted as changed
	cursor cursor            // up to where the list was gone through to find what is sought
	pages  int               // of that
	over   bool              // that is done
	begun  time.Time         // when it was, by ours
	until  time.Time         // it is not asked before, by ours
}

// listed is what the list shows of a repository.
type listed struct {
	uuid    string
	updated time.Time
	seen    time.Time // when the list showed that first, by our clock
}

// mark is what was known of a repository when its heads were read, and their Validator.
type mark struct {
	updated time.Time
	reads   int
}

// Cost implements repo.Validator.
func (*mark) Cost() int { return 48 }

func newIndex() index { return index{spaces: make(map[string]*space)} }

// seek notes what is wanted, and returns the workspaces that are worth being asked. Those that are not wanted any more are forgotten once
// they are the larger part, and so are repositories.
func (x *index) seek(want []githost.Wanted) []*space {
	x.mu.Lock()
	defer x.mu.Unlock()
	sought := make(map[string]map[string]bool)
	for _, w := range want {
		name, path, ok := split(w.URL)
		if !ok {
			continue
		}
		if sought[name] == nil {
			sought[name] = make(map[string]bool)
		}
		sought[name][path] = true
	}
	if len(x.spaces) > 2*len(sought) {
		maps.DeleteFunc(x.spaces, func(name string, _ *space) bool { return sought[name] == nil })
	}
	var asked []*space
	for name, paths := range sought {
		if len(paths) < fewest {
			continue
		}
		s := x.spaces[name]
		if s == nil {
			s = &space{name: name, sought: make(map[string]bool), known: make(map[string]listed), paths: make(map[string]string)}
			x.spaces[name] = s
		}
		s.seek(paths)
		asked = append(asked, s)
	}
	return larger(asked)
}

func (s *space) seek(paths map[string]bool) {
	maps.Copy(s.sought, paths)
	if len(s.sought) <= 2*len(paths) {
		return
	}
	s.sought = paths
	for path, l := range s.known {
		if !paths[path] {
			delete(s.known, path)
			delete(s.paths, l.uuid)
		}
	}
}

// since returns where the list is to be read from; not ok before it was gone through, and where it is not asked.
func (x *index) since(s *space) (at cursor, ok bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return cursor{from: s.passed().Add(-overlap)}, !s.newest.IsZero() && !time.Now().Before(s.until)
}

// passed returns a time that was over by the server's clock when it was asked last: the last change, and as long as our clock went on
// since that was shown. So a Date of somebody in between says nothing.
func (s *space) passed() time.Time { return s.newest.Add(max(0, s.asked.Sub(s.shown))) }

// refreshed notes that the list was read, and whether to its end. If not, everything counts as changed.
func (x *index) refreshed(s *space, end bool, asked time.Time) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if s.last.After(s.newest) {
		s.newest, s.shown = s.last, time.Now()
	}
	if !end {
		s.reads++
		return
	}
	s.asked = asked
}

// toLearn returns from where to go on through the list to find what is sought; not ok when that is done, or not worth it: it takes a page
// for each that is wanted at most, which is less than reading these twice.
func (x *index) toLearn(s *space, now time.Time) (at cursor, ok bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if now.Before(s.until) {
		return cursor{}, false
	}
	if s.over && len(s.known) < len(s.sought) && now.Sub(s.begun) >= relearn {
		s.over, s.cursor, s.pages = false, cursor{}, 0
	}
	if s.over {
		return cursor{}, false
	}
	if s.pages == 0 {
		s.begun = now
	}
	if s.pages++; s.pages > 10+len(s.sought) {
		s.forget(now.Add(tooMany))
		return cursor{}, false
	}
	return s.cursor, true
}

// learned notes up to where the list was gone through.
func (x *index) learned(s *space, at cursor, end bool, now time.Time) {
	x.mu.Lock()
	defer x.mu.Unlock()
	s.cursor, s.over = at, end
	if end && s.newest.IsZero() {
		// What changed while the list was gone through is not missed: it moved to its end.
		s.newest, s.shown, s.asked = s.last, time.Now(), s.begun
	}
	if end && s.newest.IsZero() { // it is empty, or all of it is in the future
		s.forget(now.Add(relearn))
	}
}

// refused leaves workspaces alone that do not tell.
func (x *index) refused(spaces []*space, now time.Time) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, s := range spaces {
		s.forget(now.Add(relearn))
	}
}

func (s *space) forget(until time.Time) {
	clear(s.known)
	clear(s.paths)
	s.last, s.newest, s.cursor, s.pages, s.over, s.until = time.Time{}, time.Time{}, cursor{}, 0, false, until
}

// add takes over what a page shows of the sought repositories. A change in the future is of a clock that is ahead, or ours is behind: the
// list goes on to be asked for from an earlier change on until that time has come, as it would hide later ones.
func (x *index) add(s *space, entries []entry, now time.Time) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, e := range entries {
		if e.updated.After(s.last) && !e.updated.After(now) {
			s.last = e.updated
		}
		if old, ok := s.paths[e.uuid]; ok && old != e.path { // renamed
			delete(s.known, old)
			delete(s.paths, e.uuid)
		}
		if !s.sought[e.path] {
			continue
		}
		old, ok := s.known[e.path]
		if ok && old.uuid != e.uuid { // another repository took the name
			delete(s.paths, old.uuid)
		}
		if !ok || old.uuid != e.uuid || !old.updated.Equal(e.updated) {
			s.known[e.path] = listed{e.uuid, e.updated, now}
		}
		s.paths[e.uuid] = e.path
	}
}

// of returns what is known of a repository, and of its workspace; nil for nothing.
func (x *index) of(w githost.Wanted) (*space, listed) {
	name, path, ok := split(w.URL)
	if s := x.spaces[name]; ok && s != nil && !s.newest.IsZero() {
		if l, known := s.known[path]; known {
			return s, l
		}
	}
	return nil, listed{}
}

// marks returns what is known of repositories that are about to be read, nil where that says nothing: where nothing is known, or the
// last change is so new that the read may miss a part of it.
func (x *index) marks(want []githost.Wanted) []repo.Validator {
	x.mu.Lock()
	defer x.mu.Unlock()
	now := time.Now()
	marks := make([]repo.Validator, len(want))
	for i, w := range want {
		if s, l := x.of(w); s != nil && (!l.updated.Add(settling).After(s.passed()) || now.Sub(l.seen) >= settling) {
			marks[i] = &mark{l.updated, s.reads}
		}
	}
	return marks
}

// changed compares what is known of repositories with what was known when they were read. What is known of workspaces other than those that
// were looked at just now may be old.
func (x *index) changed(want []githost.Wanted, looked []*space) []bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	changed := make([]bool, len(want))
	for i, w := range want {
		s, l := x.of(w)
		m, ok := w.Validator.(*mark)
		changed[i] = s == nil || !slices.Contains(looked, s) || !ok || m.reads != s.reads || !m.updated.Equal(l.updated)
	}
	return changed
}
