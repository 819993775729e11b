package cli

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

// wire is a transport to a handler without a network, so that it runs in a bubble of time.
type wire struct{ http.Handler }

func (w wire) RoundTrip(req *http.Request) (*http.Response, error) {
	time.Sleep(5 * time.Millisecond) // of the bubble: the way there and back
	inner := req.Clone(req.Context())
	inner.RequestURI, inner.Host = req.URL.RequestURI(), req.URL.Host
	if inner.Body == nil {
		inner.Body = http.NoBody
	}
	rec := httptest.NewRecorder()
	w.ServeHTTP(rec, inner)
	resp := rec.Result()
	resp.Request = req
	return resp, nil
}

// What is predicted of an hour is what the host counts in an hour of watching.
func TestPredictionIsWhatAnHourCosts(t *testing.T) {
	for _, test := range []struct {
		kind            config.HostType
		token           string
		n               int
		interval, sweep time.Duration
	}{
		{config.GitHub, "t", 60, time.Minute, 15 * time.Minute},
		{config.GitHub, "t", 150, time.Minute, 15 * time.Minute},
		{config.GitHub, "t", 1000, time.Minute, 15 * time.Minute},
		{config.GitHub, "t", 1000, 5 * time.Minute, 15 * time.Minute},
		{config.GitHub, "t", 300, time.Minute, 24 * time.Hour},
		{config.GitHub, "t", 150, time.Minute, 0},
		{config.GitHub, "t", 300, 30 * time.Minute, 15 * time.Minute},
		{config.GitHub, "", 1, 2 * time.Minute, 15 * time.Minute},
		{config.GitLab, "t", 300, time.Minute, 15 * time.Minute},
		{config.Gitea, "t", 3, time.Minute, 15 * time.Minute},
		{config.Gitea, "t", 300, time.Minute, 15 * time.Minute},
		{config.Gitea, "t", 2500, time.Minute, 15 * time.Minute}, // more than one cycle learns
		{config.Git, "t", 40, 2 * time.Minute, 15 * time.Minute},
	} {
		t.Run(fmt.Sprintf("%s, token %q, %d, every %s, sweep %s", test.kind, test.token, test.n, test.interval, test.sweep), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				served := test.kind
				if served == config.Git {
					served = config.Gitea // which serves the Git protocol
				}
				api := githosttest.NewAPI(served)
				api.SetToken("t")
				cfg := &config.Config{PollingInterval: test.interval, Global: config.Global{Sweep: test.sweep}}
				for i := range test.n {
					path := fmt.Sprintf("o/r%d", i)
					api.Push(path, "main", strings.Repeat("1", 40))
					source := config.Source{URL: "http://host.example/" + path, Type: test.kind,
						Auth: config.Auth{Token: config.NewValue("${T}", test.token)}}
					cfg.Repositories = append(cfg.Repositories, config.Repository{Name: path, Monitor: config.Monitor{
						Source: source, Branches: repo.Patterns{repo.ExactPattern("main")}}, Deploy: config.Deploy{Source: source, Branch: "main"}})
				}
				time.Sleep(time.Hour) // since the last push
				accounts := accountsOf(cfg)
				if len(accounts) != 1 {
					t.Fatalf("%d accounts, want 1", len(accounts))
				}
				accounts[0].read(t.Context(), wire{api}, cfg, slog.New(slog.DiscardHandler))
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

// hourOf watches until nothing is learned any more, and then for an hour, and returns what the host counted in that:
// GitHub points, or requests without a token; the others requests.
func hourOf(t *testing.T, api *githosttest.API, cfg *config.Config) int {
	t.Helper()
	r := reader(slog.New(slog.DiscardHandler), cfg.Global.Sweep)
	r.Base = wire{api}
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
