package gitproto_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/githost"
)

// answer is a server that answers every POST and every GET the same way.
type answer struct {
	status int
	kind   string // Content-Type
	body   string
}

func (a answer) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", a.kind)
	w.WriteHeader(a.status)
	_, _ = io.WriteString(w, a.body)
}

func TestUnusualServers(t *testing.T) {
	const (
		sha    = "1111111111111111111111111111111111111111"
		advert = "application/x-git-upload-pack-advertisement"
		result = "application/x-git-upload-pack-result"
	)
	v0 := pkt("# service=git-upload-pack\n") + "0000" + pkt(sha+" refs/heads/main\x00caps\n") + "0000"
	listed := pkt(sha+" refs/heads/main\n") + "0000"
	none := answer{404, "text/plain", "no"}
	for _, test := range []struct {
		name      string
		post, get answer
		want      githost.Kind // "" = heads
		text      string
	}{
		{"version 2", answer{200, result, listed}, none, "", ""},
		{"version 0 that answers an unknown POST with nothing", answer{200, result, ""}, answer{200, advert, v0}, "", ""},
		{"version 0 that answers an unknown POST with an error", answer{200, result, pkt("ERR upload-pack: expected SHA1")}, answer{200, advert, v0}, "", ""},
		{"version 0 that answers an unknown POST with NAK", answer{200, result, pkt("NAK\n")}, answer{200, advert, v0}, "", ""},
		{"version 0 that answers an unknown POST with 400", answer{400, "text/plain", "bad"}, answer{200, advert, v0}, "", ""},
		{"version 0 that answers an unknown POST with 500", answer{500, "text/plain", "oops"}, answer{200, advert, v0}, "", ""},
		{"version 0 that allows no POST", answer{405, "text/plain", ""}, answer{200, advert, v0}, "", ""},
		{"version 0 that has no POST", answer{501, "text/plain", ""}, answer{200, advert, v0}, "", ""},
		{"a dumb server", answer{405, "text/html", ""}, answer{200, "text/plain; charset=utf-8", sha + "\trefs/heads/main\n"}, githost.Invalid, "dumb HTTP server"},
		{"a web page", answer{200, "text/html", "<html>"}, answer{200, "text/html", "<html>"}, githost.Invalid, `its type is "text/html": is repo_url the URL of a repository?`},
		{"a login page with the type of heads", answer{200, result, "<html>"}, answer{200, advert, "<html>"}, githost.Invalid, "not the Git protocol"},
		{"no repository", none, none, githost.NotFound, "HTTP 404"},
		{"not for everybody", answer{401, "text/plain", ""}, none, githost.Denied, "set auth.token"},
		{"forbidden", answer{403, "text/plain", ""}, none, githost.Denied, "HTTP 403"},
		{"too many requests", answer{429, "text/plain", ""}, none, githost.RateLimited, "HTTP 429"},
		{"an error in the advertisement", none, answer{200, advert, pkt("ERR access denied or repository not exported: /x")}, githost.NotFound, "not exported"},
		{"an object name that is none", answer{200, result, pkt("zz refs/heads/main\n") + "0000"},
			answer{200, advert, pkt("version 2\n") + pkt("ls-refs\n") + "0000"}, githost.Invalid, `it answers for branch "main"`},
		{"main twice, differently", answer{200, result, pkt(sha+" refs/heads/dev-1\n") + pkt(strings.Repeat("2", 40)+" refs/heads/dev-1\n") + "0000"},
			answer{200, advert, pkt("version 2\n") + pkt("ls-refs\n") + "0000"}, githost.Invalid, "twice"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				if req.Method == http.MethodPost {
					test.post.ServeHTTP(w, req)
				} else {
					test.get.ServeHTTP(w, req)
				}
			}))
			h := open(t, s, "", "")
			w := wanted(t, s.URL+"/app.git", "main", "dev.*")
			for range 2 {
				if test.want == "" {
					if got := heads(t, h, w); got["main"] != sha {
						t.Errorf("got %v, want main at %s", got, sha)
					}
					continue
				}
				if e := failure(t, h, w); e.Kind != test.want || !strings.Contains(e.Error(), test.text) {
					t.Errorf("got %v, want %s with %q", e, test.want, test.text)
				}
			}
		})
	}
}

func pkt(line string) string { return fmt.Sprintf("%04x%s", len(line)+4, line) }
