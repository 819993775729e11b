package online

import (
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/config/timing"
	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
	"github.com/tekton-sentry/sentry/pkg/githost/hosts"
	"github.com/tekton-sentry/sentry/pkg/githost/hosts/hoststest"
	"github.com/tekton-sentry/sentry/pkg/githost/poller"
)

// What is predicted of an hour is what the host counts in an hour of watching.
func TestPredictionIsWhatAnHourCosts(t *testing.T) {
	for _, test := range []struct {
		kind                    config.HostType
		token                   string
		n                       int
		interval, sweep, glance time.Duration
	}{
		{config.GitHub, "token", 60, time.Minute, 15 * time.Minute, 0},
		{config.GitHub, "token", 150, time.Minute, 15 * time.Minute, 0},
		{config.GitHub, "token", 1000, time.Minute, 15 * time.Minute, 0},
		{config.GitHub, "token", 1000, 5 * time.Minute, 15 * time.Minute, 0},
		{config.GitHub, "token", 300, time.Minute, 24 * time.Hour, 0},
		{config.GitHub, "token", 150, time.Minute, 0, 0},
		{config.GitHub, "token", 300, 30 * time.Minute, 15 * time.Minute, 0},
		{config.GitHub, "", 1, 2 * time.Minute, 15 * time.Minute, 0},
		{config.GitLab, "token", 300, time.Minute, 15 * time.Minute, 0},
		{config.Gitea, "token", 3, time.Minute, 15 * time.Minute, 0},
		{config.Gitea, "token", 300, time.Minute, 15 * time.Minute, 0},
		{config.Gitea, "token", 2500, time.Minute, 15 * time.Minute, 0}, // more than one cycle learns
		{config.Git, "token", 40, 2 * time.Minute, 15 * time.Minute, 0},
		{config.GitHub, "token", 60, time.Minute, 15 * time.Minute, 5 * time.Second},
		{config.GitHub, "token", 300, time.Minute, 0, 5 * time.Second},
		{config.GitHub, "token", 300, time.Minute, 15 * time.Minute, 30 * time.Second}, // which is too seldom
		{config.GitLab, "token", 300, time.Minute, 15 * time.Minute, 5 * time.Second},  // which has no list
		{config.Gitea, "token", 300, time.Minute, 15 * time.Minute, 5 * time.Second},
	} {
		t.Run(fmt.Sprintf("%s, token %q, %d, every %s, sweep %s, glance %s", test.kind, test.token, test.n, test.interval, test.sweep, test.glance), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				api, cfg := hoststest.Populated(test.kind, test.token, test.n)
				cfg.PollingInterval, cfg.Global.Sweep, cfg.Global.Glance = test.interval, test.sweep, test.glance
				time.Sleep(time.Hour) // since the last push
				accounts := survey(cfg, githosttest.Delayed{Handler: api, Latency: 5 * time.Millisecond}, slog.New(slog.DiscardHandler)).Read(t.Context())
				if len(accounts) != 1 {
					t.Fatalf("%d accounts, want 1", len(accounts))
				}
				predicted := 0
				for _, s := range accounts[0].Spending(cfg) {
					if !s.Known {
						t.Fatalf("nothing is predicted: %v", accounts[0].Watched[0].Err)
					}
					predicted += s.Hour
				}
				if got := hourOf(t, api, cfg); predicted < got*9/10-2 || predicted > got*11/10+2 {
					t.Errorf("predicted %d an hour, and it was %d", predicted, got)
				}
			})
		})
	}
}

func survey(cfg *config.Config, base http.RoundTripper, log *slog.Logger) *Survey {
	return &Survey{Config: cfg, Hosts: hosts.All, Base: base, Log: log}
}

// What one cycle has no time for is read in the next ones, as watching does, and is told of.
func TestSlowHostIsReadInSeveralCycles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api, cfg := hoststest.Populated(config.Git, "token", 300)
		cfg.PollingInterval = time.Minute
		var log strings.Builder
		s := survey(cfg, githosttest.Delayed{Handler: api, Latency: 2 * time.Second}, slog.New(slog.NewTextHandler(&log, nil)))
		a := s.accounts()[0]
		a.QA = a.QA[:1]
		s.read(t.Context(), a)
		if a.failed() > 0 {
			t.Errorf("%d repositories were not read: %v", a.failed(), a.Watched[299].Err)
		}
		if !strings.Contains(log.String(), "late, and read first in the next") {
			t.Errorf("the log does not tell that a cycle is too short:\n%s", log.String())
		}
	})
}

// hourOf watches until nothing is learned any more, and then for an hour, and returns what the host counted in that:
// GitHub points, or requests without a token; the others requests.
func hourOf(t *testing.T, api *githosttest.API, cfg *config.Config) int {
	t.Helper()
	r := &poller.Reader{Hosts: hosts.All, Sweep: cfg.Global.Sweep, Base: githosttest.Delayed{Handler: api, Latency: 5 * time.Millisecond}}
	cycles := func(d time.Duration) {
		for began := time.Now(); time.Since(began) < d; {
			next := time.Now().Add(cfg.PollingInterval)
			monitors := make([]config.Monitor, len(cfg.Repositories))
			for i := range monitors {
				monitors[i] = cfg.Repositories[i].Monitor
			}
			for i, o := range r.Heads(t.Context(), monitors) {
				if o.Err != nil {
					t.Fatalf("%s: %v", monitors[i].URL, o.Err)
				}
			}
			every := timing.Glances(cfg.Global.Glance, cfg.PollingInterval)
			for every > 0 && time.Until(next) > every {
				time.Sleep(every)
				r.Glance(t.Context(), monitors)
			}
			time.Sleep(time.Until(next))
		}
	}
	cycles(3 * cfg.PollingInterval)
	api.Requests()
	before := api.Points()
	cycles(time.Hour)
	if spent := api.Points() - before; spent > 0 {
		return spent
	}
	return len(api.Requests())
}
