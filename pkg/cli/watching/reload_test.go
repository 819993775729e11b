package watching

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tekton-sentry/sentry/pkg/cli/setup"
	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
	"github.com/tekton-sentry/sentry/pkg/githost/hosts/hoststest"
	"github.com/tekton-sentry/sentry/pkg/githost/poller"
	"github.com/tekton-sentry/sentry/pkg/githost/transport"
)

// A configuration that is applied again and again costs no request more than one that stays: what is known of hosts and
// repositories, what they are left alone for and what their budgets are, goes on.
func TestApplyKeepsWhatIsKnown(t *testing.T) {
	for _, kind := range []config.HostType{config.GitHub, config.GitLab, config.Gitea, config.Git} {
		for name, answer := range map[string]http.HandlerFunc{
			"well":    nil,
			"down":    troubled["down"].answer,
			"limited": troubled["limited"].answer,
			"revoked": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) },
		} {
			t.Run(fmt.Sprint(kind, "/", name), func(t *testing.T) {
				var asked [2]int
				for i := range asked {
					synctest.Test(t, func(t *testing.T) { asked[i] = requestsOfAnHour(t, kind, answer, i == 1) })
				}
				if asked[0] != asked[1] || asked[0] == 0 {
					t.Errorf("%d requests in an hour, and %d with a new configuration each minute, want as many", asked[0], asked[1])
				}
			})
		}
	}
}

// requestsOfAnHour counts what a host is asked in an hour that begins after five good minutes.
func requestsOfAnHour(t *testing.T, kind config.HostType, answer http.HandlerFunc, applied bool) int {
	api, cfg := hoststest.Populated(kind, "hush", 20)
	api.SetToken("hush")
	cfg.Global.LogLevel, cfg.Global.Sweep = "info", 15*time.Minute
	// One is not there, and is left alone by itself.
	gone := cfg.Repositories[0]
	gone.Name, gone.Monitor.URL = "gone", gone.Monitor.URL+"-gone"
	cfg.Repositories = append(cfg.Repositories, gone)
	bad := false
	var asked atomic.Int64
	tr := newTrial(t, cfg, githosttest.Delayed{Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		asked.Add(1)
		if bad {
			answer(w, req)
			return
		}
		api.ServeHTTP(w, req)
	}), Latency: 5 * time.Millisecond})
	w := &watching{Options: &setup.Options{}, network: transport.NewNetwork(cfg.Global), reader: tr.watcher.Heads.(*poller.Reader), watcher: tr.watcher}
	tr.minutes(5)
	bad = answer != nil
	asked.Store(0)
	for minute := range 60 {
		if applied {
			next := *cfg
			next.Global.KeepRuns = 1 + minute
			if err := w.apply(&next); err != nil {
				t.Fatal(err)
			}
		}
		tr.minutes(1)
	}
	return int(asked.Load())
}
