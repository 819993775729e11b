package page_test

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/serve"
	"github.com/tekton-sentry/sentry/pkg/serve/page"
	"github.com/tekton-sentry/sentry/pkg/serve/page/pagetest"
)

const script = pagetest.Script

// What others write is text, wherever it is shown.
func TestStoredScript(t *testing.T) {
	s := &pagetest.Memory{Is: pagetest.Hostile(t, now), Out: engine.Outcome{Tasks: []engine.Task{{Name: script, Result: script, Message: script, Command: script, Output: []string{script}}}}}
	p := newPage(t, s)
	at := url.PathEscape(script)
	seen := 0
	for _, target := range []string{
		"/", "/runs", "/hosts", "/repositories", "/unit/" + at, "/run/" + at, "/run/a-" + at, "/repository/web", "/search?q=" + url.QueryEscape(script), "/search?q=a-",
		"/replicas", "/problems", "/configuration", "/configuration?file=2", "/configuration?file=-1&page=" + at, "/configuration/refused",
		"/none" + at, "/unit/none" + at, "/run/none" + at, "/repository/none" + at,
	} {
		resp, text := get(t, p, target)
		if resp.StatusCode >= 500 {
			t.Errorf("%s: status %d", target, resp.StatusCode)
		}
		text = regexp.MustCompile(`<script src="/assets/page-[0-9a-f]{12}\.js" defer></script>`).ReplaceAllString(text, "")
		for _, bad := range []string{"<script", "<img", "onload=alert(1)>", "<svg onload", "javascript:", "\x1b", "\u202e", " style="} {
			if strings.Contains(text, bad) {
				t.Errorf("%s has %q:\n%s", target, bad, text)
			}
		}
		seen += strings.Count(text, "&lt;script&gt;alert(1)")
	}
	if seen < 30 {
		t.Errorf("the script was shown as text %d times: the test does not reach the views", seen)
	}
}

// Browsers are told to run and load nothing but ours, and to let no other site near it. Nothing in our HTML needs more.
func TestPolicy(t *testing.T) {
	p := newPage(t, &pagetest.Memory{Is: pagetest.Small(t, now)})
	for _, target := range []string{"/", "/none", "/run/shop-2"} {
		resp, text := get(t, p, target)
		for name, want := range map[string]string{
			"Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
			"X-Content-Type-Options":  "nosniff", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY",
			"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp",
		} {
			if got := resp.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", target, name, got, want)
			}
		}
		if m := regexp.MustCompile(`(?i)\son[a-z]+=|\sstyle=|<style|javascript:|<iframe|<form[^>]*method`).FindString(text); m != "" {
			t.Errorf("%s has %q", target, m)
		}
		for _, from := range regexp.MustCompile(`(?:src|rel="stylesheet" href|action)="([^"]*)"`).FindAllStringSubmatch(text, -1) {
			if !strings.HasPrefix(from[1], "/") || strings.HasPrefix(from[1], "//") {
				t.Errorf("%s asks %s", target, from[1])
			}
		}
	}
}

// What is asked for in another way than people do is refused, and what it names is not looked up.
func TestRefused(t *testing.T) {
	s := &pagetest.Memory{Is: pagetest.Small(t, now)}
	p := page.New(page.Options{Source: s, Log: slog.New(slog.DiscardHandler), Names: []string{"sentry.example.com"}, Now: func() time.Time { return now }})
	defer p.Close()
	ask := func(method, target, host string, header ...string) int {
		r := httptest.NewRequest(method, target, nil)
		r.Host = host
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		w := httptest.NewRecorder()
		p.ServeHTTP(w, r)
		return w.Code
	}
	const us = "localhost:8082"
	for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND"} {
		if got := ask(method, "/", us); got != http.StatusMethodNotAllowed {
			t.Errorf("%s: status %d", method, got)
		}
	}
	for host, want := range map[string]int{
		us: 200, "127.0.0.1:8082": 200, "[::1]:8082": 200, "10.0.0.7": 200, "sentry.example.com": 200, "SENTRY.example.com:443": 200, "localhost.": 200,
		"evil.example": 421, "evil.example:8082": 421, "localhost.evil.example": 421, "127.0.0.1.evil.example": 421, "sentry.example.com.evil.example": 421,
		"": 421, "localhost:8082:1": 421, "localhost@evil.example": 421, "evil.example#localhost": 421,
	} {
		if got := ask("GET", "/", host); got != want {
			t.Errorf("host %q: status %d, want %d", host, got, want)
		}
	}
	for _, c := range []struct {
		site, mode, dest string
		want             int
	}{
		{"same-origin", "cors", "empty", 200}, {"none", "navigate", "document", 200}, {"cross-site", "navigate", "document", 200},
		{"cross-site", "navigate", "iframe", 403}, {"cross-site", "no-cors", "image", 403}, {"cross-site", "cors", "empty", 403}, {"same-site", "cors", "empty", 403},
	} {
		if got := ask("GET", "/", us, "Sec-Fetch-Site", c.site, "Sec-Fetch-Mode", c.mode, "Sec-Fetch-Dest", c.dest); got != c.want {
			t.Errorf("%+v: status %d", c, got)
		}
	}
	// Headers by which proxies say who somebody is, or where they come from, change nothing.
	for _, name := range []string{"X-Forwarded-Host", "Forwarded", "X-Original-URL", "X-Rewrite-URL", "X-HTTP-Method-Override", "Authorization", "X-Forwarded-User"} {
		if got := ask("GET", "/", us, name, "evil.example"); got != http.StatusOK {
			t.Errorf("%s: status %d", name, got)
		}
		if got := ask("GET", "/", "evil.example", name, us); got != http.StatusMisdirectedRequest {
			t.Errorf("%s on another host: status %d", name, got)
		}
	}
	for _, target := range []string{"/assets/../page.go", "/assets/%2e%2e%2fpage.go", "/run/..%2f..%2fetc%2fpasswd", "/unit/%00", "/repository/%2e%2e", "/assets/page.js%00"} {
		if got := ask("GET", target, us); got != http.StatusNotFound && got/100 != 3 {
			t.Errorf("%s: status %d", target, got)
		}
	}
	if got := ask("GET", "/search?q="+strings.Repeat("a", 4<<10), us); got != http.StatusRequestURITooLong {
		t.Errorf("a long address: status %d", got)
	}
	for _, query := range []string{"page=-1", "page=99999999999999999999", "page=x", "q=%zz", "a=1;b=2", "page=1&page=2"} {
		if got := ask("GET", "/?"+query, us); got != http.StatusOK {
			t.Errorf("%s: status %d", query, got)
		}
	}
}

