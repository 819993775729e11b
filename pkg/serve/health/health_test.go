package health

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/engine/enginetest"
	"github.com/tekton-sentry/sentry/pkg/event"
	"github.com/tekton-sentry/sentry/pkg/githost/hosts"
	"github.com/tekton-sentry/sentry/pkg/githost/poller"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/state"
	"github.com/tekton-sentry/sentry/pkg/watch"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const interval = time.Minute

// world is a Sentry of two repositories, all of which is in memory, and its clock is fake.
type world struct {
	t *testing.T
	Health
	watcher *watch.Watcher
	engine  *enginetest.Fake
	store   *memory
	end     context.CancelFunc
	ended   chan struct{}
}

// memory keeps the snapshot. Before each call it does what a test wants.
type memory struct {
	snapshot state.Snapshot
	before   func(ctx context.Context, call string) error
}

func (s *memory) do(ctx context.Context, call string) error {
	if s.before != nil {
		return s.before(ctx, call)
	}
	return nil
}

func (s *memory) Load(ctx context.Context) (state.Snapshot, error) {
	return s.snapshot, s.do(ctx, "load")
}

func (s *memory) Save(ctx context.Context, next state.Snapshot) error {
	err := s.do(ctx, "save")
	if err == nil {
		s.snapshot = next
	}
	return err
}

// heads are hosts that answer as a function says.
type heads func(ctx context.Context, m config.Monitor) repo.Observation

// Each implements watch.Heads, with a server for each repository.
func (h heads) Each(ctx context.Context, want []config.Monitor, answered func(map[int]repo.Observation)) {
	answers := make(chan map[int]repo.Observation, len(want))
	for i, m := range want {
		go func() { answers <- map[int]repo.Observation{i: h(ctx, m)} }()
	}
	for range want {
		answered(<-answers)
	}
}

// at is a head, which is another one for each n.
func at(n int) repo.Observation {
	return repo.Observation{Heads: map[string]repo.SHA{"main": repo.SHA(fmt.Sprintf("%040x", n+1))}}
}

// well are hosts at which nothing moves.
func well(context.Context, config.Monitor) repo.Observation { return at(0) }

// newWorld has a Sentry with these hosts, which begins with start and ends with the test.
func newWorld(t *testing.T, hosts watch.Heads) *world {
	t.Helper()
	w := &world{t: t, engine: &enginetest.Fake{Now: time.Now}, store: &memory{}, ended: make(chan struct{})}
	cfg := configuration(t, 2)
	w.Use(len(cfg.Repositories), interval)
	w.Begin()
	w.watcher = &watch.Watcher{
		Config: cfg, Heads: hosts, Store: w.Store(w.store), Engine: w.engine, Every: interval, Before: w.before,
		Tell: w.Hear,
		Now:  time.Now, Word: func() string { return "0123abcd" },
	}
	return w
}

// before is what the command line does before cycles and between them.
func (w *world) before(cycle bool) {
	if w.Alive(); cycle {
		w.Begin()
	}
}

func configuration(t *testing.T, repositories int) *config.Config {
	t.Helper()
	text := "repositories:\n"
	for i := range repositories {
		text += fmt.Sprintf(`- name: app%d
  monitor: {repo_url: "https://app%[1]d.example/x", branches: [main], repo_type: git}
  deploy: {qa_repo_url: "https://qa.example/x", repo_type: git, commands: ["true"]}
`, i)
	}
	cfg, err := config.Parse([]byte(text), hosts.Options(nil))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func (w *world) start() {
	ctx, cancel := context.WithCancel(w.t.Context())
	w.end = cancel
	go func() {
		defer close(w.ended)
		w.watcher.Run(Loop(ctx))
	}()
}

func (w *world) stop() {
	w.end()
	<-w.ended
}

// get returns what a probe is answered.
func (h *Health) get(path string) (status int, body string) {
	mux := http.NewServeMux()
	for pattern, handler := range h.Handlers() {
		mux.Handle(pattern, handler)
	}
	answer := httptest.NewRecorder()
	mux.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, path, nil))
	return answer.Code, answer.Body.String()
}

