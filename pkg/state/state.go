// Package state holds what Sentry remembers: for each watched branch the SHA that was acted upon. The
// Snapshot and its JSON codec are here; the stores are in state/file and state/configmap, so that who
// only needs the values does not link a Kubernetes client.
package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/tekton-sentry/sentry/pkg/oneline"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

// ErrConflict is returned by a store's Save when somebody else wrote the state since it was loaded:
// load it again and plan again.
var ErrConflict = errors.New("the state was written by somebody else since it was read")

// ErrTooLarge is returned by a store's Save, before anything is written, for a snapshot that is larger than what
// the store holds.
var ErrTooLarge = errors.New("the state is too large to be saved")

// Snapshot is everything that Sentry remembers. To remember more, add a field here or to one of the types below: its tag
// is all that the stores need. What an older Sentry must not go without is a new format, see decision 043.
type Snapshot struct {
	// Epoch is a random word made when the state is first written. Run names are derived from it too, so
	// that a state that was deleted by hand never plans the name of a run from before.
	Epoch string `json:"epoch,omitempty"`
	// Found is the number of the newest list of what was found by which anything was taken up or forgotten; 0 where nothing ever
	// was found. A configuration by an older list does neither.
	Found        int64               `json:"found,omitempty"`
	Repositories Entries[Repository] `json:"repositories,omitempty"` // by name
	Units        Entries[Unit]       `json:"units,omitempty"`        // by label, by More, by Whole or by Configuration
	unknown
}

// Repository is what is remembered of one repository. A repository that has an entry was seen before,
// unless the entry says Unseen.
type Repository struct {
	// Unseen is true while no look at the repository succeeded yet: the entry is only there for its
	// Problem, or for the Floor that outlives a repository which was taken out of the configuration.
	Unseen   bool     `json:"unseen,omitempty"`
	Branches Branches `json:"branches,omitempty"`
	// Floor is the highest N of the branches that were forgotten: a branch that comes back gets a higher one,
	// so that it never plans the name of an earlier run.
	Floor   int      `json:"floor,omitempty"`
	Problem *Problem `json:"problem,omitempty"` // why it cannot be read, nil when it can
	// Tags is the repo.Patterns.Memo of the patterns whose tags, or requests, were looked for.
	Tags string `json:"tags,omitempty"`
	// Tagged is true while Branches has a tag that is not forgotten. It stays so when all were lost at once, by an answer
	// without any or by an older Sentry that knows no tags: they are no news when they are back.
	Tagged bool `json:"tagged,omitempty"`
	// Of is the config.Repository.ID of the repository that was looked at, where it was found; "" where it stands in a file, or an
	// older Sentry looked. What is remembered of one repository says nothing of another one that has its name now.
	Of string `json:"of,omitempty"`
	// Damaged is the stored entry as JSON where it is none that Sentry wrote; all else but Problem is unset
	// then. It is written back as it stands until a person mends or deletes it, and nothing may be
	// planned for the repository: what was acted upon is not known.
	Damaged json.RawMessage `json:"-"`
	unknown
}

// Unit is what is remembered of one unit. An empty one is not stored.
type Unit struct {
	Problem *Problem `json:"problem,omitempty"` // why its run cannot be made, nil when nothing is wrong
	Paused  *Pause   `json:"paused,omitempty"`  // a person wants nothing to run in it for now, nil when it may
	unknown
}

// Pause is the wish of a person that nothing runs in a unit.
type Pause struct {
	Since  time.Time `json:"since"`
	By     string    `json:"by,omitempty"`     // who wants it, as their machine calls them
	Reason string    `json:"reason,omitempty"` // one line
	unknown
}

// NewPause returns a pause. What people write becomes one line of at most 300 bytes.
func NewPause(by, reason string, since time.Time) Pause {
	return Pause{Since: writable(since.UTC().Round(0)), By: oneline.Of(by, maxMessage), Reason: oneline.Of(reason, maxMessage)}
}

// AllOf returns the label under which all units of a repository are paused together, also those to come. No unit has such a
// label.
func AllOf(repository string) string { return repository + ".*" }

// PausedAt returns the pause that concerns a unit: its own, or that of all units of the repository, "" for a group. nil when it
// may run.
func (s Snapshot) PausedAt(unit, repository string) *Pause {
	if p := s.Units[unit].Paused; p != nil {
		return p
	}
	return s.Units[AllOf(repository)].Paused
}

