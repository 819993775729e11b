package poller_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/gitea"
	"github.com/tekton-sentry/sentry/pkg/githost/github"
	"github.com/tekton-sentry/sentry/pkg/githost/gitlab"
	"github.com/tekton-sentry/sentry/pkg/githost/gitproto"
)

// hostileClient is a way in which a server is asked.
type hostileClient struct {
	name   string
	open   githost.Open
	token  string
	asked  func(*http.Request) bool // what is answered with malice; all else is healthy
	kind   config.HostType
	typ    string   // of the answer
	starts []string // of answers that the server can go on with as it likes
}

// lists reports whether it is a list of what changed that is asked for, and not heads.
func (c hostileClient) lists() bool { return strings.Contains(c.name, "list") }

// ask asks for what is answered with malice, and fails the test when that is taken for news.
func (c hostileClient) ask(t *testing.T, h githost.Host, want []githost.Wanted) {
	t.Helper()
	if c.lists() {
		if changed, err := h.(githost.Prefilter).Changed(t.Context(), want); err == nil && slices.Contains(changed, false) {
			t.Errorf("%s: nonsense says that nothing changed", c.name)
		}
		return
	}
	o := h.Heads(t.Context(), want[:1])[0]
	if byREST := c.kind == config.GitLab && c.token != ""; o.Err == nil && !byREST { // which is well
		t.Errorf("%s: heads %v of nonsense", c.name, o.Heads)
	}
}

func hostileWanted(t *testing.T, c hostileClient, origin string) []githost.Wanted {
	t.Helper()
	patterns := apiPatterns(t, "main.*")
	if c.kind == config.GitLab && c.token != "" {
		patterns = apiPatterns(t, "main")
	}
	want := make([]githost.Wanted, 300)
	for i := range want {
		want[i] = githost.Wanted{URL: fmt.Sprintf("%s/o/r%d", origin, i), Patterns: patterns}
	}
	return want
}

// clients are all ways in which a server is asked.
var clients = []hostileClient{
	{"GitHub REST", github.Open, "", everything, config.GitHub, "application/json", []string{"[", `[{"ref":"`}},
	{"GitHub GraphQL", github.Open, goodToken, everything, config.GitHub, "application/json",
		[]string{`{"data":{"r0":{"nameWithOwner":"o/r0","refs":{"nodes":[`, `{"data":{`, `{"errors":[`, `{"errors":[{"path":[`, `{"data":{"r0":{"x":`}},
	{"GitHub lists", github.Open, goodToken, asksFor("repositoryOwner"), config.GitHub, "application/json",
		[]string{`{"data":{"o0":{"repositories":{"nodes":[`, `{"data":{"o0":{"repositories":[`}},
	{"GitLab REST", gitlab.Open, "", everything, config.GitLab, "application/json", []string{"[", `[{"name":"`, `[{"commit":{"message":"`}},
	{"GitLab GraphQL", gitlab.Open, goodToken, asksFor("fullPaths"), config.GitLab, "application/json",
		[]string{`{"data":{"p0":{"nodes":[`, `{"data":{"p0":{"nodes":[{"repository":{`, `{"errors":[`}},
	{"GitLab introspection", gitlab.Open, goodToken, asksFor("__type"), config.GitLab, "application/json",
		[]string{`{"data":{"repository":{"fields":[`, `{"data":{"repository":{"fields":[{"args":[`}},
	{"Gitea list", gitea.Open, goodToken, asksFor("/repos/search"), config.Gitea, "application/json",
		[]string{`{"ok":true,"data":[`, `{"data":[{"description":"`, `{"data":[{"parent":`}},
	{"Git protocol", gitproto.Open, goodToken, everything, config.Git, "application/x-git-upload-pack-result",
		[]string{"", "fff0", "0008NAK\n", "003d1111111111111111111111111111111111111111 refs/heads/fill\n"}},
}

func everything(*http.Request) bool { return true }

