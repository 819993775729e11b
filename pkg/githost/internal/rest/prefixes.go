package rest

import (
	"slices"
	"strings"

	"github.com/tekton-sentry/sentry/pkg/repo"
)

// maxPrefixes is how many requests one repository is worth. Above it, one request for more than is
// wanted costs less.
const maxPrefixes = 4

// Prefixes returns beginnings of branch names, sorted, so that each branch that matches begins with one of
// them, and no beginning begins with another. They are safe in a URL's path: none holds a part that
// starts with a dot, which no branch has, or ends with a slash. One empty string means all branches.
func Prefixes(patterns repo.Patterns) []string {
	all := make([]string, 0, len(patterns))
	for _, p := range patterns {
		all = append(all, pathSafe(p.Prefix()))
	}
	slices.Sort(all)
	var fewest []string
	for _, p := range all {
		// Whatever begins with an earlier one follows it directly in the sorted list.
		if n := len(fewest); n == 0 || !strings.HasPrefix(p, fewest[n-1]) {
			fewest = append(fewest, p)
		}
	}
	if n := len(fewest); n > maxPrefixes {
		return []string{common(fewest[0], fewest[n-1])}
	}
	return fewest
}

func pathSafe(prefix string) string {
	if i := strings.Index("/"+prefix, "/."); i >= 0 {
		prefix = prefix[:i]
	}
	return strings.TrimRight(prefix, "/")
}

// common returns what a and b both begin with, in whole parts between slashes: a part cut in the middle of
// a character would be no text.
func common(a, b string) string {
	n := 0
	for i := 0; i < min(len(a), len(b)) && a[i] == b[i]; i++ {
		if a[i] == '/' {
			n = i
		}
	}
	return a[:n]
}
