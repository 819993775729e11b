package gitea_test

import (
	"testing"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/conformance/testhost"
	"github.com/tekton-sentry/sentry/pkg/githost/gitea"
	"github.com/tekton-sentry/sentry/pkg/repo/repotest"
)

func FuzzList(f *testing.F) {
	for _, text := range []string{
		`{"ok":true,"data":[{"id":1,"full_name":"o/r0","updated_at":"2026-01-01T00:00:00Z"},{"id":2,"full_name":"O/R1","mirror":true,"updated_at":"2025-01-01T00:00:00Z"}]}`,
		`{"ok":true,"data":[{"id":1,"full_name":"o/r0","updated_at":"2025-01-01T00:00:00Z"},{"id":1,"full_name":"o/r1","updated_at":"2026-01-01T00:00:00Z"}]}`,
		`{"data":[null]}`, `{"data":[]}`, `{"data":[{"updated_at":"x"}]}`, `{"data":[{"owner":{"id":1e99}}]}`, `[]`, `null`, ``,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var want []githost.Wanted
		for _, name := range []string{"r0", "r1", "r2", "r3", "r4"} {
			want = append(want, githost.Wanted{URL: "http://h.example/o/" + name, Patterns: repotest.Patterns(t, "main")})
		}
		h := testhost.Fuzzed(t, gitea.Open, testhost.Token, text, nil)
		for range 2 {
			changed, err := h.(githost.Prefilter).Changed(t.Context(), want)
			if err == nil && len(changed) != len(want) {
				t.Fatalf("%d hints for %d repositories", len(changed), len(want))
			}
			for i, c := range changed {
				if err == nil && !c {
					t.Fatalf("repository %d counts as unchanged, and was never read", i)
				}
			}
			testhost.CheckSane(t, want, h.Heads(t.Context(), want))
		}
	})
}
