package gitea_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/conformance/testhost"
	"github.com/tekton-sentry/sentry/pkg/githost/gitea"
	"github.com/tekton-sentry/sentry/pkg/githost/gitea/giteatest"
	"github.com/tekton-sentry/sentry/pkg/githost/poller"
	"github.com/tekton-sentry/sentry/pkg/repo/repotest"
)

// An idle cycle of 1,000 repositories of a Gitea, each with three branches by exact names, asks at most three times what
// changed, and reads a fifteenth of them; within the sweep each is read once. Without a sweep each is read by one
// request a cycle, whether all of its branches are there or not.
func TestIdle(t *testing.T) {
	const n, sweep = 1000, 15
	for _, minutes := range []int{sweep, 0} {
		synctest.Test(t, func(t *testing.T) {
			api := giteatest.New()
			api.SetToken(testhost.Token)
			want := testhost.Monitors(t, config.Gitea, n)
			for i := range want {
				want[i].Branches = repotest.Patterns(t, "main", "develop", "release")
				for _, branch := range []string{"main", "develop", "release"}[:1+i%3] {
					api.Push(fmt.Sprintf("o/r%d", i), branch, testhost.SHA1)
				}
			}
			time.Sleep(time.Hour)
			api.Push("o/other", "main", testhost.SHA1)
			time.Sleep(time.Hour)
			r := &poller.Reader{Hosts: githost.Drivers{gitea.Driver}, Base: &testhost.Wire{Handler: api}, Sweep: time.Duration(minutes) * time.Minute}
			ticker := time.NewTicker(time.Minute)
			defer ticker.Stop()
			cycle := func() (lists, reads int) {
				for i, o := range r.Heads(t.Context(), want) {
					if o.Err != nil || len(o.Heads) != 1+i%3 {
						t.Fatalf("%s: %+v, want %d heads", want[i].URL, o, 1+i%3)
					}
				}
				for _, asked := range api.Requests() {
					if strings.HasSuffix(asked.URL, "/git-upload-pack") {
						reads++
					} else {
						lists++
					}
				}
				<-ticker.C
				return lists, reads
			}
			if lists, reads := cycle(); reads != n || lists > n/50+1 {
				t.Errorf("sweep %d, the first cycle: %d lists and %d reads, want at most %d and %d", minutes, lists, reads, n/50+1, n)
			}
			all := 0
			for minute := range sweep {
				lists, reads := cycle()
				all += reads
				if minutes == 0 && (lists != 0 || reads != n) {
					t.Errorf("no sweep, cycle %d: %d lists and %d reads, want none and %d", minute, lists, reads, n)
				}
				if minutes > 0 && (lists > 3 || reads > 2*n/sweep) {
					t.Errorf("cycle %d: %d lists and %d reads, want at most 3, and %d or about as many", minute, lists, reads, n/sweep)
				}
			}
			if minutes > 0 && all != n {
				t.Errorf("%d reads in a sweep, want one of each of the %d repositories", all, n)
			}
		})
	}
}
