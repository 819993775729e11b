package page_test

import (
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tekton-sentry/sentry/pkg/serve/page/pagetest"
)

// once is a listener of one connection.
type once struct {
	conns chan net.Conn
	end   chan struct{}
}

func (l once) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.end:
		return nil, net.ErrClosed
	}
}

func (l once) Close() error   { close(l.end); return nil }
func (l once) Addr() net.Addr { return &net.TCPAddr{} }

// A tab that does not read is dropped, and not waited for: its place is free, and its connection closed. The connection holds nothing on
// its way, as one whose buffers are full.
func TestStalledStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPage(t, &pagetest.Memory{Is: pagetest.Small(t, now)})
		left := make(chan time.Time, 1)
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			p.ServeHTTP(w, r)
			left <- time.Now()
		})}
		tab, theirs := net.Pipe()
		l := once{make(chan net.Conn, 1), make(chan struct{})}
		l.conns <- theirs
		ended := make(chan struct{})
		go func() { defer close(ended); _ = server.Serve(l) }()
		began := time.Now()
		if _, err := io.WriteString(tab, "GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		select {
		case at := <-left:
			if took := at.Sub(began); took > 10*time.Second {
				t.Errorf("it was waited for %s", took)
			}
			defer time.AfterFunc(time.Minute, func() { t.Error("its connection is open still"); _ = tab.Close() }).Stop()
			_, _ = io.Copy(io.Discard, tab) // until the other side closes it
		case <-time.After(10 * time.Minute):
			t.Error("it is waited for")
		}
		p.Close()
		_ = tab.Close()
		_ = server.Close()
		<-ended
	})
}
