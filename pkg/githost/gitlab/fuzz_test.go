package gitlab_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/githost/conformance/testhost"
	"github.com/tekton-sentry/sentry/pkg/githost/gitlab"
)

func FuzzAnswer(f *testing.F) {
	for _, text := range []string{
		`{"data":{"p0":{"nodes":[{"fullPath":"O/r0","repository":{"b0":{"sha":"` + testhost.SHA1 + `"}}},null]},"p1":{"nodes":[]}}}`,
		`{"data":{"p0":null,"p1":null},"errors":[{"message":"x","path":["p0","nodes",1.5]},{"message":"y","path":["p1"]}]}`,
		`{"data":{"p0":{"nodes":[{"fullPath":"o/r0","repository":{"b0":null}}]}},"errors":[{"message":"too many times"}]}`,
		`[{"name":"main","commit":{"id":"` + testhost.SHA1 + `"}},null]`, `{"data":{}}`, `null`, ``,
	} {
		f.Add(text, false)
		f.Add(text, true)
	}
	f.Fuzz(func(t *testing.T, text string, introspected bool) {
		want := testhost.FuzzWanted(t)
		h := testhost.Fuzzed(t, gitlab.Open, testhost.Token, text, func(body string) string {
			if introspected && strings.Contains(body, "__type") {
				return `{"data":{"repository":{"fields":[{"name":"commit","args":[{"name":"ref"}]}]},"query":{"fields":[{"name":"projects","args":[{"name":"fullPaths"}]}]}}}`
			}
			return ""
		})
		for range 2 {
			testhost.CheckSane(t, want, h.Heads(t.Context(), want))
		}
	})
}

func FuzzOwned(f *testing.F) {
	const one = `{"id":1,"path_with_namespace":"o/r","http_url_to_repo":"https://h.example/o/r.git","topics":["web"],"empty_repo":true,` +
		`"updated_at":"2026-01-02T03:04:05Z","last_activity_at":"2026-01-02T03:04:05Z"}`
	for _, items := range []string{one, one + "," + one, "null", `{"id":-1}`, ""} {
		f.Add(`[`+items+`]`, "1")
	}
	f.Add(`{"data":{"p0":{"nodes":[{"id":"gid://gitlab/Project/1","repository":{"blobs":{"nodes":[{"rawTextBlob":"a"}]}}}]}}}`, "0")
	f.Add(`[`+one+`]`, "")
	f.Fuzz(func(t *testing.T, text, total string) {
		testhost.CheckOwned(t, testhost.FuzzedWith(t, gitlab.Open, text, http.Header{"X-Total": {total}}))
	})
}