// SetPause notes that nothing shall run in a unit, or with nil that it may, and reports whether that is news. Of a unit that
// is paused only another reason is: it replaces the one that there is, with who gives it.
func (s *Snapshot) SetPause(unit string, p *Pause) bool {
	u := s.Units[unit]
	switch was := u.Paused; {
	case p == nil && was == nil, p != nil && was != nil && (p.Reason == "" || p.Reason == was.Reason):
		return false
	case p != nil && was != nil:
		again := *was
		again.By, again.Reason = p.By, p.Reason
		p = &again
	}
	s.Units.fork() // whoever shares the map with another snapshot keeps that one as it is
	if u.Paused = p; u == (Unit{}) {
		delete(s.Units, unit)
		return true
	}
	s.Units[unit] = u
	return true
}

// Unreadable is the kind of the problem on a repository whose entry is Damaged.
const Unreadable = "state"

// Branch is what is remembered of one branch.
type Branch struct {
	SHA     repo.SHA  `json:"sha"`               // acted upon
	N       int       `json:"n,omitempty"`       // number of its unit's run that it triggered last
	Time    time.Time `json:"time"`              // when SHA was acted upon
	Missing int32     `json:"missing,omitempty"` // good answers in a row without it
	// Succeeded is the last SHA whose deployment succeeded, by any run; "" when none is known.
	Succeeded repo.SHA `json:"succeeded,omitempty"`
	// Redo is true when a run of a later SHA was cut off, so that the branch is due even when its head is SHA.
	Redo bool `json:"redo,omitempty"`
	// Passed is the head that was passed over last, nil where none was since SHA ran. An older Sentry keeps it when it goes
	// on from SHA: ask PassedSince.
	Passed *Passed `json:"passed,omitempty"`
	unknown
}

// Passed is a head that moved and runs nothing. What ran last stays the branch's SHA.
type Passed struct {
	SHA  repo.SHA  `json:"sha"`
	Why  repo.Pass `json:"why"`
	Time time.Time `json:"time"`        // when it was passed over
	N    int       `json:"n,omitempty"` // the branch's at that time
	// Same is the last head since the branch's SHA that was found to have nothing new which monitor.paths match; "" is none.
	Same repo.SHA `json:"same,omitempty"`
	unknown
}

// Deployed returns the branch after its unit's run n, which acted upon sha.
func (b Branch) Deployed(sha repo.SHA, n int, now time.Time) Branch {
	b.SHA, b.N, b.Time = sha, n, now.UTC().Round(0)
	b.Missing, b.Redo, b.Passed = 0, false, nil
	return b
}

// PassedOver returns the branch after its head, which runs nothing, was passed over.
func (b Branch) PassedOver(head repo.SHA, why repo.Pass, now time.Time) Branch {
	same := head
	if why != repo.Untouched {
		if same = b.Base(); same == b.SHA {
			same = ""
		}
	}
	b.Passed = &Passed{SHA: head, Why: why, Time: now.UTC().Round(0), N: b.N, Same: same}
	return b
}

// PassedSince returns the head that was passed over last since the branch's last run, nil where none was.
func (b Branch) PassedSince() *Passed {
	if b.Passed != nil && b.Passed.N != b.N {
		return nil
	}
	return b.Passed
}

// Base returns the commit up to which it is known that nothing is new which monitor.paths match since the branch's SHA.
func (b Branch) Base() repo.SHA {
	if p := b.PassedSince(); p != nil && p.Same != "" {
		return p.Same
	}
	return b.SHA
}

// Due reports whether something is to run for the head that the branch has: it was neither acted upon last nor passed over since.
func (b Branch) Due(head repo.SHA) bool {
	p := b.PassedSince()
	return b.Redo || head != b.SHA && (p == nil || head != p.SHA)
}

// Forgotten reports whether all that still counts of the branch is its N, until that is in the Floor.
func (b Branch) Forgotten() bool { return b.Missing > 1 }

// Branch returns what is remembered of a branch, if it is not forgotten.
func (r Repository) Branch(name string) (Branch, bool) {
	if b, ok := r.Branches.Lookup(name); ok && !b.Forgotten() {
		return b, true
	}
	return Branch{}, false
}

// LastForgotten returns the highest N of the repository's forgotten branches.
func (r Repository) LastForgotten() int {
	n := r.Floor
	for _, b := range r.Branches.All() {
		if b.Forgotten() {
			n = max(n, b.N)
		}
	}
	return n
}

// Highest returns the highest N of a repository's branches, also of those that were forgotten.
func (r Repository) Highest() int {
	n := r.Floor
	for _, b := range r.Branches.All() {
		n = max(n, b.N)
	}
	return n
}