// during asks both probes every ten seconds for a while, and returns when each first failed; the whole while where none did.
func (w *world) during(while time.Duration) (livez, readyz time.Duration) {
	began := time.Now()
	livez, readyz = while, while
	for passed := time.Duration(0); passed < while; passed = time.Since(began) {
		if status, _ := w.get("/livez"); status != http.StatusOK {
			livez = min(livez, passed)
		}
		if status, _ := w.get("/readyz"); status != http.StatusOK {
			readyz = min(readyz, passed)
		}
		time.Sleep(10 * time.Second)
	}
	return livez, readyz
}

// A loop that hangs is found out soon, wherever it hangs, and however seldom cycles are.
func TestLoopThatHangs(t *testing.T) {
	hang := func(ctx context.Context) { <-ctx.Done() }
	for where, spoil := range map[string]func(w *world){
		"hosts whose reader never returns": func(w *world) {
			w.watcher.Heads = heads(func(ctx context.Context, _ config.Monitor) repo.Observation { hang(ctx); return at(0) })
		},
		"reading the state": func(w *world) {
			w.store.before = func(ctx context.Context, call string) error { hang(ctx); return ctx.Err() }
		},
		"the engine": func(w *world) {
			w.engine.Around = func(ctx context.Context, _ string, _ func() error) error { hang(ctx); return ctx.Err() }
		},
		"what is done before a cycle": func(w *world) {
			released := make(chan struct{})
			w.watcher.Before = func(bool) { w.Begin(); <-released }
			end := w.end
			w.end = func() { close(released); end() }
		},
	} {
		t.Run(where, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, heads(well))
				w.watcher.Every = time.Hour
				w.Use(2, time.Hour)
				w.end = func() {}
				spoil(w)
				end := w.end
				w.start()
				running := w.end
				w.end = func() { end(); running() }
				livez, readyz := w.during(10 * time.Minute)
				if livez < Patience || livez > Patience+time.Minute {
					t.Errorf("/livez fails after %s, want some %s", livez, Patience)
				}
				if readyz > livez {
					t.Errorf("/readyz fails after %s, later than /livez after %s", readyz, livez)
				}
				if _, body := w.get("/livez"); !strings.Contains(body, "[-]loop failed: a cycle began 10m0s ago, and its last progress was 10m0s ago\nlivez check failed\n") {
					t.Errorf("/livez says %q", body)
				}
				w.stop()
			})
		})
	}
}

// A loop that does not begin its next cycle is stuck as well.
func TestLoopThatDoesNotComeRound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h Health
		h.Use(1, interval)
		h.Begin()
		h.Hear(event.CycleDone{})
		time.Sleep(Patience)
		h.Alive()
		time.Sleep(Patience)
		if status, body := h.get("/livez"); status != http.StatusOK || !strings.Contains(body, "[+]loop ok: the last cycle ended 4m0s ago, and one begins every 1m0s\n") {
			t.Errorf("before its time: %d\n%s", status, body)
		}
		time.Sleep(time.Second)
		if status, body := h.get("/livez"); status != http.StatusServiceUnavailable || !strings.Contains(body, "[-]loop failed: between two cycles, and its last progress was 2m1s ago\n") {
			t.Errorf("after it: %d\n%s", status, body)
		}
	})
}

// Between two cycles it says so, however often the loop looks round meanwhile, and one that has begun is not over since the word of
// the one before comes late.
func TestCycleThatIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var begun atomic.Bool
		w := newWorld(t, heads(func(ctx context.Context, _ config.Monitor) repo.Observation {
			if begun.Load() {
				time.Sleep(20 * time.Second)
			}
			return at(0)
		}))
		w.start()
		time.Sleep(55 * time.Second)
		if _, body := w.get("/livez"); !strings.Contains(body, "[+]loop ok: the last cycle ended 55s ago, and one begins every 1m0s\n") {
			t.Errorf("between two cycles /livez says %q", body)
		}
		begun.Store(true)
		time.Sleep(10 * time.Second)
		if _, body := w.get("/livez"); !strings.Contains(body, "[+]loop ok: a cycle began 5s ago, ") {
			t.Errorf("in a cycle /livez says %q", body)
		}
		w.stop()
	})
}