// asksFor tells requests by a part of their path or body.
func asksFor(part string) func(*http.Request) bool {
	return func(req *http.Request) bool {
		body, _ := io.ReadAll(req.Body)
		req.Body = io.NopCloser(bytes.NewReader(body))
		return strings.Contains(req.URL.Path+string(body), part)
	}
}

// Whatever a server answers, in whatever place: endless small things, one endless text, nesting without an end, all of
// it packed. It costs no more than a few buffers, ends by itself, and is an error or no news, never a change.
func TestHostileAnswersAreBounded(t *testing.T) {
	for _, c := range clients {
		most := uint64(16 << 20) // allocated in all, for an answer that would go on for ever
		if c.kind == config.Git {
			most = 450 << 20 // one line after the other, of which none is kept
		}
		for _, unit := range []string{"{},", "0,", "[", `"x":1,`, "x", "003d1111111111111111111111111111111111111111 refs/heads/fill\n"} {
			for _, packed := range []bool{false, true} {
				for k, start := range c.starts {
					if packed && k > 0 {
						continue
					}
					name := fmt.Sprintf("%s, %s%s…, packed: %t", c.name, start, unit, packed)
					healthy := handlerOf(c.kind, 300)
					evil := false
					chunk := bytes.Repeat([]byte(unit), 1+(1<<16)/len(unit))
					origin := serveAPI(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
						if !evil || !c.asked(req) {
							healthy.ServeHTTP(w, req)
							return
						}
						w.Header().Set("Content-Type", c.typ)
						var out io.Writer = w
						if packed {
							w.Header().Set("Content-Encoding", "gzip")
							zip, _ := gzip.NewWriterLevel(w, gzip.BestSpeed)
							out = zip
						}
						_, err := io.WriteString(out, start)
						for n := 0; err == nil && n < 1<<30; n += len(chunk) {
							_, err = out.Write(chunk)
						}
					}))
					want := hostileWanted(t, c, origin)
					h := openAPI(t, c.open, origin, "", c.token)
					if c.lists() {
						h.Heads(t.Context(), want)
					}
					evil = true
					var before, after runtime.MemStats
					runtime.ReadMemStats(&before)
					c.ask(t, h, want)
					runtime.ReadMemStats(&after)
					if got := after.TotalAlloc - before.TotalAlloc; got > most {
						t.Errorf("%s: %d MiB allocated, want at most %d", name, got>>20, most>>20)
					}
				}
			}
		}
	}
}

// A server that sends a byte now and then, for ever, is given up when the time is over.
func TestDrippingAnswers(t *testing.T) {
	for _, c := range clients {
		evil := false
		healthy := handlerOf(c.kind, 300)
		origin := serveAPI(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if !evil || !c.asked(req) {
				healthy.ServeHTTP(w, req)
				return
			}
			w.Header().Set("Content-Type", c.typ)
			_, err := io.WriteString(w, c.starts[0])
			for err == nil && req.Context().Err() == nil {
				_, err = io.WriteString(w, " ")
				_ = http.NewResponseController(w).Flush()
				time.Sleep(time.Millisecond) // its pace
			}
		}))
		want := make([]githost.Wanted, 300)
		for i := range want {
			want[i] = githost.Wanted{URL: fmt.Sprintf("%s/o/r%d", origin, i), Patterns: apiPatterns(t, "main")}
		}
		h := openAPI(t, c.open, origin, "", c.token)
		if c.lists() {
			h.Heads(t.Context(), want)
		}
		evil = true
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		if c.lists() {
			if changed, err := h.(githost.Prefilter).Changed(ctx, want); err == nil && c.name != "GitHub lists" {
				t.Errorf("%s: %v, want an error", c.name, changed)
			}
		} else if o := h.Heads(ctx, want[:1])[0]; o.Err == nil {
			t.Errorf("%s: %v, want an error", c.name, o)
		}
		cancel()
	}
}

