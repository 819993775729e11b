package testhost

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/repo/repotest"
	"github.com/tekton-sentry/sentry/pkg/secret"
)

// Filled gives a server n repositories, o/r0 and so on, with the branches main and dev.
func Filled(api *githosttest.API, n int) *githosttest.API {
	api.SetToken(Token)
	for i := range n {
		path := fmt.Sprintf("o/r%d", i)
		api.Push(path, "main", SHA1)
		api.Push(path, "dev", SHA2)
	}
	return api
}

// Monitors are the repositories of Filled.
func Monitors(t *testing.T, kind config.HostType, n int) []config.Monitor {
	t.Helper()
	want := make([]config.Monitor, n)
	for i := range want {
		want[i] = config.Monitor{Source: config.Source{URL: fmt.Sprintf("http://%s.example/o/r%d", kind, i), Type: kind,
			Auth: config.Auth{Token: secret.New("${T}", Token)}}, Branches: repotest.Patterns(t, "main", "dev")}
	}
	return want
}

// Batch gives a server n repositories, o/r0 and so on, each with three branches, and returns what is wanted of them at
// an origin.
func Batch(t testing.TB, api *githosttest.API, origin string, n int, branches ...string) []githost.Wanted {
	t.Helper()
	api.SetToken(Token)
	patterns := repotest.Patterns(t, branches...)
	want := make([]githost.Wanted, n)
	for i := range want {
		path := fmt.Sprintf("o/r%d", i)
		for k, b := range []string{"main", "dev", "prod"} {
			api.Push(path, b, fmt.Sprintf("%039x%d", i+1, k))
		}
		want[i] = githost.Wanted{URL: origin + "/" + path, Patterns: patterns}
	}
	return want
}

// CheckBatch fails the test unless each repository has the branches that Batch gave it.
func CheckBatch(t testing.TB, got []repo.Observation, branches ...string) {
	t.Helper()
	for i, o := range got {
		want := make(map[string]repo.SHA)
		for k, b := range []string{"main", "dev", "prod"} {
			if slices.Contains(branches, b) {
				want[b] = repo.SHA(fmt.Sprintf("%039x%d", i+1, k))
			}
		}
		if diff := cmp.Diff(repo.Observation{Heads: want}, o); diff != "" {
			t.Fatalf("repository %d (-want +got):\n%s", i, diff)
		}
	}
}

// ManyBranches are 250 branches, b000 and so on, at SHA2.
func ManyBranches() map[string]repo.SHA {
	m := make(map[string]repo.SHA)
	for i := range 250 {
		m[fmt.Sprintf("b%03d", i)] = SHA2
	}
	return m
}