// A replica that does not know the others is not ready, and says so.
func TestShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, heads(well))
		w.Share(0)
		w.start()
		synctest.Wait()
		w.check("without the others", "[-]share failed: it is not known which replicas are alive, so that this one looks at nothing by itself; the log says why\n")
		w.Share(3)
		w.check("with them", "")
		if _, body := w.get("/readyz"); !strings.Contains(body, "[+]share ok: one of 3 replicas\n") {
			t.Errorf("/readyz says %q", body)
		}
		w.stop()
	})
}

// silent is a network in which every server takes requests and answers none.
type silent struct{}

func (silent) RoundTrip(req *http.Request) (*http.Response, error) {
	<-req.Context().Done()
	return nil, req.Context().Err()
}

// Hosts that hang or fail, for hours, make Sentry neither dead nor broken, from its first cycle on.
func TestHostsDoNotMatter(t *testing.T) {
	for name, there := range map[string]func() watch.Heads{
		"all hang": func() watch.Heads {
			return &poller.Reader{Hosts: hosts.All, Base: silent{}, Timeout: poller.DefaultTimeout}
		},
		"all refuse": func() watch.Heads {
			return heads(func(context.Context, config.Monitor) repo.Observation {
				return repo.Observation{Err: errors.New("401")}
			})
		},
		"each answers last": func() watch.Heads { return slow() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, there())
				w.engine.Around = func(ctx context.Context, call string, do func() error) error {
					if strings.HasPrefix(call, "create") { // as a webhook of Tekton that hangs
						time.Sleep(30 * time.Second)
						w.Answered(ctx, nil)
						defer w.engine.End(true)
					}
					return do()
				}
				w.start()
				synctest.Wait()
				const hours = 3 * time.Hour
				if livez, readyz := w.during(hours); livez < hours || readyz < hours {
					_, body := w.get("/readyz")
					t.Errorf("/livez fails after %s, /readyz after %s, want neither; it says in the end\n%s", livez, readyz, body)
				}
				w.stop()
				if name == "each answers last" && len(w.engine.PipelineRuns) < 10 {
					t.Errorf("%d runs were made: the hosts were not as slow as they may be", len(w.engine.PipelineRuns))
				}
			})
		})
	}
}

// slow are hosts that answer with something new, at the last moment of all.
func slow() heads {
	return func(_ context.Context, m config.Monitor) repo.Observation {
		time.Sleep(poller.DefaultTimeout + time.Second)
		return at(int(time.Now().Unix()))
	}
}

// A cycle that takes an hour is alive while the API server answers it.
func TestLongCycleIsAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, heads(well))
		w.engine.Around = func(ctx context.Context, call string, do func() error) error {
			for range 100 {
				time.Sleep(40 * time.Second)
				w.Answered(ctx, nil)
			}
			return do()
		}
		w.start()
		if livez, _ := w.during(time.Hour); livez < time.Hour {
			_, body := w.get("/livez")
			t.Errorf("/livez fails after %s:\n%s", livez, body)
		}
		w.stop()
	})
}

// What others ask of the API server is no progress of the loop.
func TestOthersAreNotTheLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, heads(func(ctx context.Context, _ config.Monitor) repo.Observation { <-ctx.Done(); return at(0) }))
		w.start()
		for range 20 {
			time.Sleep(10 * time.Second)
			w.Answered(t.Context(), nil)
		}
		if status, _ := w.get("/livez"); status != http.StatusServiceUnavailable {
			t.Errorf("/livez answers %d while the loop hangs and something else asks the API server", status)
		}
		w.stop()
	})
}

