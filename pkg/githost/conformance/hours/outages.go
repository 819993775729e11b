// Package hours is what hosts promise to a poller.Reader for hours: that trouble of any kind costs few requests, costs
// other repositories nothing, and is over soon after it ended.
package hours

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/conformance/testhost"
	"github.com/tekton-sentry/sentry/pkg/githost/poller"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

// noUse are the ways in which a whole host can be no use.
var noUse = map[string]testhost.RoundTrip{
	"502":      testhost.Says(502, "text/html", "<html>bad gateway"),
	"500":      testhost.Says(500, "text/plain", "oops"),
	"503":      testhost.Says(503, "text/plain", "down"),
	"504":      testhost.Says(504, "text/html", ""),
	"garbage":  testhost.Says(200, "text/html", "<html>down for maintenance"),
	"nonsense": testhost.Says(200, "application/json", `{"hello":[1]}`),
	"nothing":  testhost.Says(200, "application/json", ""),
	"not git":  testhost.Says(200, "application/x-git-upload-pack-result", "\x00\xff"),
	"refuses": func(*http.Request) (*http.Response, error) {
		return nil, fmt.Errorf("dial tcp: %w", syscall.ECONNREFUSED)
	},
	"resets": func(*http.Request) (*http.Response, error) { return nil, fmt.Errorf("read: %w", syscall.ECONNRESET) },
	"closes": func(*http.Request) (*http.Response, error) { return nil, io.EOF },
	"hangs":  hang,
	"drips": func(req *http.Request) (*http.Response, error) {
		resp, err := testhost.Says(200, "application/json", "")(req)
		resp.Body = io.NopCloser(drip{req.Context()})
		return resp, err
	},
}

// drip is a body that sends a space a second, without an end.
type drip struct{ ctx context.Context }

func (d drip) Read(p []byte) (int, error) {
	select {
	case <-time.After(time.Second):
		p[0] = ' '
		return 1, nil
	case <-d.ctx.Done():
		return 0, context.Cause(d.ctx)
	}
}

// Outages asserts that a host that is no use, whatever it does instead, is asked at most 12 times in an hour for 500 repositories or
// few, from the start of the program or after it was well. It is read again within eleven minutes when it is back.
func Outages(t *testing.T, h testhost.Host) {
	for name, fault := range noUse {
		n, most := 40, 12
		switch name {
		case "502", "garbage", "hangs":
			n = 500
		case "drips":
			n, most = 500, most+16 // that begin to answer, in the first cycle
		}
		for _, wasWell := range []bool{false, true} {
			t.Run(fmt.Sprint(name, "/well before: ", wasWell), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) { outage(t, h, fault, n, wasWell, most) })
			})
		}
	}
}

func outage(t *testing.T, h testhost.Host, fault testhost.RoundTrip, n int, wasWell bool, most int) {
	w := &testhost.Wire{Handler: h.Filled(n)}
	r := h.Reader(w, 15*time.Minute)
	want := testhost.Monitors(t, h.Driver.Type, n)
	ticker := time.NewTicker(time.Minute)
	defer ticker.Stop()
	if wasWell {
		for range 3 {
			for i, o := range r.Heads(t.Context(), want) {
				if o.Err != nil {
					t.Fatalf("while it is well: %s: %v", want[i].URL, o.Err)
				}
			}
			<-ticker.C
		}
	}
	w.Breaks(fault)
	w.Take()
	silent := 0
	for minute := range 60 {
		for i, o := range r.Heads(t.Context(), want) {
			if o.Err == nil && o.Status == repo.Fresh {
				t.Fatalf("minute %d, %s: heads %v of a host that is no use", minute, want[i].URL, o.Heads)
			}
			e, ok := errors.AsType[*githost.Error](o.Err)
			if o.Err != nil && (!ok || e.Kind == githost.NotFound || e.Kind == githost.NoBranch) {
				t.Fatalf("minute %d, %s: error %v, want one of the host", minute, want[i].URL, o.Err)
			}
		}
		if !r.Stats()[0].Until.IsZero() {
			silent++
		}
		<-ticker.C
	}
	if silent < 45 {
		t.Errorf("Stats() told in %d of 60 minutes until when the host is left alone", silent)
	}
	if asked := w.Take(); asked > most {
		t.Errorf("%d requests in the hour, want at most %d", asked, most)
	}
	w.Breaks(nil)
	for minute := 0; failed(r.Heads(t.Context(), want)) > 0; minute++ {
		if minute > 11 {
			t.Fatalf("%d minutes after it is back, repositories still have an error", minute)
		}
		<-ticker.C
	}
}

