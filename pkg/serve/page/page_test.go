package page_test

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/serve/page"
	"github.com/tekton-sentry/sentry/pkg/serve/page/facts"
	"github.com/tekton-sentry/sentry/pkg/serve/page/pagetest"
	"github.com/tekton-sentry/sentry/pkg/state"
	"github.com/tekton-sentry/sentry/pkg/strategy"
)

var now = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

func newPage(t testing.TB, s page.Source) *page.Page {
	return pagetest.New(t, s, func() time.Time { return now })
}

// get asks as a person's browser does.
func get(t testing.TB, p http.Handler, target string) (*http.Response, string) {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, target, nil)
	r.Host = "localhost:8082"
	r.Header.Set("Accept-Encoding", "gzip")
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	resp := w.Result()
	body := io.Reader(resp.Body)
	if resp.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(body)
		if err != nil {
			t.Fatal(err)
		}
		body = z
	}
	text, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(text)
}

// words is what people read of HTML.
func words(html string) string {
	html = regexp.MustCompile(`(?s)<head>.*?</head>|<(/?)[^>]*>`).ReplaceAllString(html, " ")
	return strings.Join(strings.Fields(html), " ")
}

// Each view tells what it is for, and has the links to what it tells of.
func TestViews(t *testing.T) {
	s := &pagetest.Memory{Is: pagetest.Small(t, now), Out: engine.Outcome{Tasks: []engine.Task{
		{Name: "check", Result: engine.Succeeded, Start: now, End: now.Add(65 * time.Second)}, {Name: "lib", Result: engine.Running, Start: now, After: []string{"check"}},
	}}}
	p := newPage(t, s)
	for target, want := range map[string]struct{ says, links []string }{
		"/": {
			[]string{"4 units", "2 in trouble", "1 active", "✕ failed shop", "api: the command failed", "2m", "● active lib.main"},
			[]string{"/unit/shop", "/run/shop-2", "/repository/web", "/unit/lib.main"},
		},
		"/unit/shop": {
			[]string{"shop ✕ failed", "waves", "web", "✕ failed · 61s", "The last 2 runs: 1 succeeded, 1 failed", "50 %", "shop-1"},
			[]string{"/run/shop-1", "https://github.com/a/web/compare/aaa...bbb", "/repository/api", "/configuration?file=1&amp;page=1#L6"},
		},
		"/unit/lib.main": {[]string{"lib.main ● active", "lib-main-7"}, []string{"https://github.com/a/lib/compare/aaa...bbb"}},
		"/repository/lib": {
			[]string{"https://github.com/a/lib", "dev.*", "lib@main is watched: it matches &#34;main&#34;", "The run is active since"},
			[]string{"/unit/lib.main", "/run/lib-main-7", "/configuration?file=1&amp;page=1#L23"},
		},
		"/run/shop-2": {
			[]string{"shop-2 ✕ failed", "api: the command failed", "2 of 3: make deploy failed with exit code 2.", "no space left on device", "in the history alone"},
			[]string{"/unit/shop", "https://github.com/a/web/compare/aaa...bbb"},
		},
		"/run/lib-main-7": {[]string{"lib-main-7 ● active", "✓ succeeded check", "● Running lib"}, []string{"/unit/lib.main"}},
		"/runs":           {[]string{"Active", "lib-main-7", "shop-2", "shop-1"}, []string{"/run/shop-2"}},
		"/repositories":   {[]string{"9 in the configuration", "web shop"}, []string{"/repository/web"}},
		"/hosts":          {[]string{"github.com", "4188 of 5000 left", "It is not asked before", "no answer within 10 s"}, nil},
		"/search?q=SHOP":  {[]string{"3 matches", "unit shop failed", "run shop-2 shop"}, []string{"/unit/shop", "/run/shop-1"}},
		"/replicas": {
			[]string{"✓ alive sentry-7d4b9-x2x4q leads", "✓ alive sentry-7d4b9-p9k2m shows this", "✕ not seen sentry-5c8f6-zzzzz – –"}, nil,
		},
		"/problems": {[]string{"1 that keep", "denied docs https://github.com/a/docs: 403 Forbidden"}, []string{"/"}},
		"/configuration": {
			[]string{"warning", "sentry.yaml, line 2", "polling_interval: is hardly meant so", "1 # All of the company&#39;s 2 polling_interval: 604800 ! warning", "auth: {token: &#34;${GITHUB_TOKEN}&#34;}"},
			[]string{"/configuration?file=1&amp;page=1#L2"},
		},
		"/search": {[]string{"Write a part of the name"}, nil},
	} {
		resp, text := get(t, p, target)
		if resp.StatusCode != http.StatusOK {
			t.Errorf("%s: status %d", target, resp.StatusCode)
		}
		for _, w := range want.says {
			if !strings.Contains(words(text), w) {
				t.Errorf("%s does not say %q:\n%s", target, w, words(text))
			}
		}
		for _, l := range want.links {
			if !strings.Contains(text, `href="`+l+`"`) {
				t.Errorf("%s has no link to %s:\n%s", target, l, text)
			}
		}
	}
	for _, target := range []string{"/unit/none", "/repository/none", "/run/none", "/none", "/assets/page.css", "/configuration/refused"} {
		if resp, _ := get(t, p, target); resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s: status %d, want 404", target, resp.StatusCode)
		}
	}
}

