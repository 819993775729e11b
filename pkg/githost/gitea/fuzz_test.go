package gitea_test

import (
	"net/http"
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

func FuzzOwned(f *testing.F) {
	const one = `{"id":1,"full_name":"o/r","clone_url":"https://h.example/o/r.git","topics":["web"],"updated_at":"2026-01-02T03:04:05Z","mirror":true}`
	for _, data := range []string{one, one + "," + one, "null", `{"id":-1}`, ""} {
		f.Add(`{"id":7,"data":[`+data+`]}`, "1")
	}
	f.Add(`{"id":0,"data":[]}`, "0")
	f.Add(`{"id":7,"data":[`+one+`],"data":null}`, "-1")
	f.Fuzz(func(t *testing.T, text, total string) {
		testhost.CheckOwned(t, testhost.FuzzedWith(t, gitea.Open, text, http.Header{"X-Total-Count": {total}}))
	})
}
