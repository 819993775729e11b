package githost_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/gitea"
	"github.com/tekton-sentry/sentry/pkg/githost/github"
	"github.com/tekton-sentry/sentry/pkg/githost/gitlab"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/secret"
)

// fuzzed opens a host whose answers are text, except to those requests that answer knows better about.
func fuzzed(t *testing.T, open githost.Open, token, text string, answer func(body string) string) githost.Host {
	t.Helper()
	client := githost.NewClient(roundTrip(func(req *http.Request) (*http.Response, error) {
		said := text
		if req.Body != nil {
			body, _ := io.ReadAll(req.Body)
			if known := answer(string(body)); known != "" {
				said = known
			}
		}
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}},
			Body: io.NopCloser(strings.NewReader(said)), Request: req}, nil
	}), "test", 0)
	h, err := open(githost.Endpoint{Origin: "http://h.example", Auth: config.Auth{Token: secret.New("${T}", token)}}, client)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func nothingKnown(string) string { return "" }

// checkSane fails the test unless each observation is heads that were asked for and have real names, or an error that
// is fit to be shown.
func checkSane(t *testing.T, want []githost.Wanted, got []repo.Observation) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d answers for %d repositories", len(got), len(want))
	}
	for i, o := range got {
		var e *githost.Error
		switch {
		case o.Err == nil && len(o.Heads) == 0, o.Err != nil && len(o.Heads) > 0, o.Err != nil && !errors.As(o.Err, &e):
			t.Fatalf("repository %d: heads %v and error %v", i, o.Heads, o.Err)
		case e != nil && (strings.ContainsAny(e.Error(), "\n\r\x1b") || len(e.Error()) > 500 || strings.Contains(e.Error(), "panicked")):
			t.Fatalf("repository %d: error %q", i, e)
		}
		for branch, sha := range o.Heads {
			if _, err := repo.ParseSHA(string(sha)); err != nil || !want[i].Patterns.Match(branch) {
				t.Fatalf("repository %d: branch %q at %q", i, branch, sha)
			}
		}
	}
}

func fuzzWanted(t *testing.T) []githost.Wanted {
	t.Helper()
	return []githost.Wanted{
		{URL: "http://h.example/o/r0", Patterns: apiPatterns(t, "main")},
		{URL: "http://h.example/o/r1", Patterns: apiPatterns(t, "main", "dev")},
		{URL: "http://h.example/o/r2", Patterns: apiPatterns(t, "dev.*")},
	}
}

func FuzzGitHubAnswer(f *testing.F) {
	for _, text := range []string{
		`{"data":{"rateLimit":{"cost":1,"remaining":0,"resetAt":"2100-01-01T00:00:00Z"},"r0":{"nameWithOwner":"o/r0","pushedAt":null,"h0":{"prefix":"refs/heads/","name":"main","target":{"oid":"` + shaA + `"}}}}}`,
		`{"data":{"r2":{"nameWithOwner":"o/r2","refs":{"nodes":[null,{"prefix":"refs/heads/","name":"dev-1","target":{"oid":"` + shaB + `"}}],"pageInfo":{"hasNextPage":true,"endCursor":"x"}}}}}`,
		`{"data":{"r0":null},"errors":[{"type":"NOT_FOUND","path":["r0"],"message":"\u001b[31m"}]}`,
		`{"data":null,"errors":[{"type":"RESOURCE_LIMITS_EXCEEDED","path":[7,{}],"message":"x"}]}`,
		`[{"ref":"refs/heads/main","object":{"sha":"` + shaA + `"}},null]`, `{"errors":[]}`, `null`, ``,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		want := fuzzWanted(t)
		h := fuzzed(t, github.Open, goodToken, text, nothingKnown)
		checkSane(t, want, h.Heads(t.Context(), want))
		if changed, err := h.(githost.Prefilter).Changed(t.Context(), want); err == nil && len(changed) != len(want) {
			t.Fatalf("%d hints for %d repositories", len(changed), len(want))
		}
	})
}

func FuzzGitLabAnswer(f *testing.F) {
	for _, text := range []string{
		`{"data":{"p0":{"nodes":[{"fullPath":"O/r0","repository":{"b0":{"sha":"` + shaA + `"}}},null]},"p1":{"nodes":[]}}}`,
		`{"data":{"p0":null,"p1":null},"errors":[{"message":"x","path":["p0","nodes",1.5]},{"message":"y","path":["p1"]}]}`,
		`{"data":{"p0":{"nodes":[{"fullPath":"o/r0","repository":{"b0":null}}]}},"errors":[{"message":"too many times"}]}`,
		`[{"name":"main","commit":{"id":"` + shaA + `"}},null]`, `{"data":{}}`, `null`, ``,
	} {
		f.Add(text, false)
		f.Add(text, true)
	}
	f.Fuzz(func(t *testing.T, text string, introspected bool) {
		want := fuzzWanted(t)
		h := fuzzed(t, gitlab.Open, goodToken, text, func(body string) string {
			if introspected && strings.Contains(body, "__type") {
				return `{"data":{"repository":{"fields":[{"name":"commit","args":[{"name":"ref"}]}]},"query":{"fields":[{"name":"projects","args":[{"name":"fullPaths"}]}]}}}`
			}
			return ""
		})
		for range 2 {
			checkSane(t, want, h.Heads(t.Context(), want))
		}
	})
}

func FuzzGiteaList(f *testing.F) {
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
			want = append(want, githost.Wanted{URL: "http://h.example/o/" + name, Patterns: apiPatterns(t, "main")})
		}
		h := fuzzed(t, gitea.Open, goodToken, text, nothingKnown)
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
			checkSane(t, want, h.Heads(t.Context(), want))
		}
	})
}