// What did not change is not sent again, and is read again at most every few seconds. What cannot be read any more is shown as it was, with
// the reason.
func TestWhatIsKnown(t *testing.T) {
	s := &pagetest.Memory{Is: pagetest.Small(t, now)}
	clock := now
	const fresh = 5 * time.Second
	p := pagetest.New(t, s, func() time.Time { return clock })
	resp, _ := get(t, p, "/")
	tag := resp.Header.Get("ETag")
	again := func() (int, string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Host = "127.0.0.1"
		r.Header.Set("If-None-Match", tag)
		w := httptest.NewRecorder()
		p.ServeHTTP(w, r)
		return w.Code, w.Body.String()
	}
	if code, text := again(); code != http.StatusNotModified || text != "" || s.Asked != 1 {
		t.Errorf("status %d, %d bytes, read %d times; want 304, none, once", code, len(text), s.Asked)
	}
	clock = clock.Add(fresh)
	if code, _ := again(); code != http.StatusNotModified || s.Asked != 2 {
		t.Errorf("later: status %d, read %d times; want 304, twice", code, s.Asked)
	}
	clock = clock.Add(fresh)
	s.Err = errors.New("no route to <host>")
	if code, text := again(); code != http.StatusOK || !strings.Contains(text, "no route to &lt;host&gt;") || !strings.Contains(text, "shop-2") {
		t.Errorf("in trouble: status %d\n%s", code, text)
	}
	clock = clock.Add(fresh)
	s.Err, s.Is = nil, &facts.Known{Config: &config.Config{}, At: clock}
	if code, text := again(); code != http.StatusOK || strings.Contains(text, "shop-2") || !strings.Contains(text, "Nothing is remembered here") {
		t.Errorf("afterwards: status %d\n%s", code, text)
	}
	if resp, text := get(t, newPage(t, &pagetest.Memory{Err: errors.New("refused")}), "/"); resp.StatusCode != http.StatusServiceUnavailable || !strings.Contains(text, "cannot be read: refused") {
		t.Errorf("of nothing: status %d\n%s", resp.StatusCode, text)
	}
}

// A configuration that is refused is shown beside the one that is used, with each error at its line and no token.
func TestRefusedConfiguration(t *testing.T) {
	p := newPage(t, &pagetest.Memory{Is: pagetest.Refused(t, now)})
	_, used := get(t, p, "/configuration")
	for _, want := range []string{"What stands there now cannot be used: 2 of its lines are wrong. Sentry goes on with this. What is refused, and why", "polling_interval: 604800"} {
		if !strings.Contains(words(used), want) {
			t.Errorf("it does not say %q:\n%s", want, words(used))
		}
	}
	_, refused := get(t, p, "/configuration/refused")
	for _, want := range []string{
		"This is not used: 2 of its lines are wrong", "1 polling_interval: soon ✕ error polling_interval: is &#34;soon&#34;",
		"5 tokne: hidden ✕ error repositories[0].monitor.tokne: is not a known key", "✕ error sentry.yaml, line 5",
	} {
		if !strings.Contains(words(refused), want) {
			t.Errorf("it does not say %q:\n%s", want, words(refused))
		}
	}
	if strings.Contains(refused, pagetest.Secret) {
		t.Errorf("a token is shown:\n%s", refused)
	}
	s := &pagetest.Memory{Is: pagetest.Small(t, now)}
	s.Is.Text = facts.Text{Why: "open sentry.yaml: no such file"}
	if resp, text := get(t, newPage(t, s), "/configuration"); resp.StatusCode != http.StatusOK || !strings.Contains(words(text), "cannot be used: open sentry.yaml: no such file.") {
		t.Errorf("of none: status %d\n%s", resp.StatusCode, words(text))
	}
}

// Each part of a text has its address, which leads on.
func TestPartsOfText(t *testing.T) {
	p := newPage(t, &pagetest.Memory{Is: pagetest.Large(t, now, 1000, 0)})
	_, text := get(t, p, "/repository/service-00700")
	link := regexp.MustCompile(`/configuration\?file=1&amp;page=(\d+)#(L\d+)`).FindStringSubmatch(text)
	if link == nil {
		t.Fatalf("no link to its lines:\n%s", text)
	}
	_, text = get(t, p, "/configuration?file=1&page="+link[1])
	for _, want := range []string{`<tr id="` + link[2] + `"><th scope="row">` + link[2][1:] + `</th><td><code>  - name: service-00700</code>`, `rel="next" href="?file=1&amp;page=`} {
		if !strings.Contains(text, want) {
			t.Errorf("the part has no %s:\n%s", want, text)
		}
	}
}

