package glance

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
)

// What a host names is looked at by its name, as often as the configuration says, which may become another one meanwhile.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var looks []string
		asked := 0
		g := &Glances{
			Heads: func(_ context.Context, want []config.Monitor) (named []int) {
				asked++
				for i, m := range want {
					if m.URL == "pushed" {
						named = append(named, i)
					}
				}
				return named
			},
			Look: func(names []string) { looks = append(looks, names...) },
		}
		configuration := func(every time.Duration, urls ...string) *config.Config {
			cfg := &config.Config{Global: config.Global{Glance: every}}
			for _, url := range urls {
				cfg.Repositories = append(cfg.Repositories, config.Repository{Name: "repo-" + url, Monitor: config.Monitor{Source: config.Source{URL: url}}})
			}
			return cfg
		}
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		defer running.Wait()
		defer cancel()
		g.Apply(configuration(10*time.Second, "a", "pushed"), time.Minute)
		running.Go(func() { g.Run(ctx) })
		pass := func(d time.Duration) {
			time.Sleep(d)
			synctest.Wait()
		}
		pass(time.Minute + time.Second)
		if asked != 6 || !slices.Equal(looks, slices.Repeat([]string{"repo-pushed"}, 6)) {
			t.Errorf("a minute: asked %d times, looks at %q; want 6, and each at what was pushed to", asked, looks)
		}
		for name, cfg := range map[string]*config.Config{"off": configuration(0, "pushed"), "half an interval": configuration(30*time.Second, "pushed")} {
			g.Apply(cfg, time.Minute)
			pass(time.Minute) // one may be under way
			asked, looks = 0, nil
			if pass(time.Hour); asked != 0 {
				t.Errorf("%s: asked %d times", name, asked)
			}
		}
		asked = 0
		g.Apply(configuration(600*time.Second, "b"), time.Hour)
		if pass(601 * time.Second); asked != 1 {
			t.Errorf("every ten minutes: asked %d times in them", asked)
		}
		asked = 0
		g.Apply(configuration(5*time.Second, "b"), time.Minute)
		if pass(time.Minute); asked < 11 || len(looks) > 0 {
			t.Errorf("on again: asked %d times in a minute, looks at %q; want 11 or 12, and none", asked, looks)
		}
	})
}
