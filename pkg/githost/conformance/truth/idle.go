package truth

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tekton-sentry/sentry/pkg/githost/conformance/testhost"
	"github.com/tekton-sentry/sentry/pkg/repo/repotest"
)

// IdleCycles asserts that a cycle in which nothing changed costs no more than a host says. The sweep is apart: it is so long here
// that no repository has its turn.
func IdleCycles(t *testing.T, h testhost.Host) {
	for name, c := range h.Idle {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { idle(t, h, c) })
		})
	}
}

func idle(t *testing.T, h testhost.Host, c testhost.Idle) {
	const n = 1000
	api := h.Filled(n)
	var longest atomic.Int64
	want := testhost.Monitors(t, h.Driver.Type, n)
	for i := range want {
		api.Push(fmt.Sprintf("o/r%d", i), "prod", testhost.SHA1)
		<-time.After(15 * time.Second) // what was pushed to at the same time as the last one is read once more
		want[i].Branches = repotest.Patterns(t, "main", "dev", "prod")
	}
	w := &testhost.Wire{Handler: http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
		size := int64(len(testhost.BodyOf(req)))
		for old := longest.Load(); size > old && !longest.CompareAndSwap(old, size); old = longest.Load() {
		}
		api.ServeHTTP(rw, req)
	})}
	r := h.Reader(w, c.Sweep)
	<-time.After(time.Hour) // since the last push
	for cycle := range 4 {
		w.Take()
		before := api.Points()
		longest.Store(0)
		for i, o := range r.Heads(t.Context(), want) {
			if o.Err != nil || len(o.Heads) != 3 {
				t.Fatalf("cycle %d, repository %d: %+v", cycle, i, o)
			}
		}
		requests, points, body := w.Take(), api.Points()-before, int(longest.Load())
		if cycle > 0 && (requests > c.Requests || points > c.Points || c.Body > 0 && body > c.Body) {
			t.Errorf("cycle %d: %d requests, %d points, the longest body %d bytes, want at most %d, %d, %d",
				cycle, requests, points, body, c.Requests, c.Points, c.Body)
		}
		<-time.After(time.Minute)
	}
}
