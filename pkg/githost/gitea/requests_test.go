package gitea

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/conformance/testhost"
)

// TestRequestsCutShort: a list of requests that holds another number than the server says, or none where it says nothing, is an error: nothing may
// count as closed by it.
func TestRequestsCutShort(t *testing.T) {
	const pull = `{"number":7,"head":{"label":"work","ref":"work","sha":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","repo":{"id":1}},"base":{"ref":"main","sha":"","repo":{"id":1}}}`
	for name, tt := range map[string]struct {
		body, total string
		want        githost.Kind
	}{
		"one":                        {"[" + pull + "]", "1", ""},
		"none":                       {"[]", "0", githost.NoBranch},
		"empty by a fault":           {"[]", "1", githost.Temporary},
		"half":                       {"[" + pull + "]", "2", githost.Temporary},
		"more than there are":        {"[" + pull + "]", "0", githost.Temporary},
		"cut in the middle":          {"[" + pull, "1", githost.Temporary},
		"without a number":           {"[]", "", githost.Invalid},
		"nothing":                    {"", "0", githost.Invalid},
		"null":                       {"null", "0", githost.Invalid},
		"a request that is null":     {"[null]", "1", githost.Invalid},
		"a request without a target": {`[{"number":7,"head":{"sha":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}}]`, "1", githost.Invalid},
		"a number that is none":      {strings.Replace("["+pull+"]", "7", "-7", 1), "1", githost.Invalid},
		"a head that is none":        {strings.Replace("["+pull+"]", "aaaa", "zzzz", 1), "1", githost.Invalid},
		"a login page":               {"<html>", "1", githost.Invalid},
	} {
		origin := testhost.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			if tt.total != "" {
				w.Header().Set("X-Total-Count", tt.total)
			}
			if req.URL.Query().Get("page") != "1" {
				tt.body = "[]"
			}
			_, _ = w.Write([]byte(tt.body))
		}))
		h := testhost.Open(t, Open, origin, "", testhost.Token)
		o := h.Heads(t.Context(), []githost.Wanted{testhost.Wanted(t, origin, "o/r", "requests to main")})[0]
		if tt.want == "" {
			if q := o.Requests["refs/pull/7/head"]; o.Err != nil || len(o.Heads) != 1 || !q.Own || q.TargetSHA != "" {
				t.Errorf("%s: %+v, want one of the repository's own", name, o)
			}
			continue
		}
		if e := testhost.ErrorOf(t, o); e.Kind != tt.want {
			t.Errorf("%s: %v, want %q", name, e, tt.want)
		}
	}
}

// A request that closes between two pages moves another one onto the page that was read, which must not count as closed.
func TestRequestsThatMoveMeanwhile(t *testing.T) {
	for name, tt := range map[string]struct {
		first, then int // how many there are, as the server says beside either page
		more        int // on the second page
		want        githost.Kind
	}{
		"two pages":                {51, 51, 1, ""},
		"one closed meanwhile":     {51, 50, 0, githost.Temporary},
		"one opened meanwhile":     {51, 52, 2, githost.Temporary},
		"the second page is short": {52, 52, 1, githost.Temporary},
		"fewer, and as many":       {52, 51, 1, githost.Temporary},
	} {
		origin := testhost.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			from, total, n := 0, tt.first, mostListed
			switch req.URL.Query().Get("page") {
			case "1":
			case "2":
				from, total, n = mostListed, tt.then, tt.more
			default:
				n, total = 0, tt.then
			}
			var pulls []string
			for i := range n {
				pulls = append(pulls, fmt.Sprintf(`{"number":%d,"head":{"sha":"%040x"},"base":{"ref":"main"}}`, from+i+1, from+i+1))
			}
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("X-Total-Count", strconv.Itoa(total))
			_, _ = w.Write([]byte("[" + strings.Join(pulls, ",") + "]"))
		}))
		h := testhost.Open(t, Open, origin, "", testhost.Token)
		o := h.Heads(t.Context(), []githost.Wanted{testhost.Wanted(t, origin, "o/r", "requests to main from anyone")})[0]
		if tt.want == "" {
			if o.Err != nil || len(o.Heads) != tt.first {
				t.Errorf("%s: %d requests, %v, want %d", name, len(o.Heads), o.Err, tt.first)
			}
			continue
		}
		if e := testhost.ErrorOf(t, o); e.Kind != tt.want {
			t.Errorf("%s: %v, want %q", name, e, tt.want)
		}
	}
}