// failed counts the errors.
func failed(answers []repo.Observation) int {
	n := 0
	for _, o := range answers {
		if o.Err != nil {
			n++
		}
	}
	return n
}

func hang(req *http.Request) (*http.Response, error) {
	<-req.Context().Done()
	return nil, req.Context().Err()
}

// ProbesTakeTurns asserts that a host that failed as a whole is tried with one repository at a time. It is never the same one, lest
// the others stay unread when only that one is still broken.
func ProbesTakeTurns(t *testing.T, h testhost.Host) {
	for _, name := range []string{"500", "garbage"} {
		for _, n := range []int{2, 5} {
			synctest.Test(t, func(t *testing.T) {
				start, well := time.Now(), fmt.Sprintf("r%d", n-1)
				api := h.Filled(n)
				r := h.Reader(&testhost.Wire{Handler: http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
					body := testhost.BodyOf(req)
					if time.Since(start) > 10*time.Minute && strings.Contains(req.URL.Path+body, well) && !strings.Contains(body, `"r0"`) {
						api.ServeHTTP(rw, req)
						return
					}
					resp, _ := noUse[name](req)
					defer resp.Body.Close()
					rw.WriteHeader(resp.StatusCode)
					_, _ = io.Copy(rw, resp.Body)
				})}, 0)
				want, minute := testhost.Monitors(t, h.Driver.Type, n), 0
				ticker := time.NewTicker(time.Minute)
				defer ticker.Stop()
				for ; r.Heads(t.Context(), want)[n-1].Err != nil && minute < 100; minute++ {
					<-ticker.C
				}
				if minute >= 100 {
					t.Errorf("%s, %d repositories: the one that is well again was not read in an hour and a half", name, n)
				}
			})
		}
	}
}

// NobodyListens tries, over real connections, a port that is closed, and one where nobody ever answers. Two cycles right after
// each other send no more than three requests, for the second falls into the first wait.
func NobodyListens(t *testing.T, h testhost.Host) {
	for _, open := range []bool{false, true} {
		t.Run(fmt.Sprint("open: ", open), func(t *testing.T) {
			t.Parallel()
			listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			var accepted atomic.Int64
			if open {
				accept(t, listener, &accepted)
			} else {
				_ = listener.Close()
			}
			r := &poller.Reader{Hosts: githost.Drivers{h.Driver}, Timeout: time.Second, Sweep: time.Minute}
			defer r.Close()
			want := testhost.Monitors(t, h.Driver.Type, 500)
			for i := range want {
				want[i].URL = fmt.Sprintf("http://%s/o/r%d", listener.Addr(), i)
			}
			for range 2 {
				for i, o := range r.Heads(t.Context(), want) {
					if e := testhost.ErrorOf(t, o); e.Kind != githost.Temporary {
						t.Fatalf("%s: error %v, want a temporary one", want[i].URL, e)
					}
				}
			}
			if s := r.Stats()[0]; s.Requests > 3 || accepted.Load() > 3 || s.Until.IsZero() || s.Late < 500 {
				t.Errorf("%d requests, %d connections, %+v, want at most three, and the second cycle late", s.Requests, accepted.Load(), s)
			}
		})
	}
}

// accept accepts connections, and never answers.
func accept(t *testing.T, listener net.Listener, accepted *atomic.Int64) {
	done := make(chan struct{})
	t.Cleanup(func() { _ = listener.Close(); <-done })
	go func() {
		defer close(done)
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			accepted.Add(1)
			defer func() { _ = connection.Close() }()
		}
	}()
}
