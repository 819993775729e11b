// Package repotest makes values of package repo for tests.
package repotest

import (
	"testing"

	"github.com/tekton-sentry/sentry/pkg/repo"
)

// Patterns returns branches as they stand in sentry.yaml. An entry that is none fails the test.
func Patterns(t testing.TB, entries ...string) repo.Patterns {
	t.Helper()
	var ps repo.Patterns
	for _, entry := range entries {
		p, err := repo.ParsePattern(entry)
		if err != nil {
			t.Fatalf("ParsePattern(%q) = %v", entry, err)
		}
		ps = append(ps, p)
	}
	return ps
}