// Sentry is ready as soon as it has read its state, and what keeps it from working is said in words, a line each.
func TestReady(t *testing.T) {
	noAnswer, forbidden := errors.New("dial tcp 10.0.0.1:443: connect: connection refused"), errors.New("configmaps \"sentry-state\" is forbidden: hush\nno")
	for name, tt := range map[string]struct {
		load, save, list, request error
		broken                    string // the line; "" where it is ready
		recovers                  string // the call after which it is ready again
	}{
		"all is well":                {},
		"the state cannot be read":   {load: forbidden, broken: `[-]state failed: configmaps "sentry-state" is forbidden: [redacted] no`, recovers: "load"},
		"the state is not written":   {save: forbidden, broken: `[-]state failed: configmaps "sentry-state" is forbidden: [redacted] no`, recovers: "cycle"},
		"no API server":              {load: noAnswer, request: noAnswer, broken: "[-]api-server failed: " + noAnswer.Error(), recovers: "load"},
		"the runs cannot be listed":  {list: forbidden, broken: `[-]cycle failed: find the runs that an earlier cycle may have made: configmaps "sentry-state" is forbidden: [redacted] no`, recovers: "cycle"},
		"another Sentry wrote it":    {save: fmt.Errorf("save: %w", state.ErrConflict), broken: "[-]cycle failed: load the state: the state was written by somebody else", recovers: "cycle"},
		"not all of it has any room": {save: fmt.Errorf("save: %w", state.ErrTooLarge)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var w *world
				hung := make(chan struct{})
				w = newWorld(t, heads(func(ctx context.Context, _ config.Monitor) repo.Observation {
					select {
					case <-hung:
					case <-ctx.Done():
					case <-time.After(poller.DefaultTimeout):
					}
					return at(0)
				}))
				w.Hide = func(s string) string { return strings.ReplaceAll(s, "hush", "[redacted]") }
				w.store.snapshot.Epoch = "0"
				if tt.broken == "[-]cycle failed: load the state: the state was written by somebody else" {
					w.store.snapshot.Epoch = ""
				}
				var spoilt atomic.Bool
				spoilt.Store(true)
				w.store.before = func(ctx context.Context, call string) error {
					var err error
					if spoilt.Load() {
						err = map[string]error{"load": tt.load, "save": tt.save}[call]
					}
					request := tt.request
					if !spoilt.Load() {
						request = nil
					}
					w.Answered(ctx, request)
					return err
				}
				w.engine.Around = func(_ context.Context, call string, do func() error) error {
					if spoilt.Load() && tt.list != nil && call == "runs" {
						return tt.list
					}
					return do()
				}
				if status, body := w.get("/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(body, "[-]state failed: it was not read yet\n") {
					t.Errorf("before the state was read: %d\n%s", status, body)
				}
				w.start()
				synctest.Wait() // the hosts hang
				if tt.save == nil {
					w.check("while the hosts hang", tt.broken)
				}
				time.Sleep(poller.DefaultTimeout + time.Second)
				w.check("after a cycle", tt.broken)
				spoilt.Store(false)
				time.Sleep(interval - poller.DefaultTimeout)
				synctest.Wait()
				if tt.recovers == "load" {
					w.check("as soon as it works again", "")
				}
				time.Sleep(2 * interval)
				w.check("after some cycles more", "")
				w.stop()
			})
		})
	}
}

// check holds /readyz to a line that says what is broken, or to being ready.
func (w *world) check(when, broken string) {
	w.t.Helper()
	status, body := w.get("/readyz")
	want := http.StatusOK
	if broken != "" {
		want = http.StatusServiceUnavailable
	}
	if status != want || broken != "" && !strings.Contains(body, broken) {
		w.t.Errorf("%s: %d, want %d and %q:\n%s", when, status, want, broken, body)
	}
	if lines := strings.Count(body, "\n"); broken != "" && lines != strings.Count(body, "[")-strings.Count(body, "[redacted]")+1 {
		w.t.Errorf("%s: not a line for each check:\n%s", when, body)
	}
	if status, _ := w.get("/livez"); status != http.StatusOK {
		w.t.Errorf("%s: /livez answers %d", when, status)
	}
}

// Probes only read.
func TestMethods(t *testing.T) {
	var h Health
	h.Begin()
	mux := http.NewServeMux()
	for pattern, handler := range h.Handlers() {
		mux.Handle(pattern, handler)
	}
	for method, want := range map[string]int{http.MethodGet: 200, http.MethodHead: 200, http.MethodPost: 405} {
		answer := httptest.NewRecorder()
		mux.ServeHTTP(answer, httptest.NewRequest(method, "/livez", nil))
		if answer.Code != want {
			t.Errorf("%s /livez: %d, want %d", method, answer.Code, want)
		}
	}
}
