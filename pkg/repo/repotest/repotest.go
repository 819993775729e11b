// Package repotest makes values of package repo for tests.
package repotest

import (
	"strings"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/repo"
)

// Patterns returns branches as they stand in sentry.yaml and, after refs/tags/, tags. Alone, "requests to main" and "requests to main
// from anyone" are requests. An entry that is none of these fails the test.
func Patterns(t testing.TB, entries ...string) repo.Patterns {
	t.Helper()
	var ps repo.Patterns
	for _, entry := range entries {
		if requests, ok := repo.Recall(entry).Requests(); ok {
			ps = append(ps, requests)
			continue
		}
		p, err := repo.ParsePattern(entry)
		if tag, ok := strings.CutPrefix(entry, repo.Tags); ok {
			p, err = repo.ParseTagPattern(tag)
		}
		if err != nil {
			t.Fatalf("ParsePattern(%q) = %v", entry, err)
		}
		ps = append(ps, p)
	}
	return ps
}
