package gitlab_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/conformance/testhost"
	"github.com/tekton-sentry/sentry/pkg/githost/gitlab"
)

// A request that closes between two pages moves another one onto the page that was read, which must not count as closed: also where
// pages did not change since they were read.
func TestRequestsThatMoveMeanwhile(t *testing.T) {
	totals, second := [2]string{}, 0 // what the server says beside either page, and how many there are on the second
	origin := testhost.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		page, from, n := 1, 0, 100
		if req.URL.Query().Get("page") == "2" {
			page, from, n = 2, 100, second
		}
		if total := totals[page-1]; total != "" {
			w.Header().Set("X-Total", total)
		}
		etag := fmt.Sprintf(`W/"%d-%d"`, page, n)
		w.Header().Set("ETag", etag)
		w.Header().Set("X-Next-Page", "")
		if page == 1 {
			w.Header().Set("X-Next-Page", "2")
		}
		if req.Header.Get("If-None-Match") == etag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		var all []string
		for i := range n {
			all = append(all, fmt.Sprintf(`{"iid":%d,"sha":"%040x","target_branch":"main"}`, from+i+1, from+i+1))
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte("[" + strings.Join(all, ",") + "]"))
	}))
	h := testhost.Open(t, gitlab.Open, origin, "", testhost.Token)
	w := testhost.Wanted(t, origin, "o/r", "requests to main from anyone")
	for _, tt := range []struct {
		what        string
		first, then string
		second      int
		want        githost.Kind
	}{
		{"two pages", "102", "102", 2, ""},
		{"which did not change", "102", "102", 2, ""},
		{"one closed meanwhile", "102", "101", 1, githost.Temporary},
		{"one opened after a page that did not change", "103", "103", 3, ""},
		{"one closed, and only the second page tells", "", "102", 1, githost.Temporary},
		{"a page is short", "103", "103", 2, githost.Temporary},
		{"nothing tells", "", "", 2, ""},
	} {
		totals, second = [2]string{tt.first, tt.then}, tt.second
		o := h.Heads(t.Context(), []githost.Wanted{w})[0]
		if w.Validator = o.Validator; tt.want == "" {
			if o.Err != nil || len(o.Heads) != 100+tt.second {
				t.Errorf("%s: %d requests, %v, want %d", tt.what, len(o.Heads), o.Err, 100+tt.second)
			}
			continue
		}
		if e := testhost.ErrorOf(t, o); e.Kind != tt.want {
			t.Errorf("%s: %v, want %q", tt.what, e, tt.want)
		}
	}
}

// A request whose branch was deleted has no head, and counts for the total all the same.
func TestRequestsWithoutAHead(t *testing.T) {
	origin := testhost.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Total", "3")
		w.Header().Set("X-Next-Page", "")
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `[{"iid":1,"sha":null,"target_branch":"main"},{"iid":2,"target_branch":"main"},{"iid":3,"sha":"%040x","target_branch":"main"}]`, 3)
	}))
	h := testhost.Open(t, gitlab.Open, origin, "", testhost.Token)
	o := h.Heads(t.Context(), []githost.Wanted{testhost.Wanted(t, origin, "o/r", "requests to main from anyone")})[0]
	if o.Err != nil || len(o.Heads) != 1 {
		t.Errorf("%v, %v, want the head of the third one", o.Heads, o.Err)
	}
}
