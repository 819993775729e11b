package transport

import (
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/tekton-sentry/sentry/pkg/githost"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func testClient(t *testing.T) *http.Client {
	t.Helper()
	base := NewTransport()
	t.Cleanup(base.CloseIdleConnections)
	return NewClient(base, "1.2.3", 0)
}

// read sends a request and reads the whole answer.
func read(c *http.Client, req *http.Request) (int64, error) {
	resp, err := c.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	return io.Copy(io.Discard, resp.Body)
}

func get(t *testing.T, url string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

func TestUserAgent(t *testing.T) {
	var got string
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) { got = req.UserAgent() }))
	defer server.Close()
	req := get(t, server.URL)
	req.Header.Set("User-Agent", "a-library/7")
	if _, err := read(testClient(t), req); err != nil || got != "sentry/1.2.3" || req.UserAgent() != "a-library/7" {
		t.Errorf("got %q, error %v, want sentry/1.2.3, and the caller's request unchanged (%q)", got, err, req.UserAgent())
	}
}

func TestBodyLimit(t *testing.T) {
	const limit = 64 << 20
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		var n int
		_, _ = fmt.Sscan(req.URL.Query().Get("n"), &n)
		var out io.Writer = w
		if req.URL.Path == "/gzip" {
			w.Header().Set("Content-Encoding", "gzip")
			zip, _ := gzip.NewWriterLevel(w, gzip.BestSpeed)
			defer zip.Close()
			out = zip
		}
		_, _ = io.CopyN(out, zeros{}, int64(n))
	}))
	defer server.Close()
	for _, path := range []string{"/plain", "/gzip"} {
		for n, large := range map[int64]bool{10: false, limit: false, limit + 1: true, 3 * limit: true} {
			got, err := read(testClient(t), get(t, fmt.Sprintf("%s%s?n=%d", server.URL, path, n)))
			if !large {
				if err != nil || got != n {
					t.Errorf("%s of %d bytes: got %d, error %v", path, n, got, err)
				}
				continue
			}
			if err == nil {
				t.Fatalf("%s of %d bytes: got all, want an error", path, n)
			}
			if e := githost.WrapError("h", err); got != limit || e.Kind != githost.Invalid || !strings.Contains(e.Error(), "the answer is larger than 64 MiB") {
				t.Errorf("%s of %d bytes: got %d and %v, want %d and an error about 64 MiB", path, n, got, e, limit)
			}
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestRedirects(t *testing.T) {
	var asked []string // by the other origin
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		asked = append(asked, fmt.Sprint(req.Method, req.URL, req.Header))
	}))
	defer other.Close()
	var last *http.Request
	var body string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		last = req
		b, _ := io.ReadAll(req.Body)
		body = string(b)
		var status, left int
		to, _ := strings.CutPrefix(req.URL.Path, "/away")
		if to != req.URL.Path {
			http.Redirect(w, req, strings.Replace(other.URL, "//", "//u:s3cret@", 1)+to+"?token=s3cret", http.StatusFound)
		}
		if n, _ := fmt.Sscanf(req.URL.Path, "/%d/%d", &status, &left); n == 2 && left > 0 {
			http.Redirect(w, req, fmt.Sprintf("/%d/%d", status, left-1), status)
		}
	}))
	defer server.Close()
	for _, test := range []struct {
		method, path string
		end          string // path of the last request
		err          string
	}{
		{"GET", "/301/1", "/301/0", ""},
		{"GET", "/302/5", "/302/0", ""},
		{"GET", "/302/6", "", "redirects more than 5 times"},
		{"POST", "/307/1", "/307/0", ""},
		{"POST", "/308/5", "/308/0", ""},
		{"POST", "/301/1", "", "redirects a POST to " + server.URL + "/301/0: set repo_url to it"},
		{"POST", "/303/1", "", "redirects a POST to " + server.URL + "/303/0"},
		{"GET", "/away/x/info/refs", "", "set repo_url to " + other.URL + "/x (or api_url"},
		{"POST", "/away/x/git-upload-pack", "", "set repo_url to " + other.URL + "/x (or api_url"},
	} {
		req := get(t, server.URL+test.path)
		if test.method == "POST" {
			req, _ = http.NewRequestWithContext(Mark(t.Context(), Marks{ReadOnly: true}), "POST", server.URL+test.path, strings.NewReader("query"))
		}
		req.Header.Set("Authorization", "Bearer s3cret")
		_, err := read(testClient(t), req)
		if test.err == "" {
			if err != nil || last.URL.Path != test.end || last.Method != test.method || last.Header.Get("Authorization") == "" || test.method == "POST" && body != "query" {
				t.Errorf("%s %s: error %v, last asked %s %s with %q", test.method, test.path, err, last.Method, last.URL.Path, body)
			}
			continue
		}
		if err == nil {
			t.Errorf("%s %s: followed to %s", test.method, test.path, last.URL.Path)
			continue
		}
		e := githost.WrapError("h", err)
		if e.Kind != githost.Invalid || !strings.Contains(e.Error(), test.err) || strings.Contains(e.Error(), "s3cret") {
			t.Errorf("%s %s: got %v, want invalid, %q, no secret", test.method, test.path, e, test.err)
		}
	}
	if len(asked) > 0 {
		t.Errorf("the other origin was asked %q, want nothing", asked)
	}
}

