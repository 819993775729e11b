package state

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tekton-sentry/sentry/pkg/repo"
)

// MaxRepository bounds what is remembered of one repository, in bytes as it is encoded (440 KiB): some 2,300
// branches with names of 20 bytes, 1,050 with the longest. An entry lies in one ConfigMap, and package configmap puts at most
// 449 KiB into one at once. So a repository has a fifteenth of the state at most.
const MaxRepository = 440 << 10

const (
	// entryRoom is what an entry takes at most beside its branches: its name has up to 63 bytes, its problem's
	// message up to 300, each of which may be escaped.
	entryRoom = 3 << 10
	// branchRoom is what a branch takes at most beside its name and its two SHAs.
	branchRoom = len(`:{"sha":"","succeeded":"","n":999000000,"time":"2026-03-01T12:00:00.123456789Z","missing":2},`)
	// maxBranchSize is more than any branch takes: a name has 255 bytes, each of which may be escaped as \u003c.
	maxBranchSize = branchRoom + passedRoom + 2*64 + 2 + 6*255 + 2*maxUnknown
	// passedRoom is what a head takes at most that was passed over.
	passedRoom = len(`"passed":{"sha":"","why":"untouched","time":"2026-03-01T12:00:00.123456789Z","n":999000000,"same":""},`) + 2*64
)

// Fits reports whether r is within MaxRepository with these heads remembered too, however often they will run.
func (r Repository) Fits(heads map[string]repo.SHA) bool { return r.FitsPassed(heads, 0) }

// FitsPassed is Fits with so many of the heads passed over beside.
func (r Repository) FitsPassed(heads map[string]repo.SHA, passed int) bool {
	if entryRoom+2*maxUnknown+maxBranchSize*(len(heads)+r.Branches.Len()) <= MaxRepository {
		return true // nearly every repository: nothing needs to be counted
	}
	size := entryRoom + r.beside() + passedRoom*passed
	for branch, sha := range heads {
		if size += branchSize(branch, sha) + r.Branches.Get(branch).beside(); size > MaxRepository {
			return false
		}
	}
	for branch, b := range r.Branches.All() {
		if _, ok := heads[branch]; ok {
			continue
		}
		if size += branchSize(branch, b.SHA) + b.beside(); size > MaxRepository {
			return false
		}
	}
	return true
}

// beside returns what the entry takes beside its branches and what entryRoom counts.
func (r Repository) beside() int {
	size := 0
	if r.Problem != nil {
		p := *r.Problem
		p.Kind, p.Message, p.Since = "", "", time.Time{}
		size = len(encoded(&p)) - len(encoded(&Problem{}))
	}
	r.Unseen, r.Branches, r.Floor, r.Problem, r.Damaged = false, Branches{}, 0, nil, nil
	return size + len(encoded(&r)) - len(encoded(&Repository{}))
}

// beside returns what the branch takes beside what branchSize counts.
func (b Branch) beside() int {
	b.SHA, b.Succeeded, b.N, b.Time, b.Missing, b.Redo = "", "", 0, time.Time{}, 0, false
	size := 0
	if p := b.Passed; p != nil && (p.Why == repo.Ignored || p.Why == repo.Untouched) {
		size, b.Passed = passedRoom-2*64+len(p.SHA)+len(p.Same), nil
		if p.members != nil {
			size += len(*p.members)
		}
	}
	if b == (Branch{}) {
		return size // all that a Sentry of today stores: nothing is encoded, as this is asked in each cycle
	}
	rest := b // of which there is one only here
	return size + len(encoded(&rest)) - len(encoded(&Branch{}))
}

func branchSize(name string, sha repo.SHA) int {
	size := branchRoom + 2*len(sha) + len(`""`) + len(name)
	for _, c := range name { // as package json escapes what a branch name may hold
		switch c {
		case '<', '>', '&':
			size += len(`\u003c`) - 1
		case '\u2028', '\u2029':
			size += len(`\u2028`) - 3
		case '"':
			size++
		}
	}
	return size
}

// maxProblems bounds the units of one repository of which a problem is remembered: what keeps thousands of
// branches from running is one thing, mostly.
const maxProblems = 20

// More returns the label under which all further units of the unit's repository have one problem, or "" for a
// group, which is one unit. No unit has such a label.
func More(unit string) string {
	start, branch, ok := strings.Cut(unit, ".")
	if !ok || strings.HasPrefix(branch, ".") {
		return ""
	}
	return start + ".*"
}

// full reports whether the unit's repository has as many problems as are remembered.
func (s Snapshot) full(unit string) bool {
	more := More(unit)
	if more == "" {
		return false
	}
	if s.Units[more].Problem != nil {
		return true
	}
	count, start := 0, strings.TrimSuffix(more, "*")
	for label, u := range s.Units {
		if u.Problem != nil && strings.HasPrefix(label, start) && More(label) != "" {
			count++
		}
	}
	return count >= maxProblems
}

// Largest names the n repositories that take most of s, with what they take.
func Largest(s Snapshot, n int) string {
	type sized struct {
		name string
		size int
	}
	var all []sized
	for name, r := range s.Repositories {
		all = append(all, sized{name, len(name) + len(encoded(&r))})
	}
	slices.SortFunc(all, func(a, b sized) int {
		return cmp.Or(cmp.Compare(b.size, a.size), cmp.Compare(a.name, b.name))
	})
	var texts []string
	for _, e := range all[:min(n, len(all))] {
		texts = append(texts, fmt.Sprintf("%s %d KiB", e.name, (e.size+1023)>>10))
	}
	return strings.Join(texts, ", ")
}
