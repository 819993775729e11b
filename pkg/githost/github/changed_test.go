package github_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/conformance/testhost"
	"github.com/tekton-sentry/sentry/pkg/githost/github"
)

// changedNow returns the indexes of what may have changed.
func changedNow(t *testing.T, h githost.Host, want []githost.Wanted) []int {
	t.Helper()
	changed, err := h.(githost.Prefilter).Changed(t.Context(), want)
	if err != nil || len(changed) != len(want) {
		t.Fatalf("Changed = %d answers, %v, want %d", len(changed), err, len(want))
	}
	var indexes []int
	for i, c := range changed {
		if c {
			indexes = append(indexes, i)
		}
	}
	return indexes
}

// One request tells what of an owner's repositories was pushed to since it was read, until it is read.
func TestChanged(t *testing.T) {
	api, origin, want := newGraphQL(t, 300, "main", "dev")
	h := testhost.Open(t, github.Open, origin, "", testhost.Token)
	if got := changedNow(t, h, want); len(got) != 300 || len(api.Requests()) != 0 {
		t.Errorf("before anything was read: %d changed, want all 300 without a request", len(got))
	}
	h.Heads(t.Context(), want)
	api.Requests()
	if got := changedNow(t, h, want); len(got) != 300 {
		t.Errorf("within the second of the push: %d changed, want all 300", len(got))
	}
	api.Advance(10 * time.Minute)
	h.Heads(t.Context(), want)
	api.Requests()
	check := func(name string, requests int, wanted ...int) {
		t.Helper()
		if got, n := changedNow(t, h, want), len(api.Requests()); !slices.Equal(got, wanted) || n != requests {
			t.Errorf("%s: %v changed, by %d requests, want %v by %d", name, got, n, wanted, requests)
		}
	}
	check("idle", 1)
	api.Push("o/r42", "main", testhost.SHA2)
	api.Push("o/r7", "dev", testhost.SHA2) // a force push looks the same
	api.Advance(time.Minute)
	check("two pushes", 1, 7, 42)
	api.Advance(time.Hour)
	check("an hour later, not read yet", 1, 7, 42)
	h.Heads(t.Context(), want[:10])
	api.Requests()
	check("one of the two was read", 1, 42)
	h.Heads(t.Context(), want[42:43])
	api.Requests()
	check("both were read", 1)

	api.Rename("o/r9", "elsewhere/r9")
	h.Heads(t.Context(), want[9:10])
	api.Advance(time.Minute)
	api.Push("elsewhere/r9", "main", testhost.SHA1)
	api.Requests()
	check("a push to a renamed repository", 1, 9)
	h.Heads(t.Context(), want[9:10])
}

// Lists that would cost more than reading are not asked for, and what cannot be told is an error or a yes.
func TestChangedDoesNotTell(t *testing.T) {
	api, origin, want := newGraphQL(t, 60, "main")
	h := testhost.Open(t, github.Open, origin, "", testhost.Token)
	api.Advance(10 * time.Minute)
	h.Heads(t.Context(), want)
	api.Requests()
	if got := changedNow(t, h, want); len(got) != 60 || len(api.Requests()) != 0 {
		t.Errorf("60 repositories, which one query reads: %d changed, want 60 without a request", len(got))
	}
	if changed, err := testhost.Open(t, github.Open, origin, "", "").(githost.Prefilter).Changed(t.Context(), want); err == nil {
		t.Errorf("without a token: %v, want an error", changed)
	}

	api, _, want = newGraphQL(t, 300, "main")
	broken := ""
	front := testhost.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if broken != "" {
			_, _ = w.Write([]byte(broken))
			return
		}
		api.ServeHTTP(w, req)
	}))
	for i := range want {
		_, path, _ := strings.Cut(want[i].URL, "/o/")
		want[i].URL = front + "/o/" + path
	}
	h = testhost.Open(t, github.Open, front, "", testhost.Token)
	api.Advance(10 * time.Minute)
	h.Heads(t.Context(), want)
	for body, fails := range map[string]bool{
		`{"errors":[{"type":"RATE_LIMITED","message":"no"}]}`: true,
		`{"data":{}}`:          true,
		`{"data":{"o0":[]}}`:   true,
		`<html>`:               true,
		`{"data":{"o0":null}}`: false,
		`{"data":{"o0":null},"errors":[{"type":"FORBIDDEN","path":["o0"],"message":"no"}]}`: false,
		`{"data":{"o0":{"repositories":{"nodes":[],"pageInfo":{"hasNextPage":false}}}}}`:    false,
		`{"data":{"o0":{"repositories":{"nodes":[null],"pageInfo":{"hasNextPage":true}}}}}`: false,
	} {
		broken = body
		changed, err := h.(githost.Prefilter).Changed(t.Context(), want)
		if (err != nil) != fails || !fails && slices.Contains(changed, false) {
			t.Errorf("%s: error %v, want one: %t; and otherwise everything changed", body, err, fails)
		}
	}
}

// What happened to repositories while they were not wanted is told when they are wanted again.
func TestWantedAgain(t *testing.T) {
	api, origin, want := newGraphQL(t, 300, "main")
	h := testhost.Open(t, github.Open, origin, "", testhost.Token)
	api.Advance(10 * time.Minute)
	h.Heads(t.Context(), want)
	for _, n := range []int{150, 140} {
		if got := changedNow(t, h, want[:n]); len(got) != 0 {
			t.Errorf("%d of %d repositories that are still wanted changed", len(got), n)
		}
	}
	api.Push("o/r200", "main", testhost.SHA2)
	api.Advance(time.Minute)
	if got := changedNow(t, h, want); !slices.Equal(got, []int{200}) {
		t.Errorf("wanted again: %v changed, want the one that was pushed to", got)
	}
}
