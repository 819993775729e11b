// Package state holds what Sentry remembers: for each watched branch the SHA that was acted upon. The
// Snapshot and its JSON codec are here; the stores are in state/file and state/configmap, so that who
// only needs the values does not link a Kubernetes client.
package state

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tekton-sentry/sentry/pkg/repo"
)

// ErrConflict is returned by a store's Save when somebody else wrote the state since it was loaded:
// load it again and plan again.
var ErrConflict = errors.New("the state was written by somebody else since it was read")

// ErrTooLarge is returned by a store's Save, before anything is written, for a snapshot that is larger than what
// the store holds.
var ErrTooLarge = errors.New("the state is too large to be saved")

// Snapshot is everything that Sentry remembers.
type Snapshot struct {
	// Epoch is a random word made when the state is first written. Run names are derived from it too, so
	// that a state that was deleted by hand never plans the name of a run from before.
	Epoch        string                `json:"epoch,omitempty"`
	Repositories map[string]Repository `json:"repositories,omitempty"` // by name
	// Problems are what currently keeps a unit from running, by the unit's label, by More or by Whole.
	Problems map[string]Problem `json:"problems,omitempty"`
}

// Repository is what is remembered of one repository. A repository that has an entry was seen before,
// unless the entry says Unseen.
type Repository struct {
	// Unseen is true while no look at the repository succeeded yet: the entry is only there for its
	// Problem, or for the Floor that outlives a repository which was taken out of the configuration.
	Unseen   bool              `json:"unseen,omitempty"`
	Branches map[string]Branch `json:"branches,omitempty"`
	// Floor is the highest N of the branches that were forgotten: a branch that comes back gets a higher one,
	// so that it never plans the name of an earlier run.
	Floor   int      `json:"floor,omitempty"`
	Problem *Problem `json:"problem,omitempty"` // why it cannot be read, nil when it can
	// Damaged is the stored entry as JSON where it is none that Sentry wrote; all else but Problem is unset
	// then. It is written back as it stands until a person mends or deletes it, and nothing may be
	// planned for the repository: what was acted upon is not known.
	Damaged json.RawMessage `json:"-"`
}

// Unreadable is the kind of the problem on a repository whose entry is Damaged.
const Unreadable = "state"

// Branch is what is remembered of one branch.
type Branch struct {
	SHA     repo.SHA  `json:"sha"`               // acted upon
	N       int       `json:"n,omitempty"`       // number of its unit's run that it triggered last
	Time    time.Time `json:"time"`              // when SHA was acted upon
	Missing int       `json:"missing,omitempty"` // good answers in a row without it
	// Redo is true when a run of a later SHA was cut off, so that the branch is due even when its head is SHA.
	Redo bool `json:"redo,omitempty"`
}

// Forgotten reports whether all that still counts of the branch is its N, until that is in the Floor.
func (b Branch) Forgotten() bool { return b.Missing > 1 }

// Branch returns what is remembered of a branch, if it is not forgotten.
func (r Repository) Branch(name string) (Branch, bool) {
	if b, ok := r.Branches[name]; ok && !b.Forgotten() {
		return b, true
	}
	return Branch{}, false
}

// Problem is an error that lasts. It is written when it comes, changes its kind and goes, never in between.
type Problem struct {
	Kind    string    `json:"kind"`    // one of the error kinds of package githost, or "create", "qa" and more
	Message string    `json:"message"` // one line, no secrets
	Since   time.Time `json:"since"`
}

// maxMessage bounds a problem's message, in bytes.
const maxMessage = 300

// NewProblem returns the problem of that kind. The message becomes one line of printable characters of at
// most 300 bytes, whatever a server put into it.
func NewProblem(kind, message string, since time.Time) Problem {
	return Problem{Kind: kind, Message: oneLine(message), Since: writable(since.UTC().Round(0))}
}

// Whole is what stands for a unit's label in the problem that the state is not saved. No unit has such a label.
const Whole = "the state"

// SetProblem notes what keeps a unit from running, and reports whether that is news: another problem of the
// same kind stays as it was first written, so that a failure that lasts is not written every cycle. Beyond
// twenty units of one repository all others have one problem together: see More.
func (s *Snapshot) SetProblem(unit, kind string, err error, now time.Time) bool {
	old, ok := s.Problems[unit]
	if ok && old.Kind == kind {
		return false
	}
	if !ok && s.full(unit) {
		unit, err = More(unit), fmt.Errorf("more branches, one of them: %w", err)
		if _, ok := s.Problems[unit]; ok {
			return false
		}
	}
	s.Problems = maps.Clone(s.Problems) // whoever shares the map with another snapshot keeps that one as it is
	if s.Problems == nil {
		s.Problems = make(map[string]Problem)
	}
	s.Problems[unit] = NewProblem(kind, err.Error(), now)
	return true
}

// oneLine returns text as printable characters on one line of at most maxMessage bytes. What is too much is
// taken from the middle: what failed stands first in an error, and what would mend it last.
func oneLine(text string) string {
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool {
		return r == utf8.RuneError || r == ' ' || !unicode.IsPrint(r)
	}), " ")
	if len(text) <= maxMessage {
		return text
	}
	const more = "…"
	end := maxMessage * 3 / 5
	for !utf8.RuneStart(text[end]) {
		end--
	}
	rest := len(text) - (maxMessage - end - len(more))
	for !utf8.RuneStart(text[rest]) {
		rest++
	}
	return text[:end] + more + text[rest:]
}

// Equal reports whether s and o remember the same. Times are compared as instants, and a missing map is
// an empty one.
func (s Snapshot) Equal(o Snapshot) bool {
	return s.Epoch == o.Epoch &&
		maps.EqualFunc(s.Repositories, o.Repositories, Repository.equal) &&
		maps.EqualFunc(s.Problems, o.Problems, Problem.equal)
}

func (r Repository) equal(o Repository) bool {
	if !bytes.Equal(r.Damaged, o.Damaged) || r.Unseen != o.Unseen || r.Floor != o.Floor || (r.Problem == nil) != (o.Problem == nil) {
		return false
	}
	if r.Problem != nil && !r.Problem.equal(*o.Problem) {
		return false
	}
	return maps.EqualFunc(r.Branches, o.Branches, Branch.equal)
}

func (b Branch) equal(o Branch) bool {
	return b.SHA == o.SHA && b.N == o.N && b.Missing == o.Missing && b.Redo == o.Redo && b.Time.Equal(o.Time)
}

func (p Problem) equal(o Problem) bool {
	return p.Kind == o.Kind && p.Message == o.Message && p.Since.Equal(o.Since)
}

// Fork returns a snapshot whose entries can be set and deleted while s stays as it is. What an entry holds is
// shared: its branches are replaced by other ones, never changed. So the snapshot that follows from another one
// costs no second copy of 10,000 repositories.
func (s Snapshot) Fork() Snapshot {
	s.Repositories, s.Problems = maps.Clone(s.Repositories), maps.Clone(s.Problems)
	if s.Repositories == nil {
		s.Repositories = make(map[string]Repository)
	}
	return s
}

// Clone returns a copy that shares nothing with s.
func (s Snapshot) Clone() Snapshot {
	c := s
	c.Problems = maps.Clone(s.Problems)
	c.Repositories = make(map[string]Repository, len(s.Repositories))
	for name, r := range s.Repositories {
		r.Branches = maps.Clone(r.Branches)
		r.Damaged = slices.Clone(r.Damaged)
		if r.Problem != nil {
			p := *r.Problem
			r.Problem = &p
		}
		c.Repositories[name] = r
	}
	return c
}
