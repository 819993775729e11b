package cli

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/secret"
)

// wire is a transport to a handler without a network, so that it runs in a bubble of time.
type wire struct {
	http.Handler
	latency time.Duration // of the bubble
}

func (w wire) RoundTrip(req *http.Request) (*http.Response, error) {
	select {
	case <-time.After(w.latency):
	case <-req.Context().Done():
		return nil, context.Cause(req.Context()) // as net/http does
	}
	return githosttest.Answer(w, req), nil
}

// What is predicted of an hour is what the host counts in an hour of watching.
func TestPredictionIsWhatAnHourCosts(t *testing.T) {
	for _, test := range []struct {
		kind            config.HostType
		token           string
		n               int
		interval, sweep time.Duration
	}{
		{config.GitHub, "token", 60, time.Minute, 15 * time.Minute},
		{config.GitHub, "token", 150, time.Minute, 15 * time.Minute},
		{config.GitHub, "token", 1000, time.Minute, 15 * time.Minute},
		{config.GitHub, "token", 1000, 5 * time.Minute, 15 * time.Minute},
		{config.GitHub, "token", 300, time.Minute, 24 * time.Hour},
		{config.GitHub, "token", 150, time.Minute, 0},
		{config.GitHub, "token", 300, 30 * time.Minute, 15 * time.Minute},
		{config.GitHub, "", 1, 2 * time.Minute, 15 * time.Minute},
		{config.GitLab, "token", 300, time.Minute, 15 * time.Minute},
		{config.Gitea, "token", 3, time.Minute, 15 * time.Minute},
		{config.Gitea, "token", 300, time.Minute, 15 * time.Minute},
		{config.Gitea, "token", 2500, time.Minute, 15 * time.Minute}, // more than one cycle learns
		{config.Git, "token", 40, 2 * time.Minute, 15 * time.Minute},
	} {
		t.Run(fmt.Sprintf("%s, token %q, %d, every %s, sweep %s", test.kind, test.token, test.n, test.interval, test.sweep), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				api, cfg := hostOf(test.kind, test.token, test.n)
				cfg.PollingInterval, cfg.Global.Sweep = test.interval, test.sweep
				time.Sleep(time.Hour) // since the last push
				accounts := accountsOf(cfg)
				if len(accounts) != 1 {
					t.Fatalf("%d accounts, want 1", len(accounts))
				}
				accounts[0].read(t.Context(), wire{api, 5 * time.Millisecond}, cfg, slog.New(slog.DiscardHandler))
				predicted := 0
				for _, c := range []currency{points, requests, git} {
					hour, known := accounts[0].anHour(c, cfg)
					if !known {
						t.Fatalf("nothing is predicted: %v", accounts[0].watched[0].Err)
					}
					predicted += hour
				}
				if got := hourOf(t, api, cfg); predicted < got*9/10-2 || predicted > got*11/10+2 {
					t.Errorf("predicted %d an hour, and it was %d", predicted, got)
				}
			})
		})
	}
}

// hostOf returns a host, and a configuration of n repositories on it.
func hostOf(kind config.HostType, token string, n int) (*githosttest.API, *config.Config) {
	served := kind
	if kind == config.Git {
		served = config.Gitea // which serves the Git protocol
	}
	api, cfg := githosttest.NewAPI(served), new(config.Config)
	api.SetToken("token")
	for i := range n {
		path := fmt.Sprintf("o/r%d", i)
		api.Push(path, "main", strings.Repeat("1", 40))
		time.Sleep(15 * time.Second) // of the bubble: what was pushed to at the same time as the last one is read once more
		source := config.Source{URL: "http://host.example/" + path, Type: kind, Auth: config.Auth{Token: secret.New("${T}", token)}}
		cfg.Repositories = append(cfg.Repositories, config.Repository{Name: path, Monitor: config.Monitor{
			Source: source, Branches: repo.Patterns{repo.ExactPattern("main")}}, Deploy: config.Deploy{Source: source, Branch: "main"}})
	}
	return api, cfg
}

// What one cycle has no time for is read in the next ones, as watching does, and is told of.
func TestSlowHostIsReadInSeveralCycles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api, cfg := hostOf(config.Git, "token", 300)
		cfg.PollingInterval = time.Minute
		var log strings.Builder
		a := accountsOf(cfg)[0]
		a.qa = a.qa[:1]
		a.read(t.Context(), wire{api, 2 * time.Second}, cfg, slog.New(slog.NewTextHandler(&log, nil)))
		if a.failed() > 0 {
			t.Errorf("%d repositories were not read: %v", a.failed(), a.watched[299].Err)
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
	r := reader(slog.New(slog.DiscardHandler), cfg.Global.Sweep)
	r.Base = wire{api, 5 * time.Millisecond}
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
