package state

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/tekton-sentry/sentry/pkg/repo"
)

// MaxRepository bounds what is remembered of one repository, in bytes as it is encoded (440 KiB): some 3,200
// branches with names of 20 bytes, 1,200 with the longest. An entry lies in one ConfigMap, and package configmap puts at most
// 449 KiB into one at once. So a repository has a fifteenth of the state at most.
const MaxRepository = 440 << 10

const (
	// entryRoom is what an entry takes at most beside its branches: its name has up to 63 bytes, its problem's
	// message up to 300, each of which may be escaped.
	entryRoom = 3 << 10
	// branchRoom is what a branch takes at most beside its name and SHA.
	branchRoom = len(`:{"sha":"","n":999000000,"time":"2026-03-01T12:00:00.123456789Z","missing":2},`)
	// maxBranchSize is more than any branch takes: a name has 255 bytes, each of which may be escaped as \u003c.
	maxBranchSize = branchRoom + 64 + 2 + 6*255
)

// Fits reports whether r is within MaxRepository with these heads remembered too, however often they will run.
func (r Repository) Fits(heads map[string]repo.SHA) bool {
	size := entryRoom
	if size+maxBranchSize*(len(heads)+len(r.Branches)) <= MaxRepository {
		return true // nearly every repository: nothing needs to be counted
	}
	for branch, sha := range heads {
		if size += branchSize(branch, sha); size > MaxRepository {
			return false
		}
	}
	for branch, b := range r.Branches {
		if _, ok := heads[branch]; ok {
			continue
		}
		if size += branchSize(branch, b.SHA); size > MaxRepository {
			return false
		}
	}
	return true
}

func branchSize(name string, sha repo.SHA) int {
	size := branchRoom + len(sha) + len(`""`) + len(name)
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
	if _, ok := s.Problems[more]; ok {
		return true
	}
	count, start := 0, strings.TrimSuffix(more, "*")
	for label := range s.Problems {
		if strings.HasPrefix(label, start) && More(label) != "" {
			count++
		}
	}
	return count >= maxProblems
}

// Largest names the n repositories that take most of s, with what they take.
func Largest(s Snapshot, n int) string {
	entries := bySize(s.Repositories)
	var texts []string
	for _, e := range entries[:min(n, len(entries))] {
		texts = append(texts, fmt.Sprintf("%s %d KiB", e.name, (e.size+1023)>>10))
	}
	return strings.Join(texts, ", ")
}

// sized is an entry's name and what it takes when it is encoded, with the comma after it.
type sized struct {
	name string
	size int
}

// bySize returns the entries, largest first.
func bySize[T any](entries map[string]T) []sized {
	sizes := make([]sized, 0, len(entries))
	for name, entry := range entries {
		// Neither fails: package json writes what it read, and see Repository.MarshalJSON.
		key, _ := json.Marshal(name)
		value, _ := json.Marshal(entry)
		sizes = append(sizes, sized{name, len(key) + len(value) + len(":,")})
	}
	slices.SortFunc(sizes, func(a, b sized) int {
		return cmp.Or(cmp.Compare(b.size, a.size), cmp.Compare(a.name, b.name))
	})
	return sizes
}
