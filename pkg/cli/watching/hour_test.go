package watching

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

	"github.com/tekton-sentry/sentry/pkg/cli/overview"
	"github.com/tekton-sentry/sentry/pkg/cli/setup"
	"github.com/tekton-sentry/sentry/pkg/cli/term"
	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/event"
	"github.com/tekton-sentry/sentry/pkg/event/logsink"
	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
	"github.com/tekton-sentry/sentry/pkg/githost/hosts/hoststest"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/secret"
	"github.com/tekton-sentry/sentry/pkg/state/file"
	"github.com/tekton-sentry/sentry/pkg/watch"
)

// idle is an engine that has nothing to do.
type idle struct{}

func (idle) Create(_ context.Context, _ *config.Config, run plan.Run) (engine.Made, error) {
	return engine.Made{Run: run}, nil
}
func (idle) Check(*config.Config, plan.Run) error                        { return nil }
func (idle) Runs(context.Context, []string) ([]engine.Run, error)        { return nil, nil }
func (idle) Cancel(context.Context, string, string) error                { return nil }
func (idle) Prune(context.Context, string, int) ([]plan.Existing, error) { return nil, nil }

// trial is `sentry watch` on a host in memory, once a minute.
type trial struct {
	*testing.T
	watcher *watch.Watcher
	store   *file.Store
	log     strings.Builder
	wrote   int // writes of the state
}

func newTrial(t *testing.T, cfg *config.Config, base http.RoundTripper) *trial {
	tr := &trial{T: t}
	log, err := term.NewLog(&tr.log, "text", slog.LevelInfo)
	if err != nil {
		t.Fatal(err)
	}
	tr.store = file.New(filepath.Join(t.TempDir(), "state.json"), log)
	r := (&setup.Options{Version: "dev"}).Reader(log, cfg.Global.Sweep, nil)
	r.Base = base
	tr.watcher = &watch.Watcher{Config: cfg, Heads: r, Store: tr.store, Engine: idle{},
		Tell: func(e event.Event) { logsink.Write(log, e) }, Now: time.Now, Word: setup.Word}
	return tr
}

// minutes watches for so long and returns what `sentry status` shows then.
func (t *trial) minutes(n int) overview.Status {
	t.Helper()
	for range n {
		next := time.Now().Add(time.Minute)
		report, err := t.watcher.RunOnce(t.Context(), watch.Request{})
		if err != nil {
			t.Fatal(err)
		}
		t.wrote += report.Wrote
		time.Sleep(time.Until(next))
	}
	s, err := t.store.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return overview.Of(s, nil)
}

// troubled are ways in which a host is no use.
var troubled = map[string]struct {
	answer http.HandlerFunc // nil = it wants another token
	most   int              // lines of the log
	status string           // is said of each repository
}{
	"down":    {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }, 14, "host.example: temporary: HTTP 502"},
	"limited": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) }, 14, "host.example: rate limited: HTTP 429"},
	"revoked": {nil, 7, "host.example: denied: HTTP 401: the credential was refused"},
}

// An hour in which a host is no use, and the time after it. The log is short and says what to do, and `status` has
// one error for each repository that says it too, and none once the host is well.
func TestHourOfTrouble(t *testing.T) {
	for name := range troubled {
		for _, kind := range []config.HostType{config.GitHub, config.GitLab, config.Gitea, config.Git} {
			t.Run(fmt.Sprint(kind, "/", name), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { hourOfTrouble(t, kind, name) })
			})
		}
	}
}

func hourOfTrouble(t *testing.T, kind config.HostType, name string) {
	const n = 40
	trouble := troubled[name]
	api, cfg := hoststest.Populated(kind, "hush", n)
	api.SetToken("hush")
	cfg.Global.Sweep = 15 * time.Minute
	bad := false
	tr := newTrial(t, cfg, githosttest.Delayed{Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if bad {
			trouble.answer(w, req)
			return
		}
		api.ServeHTTP(w, req)
	}), Latency: 5 * time.Millisecond})
	if got := tr.minutes(5); len(got.Problems) > 0 || len(got.Branches) != n {
		t.Fatalf("before: %+v", got)
	}
	tr.log.Reset()
	if bad = trouble.answer != nil; !bad {
		api.SetToken("the next one")
	}
	got := tr.minutes(60).Problems
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
			cfg.Repositories[i].Monitor.Auth.Token = secret.New("${T}", "the next one")
		}
	}
	bad = false
	if got := tr.minutes(12).Problems; len(got) > 0 {
		t.Errorf("once the host is well, status says %v", got)
	}
	if lines := strings.Count(tr.log.String(), "\n"); lines > trouble.most || strings.Contains(tr.log.String(), "hush") {
		t.Errorf("%d lines, want at most %d, and no token:\n%s", lines, trouble.most, tr.log.String())
	}
}

// A host that is too slow for one cycle is no trouble of its repositories: each is read in its turn, the state is not
// written for those that wait, and the log tells of it once an hour.
func TestHourOfASlowHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api, cfg := hoststest.Populated(config.Git, "token", 300)
		tr := newTrial(t, cfg, githosttest.Delayed{Handler: api, Latency: 2 * time.Second})
		tr.minutes(5) // by then all were read
		tr.log.Reset()
		tr.wrote = 0
		if got := tr.minutes(59); len(got.Branches) != 300 || len(got.Problems) > 0 || tr.wrote > 0 {
			t.Errorf("%d branches, %d problems, %d writes of the state, want 300 and none", len(got.Branches), len(got.Problems), tr.wrote)
		}
		if n := strings.Count(tr.log.String(), "[late="); n != 2 || strings.Count(tr.log.String(), "\n") != 2 {
			t.Errorf("the log of the next hour is\n%s\nwant a line that tells what is late, and one with the counts of the hour", tr.log.String())
		}
	})
}

// TestUserAgent holds that hosts are told which Sentry asks.
func TestUserAgent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api, cfg := hoststest.Populated(config.Git, "token", 1)
		var agents []string
		r := (&setup.Options{Version: "v1.2.3"}).Reader(slog.New(slog.DiscardHandler), 0, nil)
		r.Base = githosttest.Delayed{Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			agents = append(agents, req.UserAgent())
			api.ServeHTTP(w, req)
		})}
		r.Heads(t.Context(), []config.Monitor{cfg.Repositories[0].Monitor})
		if len(agents) == 0 || agents[0] != "sentry/v1.2.3" {
			t.Errorf("the host is asked by %q, want sentry/v1.2.3", agents)
		}
	})
}
