package poller_test

import (
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/hosts"
	"github.com/tekton-sentry/sentry/pkg/githost/poller"
)

// Over real connections: a port that is closed, and one where nobody ever answers. Two cycles right after each
// other send no more than three requests, for the second falls into the first wait.
func TestListenersThatDoNotAnswer(t *testing.T) {
	for _, kind := range served {
		for _, open := range []bool{false, true} {
			t.Run(fmt.Sprint(kind, "/open: ", open), func(t *testing.T) {
				t.Parallel()
				listener, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				var accepted atomic.Int64
				if open {
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
				} else {
					_ = listener.Close()
				}
				r := &poller.Reader{Hosts: hosts.All, Timeout: time.Second, Sweep: time.Minute}
				defer r.Close()
				want := monitorsAt(t, kind, 500)
				for i := range want {
					want[i].URL = fmt.Sprintf("http://%s/o/r%d", listener.Addr(), i)
				}
				for range 2 {
					for i, o := range r.Heads(t.Context(), want) {
						if e := apiError(t, o); e.Kind != githost.Temporary {
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
}