// serveOn serves a page over TCP, until the test ends.
func serveOn(t *testing.T, p *page.Page) net.Addr {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	l, err := serve.Listen(ctx, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() { ended <- serve.Serve(ctx, l, map[string]http.Handler{"/": p}, slog.New(slog.DiscardHandler)) }()
	t.Cleanup(func() {
		p.Close()
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return l.Addr()
}

// What a proxy and this server could take for different requests is refused, or is one request to both.
func TestSmuggling(t *testing.T) {
	addr := serveOn(t, newPage(t, &pagetest.Memory{Is: pagetest.Small(t, now)}))
	for name, raw := range map[string]string{
		"two lengths":         "GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nGET /",
		"length and chunks":   "GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"a body":              "GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 40\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"two hosts":           "GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
		"no host":             "GET / HTTP/1.1\r\n\r\n",
		"a host in the line":  "GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"a folded header":     "GET / HTTP/1.1\r\nHost: localhost\r\n X: y\r\nBad Header: z\r\n\r\n",
		"another kind of end": "GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: xchunked\r\n\r\n",
	} {
		c, err := net.Dial("tcp", addr.String())
		if err != nil {
			t.Fatal(err)
		}
		if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write([]byte(raw)); err != nil {
			t.Fatal(err)
		}
		line, err := textproto.NewReader(bufio.NewReader(c)).ReadLine()
		if err != nil || strings.Contains(line, " 200 ") {
			t.Errorf("%s: %q, %v", name, line, err)
		}
		_ = c.Close()
	}
}

// A stream tells of what is new, ends with the page, and is refused where too many are open. One that is not read does not hold up others.
func TestEvents(t *testing.T) {
	s := &pagetest.Memory{Is: pagetest.Small(t, now)}
	p := newPage(t, s)
	addr := serveOn(t, p)
	open := func() (*http.Response, *bufio.Reader) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, fmt.Sprintf("http://%s/events", addr), nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := (&http.Client{Transport: &http.Transport{}}).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = resp.Body.Close() })
		return resp, bufio.NewReader(resp.Body)
	}
	resp, lines := open()
	if got := resp.Header.Get("Content-Type"); got != "text/event-stream; charset=utf-8" {
		t.Fatalf("it is %q", got)
	}
	var told strings.Builder
	for !strings.Contains(told.String(), "event: changed\ndata: 0\n\n") {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatalf("%v after %q", err, told.String())
		}
		told.WriteString(line)
	}
	for range page.MaxStreams - 1 {
		open()
	}
	if resp, _ := open(); resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("one too many: status %d", resp.StatusCode)
	}
	if resp, _ := get(t, p, "/"); resp.StatusCode != http.StatusOK {
		t.Errorf("a view beside them: status %d", resp.StatusCode)
	}
	p.Close()
	for {
		if _, err := lines.ReadString('\n'); err != nil {
			break // the end, which the test would wait for in vain
		}
	}
}

// Whoever has no link has none made of what is no address.
func TestRepositoryOfNoBrowser(t *testing.T) {
	k := pagetest.Small(t, now)
	for i := range k.Config.Repositories {
		k.Config.Repositories[i].Monitor.URL = "javascript:alert(1)"
	}
	p := page.New(page.Options{Source: &pagetest.Memory{Is: k}, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return now }, Link: func(*config.Repository, repo.SHA, repo.SHA) string { return "" }})
	defer p.Close()
	if _, text := get(t, p, "/repository/web"); strings.Contains(text, `href="javascript:`) || strings.Contains(text, "ZgotmplZ") {
		t.Error(text)
	}
}
