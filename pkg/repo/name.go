package repo

import (
	"cmp"
	"strings"
)

// What full names of refs begin with.
const (
	Heads = "refs/heads/"
	Tags  = "refs/tags/"
)

// reserved are beginnings that a short name of a branch must not have, as it would be the full name of another ref.
var reserved = []string{Heads, Tags, Pulls, Merges}

// Called returns what a ref with this full name is called here, in Ref and in Observation: a branch by its short name, and a tag
// by its full one. A branch whose short name reads like a full one, such as refs/heads/refs/tags/v1, is called by its
// full name too, so that no two refs have the same name. Other refs are not watched, and have none; those of requests have RequestName.
func Called(full string) (name string, ok bool) {
	if strings.HasPrefix(full, Tags) {
		return full, true
	}
	short, ok := strings.CutPrefix(full, Heads)
	if !ok {
		return "", false
	}
	for _, start := range reserved {
		if strings.HasPrefix(short, start) {
			return full, true
		}
	}
	return short, true
}

// Full returns the full name of what is called so.
func Full(name string) string {
	for _, start := range reserved {
		if strings.HasPrefix(name, start) {
			return name
		}
	}
	return Heads + name
}

// Tag returns the short name of a tag, by what it is called.
func Tag(name string) (short string, ok bool) { return strings.CutPrefix(name, Tags) }

// Noun returns what is called so, for people: "branch", "tag" or "request".
func Noun(name string) string {
	if _, request := RequestNumber(name); request {
		return "request"
	}
	if _, tag := Tag(name); tag {
		return "tag"
	}
	return "branch"
}

// CompareVersions orders short names of tags as versions: runs of digits by their value, all else by its bytes, and 1.0-rc1
// before 1.0.
func CompareVersions(a, b string) int {
	x, y := a, b
	for x != "" && y != "" {
		i, j := digits(x), digits(y)
		if i > 0 && j > 0 {
			m, n := strings.TrimLeft(x[:i], "0"), strings.TrimLeft(y[:j], "0")
			if c := cmp.Or(cmp.Compare(len(m), len(n)), cmp.Compare(m, n)); c != 0 {
				return c
			}
			x, y = x[i:], y[j:]
			continue
		}
		if x[0] != y[0] {
			break
		}
		x, y = x[1:], y[1:]
	}
	return cmp.Or(cmp.Compare(rank(x), rank(y)), cmp.Compare(x, y), cmp.Compare(a, b))
}

// digits returns how many digits a text begins with.
func digits(s string) int { return len(s) - len(strings.TrimLeft(s, "0123456789")) }

// rank orders what may follow a version: a pre-release, nothing, and more of it.
func rank(rest string) int {
	switch {
	case strings.HasPrefix(rest, "-"):
		return 0
	case rest == "":
		return 1
	}
	return 2
}
