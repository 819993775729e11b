package cli

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/state/file"
	"github.com/tekton-sentry/sentry/pkg/watch"
)

// idle is an engine that has nothing to do.
type idle struct{}

func (idle) Create(context.Context, *v1.PipelineRun) (bool, error)       { return true, nil }
func (idle) Existing(context.Context, []string) ([]plan.Existing, error) { return nil, nil }
func (idle) Cancel(context.Context, string) error                        { return nil }
func (idle) Prune(context.Context, string, int) error                    { return nil }

// An hour in which a host is no use, and the half hour after it. The log is short and says what to do, and `status` has
// one error for each repository that says it too, and none once the host is well.
func TestHourOfTrouble(t *testing.T) {
	for name, trouble := range map[string]struct {
		answer http.HandlerFunc
		most   int    // lines of the log after the first cycle
		status string // is said of each repository
	}{
		"down":    {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }, 14, "host.example: temporary: HTTP 502"},
		"limited": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) }, 14, "host.example: rate limited: HTTP 429"},
		"revoked": {nil, 7, "host.example: denied: HTTP 401: the credential was refused"},
	} {
		for _, kind := range []config.HostType{config.GitHub, config.GitLab, config.Gitea, config.Git} {
			t.Run(fmt.Sprint(kind, "/", name), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					const n = 40
					api, cfg := hostOf(kind, "hush", n)
					api.SetToken("hush")
					cfg.PollingInterval, cfg.Global.Sweep = time.Minute, 15*time.Minute
					bad := false
					r := reader(nil, cfg.Global.Sweep)
					r.Base = wire{http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
						if bad {
							trouble.answer(w, req)
							return
						}
						api.ServeHTTP(w, req)
					}), 5 * time.Millisecond}
					var text strings.Builder
					log, err := newLog(&text, "text", slog.LevelInfo)
					if err != nil {
						t.Fatal(err)
					}
					r.Log = log
					store := file.New(filepath.Join(t.TempDir(), "state.json"))
					w := &watch.Watcher{Config: cfg, Heads: r, Store: store, Engine: idle{}, Created: func(context.Context, []plan.Run) {},
						Log: log, Now: time.Now, Word: word}
					problems := func(minutes int) []problemStatus {
						for range minutes {
							if _, err := w.RunOnce(t.Context()); err != nil {
								t.Fatal(err)
							}
							time.Sleep(time.Minute)
						}
						s, err := store.Load(t.Context())
						if err != nil {
							t.Fatal(err)
						}
						return statusOf(s, nil).Problems
					}
					if got := problems(5); len(got) > 0 {
						t.Fatalf("before: %v", got)
					}
					text.Reset()
					if bad = trouble.answer != nil; !bad {
						api.SetToken("the next one")
					}
					got := problems(60)
					for _, p := range got {
						if !strings.HasPrefix(p.Message, trouble.status) {
							t.Errorf("status says of %s: %s, want %q", p.On, p.Message, trouble.status)
						}
					}
					if len(got) != n {
						t.Errorf("status has %d problems, want one for each of %d repositories", len(got), n)
					}
					if !bad {
						for i := range cfg.Repositories {
							cfg.Repositories[i].Monitor.Auth.Token = config.NewValue("${T}", "the next one")
						}
					}
					bad = false
					if got := problems(12); len(got) > 0 {
						t.Errorf("once the host is well, status says %v", got)
					}
					if lines := strings.Count(text.String(), "\n"); lines > trouble.most || strings.Contains(text.String(), "hush") {
						t.Errorf("%d lines, want at most %d, and no token:\n%s", lines, trouble.most, text.String())
					}
				})
			})
		}
	}
}

// A host that is too slow for one cycle is no trouble of its repositories: each is read in its turn, the state is not
// written for those that wait, and the log tells of it once an hour.
func TestHourOfASlowHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api, cfg := hostOf(config.Git, "token", 300)
		var text strings.Builder
		log, err := newLog(&text, "text", slog.LevelInfo)
		if err != nil {
			t.Fatal(err)
		}
		r := reader(log, 0)
		r.Base = wire{api, 2 * time.Second}
		store := file.New(filepath.Join(t.TempDir(), "state.json"))
		w := &watch.Watcher{Config: cfg, Heads: r, Store: store, Engine: idle{}, Created: func(context.Context, []plan.Run) {},
			Log: log, Now: time.Now, Word: word}
		wrote := 0
		ticker := time.NewTicker(time.Minute)
		defer ticker.Stop()
		for minute := range 64 {
			if minute == 5 { // by then all were read
				text.Reset()
				wrote = 0
			}
			report, err := w.RunOnce(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			wrote += report.Wrote
			<-ticker.C
		}
		s, err := store.Load(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got := statusOf(s, nil); len(got.Branches) != 300 || len(got.Problems) > 0 || wrote > 0 {
			t.Errorf("%d branches, %d problems, %d writes of the state, want 300 and none", len(got.Branches), len(got.Problems), wrote)
		}
		if n := strings.Count(text.String(), "[late="); n != 2 || strings.Count(text.String(), "\n") != 2 {
			t.Errorf("the log of the next hour is\n%s\nwant a line that tells what is late, and one with the counts of the hour", text.String())
		}
	})
}
