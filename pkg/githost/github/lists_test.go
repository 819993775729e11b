package github_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/conformance/testhost"
	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
	"github.com/tekton-sentry/sentry/pkg/githost/github"
	"github.com/tekton-sentry/sentry/pkg/githost/github/githubtest"
	"github.com/tekton-sentry/sentry/pkg/githost/poller"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/repo/repotest"
)

// owned returns the paths of repositories of owners that have so many each, as their order is.
func owned(each ...int) []string {
	var paths []string
	for owner, n := range each {
		for i := range n {
			paths = append(paths, fmt.Sprintf("owner%d/r%d", owner, i))
		}
	}
	return paths
}

// What the lists of owners cost is less than half of what reading costs, they tell of every push or leave it open, and
// are asked for where that is worth a query.
func TestListsAreBounded(t *testing.T) {
	for _, c := range []struct {
		name    string
		each    []int // repositories of each owner
		pushed  int   // repositories of each owner that are pushed to before the call
		stuck   bool  // the first repository was not read for an hour, and many were pushed to since
		queries int
		open    int // repositories that may have changed
	}{
		{name: "owners of one", each: slices.Repeat([]int{1}, 1000), queries: 0, open: 1000},
		{name: "owners of two", each: slices.Repeat([]int{2}, 500), queries: 0, open: 1000},
		{name: "owners of three", each: slices.Repeat([]int{3}, 400), queries: 6, open: 300}, // half of 12; 50 owners each
		{name: "owners of ten", each: slices.Repeat([]int{10}, 120), queries: 3, open: 0},
		{name: "two large", each: []int{600, 600}, queries: 1, open: 0},
		{name: "two large and busy", each: []int{600, 600}, pushed: 200, queries: 3, open: 400},
		{name: "two large and too busy", each: []int{600, 600}, pushed: 500, queries: 4, open: 1200},
		{name: "a busy one that two queries read", each: []int{200}, pushed: 120, queries: 1, open: 200},
		{name: "a large one among many of one", each: append(slices.Repeat([]int{1}, 400), 400), queries: 1, open: 351},
		{name: "one repository that is not read", each: []int{600, 600}, stuck: true, queries: 1, open: 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			api := newServer()
			api.SetGraphQL(true)
			origin := testhost.Serve(t, api)
			var want []githost.Wanted
			for _, path := range owned(c.each...) {
				api.Push(path, "main", testhost.SHA1)
				want = append(want, githost.Wanted{URL: origin + "/" + path, Patterns: repotest.Patterns(t, "main")})
			}
			h := testhost.Open(t, github.Open, origin, "", testhost.Token)
			api.Advance(10 * time.Minute)
			h.Heads(t.Context(), want)
			if c.stuck {
				api.Advance(30 * time.Minute)
				pushAll(api, c.each, 1, 500)
				api.Advance(30 * time.Minute)
				h.Heads(t.Context(), want[1:])
				api.Advance(time.Minute)
			}
			pushed := pushAll(api, c.each, 0, c.pushed)
			api.Requests()
			got := changedNow(t, h, want)
			if n := len(api.Requests()); n != c.queries || len(got) != c.open {
				t.Errorf("%d queries, and %d of %d may have changed, want %d, and %d", n, len(got), len(want), c.queries, c.open)
			}
			for i, w := range want {
				if pushed[w.URL[len(origin)+1:]] && !slices.Contains(got, i) {
					t.Errorf("%s was pushed to, and Changed says no", w.URL)
				}
			}
		})
	}
}

// pushAll pushes to some repositories of each owner, and returns to which.
func pushAll(api *githosttest.API, each []int, from, to int) map[string]bool {
	pushed := make(map[string]bool)
	for owner := range each {
		for i := from; i < to; i++ {
			path := fmt.Sprintf("owner%d/r%d", owner, i)
			api.Push(path, "main", testhost.SHA2)
			pushed[path] = true
		}
	}
	return pushed
}

// Lists that a slow server has no time for are left out, and what they would tell of is read in the same cycle.
func TestListsThatAreSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := githubtest.New()
		api.SetToken(testhost.Token)
		want := testhost.Monitors(t, config.GitHub, 1200)
		for i, path := range owned(slices.Repeat([]int{4}, 300)...) {
			api.Push(path, "main", testhost.SHA1)
			want[i].URL = "http://github.example/" + path
		}
		w := &testhost.Wire{Handler: api}
		r := &poller.Reader{Hosts: opens, Base: w, Sweep: 24 * time.Hour}
		time.Sleep(time.Minute)
		r.Heads(t.Context(), want)
		time.Sleep(time.Minute)
		api.Push("owner7/r3", "main", testhost.SHA2)
		api.SetLatency(3 * time.Second)
		w.Take()
		cached := 0
		for i, o := range r.Heads(t.Context(), want) {
			if o.Err != nil || want[i].URL == "http://github.example/owner7/r3" && o.Heads["main"] != testhost.SHA2 {
				t.Fatalf("%s: %+v", want[i].URL, o)
			}
			if o.Status != repo.Fresh {
				cached++
			}
		}
		if asked := w.Take(); cached < 500 || asked > 12 {
			t.Errorf("%d from memory, %d requests, want those of the three lists of 200 that there was time for, and fewer than reading all takes", cached, asked)
		}
	})
}