func TestOrigin(t *testing.T) {
	for in, want := range map[string]string{
		"https://Git.Example:443/a": "https://git.example", "http://git.example:80": "http://git.example",
		"https://git.example:80/": "https://git.example:80", "HTTP://[::1]:3000/a": "http://[::1]:3000",
	} {
		u, err := url.Parse(in)
		if err != nil {
			t.Fatal(err)
		}
		if got := githost.OriginOf(u); got != want {
			t.Errorf("origin of %s: got %s, want %s", in, got, want)
		}
	}
}

func TestCertificates(t *testing.T) {
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	_, err := read(testClient(t), get(t, server.URL))
	if e := githost.WrapError("h", err); e.Kind != githost.Invalid || !strings.Contains(e.Error(), "global.ca") {
		t.Errorf("a private authority: got %v, want a hint at global.ca", e)
	}
	_, err = read(testClient(t), get(t, strings.Replace(server.URL, "https:", "http:", 1)))
	if err != nil {
		t.Errorf("plain HTTP to a TLS port: got error %v, want its answer 400", err)
	}

	old := httptest.NewUnstartedServer(http.NotFoundHandler())
	old.Config.ErrorLog = log.New(io.Discard, "", 0)
	old.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
	old.StartTLS()
	defer old.Close()
	if _, err := read(testClient(t), get(t, old.URL)); err == nil || !strings.Contains(err.Error(), "protocol version") {
		t.Errorf("TLS 1.1: got error %v, want it refused for its version", err)
	}

	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	_, err = read(testClient(t), get(t, strings.Replace(plain.URL, "http:", "https:", 1)))
	if e := githost.WrapError("h", err); e.Kind != githost.Invalid || !strings.Contains(e.Error(), "http://") {
		t.Errorf("TLS to a plain port: got %v, want a hint at http://", e)
	}
}

func TestMalformedProxyIsNotPrinted(t *testing.T) {
	base := NewTransport()
	base.Proxy = quietProxy(func(*http.Request) (*url.URL, error) {
		return nil, errors.New(`invalid proxy address "http://u:s3cret@x y"`)
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err := read(NewClient(base, "", 0), get(t, "http://git.example").WithContext(ctx))
	if e := githost.WrapError("h", err); strings.Contains(e.Error(), "s3cret") || !strings.Contains(e.Error(), "HTTPS_PROXY") {
		t.Errorf("got %v, want a hint at HTTPS_PROXY without its value", e)
	}
}
