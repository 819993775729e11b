package transport

import (
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tekton-sentry/sentry/pkg/githost"
)

// A page to sign in is what a 401 is elsewhere.
func TestPageToSignIn(t *testing.T) {
	resp := &http.Response{StatusCode: 203, Header: http.Header{"Content-Type": {"text/html; charset=utf-8"}}, Request: &http.Request{}}
	got := StatusError("h", resp, []byte("<html>Sign In</html>"))
	if got.Kind != githost.Denied || got.Status != 401 || !strings.Contains(got.Error(), "HTTP 203: it answers with a page to sign in") {
		t.Errorf("got %q of kind %s, status %d; want it denied as by a 401", got, got.Kind, got.Status)
	}
}

func TestStatusError(t *testing.T) {
	for _, test := range []struct {
		status int
		header map[string]string
		sent   bool // a credential
		body   string
		kind   githost.Kind
		text   string
		until  time.Duration // from now; 0 = not told
	}{
		{status: 401, kind: githost.Denied, text: "no credential was given"},
		{status: 203, header: map[string]string{"Content-Type": "application/json"}, kind: githost.Invalid, text: "right type of host"},
		{status: 401, sent: true, kind: githost.Denied, text: "the credential was refused"},
		{status: 403, sent: true, kind: githost.Denied, text: "lacks the right"},
		{status: 403, kind: githost.Denied, text: "not open to everybody"},
		{status: 403, header: map[string]string{"X-RateLimit-Remaining": "12", "X-RateLimit-Reset": "99"}, kind: githost.Denied},
		{status: 403, header: map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "in 60"}, kind: githost.RateLimited, until: time.Minute},
		{status: 403, header: map[string]string{"Retry-After": "30"}, kind: githost.RateLimited, until: 30 * time.Second},
		{status: 407, kind: githost.Denied, text: "HTTPS_PROXY"},
		{status: 429, kind: githost.RateLimited},
		{status: 429, header: map[string]string{"Retry-After": "soon"}, kind: githost.RateLimited},
		{status: 429, header: map[string]string{"Retry-After": "-5"}, kind: githost.RateLimited},
		{status: 429, header: map[string]string{"Retry-After": "date 90"}, kind: githost.RateLimited, until: 90 * time.Second},
		{status: 429, header: map[string]string{"Retry-After": "99999999"}, kind: githost.RateLimited, until: time.Hour},
		{status: 429, header: map[string]string{"Retry-After": "9223372036854775807"}, kind: githost.RateLimited, until: time.Hour},
		{status: 429, header: map[string]string{"RateLimit-Reset": "in 45"}, kind: githost.RateLimited, until: 45 * time.Second},
		{status: 429, header: map[string]string{"RateLimit-Reset": "45"}, kind: githost.RateLimited, until: 45 * time.Second},
		{status: 404, kind: githost.NotFound},
		{status: 410, kind: githost.NotFound},
		{status: 408, kind: githost.Temporary},
		{status: 500, kind: githost.Temporary},
		{status: 503, body: "maintenance", header: map[string]string{"Content-Type": "text/plain"}, kind: githost.Temporary, text: "(it says: maintenance)"},
		{status: 503, header: map[string]string{"Retry-After": "30"}, kind: githost.Temporary, until: 30 * time.Second},
		{status: 503, header: map[string]string{"Retry-After": "99999999"}, kind: githost.Temporary, until: time.Hour},
		{status: 503, header: map[string]string{"Retry-After": "date -90"}, kind: githost.Temporary},
		{status: 400, body: `{"message":"Bad\nthing"}`, header: map[string]string{"Content-Type": "application/json; charset=utf-8"}, kind: githost.Invalid, text: "(it says: Bad thing)"},
		{status: 400, body: `{"error":"x","error_description":"y"}`, header: map[string]string{"Content-Type": "application/json"}, kind: githost.Invalid, text: "(it says: y)"},
		{status: 400, body: `{"message":{"base":["x"]}}`, header: map[string]string{"Content-Type": "application/json"}, kind: githost.Invalid, text: "right URL?"},
		{status: 400, body: "<html>", header: map[string]string{"Content-Type": "text/html"}, kind: githost.Invalid, text: "right URL?"},
		{status: 418, kind: githost.Invalid},
		{status: 304, kind: githost.Invalid},
	} {
		synctest.Test(t, func(t *testing.T) {
			now := time.Now()
			resp := &http.Response{StatusCode: test.status, Header: http.Header{}, Request: &http.Request{Header: http.Header{}}}
			for name, value := range test.header {
				if in, ok := strings.CutPrefix(value, "in "); ok {
					value = strconv.FormatInt(now.Add(seconds(t, in)).Unix(), 10)
				}
				if in, ok := strings.CutPrefix(value, "date "); ok {
					value = now.Add(seconds(t, in)).UTC().Format(http.TimeFormat)
				}
				resp.Header.Set(name, value)
			}
			if test.sent {
				resp.Request.Header.Set("Authorization", "Bearer t0ken")
			}
			got := StatusError("h", resp, []byte(test.body))
			if got.Kind != test.kind || !strings.Contains(got.Error(), test.text) || got.Status != test.status || got.Host != "h" {
				t.Errorf("%+v: got %q, status %d", test, got, got.Status)
			}
			var until time.Duration
			if !got.Until.IsZero() {
				until = got.Until.Sub(now)
			}
			if until != test.until {
				t.Errorf("%+v: limited for %s", test, until)
			}
		})
	}
}

func seconds(t *testing.T, s string) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(s + "s")
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestServerThatEchoesTheCredential(t *testing.T) {
	basic := base64.StdEncoding.EncodeToString([]byte("me:t0ken"))
	for name, value := range map[string]string{
		"Authorization": "Bearer t0ken", "Private-Token": "t0ken", "authorization": "Basic " + basic, "AUTHORIZATION": "token t0ken",
	} {
		req := &http.Request{Header: http.Header{}}
		req.Header.Set(name, value)
		resp := &http.Response{StatusCode: 401, Header: http.Header{"Content-Type": {"text/plain"}}, Request: req}
		// The long text cuts the last one in half.
		body := "you sent t0ken and " + basic + strings.Repeat(" ", 500) + "t0ken " + strings.Repeat("x", 70) + " t0ken"
		got := StatusError("h", resp, []byte(body)).Error()
		sent, _, _ := strings.Cut(value, " ")
		if strings.Contains(got, "t0k") || strings.Contains(value, basic) && strings.Contains(got, basic) || !strings.Contains(got, "[redacted]") {
			t.Errorf("%s: %s: got %q, want it redacted", name, sent, got)
		}
	}
}