// An answer that is right in its form, and as large as answers may be, of things that take far more memory to keep than
// to send; or much larger, which is not read to its end.
func TestWideAnswersAreBounded(t *testing.T) {
	const most = 16 << 20 // allocated in all
	for name, c := range map[string]struct {
		client            string
		start, unit, last string
		size              int // MiB
	}{
		"refs":          {"GitHub REST", `[`, `{},`, `{}]`, 40},
		"nodes":         {"GitHub GraphQL", `{"data":{"r0":{"nameWithOwner":"o/r0","refs":{"nodes":[`, `{},`, `{}]}}}}`, 7},
		"aliases":       {"GitHub GraphQL", `{"data":{`, `"":0,`, `"x":0}}`, 7},
		"problems":      {"GitHub GraphQL", `{"errors":[`, `{},`, `{}]}`, 7},
		"paths":         {"GitHub GraphQL", `{"errors":[{"path":[`, `0,`, `0]}]}`, 7},
		"listed":        {"GitHub lists", `{"data":{"o0":{"repositories":{"nodes":[`, `{},`, `{}]}}}}`, 7},
		"branches":      {"GitLab REST", `[`, `{},`, `{}]`, 40},
		"projects":      {"GitLab GraphQL", `{"data":{"p0":{"nodes":[`, `{},`, `{}]}}}`, 7},
		"types":         {"GitLab introspection", `{"data":{"query":null,"repository":{"fields":[`, `{},`, `{}]}}}`, 7},
		"repositories":  {"Gitea list", `{"ok":true,"data":[`, `{},`, `{}]}`, 3},
		"a hidden list": {"Gitea list", `{"ok":true,"data":[`, `{},`, `{}],"data":[]}`, 3},
		"a name":        {"GitHub REST", `[{"ref":"refs/heads/main`, `x`, `","object":{"sha":"` + shaA + `"}}]`, 40},
		"a branch":      {"GitLab REST", `[{"name":"main`, `x`, `","commit":{"id":"` + shaA + `"}}]`, 40},
		"a message":     {"GitLab REST", `[{"name":"dev","commit":{"id":"` + shaA + `","message":"`, `x`, `"}}]`, 40},
		"a number":      {"GitLab REST", `[{"name":`, `1`, `}]`, 40},
		"a sum":         {"GitHub REST", `[{"ref":"refs/heads/main","object":{"sha":"`, `1`, `"}}]`, 40},
		"names":         {"GitHub GraphQL", `{"data":{"r0":{"nameWithOwner":"o/r0","refs":{"nodes":[{"prefix":"refs/heads/","name":"`, `x`, `"}]}}}}`, 7},
		"too long":      {"GitHub GraphQL", `{"data":{"r0":"`, `x`, `"}}`, 60}, // 8 MiB are read
		"a long list":   {"Gitea list", `{"ok":true,"data":[{"description":"`, `x`, `"}]}`, 60},
		"parents":       {"Gitea list", `{"ok":true,"data":[{"owner":`, `{},"owner":`, `{}}]}`, 3},
	} {
		t.Run(name, func(t *testing.T) {
			at := slices.IndexFunc(clients, func(k hostileClient) bool { return k.name == c.client })
			body := c.start + strings.Repeat(c.unit, c.size<<20/len(c.unit)) + c.last
			if got := maliceCost(t, clients[at], []byte(body)); got > most {
				t.Errorf("%d MiB allocated for an answer of %d MiB, want at most %d", got>>20, c.size, most>>20)
			}
		})
	}
}

// maliceCost returns how many bytes are allocated for an answer.
func maliceCost(t *testing.T, c hostileClient, body []byte) uint64 {
	t.Helper()
	healthy := handlerOf(c.kind, 300)
	evil := false
	origin := serveAPI(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if !evil || !c.asked(req) {
			healthy.ServeHTTP(w, req)
			return
		}
		w.Header().Set("Content-Type", c.typ)
		_, _ = w.Write(body)
	}))
	want := hostileWanted(t, c, origin)
	h := openAPI(t, c.open, origin, "", c.token)
	if c.lists() {
		h.Heads(t.Context(), want)
	}
	evil = true
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	c.ask(t, h, want)
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}