// Forget returns the entry without all but its highest N: the repository is seen for the first time again, and never gets the
// name of an earlier run.
func (r Repository) Forget() Repository {
	r.Floor, r.Unseen = r.Highest(), true
	r.Branches, r.Problem, r.Tags, r.Tagged, r.Of = Branches{}, nil, "", false, ""
	return r
}

// Problem is an error that lasts. It is written when it comes, changes its kind and goes, never in between.
type Problem struct {
	Kind    string    `json:"kind"`    // one of the error kinds of package githost, or "create", "qa" and more
	Message string    `json:"message"` // one line, no secrets
	Since   time.Time `json:"since"`
	unknown
}

// maxMessage bounds a problem's message, in bytes.
const maxMessage = 300

// NewProblem returns the problem of that kind. The message becomes one line of printable characters of at
// most 300 bytes, whatever a server put into it.
func NewProblem(kind, message string, since time.Time) Problem {
	return Problem{Kind: kind, Message: oneline.Of(message, maxMessage), Since: writable(since.UTC().Round(0))}
}

// Whole is what stands for a unit's label in the problem that the state is not saved. No unit has such a label.
const Whole = "the state"

// Configuration is what stands for a unit's label in the problem that a changed configuration is not used. No unit has such
// a label.
const Configuration = "the configuration"

// Refuse notes why the configuration that there is cannot be used, or with "" that it can. Another reason replaces one of mine, which
// are those of this Sentry's. One that another replica noted stays: two that have a reason each would write in turn for ever.
func (s *Snapshot) Refuse(why string, mine []string, now time.Time) {
	old := s.Units[Configuration].Problem
	p := NewProblem("configuration", why, now)
	if old == nil && why == "" || old != nil && old.Message == p.Message {
		return
	}
	if old != nil && why != "" && !slices.ContainsFunc(mine, func(m string) bool { return NewProblem("", m, now).Message == old.Message }) {
		return
	}
	s.Units.fork() // whoever shares the map with another snapshot keeps that one as it is
	s.DropProblem(Configuration)
	if why != "" {
		u := s.Units[Configuration]
		u.Problem = &p
		s.Units[Configuration] = u
	}
}

// SetProblem notes what keeps a unit from running, and reports whether that is news: another problem of the
// same kind stays as it was first written, so that a failure that lasts is not written every cycle. Beyond
// twenty units of one repository all others have one problem together: see More.
func (s *Snapshot) SetProblem(unit, kind string, err error, now time.Time) bool {
	old := s.Units[unit].Problem
	if old != nil && old.Kind == kind {
		return false
	}
	if old == nil && s.full(unit) {
		unit, err = More(unit), fmt.Errorf("more branches, one of them: %w", err)
		if s.Units[unit].Problem != nil {
			return false
		}
	}
	s.Units.fork() // whoever shares the map with another snapshot keeps that one as it is
	p := NewProblem(kind, err.Error(), now)
	u := s.Units[unit]
	u.Problem = &p
	s.Units[unit] = u
	return true
}

// DropProblem notes that nothing keeps a unit from running. s must be a fork.
func (s *Snapshot) DropProblem(unit string) {
	u, ok := s.Units[unit]
	if !ok {
		return
	}
	if u.Problem = nil; u == (Unit{}) {
		delete(s.Units, unit)
		return
	}
	s.Units[unit] = u
}

// Problems returns what keeps units from running, by their labels.
func (s Snapshot) Problems() map[string]Problem {
	problems := make(map[string]Problem)
	for label, u := range s.Units {
		if u.Problem != nil {
			problems[label] = *u.Problem
		}
	}
	return problems
}

// Seen reports whether a look at the repository has succeeded.
func (s Snapshot) Seen(name string) bool {
	r, known := s.Repositories[name]
	return known && !r.Unseen
}

// Equal reports whether s and o remember the same. Times are compared as instants, and a missing map is
// an empty one.
func (s Snapshot) Equal(o Snapshot) bool {
	return equal(reflect.ValueOf(&s).Elem(), reflect.ValueOf(&o).Elem())
}

// Fork returns a snapshot whose entries can be set and deleted while s stays as it is. What an entry holds is
// shared: its branches are replaced by other ones, never changed. So the snapshot that follows from another one
// costs no second copy of 10,000 repositories.
func (s Snapshot) Fork() Snapshot {
	for v, i := reflect.ValueOf(&s).Elem(), 0; i < v.NumField(); i++ {
		if f := v.Field(i); f.Kind() == reflect.Map {
			f.Addr().Interface().(interface{ fork() }).fork()
		}
	}
	return s
}

// Clone returns a copy that shares nothing with s that can be changed.
func (s Snapshot) Clone() Snapshot {
	unshare(reflect.ValueOf(&s).Elem())
	return s
}
