package hours

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tekton-sentry/sentry/pkg/githost/conformance/testhost"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

// SlowHost asserts that a host that is too slow for all of its repositories in one cycle has each of them read in its turn. What a
// cycle had no time for is counted as late, and comes first in the next one.
func SlowHost(t *testing.T, h testhost.Host) {
	synctest.Test(t, func(t *testing.T) {
		delay, n := 10*time.Second, 1500 // an answer
		if h.OneByOne {
			delay, n = 2*time.Second, 300
		}
		r := h.Reader(slowly{&testhost.Wire{Handler: h.Filled(n)}, delay}, 0)
		want := testhost.Monitors(t, h.Driver.Type, n)
		read := make(map[int]int)
		const cycles = 20
		late := 0
		for range cycles {
			for i, o := range r.Heads(t.Context(), want) {
				switch {
				case o.Err == nil:
					read[i]++
				case o.Status != repo.Fresh:
					late++
				}
			}
			<-time.After(30 * time.Second)
		}
		least, most := cycles, 0
		for i := range want {
			least, most = min(least, read[i]), max(most, read[i])
		}
		if least == 0 || most > least+2 {
			t.Errorf("in %d cycles some were read %d times and some %d times, want equal turns", cycles, least, most)
		}
		if told := r.Stats()[0].Late; told != late || late == 0 {
			t.Errorf("%d answers were late, and %d were counted", late, told)
		}
	})
}

// slowly is a transport that takes its time.
type slowly struct {
	next  http.RoundTripper
	delay time.Duration
}

func (s slowly) RoundTrip(req *http.Request) (*http.Response, error) {
	select {
	case <-time.After(s.delay):
		return s.next.RoundTrip(req)
	case <-req.Context().Done():
		return nil, context.Cause(req.Context()) // as net/http does
	}
}
