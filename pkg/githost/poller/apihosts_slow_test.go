package poller_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/hosts"
	"github.com/tekton-sentry/sentry/pkg/githost/poller"
)

// A host that is too slow for all of its repositories in one cycle has each of them read in its turn: what a cycle had
// no time for is counted as late, and comes first in the next one.
func TestSlowHostReadsAllInTurn(t *testing.T) {
	for _, c := range []struct {
		kind config.HostType
		took time.Duration // of one answer
		n    int
	}{
		{config.Git, 2 * time.Second, 300},
		{config.Gitea, 2 * time.Second, 300},
		{config.GitHub, 10 * time.Second, 1500},
		{config.GitLab, 10 * time.Second, 1500},
	} {
		t.Run(string(c.kind), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &wire{handler: handlerOf(c.kind, c.n)}
				r := &poller.Reader{Hosts: hosts.All, Base: slowly{w, c.took}}
				want := monitorsAt(t, c.kind, c.n)
				read := make(map[int]int)
				const cycles = 20
				late := 0
				for range cycles {
					for i, o := range r.Heads(t.Context(), want) {
						switch {
						case o.Err == nil:
							read[i]++
						case githost.Unasked(o):
							late++
						}
					}
					time.Sleep(30 * time.Second)
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
		})
	}
}

// slowly is a transport that takes its time.
type slowly struct {
	next http.RoundTripper
	took time.Duration
}

func (s slowly) RoundTrip(req *http.Request) (*http.Response, error) {
	select {
	case <-time.After(s.took):
		return s.next.RoundTrip(req)
	case <-req.Context().Done():
		return nil, context.Cause(req.Context()) // as net/http does
	}
}
