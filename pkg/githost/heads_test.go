package githost

import (
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/repo/repotest"
)

const (
	sha1 = "1111111111111111111111111111111111111111"
	sha2 = "2222222222222222222222222222222222222222"
)

// pairs yields branch, name, branch, name, ….
func pairs(texts ...string) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for i := 0; i < len(texts); i += 2 {
			if !yield(texts[i], texts[i+1]) {
				return
			}
		}
	}
}

// collect collects heads until there is no use for more.
func collect(t *testing.T, ps repo.Patterns, answered iter.Seq2[string, string]) repo.Observation {
	t.Helper()
	h := NewHeads("h", Wanted{Patterns: ps})
	for branch, name := range answered {
		if !h.Add(branch, name) {
			break
		}
	}
	return h.Observation()
}

func TestHeads(t *testing.T) {
	long := "dev-" + strings.Repeat("x", 252)
	for _, test := range []struct {
		entries  []string
		answered []string
		want     map[string]repo.SHA
		err      string
	}{
		{[]string{"main"}, []string{"main", sha1, "dev", sha2}, map[string]repo.SHA{"main": sha1}, ""},
		{[]string{"dev.*"}, []string{"main", sha1, "dev-x", sha2, "xdev", sha1}, map[string]repo.SHA{"dev-x": sha2}, ""},
		{[]string{"dev.*"}, []string{"main", "what?", "dev-x", sha2}, map[string]repo.SHA{"dev-x": sha2}, ""},
		{[]string{"dev.*"}, []string{"dev-x", sha2, "dev-x", sha2}, map[string]repo.SHA{"dev-x": sha2}, ""},
		{[]string{"dev.*"}, []string{"dev-$(reboot)'\"", sha2}, map[string]repo.SHA{"dev-$(reboot)'\"": sha2}, ""},
		{[]string{"dev.*"}, []string{"dev-x", sha2, "dev-\x00", sha1, "dev..y", sha1, long, sha1}, map[string]repo.SHA{"dev-x": sha2}, ""},
		{[]string{"dev.*"}, []string{"dev..y", sha1}, nil, "h: no branch: 1 branches match dev.*, and none has a name that Git allows"},
		{[]string{"dev.*"}, []string{"dev-x", sha2, "dev-y", "short"}, nil, `h: invalid: it answers for branch "dev-y": object name of 5 characters, want 40 or 64 hexadecimal digits`},
		{[]string{"dev.*"}, []string{"dev-x", strings.Repeat("0", 40)}, nil, `h: invalid: it answers for branch "dev-x": object name of zeros names no commit`},
		{[]string{"dev.*"}, []string{"dev-x", sha1, "dev-x", sha2}, nil, `h: invalid: it answers branch "dev-x" twice, at ` + sha1 + " and at " + sha2},
		{[]string{"main", "dev.*"}, nil, nil, "h: no branch: no branch matches main, dev.*"},
	} {
		got := collect(t, repotest.Patterns(t, test.entries...), pairs(test.answered...))
		if diff := cmp.Diff(test.want, got.Heads); diff != "" {
			t.Errorf("%q of %.80q: (-want +got)\n%s", test.entries, test.answered, diff)
		}
		if text := fmt.Sprint(got.Err); test.err != "" && text != test.err || test.err == "" && got.Err != nil {
			t.Errorf("%q of %.80q: got error %q, want %q", test.entries, test.answered, text, test.err)
		}
	}
}

func TestHeadsStopEarly(t *testing.T) {
	read := 0
	endless := func(yield func(string, string) bool) {
		for yield(fmt.Sprintf("dev-%d", read), sha1) {
			read++
		}
	}
	if got := collect(t, repotest.Patterns(t, "dev-3", "dev-1"), endless); len(got.Heads) != 2 || read != 3 {
		t.Errorf("exact names: got %v after %d branches, want both after 3", got, read)
	}
	read = 0
	if got := collect(t, repotest.Patterns(t, "dev.*"), endless); got.Err == nil || !strings.Contains(got.Err.Error(), "too large: more than 10000 branches") || read > 10_000 {
		t.Errorf("endless branches: got error %v after %d", got.Err, read)
	}
}

// TestRequestsAreBounded: of requests that match 500 are watched, and one more is an error: none of them is passed over. Others count for nothing.
func TestRequestsAreBounded(t *testing.T) {
	h := NewHeads("h", Wanted{Patterns: repotest.Patterns(t, "requests to main")})
	add := func(number int, r repo.Request) bool {
		name, _ := repo.RequestName(repo.Pulls, int64(number))
		return h.AddRequest(name, sha1, r)
	}
	for i := range 2 * MaxRequests {
		add(i+1, repo.Request{Target: "dev", Own: true})
		add(i+1, repo.Request{Target: "main"})
		add(i+1, repo.Request{Target: "ma in", Own: true})
	}
	for i := range MaxRequests {
		if !add(i+1, repo.Request{Target: "main", TargetSHA: "no name of a commit", Own: true}) {
			t.Fatalf("request %d: %v", i+1, h.Err())
		}
	}
	if o := h.Observation(); o.Err != nil || len(o.Heads) != MaxRequests || len(o.Requests) != MaxRequests || o.Requests["refs/pull/7/head"] != (repo.Request{Target: "main", Own: true}) {
		t.Errorf("%d heads, %d requests, %v", len(o.Heads), len(o.Requests), o.Err)
	}
	if add(MaxRequests+1, repo.Request{Target: "main", Own: true}) {
		t.Error("there is a use for more")
	}
	if e, ok := errors.AsType[*Error](h.Observation().Err); !ok || e.Kind != TooLarge || !strings.Contains(e.Error(), "narrow monitor.pull_requests") {
		t.Errorf("one more: %v", e)
	}
}
