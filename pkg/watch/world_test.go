package watch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/engine/enginetest"
	"github.com/tekton-sentry/sentry/pkg/event"
	"github.com/tekton-sentry/sentry/pkg/event/logsink"
	"github.com/tekton-sentry/sentry/pkg/githost/hosts"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/state"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is everything around a Watcher, in memory.
type world struct {
	t       *testing.T
	mu      sync.Mutex                     // of heads and hold, where a test changes them while Run works
	heads   map[string]map[string]repo.SHA // by URL; a URL that is not there fails
	hold    map[string]chan struct{}       // by URL: answers only after this is closed
	cached  bool                           // whether answers are those of an earlier look
	store   *memory
	engine  *enginetest.Fake
	created []string
	log     bytes.Buffer
	watcher *Watcher
}

// Each implements Heads: every URL is a server of its own.
func (w *world) Each(ctx context.Context, want []config.Monitor, answered func(map[int]repo.Observation)) {
	type answer struct {
		i int
		o repo.Observation
	}
	answers := make(chan answer)
	for i, m := range want {
		go func() {
			w.mu.Lock()
			wait := w.hold[m.URL]
			w.mu.Unlock()
			if wait != nil {
				select {
				case <-wait:
				case <-ctx.Done():
				}
			}
			answers <- answer{i, w.look(m)}
		}()
	}
	for range want {
		a := <-answers
		answered(map[int]repo.Observation{a.i: a.o})
	}
}

// look is what the server of a repository says of it.
func (w *world) look(m config.Monitor) repo.Observation {
	w.mu.Lock()
	defer w.mu.Unlock()
	all, up := w.heads[m.URL]
	if !up {
		return repo.Observation{Err: errors.New("host is down")}
	}
	heads := map[string]repo.SHA{}
	for branch, sha := range all {
		if m.Branches.Match(branch) {
			heads[branch] = sha
		}
	}
	if len(heads) == 0 {
		return repo.Observation{Err: problem{"no branch", errors.New("no branch matches")}}
	}
	o := repo.Observation{Heads: heads}
	if w.cached {
		o.Status = repo.Cached
	}
	return o
}

// problem is an error of a kind.
type problem struct {
	kind string
	error
}

func (p problem) ProblemKind() string { return p.kind }

// memory is a Store with the real compare-and-swap.
type memory struct {
	text          []byte
	loaded        string
	writes, fails int
	before        func() // is called once, before the next Save
}

func (m *memory) Load(ctx context.Context) (state.Snapshot, error) {
	if ctx.Err() != nil {
		return state.Snapshot{}, ctx.Err()
	}
	m.loaded = string(m.text)
	if m.text == nil {
		return state.Snapshot{}, nil
	}
	return state.Decode(m.text)
}

func (m *memory) Save(ctx context.Context, s state.Snapshot) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if before := m.before; before != nil {
		m.before = nil
		loaded := m.loaded
		before()
		m.loaded = loaded
	}
	if m.fails > 0 {
		m.fails--
		return errors.New("the API server is down")
	}
	if m.loaded != string(m.text) {
		return state.ErrConflict
	}
	m.writes++
	var err error
	m.text, err = state.Encode(s)
	m.loaded = string(m.text)
	return err
}

// onCreate has f called with the name of each run that is to be created. Where f fails, none is.
func (w *world) onCreate(f func(run string) error) {
	w.engine.Around = func(_ context.Context, call string, do func() error) error {
		if run, ok := strings.CutPrefix(call, "create "); ok {
			if err := f(run); err != nil {
				return err
			}
		}
		return do()
	}
}

// called returns the calls of a method of the engine.
func (w *world) called(method string) []string {
	var calls []string
	for _, call := range w.engine.Calls {
		if strings.HasPrefix(call, method) {
			calls = append(calls, call)
		}
	}
	return calls
}

// entry is a repository of its own server that deploys from the QA repository qa.
func entry(name, more string) string {
	return fmt.Sprintf(`
  - name: %[1]s
    %[2]s
    monitor: {repo_url: "https://%[1]s.example/x", branches: [main, "dev.*"], repo_type: git}
    deploy: {qa_repo_url: "https://qa.example/x", repo_type: git, commands: ["true"]}
`, name, more)
}

func newWorld(t *testing.T, yaml string) *world {
	t.Helper()
	w := &world{
		t: t, heads: map[string]map[string]repo.SHA{}, hold: map[string]chan struct{}{},
		store:  &memory{},
		engine: &enginetest.Fake{},
	}
	w.set("qa", "main", "f")
	w.start(yaml)
	return w
}

// start replaces the Watcher, as a restart of the process with this configuration does.
func (w *world) start(yaml string) {
	w.t.Helper()
	cfg, err := config.Parse([]byte(yaml), hosts.Options(nil))
	if err != nil {
		w.t.Fatal(err)
	}
	clock := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	w.watcher = &Watcher{
		Config: cfg, Heads: w, Store: w.store, Engine: w.engine,
		Every: time.Minute,
		Tell: func(e event.Event) {
			logsink.Write(slog.New(slog.NewTextHandler(&w.log, nil)), e)
			if created, ok := e.(event.RunCreated); ok {
				w.created = append(w.created, created.Run.Name)
			}
		},
		Now:  func() time.Time { clock = clock.Add(time.Second); return clock },
		Word: func() string { return "0123abcd" },
	}
}

// urlOf is where a host has its repository.
func urlOf(host string) string { return "https://" + host + ".example/x" }

func (w *world) set(host, branch, digit string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	url := urlOf(host)
	if w.heads[url] == nil {
		w.heads[url] = map[string]repo.SHA{}
	}
	w.heads[url][branch] = repo.SHA(strings.Repeat(digit, 40))
}

func (w *world) cycle() event.Report {
	w.t.Helper()
	report, err := w.watcher.RunOnce(w.t.Context(), Request{})
	if err != nil {
		w.t.Fatalf("RunOnce: %v", err)
	}
	return report
}

// finish ends all active runs.
func (w *world) finish() { w.engine.End(true) }

// triggers returns the new SHAs' first digits of all runs, sorted: which commits were deployed.
func (w *world) triggers() string {
	var digits []string
	for _, pr := range w.engine.PipelineRuns {
		trigger, err := pipelinerun.TriggerOf(pr)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, c := range trigger.Refs {
			digits = append(digits, c.Ref.String()+"="+string(c.New[:1]))
		}
	}
	slices.Sort(digits)
	return strings.Join(digits, " ")
}

func (w *world) check(what, want string) {
	w.t.Helper()
	if got := w.triggers(); got != want {
		w.t.Errorf("%s: deployed %q, want %q\nlog:\n%s", what, got, want, &w.log)
	}
}
