package serve

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start serves one handler and returns its address, and what ends it and waits.
func start(t *testing.T, h http.HandlerFunc) (address string, end func() error) {
	t.Helper()
	l, err := Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, l, map[string]http.Handler{"/x": h}, slog.New(slog.DiscardHandler)) }()
	return l.Addr().String(), func() error {
		cancel()
		return <-ended
	}
}

func TestRequestUnderWayEndsWell(t *testing.T) {
	began, goOn := make(chan struct{}), make(chan struct{})
	address, end := start(t, func(w http.ResponseWriter, _ *http.Request) {
		close(began)
		<-goOn
		_, _ = io.WriteString(w, "done")
	})
	got := make(chan string, 1)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	go func() {
		resp, err := client.Get("http://" + address + "/x")
		if err != nil {
			got <- err.Error()
			return
		}
		defer resp.Body.Close()
		text, _ := io.ReadAll(resp.Body)
		got <- string(text)
	}()
	<-began
	ended := make(chan error, 1)
	go func() { ended <- end() }()
	for { // until nobody new is let in
		c, err := net.DialTimeout("tcp", address, time.Second)
		if err != nil {
			break
		}
		c.Close()
	}
	close(goOn)
	if text := <-got; text != "done" {
		t.Errorf("the request under way got %q", text)
	}
	if err := <-ended; err != nil {
		t.Errorf("the end: %v", err)
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	address, end := start(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	var open []net.Conn
	for range maxConnections {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(c, "GET /x HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAtLeast(c, make([]byte, 12), 12); err != nil {
			t.Fatal(err)
		}
		open = append(open, c)
	}
	more, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(more, "GET /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	_ = more.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
	if n, err := more.Read(make([]byte, 1)); n > 0 || err == nil {
		t.Error("one connection more than there may be is answered")
	}
	open[0].Close()
	_ = more.SetReadDeadline(time.Now().Add(time.Minute))
	if text, err := io.ReadAll(more); err != nil || !strings.HasPrefix(string(text), "HTTP/1.1 204") {
		t.Errorf("once there is room: %q, %v", text, err)
	}
	for _, c := range append(open[1:], more) {
		c.Close()
	}
	if err := end(); err != nil {
		t.Errorf("the end: %v", err)
	}
}

func TestLargeHeadIsRefused(t *testing.T) {
	address, end := start(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	defer func() { _ = end() }()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = io.WriteString(c, "GET /x HTTP/1.1\r\nHost: x\r\nX-Filler: "+strings.Repeat("x", 2*maxHeader)+"\r\n\r\n")
	answer := make([]byte, 12)
	if _, err := io.ReadFull(c, answer); err != nil || string(answer) != "HTTP/1.1 431" {
		t.Errorf("the answer is %q, %v; want 431", answer, err)
	}
}

func TestListenNamesTheAddress(t *testing.T) {
	l, err := Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, address := range []string{l.Addr().String(), "nonsense"} {
		if _, err := Listen(t.Context(), address); err == nil || !strings.Contains(err.Error(), address) {
			t.Errorf("%s: %v, want an error that names it", address, err)
		}
	}
}