// The repositories are divided among the replicas that are alive, and the shares follow as one goes; a process that is none says so.
func TestShares(t *testing.T) {
	k := pagetest.Large(t, now, 1000, 0)
	alive := []bool{true, true, false}
	k.Peers = func() []facts.Replica {
		all := []facts.Replica{{Name: "a"}, {Name: "b"}, {Name: "c"}}
		for i := range all {
			all[i].Alive = alive[i]
		}
		return all
	}
	p := newPage(t, &pagetest.Memory{Is: k})
	shares := regexp.MustCompile(`(\d+) <span class="quiet">(\d+) %</span>`)
	sum := func(want int) (first string) {
		t.Helper()
		_, text := get(t, p, "/replicas")
		all := 0
		found := shares.FindAllStringSubmatch(text, -1)
		for _, m := range found {
			n, _ := strconv.Atoi(m[1])
			all += n
		}
		if len(found) != want || all != 1000 {
			t.Fatalf("%d replicas have %d repositories, want %d and 1000:\n%s", len(found), all, want, text)
		}
		return found[0][1]
	}
	two := sum(2)
	if alive[2] = true; sum(3) == two {
		t.Errorf("the first has %s of two and of three", two)
	}
	for want, change := range map[string]func(){
		"It is not known yet":        func() { k.Peers = func() []facts.Replica { return nil } },
		"This process is no replica": func() { k.Peers = nil },
		"One process does all of it": func() { k.Peers, k.Hosts = nil, func() []facts.Host { return nil } },
	} {
		k.Hosts = nil
		change()
		if _, text := get(t, newPage(t, &pagetest.Memory{Is: k}), "/replicas"); !strings.Contains(words(text), want) {
			t.Errorf("it does not say %q:\n%s", want, words(text))
		}
	}
}

// What keeps things from running is all in one list, newest first, and the units lead there.
func TestProblems(t *testing.T) {
	k := pagetest.Large(t, now, 1000, 0)
	for i := range 150 {
		name := fmt.Sprintf("service-%05d", i)
		r := k.Snapshot.Repositories[name]
		problem := state.NewProblem("denied", "no", now.Add(-time.Duration((i*7)%150)*time.Minute))
		r.Problem = &problem
		k.Snapshot.Repositories[name] = r
	}
	p := newPage(t, &pagetest.Memory{Is: k})
	if _, text := get(t, p, "/"); !strings.Contains(text, `and 130 more: <a href="/problems">`) {
		t.Errorf("the units do not lead to all problems:\n%s", words(text))
	}
	since := ""
	seen := 0
	for _, page := range []string{"1", "2"} {
		_, text := get(t, p, "/problems?page="+page)
		for _, m := range regexp.MustCompile(`<time datetime="([^"]+)"[^>]*>[^<]*</time></span></li>`).FindAllStringSubmatch(text, -1) {
			if seen++; since != "" && m[1] > since {
				t.Errorf("%s comes behind %s", m[1], since)
			}
			since = m[1]
		}
	}
	if seen != 150 {
		t.Errorf("%d problems are listed, want 150", seen)
	}
}

// modules knows one answer, or none, and may not be asked.
type modules struct {
	t     *testing.T
	known map[string][]string
}

func (m modules) Needs(strategy.Module, string, []strategy.About) (map[string][]string, error) {
	m.t.Error("a module is run for the page")
	return nil, errors.New("not for the page")
}

func (m modules) Known(strategy.Module, string, []strategy.About) (map[string][]string, bool) {
	return m.known, m.known != nil
}

// The page draws what a module answered before, and never has one run: anybody who looks could have it run again and again.
func TestModules(t *testing.T) {
	for _, known := range []map[string][]string{nil, {"orders": {"database"}}} {
		is := pagetest.Small(t, now)
		group := is.Config.Groups["platform"]
		group.Module = strategy.Module{File: "order.wasm", SHA256: "a"}
		is.Config.Groups["platform"], is.Config.Modules = group, modules{t, known}
		p := newPage(t, &pagetest.Memory{Is: is})
		for _, target := range []string{"/unit/platform", "/run/platform-70"} {
			resp, body := get(t, p, target)
			if drawn := strings.Contains(body, "<svg class=\"graph\""); resp.StatusCode != http.StatusOK || drawn != (known != nil) {
				t.Errorf("%s with the answer %v: status %d, with a graph %t", target, known, resp.StatusCode, drawn)
			}
		}
	}
}
