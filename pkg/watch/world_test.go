package watch

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"go.uber.org/goleak"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/event"
	"github.com/tekton-sentry/sentry/pkg/event/logsink"
	"github.com/tekton-sentry/sentry/pkg/githost/hosts"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun"
	"github.com/tekton-sentry/sentry/pkg/plan"
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
	engine  *cluster
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
			heads := map[string]repo.SHA{}
			w.mu.Lock()
			for branch, sha := range w.heads[m.URL] {
				if m.Branches.Match(branch) {
					heads[branch] = sha
				}
			}
			w.mu.Unlock()
			o := repo.Observation{Heads: heads}
			if w.cached {
				o.Status = repo.Cached
			}
			if len(heads) == 0 {
				o = repo.Observation{Err: errors.New("host is down")}
			}
			answers <- answer{i, o}
		}()
	}
	for range want {
		a := <-answers
		answered(map[int]repo.Observation{a.i: a.o})
	}
}

// memory is a Store with the real compare-and-swap.
type memory struct {
	text          []byte
	loaded        string
	writes, fails int
	before        func() // called once at the next Save, before it
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
	if f := m.before; f != nil {
		m.before = nil
		f()
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

// yesterday is when the engine's runs were created.
var yesterday = time.Date(2026, 1, 1, 3, 4, 5, 0, time.UTC)

// cluster is an engine that keeps PipelineRuns as a cluster does.
type cluster struct {
	most      int // members of a run; 0 = pipelinerun.MaxMembers
	runs      map[string]*v1.PipelineRun
	active    map[string]bool
	fail      func(*v1.PipelineRun) error
	calls     int
	cancelled []string
	pruned    []string
}

func (e *cluster) Check(cfg *config.Config, run plan.Run) error {
	_, _, err := pipelinerun.Fit(cfg, run, cmp.Or(e.most, pipelinerun.MaxMembers))
	return err
}

func (e *cluster) Create(ctx context.Context, cfg *config.Config, run plan.Run) (engine.Made, error) {
	if ctx.Err() != nil {
		return engine.Made{}, ctx.Err()
	}
	pr, part, err := pipelinerun.Fit(cfg, run, cmp.Or(e.most, pipelinerun.MaxMembers))
	if err != nil {
		return engine.Made{}, err
	}
	made := engine.Made{Run: part, NoRoom: pipelinerun.TooLarge(part.NoRoom)}
	e.calls++
	if e.fail != nil {
		if err := e.fail(pr); err != nil {
			return engine.Made{}, err
		}
	}
	if old, ok := e.runs[pr.Name]; ok {
		theirs, err := pipelinerun.TriggerOf(old)
		mine, _ := pipelinerun.TriggerOf(pr)
		if err != nil || !mine.Equal(theirs) {
			return engine.Made{}, engine.ErrNameTaken
		}
		made.Existed = true
		return made, nil
	}
	e.runs[pr.Name], e.active[pr.Name] = pr, true
	return made, nil
}

func (e *cluster) Runs(_ context.Context, units []string) ([]engine.Run, error) {
	e.calls++
	var runs []engine.Run
	for name, pr := range e.runs {
		if unit := pr.Labels[pipelinerun.LabelUnit]; len(units) == 0 || slices.Contains(units, unit) {
			trigger, err := pipelinerun.TriggerOf(pr)
			if err != nil {
				return nil, err
			}
			runs = append(runs, engine.Run{Existing: plan.Existing{
				Name: name, Unit: unit, Trigger: trigger, Signature: pr.Annotations[pipelinerun.AnnotationSignature],
				Created: cmp.Or(pr.CreationTimestamp.Time, yesterday), Active: e.active[name], Pending: pr.IsPending(),
			}})
		}
	}
	return runs, nil
}

func (e *cluster) Cancel(_ context.Context, name string) error {
	e.cancelled = append(e.cancelled, name)
	return nil
}

func (e *cluster) Prune(_ context.Context, unit string, keep int) error {
	e.pruned = append(e.pruned, fmt.Sprintf("%s keep %d", unit, keep))
	return nil
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
		engine: &cluster{runs: map[string]*v1.PipelineRun{}, active: map[string]bool{}},
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

// another returns a second Watcher on the same world.
func (w *world) another() *Watcher {
	o := w.watcher
	return &Watcher{Config: o.Config, Heads: o.Heads, Store: o.Store, Engine: o.Engine, Key: o.Key, Tell: o.Tell, Now: o.Now, Word: o.Word, looked: o.looked}
}

func (w *world) set(host, branch, digit string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	url := "https://" + host + ".example/x"
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

// cycleThatIsNotSaved does a cycle at whose end the state cannot be written.
func (w *world) cycleThatIsNotSaved() {
	w.t.Helper()
	w.store.fails = 1
	if _, err := w.watcher.RunOnce(w.t.Context(), Request{}); err == nil {
		w.t.Fatal("a state that cannot be written is no error")
	}
}

// finish ends all active runs.
func (w *world) finish() { clear(w.engine.active) }

// triggers returns the new SHAs' first digits of all runs, sorted: which commits were deployed.
func (w *world) triggers() string {
	var digits []string
	for _, pr := range w.engine.runs {
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
