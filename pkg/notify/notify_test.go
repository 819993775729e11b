package notify

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/plan/naming"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/secret"
)

var discard = slog.New(slog.DiscardHandler)

func member(name, url string) plan.Member {
	return plan.Member{Repository: &config.Repository{Name: name, WebhookURL: secret.New(url, url)}}
}

func TestCreated(t *testing.T) {
	var mu sync.Mutex
	var got []Message
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var m Message
		if err := json.NewDecoder(r.Body).Decode(&m); err != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s with %v: %v", r.Method, r.Header, err)
		}
		mu.Lock()
		got = append(got, m)
		mu.Unlock()
		switch r.URL.Path {
		case "/broken":
			w.WriteHeader(http.StatusTeapot)
		case "/away":
			http.Redirect(w, r, "/good", http.StatusTemporaryRedirect)
		}
	}))
	defer server.Close()
	run := plan.Run{
		Name: "shop-0123456789", Unit: naming.Unit{Label: "shop"},
		Trigger: plan.Trigger{Refs: []plan.Change{{Ref: repo.Ref{Repository: "a", Branch: "main"}, N: 1, New: "b"}}},
		Members: []plan.Member{
			member("a", server.URL+"/good?key=hush"), member("b", server.URL+"/good?key=hush"), member("c", ""),
			member("d", server.URL+"/broken?key=hush"), member("e", server.URL+"/away?key=hush"), member("f", "http://127.0.0.1:1/?key=hush"),
		},
	}
	var log bytes.Buffer
	err := Created(t.Context(), slog.New(slog.NewTextHandler(&log, nil)), NewClient(nil, timeout), []plan.Run{run})
	if err == nil {
		t.Fatal("no error, although three receivers did not take it")
	}
	if len(got) != 3 {
		t.Fatalf("%d messages, want one for each URL that answers, and none after a redirect", len(got))
	}
	if m := got[0]; m.Run != run.Name || m.Unit != "shop" || len(m.Refs) != 1 || m.Refs[0].Branch != "main" || !strings.Contains(m.Text, run.Name) {
		t.Errorf("message %+v does not tell the run", m)
	}
	host := strings.TrimPrefix(server.URL, "http://")
	if want := "kind=webhook_url repo=a run=shop-0123456789 host=" + host + " audit=reported by=run\n"; !strings.HasSuffix(log.String(), want) || strings.Count(log.String(), "\n") != 1 {
		t.Errorf("the log has %s, want one line for the receiver that took it: %s", &log, want)
	}
	all := err.Error()
	if strings.Contains(all, "hush") {
		t.Errorf("the error tells the URL's secret: %s", all)
	}
	for _, w := range []string{"repository d", "418", "repository e", "307", "repository f", "127.0.0.1:1"} {
		if !strings.Contains(all, w) {
			t.Errorf("the error lacks %q:\n%s", w, all)
		}
	}
	if n := strings.Count(all, "\n") + 1; n != 3 {
		t.Errorf("%d errors, want 3:\n%s", n, all)
	}
}

func TestReceiversThatHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := NewClient(nil, timeout)
		client.Transport = hanging{}
		var run plan.Run
		for i := range 100 {
			run.Members = append(run.Members, member("a", fmt.Sprint("http://hook.example/", i)))
		}
		start := time.Now()
		err := Created(t.Context(), discard, client, []plan.Run{run})
		if elapsed := time.Since(start); elapsed != allTimeout {
			t.Errorf("a hundred receivers that hang took %s, want %s in all", elapsed, allTimeout)
		}
		if n := strings.Count(fmt.Sprint(err), "notify the webhook_url"); n != 100 {
			t.Errorf("%d errors, want one for each of 100 receivers", n)
		}
	})
}

// hanging answers no request.
type hanging struct{}

func (hanging) RoundTrip(req *http.Request) (*http.Response, error) {
	<-req.Context().Done()
	return nil, req.Context().Err()
}

// TestNothingThatAReceiverSaysIsRepeated holds the secret of a webhook's URL out of the error, whatever the receiver,
// or a proxy before it, makes of it.
func TestNothingThatAReceiverSaysIsRepeated(t *testing.T) {
	const secret = "T0ps3cret"
	for name, answer := range map[string]string{
		"no HTTP":                  "%s\r\n\r\n",
		"a status that is none":    "HTTP/1.1 x%s y\r\n\r\n",
		"a protocol that is none":  "HTTP/%s 200 OK\r\n\r\n",
		"a header that is none":    "HTTP/1.1 200 OK\r\n%s\r\n\r\n",
		"a length that is none":    "HTTP/1.1 200 OK\r\nContent-Length: %s\r\n\r\n",
		"an unknown encoding":      "HTTP/1.1 200 OK\r\nTransfer-Encoding: %s\r\n\r\n",
		"a redirect to nonsense":   "HTTP/1.1 302 Found\r\nLocation: :%%zz%s\r\nContent-Length: 0\r\n\r\n",
		"a redirect":               "HTTP/1.1 302 Found\r\nLocation: /%s\r\nContent-Length: 0\r\n\r\n",
		"an error that tells":      "HTTP/1.1 500 %s\r\nContent-Length: 0\r\n\r\n",
		"nothing":                  "",
		"a header that is too big": "HTTP/1.1 200 OK\r\nX: %s" + strings.Repeat("x", 11<<20),
	} {
		for _, echo := range []string{secret, strings.ToUpper(secret), strings.ToLower(secret), "%540ps3cret", base64.StdEncoding.EncodeToString([]byte(secret))} {
			server := speaks(t, strings.ReplaceAll(strings.ReplaceAll(answer, "%s", echo), "%%", "%"))
			run := plan.Run{Members: []plan.Member{member("a", "http://"+server+"/"+secret+"?key="+secret)}}
			err := Created(t.Context(), discard, NewClient(nil, timeout), []plan.Run{run})
			if err == nil {
				t.Errorf("%s: no error", name)
				continue
			}
			if text := err.Error(); strings.Contains(strings.ToLower(text), "0ps3cret") || strings.Contains(text, echo) || !strings.Contains(text, server) {
				t.Errorf("%s, with %q in it, gives an error that repeats it or names no host:\n%s", name, echo, text)
			}
		}
	}
}

// A proxy is named by a URL, which may hold a password.
func TestProxyIsNotRepeated(t *testing.T) {
	client := NewClient(nil, timeout)
	client.Transport = &http.Transport{Proxy: func(*http.Request) (*url.URL, error) {
		return nil, fmt.Errorf("invalid proxy address %q", "http://me:T0ps3cret@%zz")
	}}
	err := Created(t.Context(), discard, client, []plan.Run{{Members: []plan.Member{member("a", "http://hook.example/x")}}})
	if err == nil || strings.Contains(err.Error(), "T0ps3cret") {
		t.Errorf("got %v, want an error without the proxy's password", err)
	}
}

// speaks returns the address of a server that answers every connection's request with a text.
func speaks(t *testing.T, answer string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = http.ReadRequest(bufio.NewReader(c))
			_, _ = io.WriteString(c, answer)
			_ = c.Close()
		}
	}()
	return l.Addr().String()
}
