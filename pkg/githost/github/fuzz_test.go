package github_test

import (
	"testing"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/conformance/testhost"
	"github.com/tekton-sentry/sentry/pkg/githost/github"
)

func FuzzAnswer(f *testing.F) {
	for _, text := range []string{
		`{"data":{"rateLimit":{"cost":1,"remaining":0,"resetAt":"2100-01-01T00:00:00Z"},"r0":{"nameWithOwner":"o/r0","pushedAt":null,"h0":{"prefix":"refs/heads/","name":"main","target":{"oid":"` + testhost.SHA1 + `"}}}}}`,
		`{"data":{"r2":{"nameWithOwner":"o/r2","refs":{"nodes":[null,{"prefix":"refs/heads/","name":"dev-1","target":{"oid":"` + testhost.SHA2 + `"}}],"pageInfo":{"hasNextPage":true,"endCursor":"x"}}}}}`,
		`{"data":{"r0":null},"errors":[{"type":"NOT_FOUND","path":["r0"],"message":"\u001b[31m"}]}`,
		`{"data":null,"errors":[{"type":"RESOURCE_LIMITS_EXCEEDED","path":[7,{}],"message":"x"}]}`,
		`[{"ref":"refs/heads/main","object":{"sha":"` + testhost.SHA1 + `"}},null]`, `{"errors":[]}`, `null`, ``,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		want := testhost.FuzzWanted(t)
		h := testhost.Fuzzed(t, github.Open, testhost.Token, text, nil)
		testhost.CheckSane(t, want, h.Heads(t.Context(), want))
		if changed, err := h.(githost.Prefilter).Changed(t.Context(), want); err == nil && len(changed) != len(want) {
			t.Fatalf("%d hints for %d repositories", len(changed), len(want))
		}
	})
}

func FuzzOwned(f *testing.F) {
	const one = `{"databaseId":1,"nameWithOwner":"o/r","url":"https://h.example/o/r","sshUrl":"","isArchived":false,"isFork":false,"isEmpty":false,` +
		`"updatedAt":"2026-01-02T03:04:05Z","defaultBranchRef":{"name":"main"},"repositoryTopics":{"nodes":[{"topic":{"name":"web"}}]},` +
		`"file":{"__typename":"Blob","isBinary":false,"text":"a"}}`
	for _, nodes := range []string{one, one + "," + one, "null", one + `,null`, `{"databaseId":-1}`, ""} {
		f.Add(`{"data":{"repositoryOwner":{"repositories":{"totalCount":1,"nodes":[` + nodes + `],"pageInfo":{"hasNextPage":false,"endCursor":"c"}}}}}`)
	}
	f.Add(`{"data":{"repositoryOwner":null}}`)
	f.Add(`{"data":{"repositoryOwner":{"repositories":{"totalCount":2,"nodes":[` + one + `],"pageInfo":{"hasNextPage":true,"endCursor":"c"}}}}}`)
	f.Fuzz(func(t *testing.T, text string) {
		testhost.CheckOwned(t, testhost.Fuzzed(t, github.Open, testhost.Token, text, nil))
	})
}
